//! Things to watch: an HTTP server whose answer can be changed, and a TCP port that can be closed and opened.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// One request as a scripted server sees it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    /// One header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A server on a loopback port: one thread per connection, ended when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves connections on a free port, or on a given one.
    pub fn start(port: u16, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serve = Arc::new(serve);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// Serves HTTP: each request gets the status and body that `answer` returns; `None` closes without an answer.
    pub fn http(answer: impl Fn(&Request) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        Self::start(0, move |stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut stream = stream;
            while let Some(request) = read_request(&mut reader) {
                let Some((status, body)) = answer(&request) else { return };
                let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n\r\n", body.len());
                let sent = stream.write_all(format!("{head}{body}").as_bytes());
                if sent.is_err() || request.header("connection") == Some("close") {
                    return;
                }
            }
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        // Wakes the thread up from `accept`; the listener closes with it.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { headers, body: String::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Some(request)
}

/// An HTTP endpoint that works until it is told otherwise.
pub struct Target {
    server: Server,
    script: Arc<Script>,
}

struct Script {
    status: AtomicUsize,
    delay_ms: AtomicU64,
    body: Mutex<String>,
    asked: AtomicUsize,
}

impl Target {
    /// Answers 200 `ok`.
    pub fn start() -> Self {
        let script = Arc::new(Script {
            status: AtomicUsize::new(200),
            delay_ms: AtomicU64::new(0),
            body: Mutex::new("ok".into()),
            asked: AtomicUsize::new(0),
        });
        let read = Arc::clone(&script);
        let server = Server::http(move |_| {
            read.asked.fetch_add(1, SeqCst);
            std::thread::sleep(Duration::from_millis(read.delay_ms.load(SeqCst)));
            Some((read.status.load(SeqCst) as u16, read.body.lock().unwrap().clone()))
        });
        Self { server, script }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/health", self.server.port())
    }

    /// From now on it answers 503.
    pub fn break_it(&self) {
        self.script.status.store(503, SeqCst);
    }

    /// From now on it answers 200.
    pub fn mend_it(&self) {
        self.script.status.store(200, SeqCst);
    }

    /// From now on each answer takes this long.
    pub fn delay(&self, delay: Duration) {
        self.script.delay_ms.store(delay.as_millis() as u64, SeqCst);
    }

    /// From now on it answers with this body.
    pub fn say(&self, body: &str) {
        *self.script.body.lock().unwrap() = body.to_owned();
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.script.asked.load(SeqCst)
    }
}

/// A TCP port that accepts and closes; it can be shut and opened again at the same number.
pub struct TcpTarget {
    port: u16,
    server: Option<Server>,
}

impl TcpTarget {
    /// Open, on a free port.
    pub fn start() -> Self {
        let server = Server::start(0, drop);
        Self { port: server.port(), server: Some(server) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections are refused from now on.
    pub fn shut(&mut self) {
        self.server = None;
    }

    /// Connections are accepted again.
    pub fn open(&mut self) {
        self.server = Some(Server::start(self.port, drop));
    }
}
