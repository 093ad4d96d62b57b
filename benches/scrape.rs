//! What a scrape costs, beside node_exporter with the same collectors in the same run.
//!
//! ```text
//! scripts/peers/node_exporter.sh && cargo bench --bench scrape
//! ```
//!
//! Starts an exporter of ours (nothing but the collectors and the text format behind HTTP) and node_exporter, scrapes
//! both in turn and prints the CPU time of the whole process per scrape, the latency and the memory. Fails where we are
//! above the goal. `SCRAPES` (100) and `INTERVAL_MS` (200) change the run; `NODE_EXPORTER` names another binary.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use vitals::host::{Collection, Roots, Selection, collectors};
use vitals::model::series::Frame;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Set in the child that is scraped.
const SERVE: &str = "VITALS_BENCH_SERVE";
/// The collectors of both sides.
const COLLECTORS: &[&str] =
    &["cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "pressure", "stat", "time", "uname", "vmstat"];
/// Scrapes that do not count, for both sides to settle.
const WARM_UP: usize = 5;
/// Ours divided by the peer's may be at most this: CPU, median latency, memory.
const GOALS: [f64; 3] = [0.1, 0.1, 1.0 / 3.0];

fn main() -> Result<ExitCode> {
    if std::env::var_os(SERVE).is_some() {
        serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let scrapes = setting("SCRAPES", 100)?;
    let interval = Duration::from_millis(setting("INTERVAL_MS", 200)? as u64);
    let mut ours = Target::ours()?;
    let mut peer = peer_binary().map(|binary| Target::peer(&binary)).transpose()?;
    for _ in 0..WARM_UP {
        ours.scrape()?;
        if let Some(peer) = &mut peer {
            peer.scrape()?;
        }
        std::thread::sleep(interval);
    }
    ours.start()?;
    if let Some(peer) = &mut peer {
        peer.start()?;
    }
    for _ in 0..scrapes {
        ours.scrape()?;
        std::thread::sleep(interval / 2);
        if let Some(peer) = &mut peer {
            peer.scrape()?;
        }
        std::thread::sleep(interval / 2);
    }
    let ours = ours.figures()?;
    let peer = peer.map(|mut peer| peer.figures()).transpose()?;
    report(&ours, peer.as_ref(), scrapes, interval)
}

fn setting(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name} must be a whole number, not {text:?}").into()),
        Err(_) => Ok(default),
    }
}

