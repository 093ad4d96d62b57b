//! Check `tcp`: connect, and if asked say something and look at the answer.

use std::time::Instant;

use regex::bytes::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::expect::regex;
use super::http::failure;
use super::{CheckEnv, CheckError};
use crate::model::check::{BoxFuture, Check};
use crate::model::health::Verdict;
use crate::model::spec::TcpSpec;
use crate::net::{Dialer, NetError, Phase};

/// How much of an answer is looked at, in bytes.
const MAX_ANSWER: usize = 4096;

/// One TCP check.
pub(super) struct TcpCheck {
    dialer: Dialer,
    host: String,
    port: u16,
    send: Option<String>,
    expect: Option<Regex>,
}

impl TcpCheck {
    pub(super) fn new(spec: &TcpSpec, env: &CheckEnv) -> Result<Self, CheckError> {
        let port = u16::try_from(spec.port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| CheckError::field("tcp.port", "write a port from 1 to 65535"))?;
        let host = spec.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&spec.host);
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(CheckError::field("tcp.host", "write a host name or an address, without scheme and path"));
        }
        Ok(Self {
            dialer: env.dialer.clone(),
            host: host.to_ascii_lowercase(),
            port,
            send: spec.send.clone(),
            expect: spec.expect.as_deref().map(|pattern| regex("tcp.expect", pattern)).transpose()?,
        })
    }

    async fn judge(&self, deadline: Instant) -> Result<Verdict, NetError> {
        let connection = self.dialer.connect(&self.host, self.port, deadline).await?;
        let mut stream = connection.stream;
        let mut phases = connection.phases;
        let mut verdict = Verdict::healthy("accepts connections");
        if self.send.is_some() || self.expect.is_some() {
            let begun = Instant::now();
            let talked = timeout_at(deadline.into(), self.talk(&mut stream)).await;
            phases.push((Phase::FirstByte.as_str(), begun.elapsed().as_secs_f64() * 1000.0));
            verdict = match talked {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(_)) => Verdict::unhealthy(
                    "ConnectionClosed",
                    format!("{}:{}: the connection broke during the exchange", self.host, self.port),
                ),
                Err(_) => {
                    return Err(NetError::Timeout {
                        host: self.host.clone(),
                        port: self.port,
                        phase: Phase::FirstByte,
                    });
                }
            };
        }
        verdict.phases = phases;
        Ok(verdict.detail("address", connection.address.to_string()))
    }

    /// Sends, then reads until the answer matches, ends, or is too long.
    async fn talk(&self, stream: &mut TcpStream) -> std::io::Result<Verdict> {
        if let Some(text) = &self.send {
            stream.write_all(text.as_bytes()).await?;
        }
        let Some(expect) = &self.expect else { return Ok(Verdict::healthy("accepts connections and data")) };
        let mut answer = Vec::with_capacity(512);
        loop {
            let mut room = (&mut *stream).take((MAX_ANSWER - answer.len()) as u64);
            let read = room.read_buf(&mut answer).await?;
            if expect.is_match(&answer) {
                return Ok(Verdict::healthy("answers as expected").detail("answerBytes", answer.len()));
            }
            if read == 0 || answer.len() >= MAX_ANSWER {
                let what =
                    if answer.is_empty() { "closes without an answer" } else { "the answer does not match tcp.expect" };
                return Ok(Verdict::unhealthy("AnswerMismatch", what).detail("answerBytes", answer.len()));
            }
        }
    }
}

impl Check for TcpCheck {
    fn kind(&self) -> &'static str {
        "tcp"
    }

    fn run(&self, deadline: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(async move { self.judge(deadline).await.unwrap_or_else(|error| failure(&error)) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::super::testing::env;
    use super::*;
    use crate::model::Health;

    fn spec(port: u16, send: Option<&str>, expect: Option<&str>) -> TcpSpec {
        TcpSpec {
            host: "127.0.0.1".into(),
            port: port.into(),
            send: send.map(Into::into),
            expect: expect.map(Into::into),
        }
    }

    async fn run(spec: &TcpSpec, millis: u64) -> Verdict {
        let check = TcpCheck::new(spec, &env()).unwrap();
        check.run(Instant::now() + Duration::from_millis(millis)).await
    }

    /// Greets, then says back whatever it hears, byte by byte.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.write_all(b"220 hello\r\n").await;
                    while let Ok(byte) = stream.read_u8().await {
                        let _ = stream.write_all(&[byte]).await;
                    }
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn an_open_port_is_healthy_and_a_closed_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let verdict = run(&spec(port, None, None), 10_000).await;
        assert_eq!((verdict.health, verdict.phases[0].0), (Health::Healthy, "connect"));
        drop(listener);
        let verdict = run(&spec(port, None, None), 10_000).await;
        assert_eq!((verdict.health, verdict.reason), (Health::Unhealthy, "ConnectionRefused"));
    }

    #[tokio::test]
    async fn an_answer_that_comes_in_pieces_is_matched_as_a_whole() {
        let port = echo().await;
        let verdict = run(&spec(port, Some("PING\r\n"), Some("PING\r\n$")), 10_000).await;
        assert_eq!(verdict.health, Health::Healthy, "{}", verdict.message);
    }

    #[tokio::test]
    async fn an_answer_that_never_matches_runs_into_the_deadline() {
        let verdict = run(&spec(echo().await, None, Some("^never$")), 100).await;
        assert_eq!((verdict.health, verdict.reason), (Health::Unhealthy, "ResponseTimeout"));
    }

    #[tokio::test]
    async fn only_the_first_four_kibibytes_of_an_answer_are_looked_at() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            }
        });
        let verdict = run(&spec(port, None, Some("y")), 30_000).await;
        assert_eq!(verdict.reason, "AnswerMismatch");
        assert_eq!(verdict.details["answerBytes"], 4096);
    }

    #[tokio::test]
    async fn a_target_that_the_policy_forbids_is_unknown_and_not_unhealthy() {
        let mut spec = spec(80, None, None);
        spec.host = "169.254.169.254".into();
        let verdict = run(&spec, 10_000).await;
        assert_eq!((verdict.health, verdict.reason), (Health::Unknown, "AddressDenied"));
    }

    #[test]
    fn an_unusable_host_or_port_is_refused() {
        for (host, port) in [("", 1), ("http://a", 1), ("a", 0), ("a", 65_536), ("a", -1)] {
            let spec = TcpSpec { host: host.into(), port, send: None, expect: None };
            assert!(TcpCheck::new(&spec, &env()).is_err(), "{host}:{port}");
        }
    }
}
