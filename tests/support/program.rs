//! The built program: a home of resource files, the running process, and one-shot commands.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::ask::{Answer, request};
use super::{PATIENCE, eventually};

/// A directory of resource files and a state directory beside it, gone at the end of the test.
pub struct Home {
    root: TempDir,
}

impl Home {
    /// An empty home.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("vitals-test-").tempdir().unwrap();
        std::fs::create_dir(root.path().join("resources")).unwrap();
        Self { root }
    }

    /// A home with one file of resources.
    pub fn with(resources: &str) -> Self {
        let home = Self::new();
        home.write("all.yaml", resources);
        home
    }

    /// Where the resource files are.
    pub fn resources(&self) -> PathBuf {
        self.root.path().join("resources")
    }

    /// Where the program keeps its state.
    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// A path beside both.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a resource file as an editor does: a new file moved over the old one.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let hidden = self.path(".being-written");
        std::fs::write(&hidden, text).unwrap();
        std::fs::rename(hidden, self.resources().join(name)).unwrap();
    }

    /// Removes a resource file.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.resources().join(name)).unwrap();
    }

    /// The command `vitals run` over this home, on any free port.
    pub fn command(&self) -> Command {
        let mut command = program();
        command.arg("run").arg(self.resources()).arg("--state-dir").arg(self.state()).args(["--port", "0"]);
        command
    }

    /// Starts the program and waits until it listens.
    #[track_caller]
    pub fn start(&self) -> Running {
        Running::start(self.command())
    }
}

/// A running program; killed when the test ends.
pub struct Running {
    child: Child,
    said: Arc<Said>,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

impl Running {
    /// Starts a command and waits for its `listening on` line.
    #[track_caller]
    pub fn start(command: Command) -> Self {
        Self::try_start(command).unwrap_or_else(|(status, said)| panic!("it ended with {status} and said:\n{said}"))
    }

    /// Starts a command; `Err` with what it said when it ends before it listens.
    #[track_caller]
    pub fn try_start(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Said::default());
        let readers = [listen(child.stdout.take().unwrap(), &said), listen(child.stderr.take().unwrap(), &said)];
        let mut running = Self { child, said, url: String::new() };
        let start = Instant::now();
        loop {
            if let Some(line) = running.output().lines().find_map(|line| line.strip_prefix("listening on ")) {
                running.url = line.trim().to_owned();
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait().unwrap() {
                readers.into_iter().for_each(|reader| reader.join().unwrap());
                return Err((status, running.output()));
            }
            assert!(start.elapsed() < PATIENCE, "it never listened; it said:\n{}", running.output());
            let text = running.said.text.lock().unwrap();
            drop(running.said.more.wait_timeout(text, std::time::Duration::from_millis(100)).unwrap());
        }
    }

    /// Everything it printed so far, both streams.
    pub fn output(&self) -> String {
        self.said.text.lock().unwrap().clone()
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        request(method, &self.url, path, &[], body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}; the program said:\n{}", self.output()))
    }

    /// GET that must be 200 and JSON.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
        answer.json()
    }

    /// The health word of one check, in lower case; empty while it is not known.
    pub fn health(&self, check: &str) -> String {
        let checks = self.json("/health/checks");
        let found = checks["checks"].as_array().into_iter().flatten().find(|entry| entry["name"] == check);
        found.and_then(|entry| entry["status"].as_str()).unwrap_or_default().to_owned()
    }

    /// Waits until a check has this health.
    #[track_caller]
    pub fn await_health(&self, check: &str, health: &str) {
        eventually(&format!("{check} is {health}"), || {
            let now = self.health(check);
            if now == health { Ok(()) } else { Err(format!("{now:?}; {}", self.tail())) }
        });
    }

    /// The pending or firing alert of this rule, if there is one.
    pub fn alert(&self, name: &str) -> Option<Value> {
        let alerts = self.json("/alerts?status=active,acknowledged,pending");
        alerts["alerts"].as_array().into_iter().flatten().find(|alert| alert["name"] == name).cloned()
    }

    /// Waits for an alert in this JSON status (`pending`, `active`, `acknowledged`).
    #[track_caller]
    pub fn await_alert(&self, name: &str, status: &str) -> Value {
        eventually(&format!("alert {name} is {status}"), || {
            let now = self.alert(name);
            now.clone().filter(|alert| alert["status"] == status).ok_or_else(|| format!("{now:?}; {}", self.tail()))
        })
    }

    /// Waits until the program has printed a text.
    #[track_caller]
    pub fn await_output(&self, text: &str) {
        eventually(&format!("the program says {text:?}"), || {
            if self.output().contains(text) { Ok(()) } else { Err(self.tail()) }
        });
    }

    /// The end of what it printed, for complaints.
    pub fn tail(&self) -> String {
        let text = self.output();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Sends a signal and waits for the end; returns status and everything it said.
    #[track_caller]
    pub fn signal(mut self, signal: Signal) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = eventually("the program ends", || self.child.try_wait().unwrap().ok_or_else(|| self.tail()));
        (status, self.output())
    }

    /// SIGTERM; the program must end with 0 and may not have panicked.
    #[track_caller]
    pub fn terminate(self) -> String {
        let (status, said) = self.signal(Signal::TERM);
        assert!(status.success(), "after SIGTERM: {status}\n{said}");
        assert_no_panic(&said);
        said
    }

    /// SIGKILL.
    pub fn kill_9(self) -> String {
        self.signal(Signal::KILL).1
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stream: impl Read + Send + 'static, said: &Arc<Said>) -> std::thread::JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            said.text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            said.more.notify_all();
            line.clear();
        }
    })
}

/// The program, with an environment that is the same on every machine.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitals"));
    for name in ["MONITORING_HOST", "MONITORING_PORT", "HEALTH_CHECK_INTERVAL", "HEALTH_CHECK_TIMEOUT"] {
        command.env_remove(name);
    }
    for name in ["ALERT_CHECK_INTERVAL", "ALERT_WEBHOOK_URL", "METRICS_RETENTION_HOURS", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
    command
}

/// What a one-shot command did.
#[derive(Debug)]
pub struct Done {
    /// None: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Both streams.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails unless it ended with this code, and in any case when it panicked.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_no_panic(&self.stderr);
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless it ended with any other code than 0.
    #[track_caller]
    pub fn expect_failure(self) -> Self {
        assert_no_panic(&self.stderr);
        assert!(self.code.is_some_and(|code| code != 0), "it did not fail: {self:?}");
        self
    }

    /// Fails unless both streams together hold every word.
    #[track_caller]
    pub fn expect_words(self, words: &[&str]) -> Self {
        let said = self.said();
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in:\n{said:.4000}");
        }
        self
    }
}

/// Runs a one-shot command to its end; one that does not end in time is killed and fails the test.
#[track_caller]
pub fn vitals<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Done {
    let mut command = program();
    command.args(args);
    finish(command)
}

/// Runs any prepared command to its end.
#[track_caller]
pub fn finish(mut command: Command) -> Done {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |stream: Box<dyn Read + Send>| {
        let mut stream = stream;
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} did not end; it said:\n{}\n{}", stdout.join().unwrap(), stderr.join().unwrap());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    Done { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// A panic in any thread leaves this trace.
#[track_caller]
pub fn assert_no_panic(said: &str) {
    assert!(!said.contains("panicked at"), "it panicked:\n{said}");
}

/// All regular files below a directory.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files
}