/// The exporter of ours: answers every request with all readings of now, until its standard input closes.
#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<()> {
    let every = vitals::host::collector_names();
    let disable = every.iter().filter(|name| !COLLECTORS.contains(name)).map(ToString::to_string).collect();
    let selection = Selection { enable: COLLECTORS.iter().map(ToString::to_string).collect(), disable };
    let collection = Collection::new(collectors(&Roots::default(), &selection)?);
    let state = Arc::new(Mutex::new((collection, Frame::default(), vitals::export::text::Writer::new())));
    let answer = move || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (collection, frame, writer) = &mut *state;
        collection.collect(jiff::Timestamp::now().as_millisecond(), frame);
        let mut body = Vec::new();
        writer.write(&[frame], &mut body);
        ([("content-type", vitals::export::text::CONTENT_TYPE)], body)
    };
    let router = axum::Router::new().route("/metrics", axum::routing::get(|| async move { answer() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "address={}", listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        // Without this a small answer would wait for the other side's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Ok(axum::serve(listener, router).await?)
}

fn peer_binary() -> Option<PathBuf> {
    let cache = || -> Option<PathBuf> {
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
        Some(cache.join("vitals-test/node_exporter-1.12.1"))
    };
    std::env::var_os("NODE_EXPORTER").map(PathBuf::from).or_else(cache).filter(|binary| binary.is_file())
}

/// A process that is scraped.
struct Target {
    child: Child,
    connection: BufReader<TcpStream>,
    latencies: Vec<Duration>,
    body: Vec<u8>,
    cpu_at_start: Duration,
}

impl Target {
    fn ours() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the exporter has no output")?;
        Self::connected(child, output)
    }

    fn peer(binary: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--web.disable-exporter-metrics",
                "--collector.disable-defaults",
            ])
            .args(COLLECTORS.iter().map(|name| format!("--collector.{name}")))
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stderr.take().ok_or("node_exporter has no output")?;
        Self::connected(child, output)
    }

    /// Connects to the address that the process announces.
    fn connected(child: Child, output: impl Read + Send + 'static) -> Result<Self> {
        let mut lines = BufReader::new(output).lines();
        let announced = lines.by_ref().map_while(std::result::Result::ok).find_map(|line| {
            let address = line.split("address=").nth(1)?.split_whitespace().next()?;
            Some(address.trim_matches('"').to_owned())
        });
        let address = announced.ok_or("the process ended before it listened")?;
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let connection = TcpStream::connect(&address)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            child,
            connection: BufReader::new(connection),
            latencies: Vec::new(),
            body: Vec::new(),
            cpu_at_start: Duration::ZERO,
        })
    }

    fn start(&mut self) -> Result<()> {
        self.latencies.clear();
        self.cpu_at_start = self.cpu()?;
        Ok(())
    }

    /// One scrape over the kept connection, as Prometheus does it, without compression.
    fn scrape(&mut self) -> Result<()> {
        let begin = Instant::now();
        self.connection.get_mut().write_all(
            b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: text/plain;version=0.0.4\r\nAccept-Encoding: identity\r\n\r\n",
        )?;
        let mut length = None;
        let mut line = String::new();
        let mut first = true;
        loop {
            line.clear();
            self.connection.read_line(&mut line)?;
            let text = line.trim_end().to_ascii_lowercase();
            if std::mem::take(&mut first) && !text.ends_with("200 ok") {
                return Err(format!("the answer was {text:?}").into());
            }
            if text.is_empty() {
                break;
            }
            if let Some(value) = text.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        self.body.clear();
        match length {
            Some(length) => {
                self.body.resize(length, 0);
                self.connection.read_exact(&mut self.body)?;
            }
            None => self.read_chunks()?,
        }
        self.latencies.push(begin.elapsed());
        Ok(())
    }

    fn read_chunks(&mut self) -> Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            self.connection.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16)?;
            let start = self.body.len();
            self.body.resize(start + length + 2, 0);
            self.connection.read_exact(&mut self.body[start..])?;
            self.body.truncate(start + length);
            if length == 0 {
                return Ok(());
            }
        }
    }

    /// CPU time of all threads.
    fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn figures(&mut self) -> Result<Figures> {
        let cpu = self.cpu()? - self.cpu_at_start;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        let count = latencies.len();
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Ok(Figures {
            cpu_ms: milliseconds(cpu) / count as f64,
            p50_ms: milliseconds(latencies[count / 2]),
            p99_ms: milliseconds(latencies[count * 99 / 100]),
            rss_mb: rss.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0,
            series: self.body.split(|&byte| byte == b'\n').filter(|l| !l.is_empty() && l[0] != b'#').count(),
            bytes: self.body.len(),
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Figures {
    cpu_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    rss_mb: f64,
    series: usize,
    bytes: usize,
}

fn report(ours: &Figures, peer: Option<&Figures>, scrapes: usize, interval: Duration) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "scrape: {scrapes} scrapes, one per {} ms; collectors {}",
        interval.as_millis(),
        COLLECTORS.join(" ")
    )?;
    let Some(peer) = peer else {
        writeln!(out, "no node_exporter to compare with: run scripts/peers/node_exporter.sh or set NODE_EXPORTER")?;
        writeln!(
            out,
            "ours: CPU {:.3} ms, p50 {:.3} ms, p99 {:.3} ms, RSS {:.1} MB, {} series, {} bytes",
            ours.cpu_ms, ours.p50_ms, ours.p99_ms, ours.rss_mb, ours.series, ours.bytes
        )?;
        return Ok(ExitCode::SUCCESS);
    };
    writeln!(out, "{:<18} {:>10} {:>14} {:>8} {:>8}", "", "ours", "node_exporter", "ratio", "goal")?;
    let rows = [
        ("CPU ms per scrape", ours.cpu_ms, peer.cpu_ms, Some(GOALS[0])),
        ("p50 ms", ours.p50_ms, peer.p50_ms, Some(GOALS[1])),
        ("p99 ms", ours.p99_ms, peer.p99_ms, None),
        ("RSS MB", ours.rss_mb, peer.rss_mb, Some(GOALS[2])),
        ("series", ours.series as f64, peer.series as f64, None),
        ("bytes", ours.bytes as f64, peer.bytes as f64, None),
    ];
    let mut missed = false;
    for (name, ours, peer, goal) in rows {
        let ratio = ours / peer;
        let over = goal.is_some_and(|goal| ratio > goal);
        missed |= over;
        let goal = goal.map_or(String::new(), |goal| format!("{goal:.2}{}", if over { " missed" } else { "" }));
        writeln!(out, "{name:<18} {ours:>10.3} {peer:>14.3} {ratio:>8.3} {goal:>8}")?;
    }
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
