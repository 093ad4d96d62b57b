//! A server on a free port and the plainest HTTP client that can ask it.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use vitals::web::{WebOptions, WebState, serve};

use crate::fake::Fake;

pub struct Server {
    pub address: SocketAddr,
    pub fake: Arc<Fake>,
    pub stop: CancellationToken,
    pub registry: prometheus::Registry,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub bytes: Vec<u8>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn unpacked(&self) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(self.bytes.as_slice()).read_to_string(&mut text).unwrap();
        text
    }
}

/// The keys of an object, sorted.
pub fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

impl Server {
    pub async fn start(fake: Fake) -> Self {
        Self::start_on(0, fake, |_| {}).await
    }

    pub async fn start_with(fake: Fake, change: impl FnOnce(&mut WebOptions)) -> Self {
        Self::start_on(0, fake, change).await
    }

    pub async fn start_on(port: u16, fake: Fake, change: impl FnOnce(&mut WebOptions)) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = WebOptions::new(address);
        options.info = Arc::new(|| serde_json::json!({"hostname": "test"}));
        change(&mut options);
        let (stop, registry) = (options.shutdown.clone(), options.registry.clone());
        let fake = Arc::new(fake);
        let state = WebState { views: fake.clone(), commands: fake.clone(), exposition: fake.clone(), options };
        tokio::spawn(serve(listener, state));
        Self { address, fake, stop, registry }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        // The server may refuse before it has read everything.
        let _ = stream.write_all(head.as_bytes()).await;
        stream
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.ask(method, path, headers, body).await;
        let mut bytes = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.unwrap();
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> =
            lines.filter_map(|line| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned()))).collect();
        let mut bytes = bytes.split_off(split + 4);
        if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            bytes = unchunked(&bytes);
        }
        Answer { status, headers, body: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    pub async fn open(&self, path: &str) -> Open {
        Open { stream: self.ask("GET", path, &[], "").await, seen: String::new() }
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
        if size == 0 {
            break;
        }
    }
    out
}

/// An answer that goes on.
pub struct Open {
    stream: TcpStream,
    seen: String,
}

impl Open {
    /// Reads until a text has come; false when the stream ends first.
    pub async fn until(&mut self, text: &str) -> bool {
        let mut buffer = [0; 1024];
        while !self.seen.contains(text) {
            let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut buffer)).await.unwrap();
            match read {
                Ok(0) | Err(_) => return false,
                Ok(n) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
            }
        }
        true
    }
}
