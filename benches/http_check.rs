//! What an HTTP check costs, beside a plain curl loop (and blackbox_exporter, if there is one) in the same run.
//!
//! ```text
//! cargo bench --bench http_check
//! ```
//!
//! A child process serves a two-byte answer over HTTP and HTTPS; checks run against its literal address, each over a
//! new connection. Prints user + system CPU of the checking process per check, then the share of one core that the
//! scheduler needs for 10,000 checks every 10 seconds. Fails above the goals. `CHECKS` (5000), `CURLS` (300) and
//! `SECONDS` (10) change the run; `BLACKBOX_EXPORTER` names a binary to compare with.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use vitals::check::{CheckEnv, Scheduler, SchedulerConfig, build};
use vitals::host::Roots;
use vitals::model::plan::{CheckPlan, Entry, Thresholds, Work};
use vitals::model::{Health, ObjectKey, Span};
use vitals::net::{DialPolicy, Dialer};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Set in the child that answers.
const SERVE: &str = "VITALS_BENCH_SERVE";
/// CPU of one check may be at most this, in milliseconds: plain, TLS.
const GOALS_MS: [f64; 2] = [0.1, 0.5];
/// Checks of the scheduler's run, and how often each is due.
const SCHEDULED: u32 = 10_000;
const EVERY: Span = Span::seconds(10);

fn main() -> Result<ExitCode> {
    if std::env::var_os(SERVE).is_some() {
        serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = Server::start()?;
    let checks = setting("CHECKS", 5000)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plain = runtime.block_on(sequence(&server, &format!("http://{}/health", server.http), checks))?;
    let tls = runtime.block_on(sequence(&server, &format!("https://{}/health", server.https), checks / 5))?;
    let (share, late, ran) = runtime.block_on(scheduled(&server, setting("SECONDS", 10)? as u64))?;
    let curl = curl(&server, setting("CURLS", 300)?)?;
    let blackbox = blackbox(&server, checks / 5)?;

    let mut out = std::io::stdout().lock();
    let per_curl = curl.map_or("none here".to_owned(), |ms| format!("{ms:.3} ms, ratio {:.3}", plain / ms));
    writeln!(out, "http check: ours {plain:.4} ms, curl {per_curl} (goal {} ms)", GOALS_MS[0])?;
    if let Some(ms) = blackbox {
        writeln!(out, "http check: ours {plain:.4} ms, blackbox_exporter {ms:.3} ms, ratio {:.3}", plain / ms)?;
    }
    writeln!(out, "https check: ours {tls:.4} ms (goal {} ms)", GOALS_MS[1])?;
    writeln!(
        out,
        "scheduler: {SCHEDULED} checks every {EVERY}: {:.1} % of a core, {ran} runs, latest start {:.0} ms late, RSS {:.1} MB (goal: one core)",
        share * 100.0,
        late.as_secs_f64() * 1000.0,
        rss_mb()?
    )?;
    let missed = plain > GOALS_MS[0] || tls > GOALS_MS[1] || share > 1.0;
    if missed {
        writeln!(out, "missed a goal")?;
    }
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn setting(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name} must be a whole number, not {text:?}").into()),
        Err(_) => Ok(default),
    }
}

/// CPU milliseconds per check, one after the other.
async fn sequence(server: &Server, url: &str, count: usize) -> Result<f64> {
    let check = build(&ObjectKey::new("bench", "check"), &plan(url)?, &server.env())?;
    let soon = || Instant::now() + Duration::from_secs(10);
    for _ in 0..count / 10 {
        let verdict = check.run(soon()).await;
        if verdict.health != Health::Healthy {
            return Err(format!("{url}: {}", verdict.message).into());
        }
    }
    let before = cpu("self")?;
    for _ in 0..count {
        check.run(soon()).await;
    }
    Ok((cpu("self")? - before).as_secs_f64() * 1000.0 / count as f64)
}

/// Share of one core, the latest start, and the number of runs, once the first runs are over.
async fn scheduled(server: &Server, seconds: u64) -> Result<(f64, Duration, u32)> {
    let url = format!("http://{}/health", server.http);
    let work = Work::Check(Box::new(plan(&url)?));
    let entries: Vec<Entry> = (0..SCHEDULED)
        .map(|slot| Entry {
            slot,
            rev: 1,
            key: ObjectKey::new("bench", &format!("check-{slot}")),
            target: None,
            work: work.clone(),
        })
        .collect();
    let env = server.env();
    let shutdown = CancellationToken::new();
    let config = SchedulerConfig { first_runs_within: None, ..SchedulerConfig::new("bench") };
    let (scheduler, mut results) =
        Scheduler::start(config, Box::new(move |key, plan| build(key, plan, &env)), shutdown.clone());
    scheduler.set_entries(&entries);
    for _ in 0..500 {
        results.recv().await;
    }
    let (began, before) = (Instant::now(), cpu("self")?);
    let (mut late, mut ran) = (Duration::ZERO, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let Some(run) = results.recv().await else { return Err("the scheduler ended".into()) };
        if run.verdict.health != Health::Healthy {
            return Err(run.verdict.message.clone().into());
        }
        late = late.max(run.lag);
        ran += 1;
    }
    let share = (cpu("self")? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    shutdown.cancel();
    Ok((share, late, ran))
}

fn plan(url: &str) -> Result<CheckPlan> {
    let tls = serde_json::json!({"caSecretKeyRef": {"name": "ca", "key": "pem"}});
    let mut http = serde_json::json!({ "url": url });
    if url.starts_with("https") {
        http["tls"] = tls;
    }
    Ok(CheckPlan {
        interval: EVERY,
        timeout: EVERY,
        retries: 0,
        failure_threshold: 3,
        success_threshold: 2,
        thresholds: Thresholds::default(),
        component_type: String::new(),
        node_selector: std::collections::BTreeMap::new(),
        spec: serde_json::from_value(serde_json::json!({ "http": http }))?,
    })
}

/// CPU milliseconds per curl process; None without curl.
fn curl(server: &Server, count: usize) -> Result<Option<f64>> {
    let url = format!("http://{}/health", server.http);
    let run = || Command::new("curl").args(["-s", "-o", "/dev/null", "--fail", "--max-time", "10", &url]).status();
    match run() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("curl ended with {status}").into()),
        Err(_) => return Ok(None),
    }
    let before = children_cpu()?;
    for _ in 0..count {
        run()?;
    }
    Ok(Some((children_cpu()? - before).as_secs_f64() * 1000.0 / count as f64))
}

/// CPU milliseconds per probe of blackbox_exporter; None without one.
fn blackbox(server: &Server, count: usize) -> Result<Option<f64>> {
    let Some(binary) = std::env::var_os("BLACKBOX_EXPORTER") else { return Ok(None) };
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = std::env::temp_dir().join(format!("vitals-bench-{}.yml", std::process::id()));
    std::fs::write(&config, "modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}")?;
    let mut child = Process(
        Command::new(binary)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--config.file={}", config.display()))
            .stderr(Stdio::null())
            .spawn()?,
    );
    let probe = format!(
        "GET /probe?module=http_2xx&target=http://{}/health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        server.http
    );
    let ask = || -> Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(probe.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.contains("\nprobe_success 1"))
    };
    let begun = Instant::now();
    while !ask().unwrap_or(false) {
        if begun.elapsed() > Duration::from_secs(10) || child.0.try_wait()?.is_some() {
            return Err("blackbox_exporter does not answer".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let id = child.0.id().to_string();
    let before = cpu(&id)?;
    for _ in 0..count {
        ask()?;
    }
    let spent = cpu(&id)? - before;
    let _ = std::fs::remove_file(config);
    Ok(Some(spent.as_secs_f64() * 1000.0 / count as f64))
}

/// User and system time of all threads of a process.
fn cpu(process: &str) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// User and system time of all children that ended, in ticks of a hundredth of a second.
fn children_cpu() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field).unwrap_or_default().parse::<u64>();
    Ok(Duration::from_millis(10 * (ticks(13)? + ticks(14)?)))
}

fn rss_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(rss.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// A child that ends with us.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child that answers.
struct Server {
    _process: Process,
    http: String,
    https: String,
    ca: String,
}

impl Server {
    fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let process = Process(child);
        let mut lines = BufReader::new(output).lines();
        let mut line = || -> Result<String> { Ok(lines.next().ok_or("the server ended")??) };
        let (http, https, ca) = (line()?, line()?, line()?);
        let ca = std::fs::read_to_string(Path::new(&ca))?;
        Ok(Self { _process: process, http, https, ca })
    }

    fn env(&self) -> CheckEnv {
        let ca = self.ca.clone();
        CheckEnv {
            dialer: Dialer::new(DialPolicy::local()),
            roots: Roots::default(),
            secrets: Arc::new(move |_, _| Some(ca.clone())),
        }
    }
}

/// Answers until standard input closes. Prints both addresses and where the certificate lies.
#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<()> {
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    params.is_ca = rcgen::IsCa::NoCa;
    let (ca_key, key) = (rcgen::KeyPair::generate()?, rcgen::KeyPair::generate()?);
    let mut ca_params = rcgen::CertificateParams::new(Vec::<String>::new())?;
    ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key)?;
    let certificate = params.signed_by(&key, &rcgen::Issuer::from_params(&ca_params, &ca_key))?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )?;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (http, https) = (listen()?, listen()?);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, ca.pem())?;
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{}\n{}", http.local_addr()?, https.local_addr()?, path.display())?;
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(directory);
        std::process::exit(0);
    });
    loop {
        tokio::select! {
            Ok((stream, _)) = http.accept() => { tokio::spawn(answer(stream)); }
            Ok((stream, _)) = https.accept() => {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream).await;
                    }
                });
            }
        }
    }
}

fn listen() -> Result<tokio::net::TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    Ok(socket.listen(4096)?)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::with_capacity(1024);
    while !request.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok").await;
    let _ = stream.shutdown().await;
}
