//! Two small servers to break and mend, so that the quickstart has something real to watch on a bare machine.
//!
//! `http` answers `{"status":"ok"}`; `POST /break` makes it answer 503 and closes the `tcp` port; `POST /mend` undoes
//! both. They exist only in `run`, only when the VitalsConfig carries the annotation `vitals.dev/demo-targets`, and
//! only on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::runtime::tasks::Tasks;

/// The annotation on VitalsConfig: `http=127.0.0.1:8081 tcp=127.0.0.1:8082`.
pub const ANNOTATION: &str = "vitals.dev/demo-targets";

/// Where the two servers listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoTargets {
    /// The HTTP server.
    pub http: SocketAddr,
    /// The TCP server.
    pub tcp: SocketAddr,
}

impl DemoTargets {
    /// Reads the annotation's value.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = "write \"http=127.0.0.1:8081 tcp=127.0.0.1:8082\"";
        let address = |key: &str| {
            let part = text.split_whitespace().find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
            let part = part.ok_or_else(|| format!("annotation {ANNOTATION} lacks {key}=…; {wanted}"))?;
            let address: SocketAddr =
                part.parse().map_err(|_| format!("annotation {ANNOTATION}: {part:?} is not an address; {wanted}"))?;
            if address.ip().is_loopback() {
                Ok(address)
            } else {
                Err(format!("annotation {ANNOTATION}: {part} is not a loopback address; {wanted}"))
            }
        };
        Ok(Self { http: address("http")?, tcp: address("tcp")? })
    }

    /// Starts both servers. A port in use is a warning: the checks on it say the rest.
    pub async fn start(self, tasks: &Tasks) {
        let (broken, _) = watch::channel(false);
        match TcpListener::bind(self.http).await {
            Ok(listener) => {
                let app = Router::new()
                    .route("/", get(answer))
                    .route("/break", post(|state| switch(state, true)))
                    .route("/mend", post(|state| switch(state, false)))
                    .with_state(broken.clone());
                let stop = tasks.stop().clone();
                tasks.spawn("demo-http", async move {
                    let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
                    let _ = served.await;
                });
            }
            Err(why) => tracing::warn!(address = %self.http, %why, "the demo's HTTP target cannot listen"),
        }
        let stop = tasks.stop().clone();
        tasks.spawn("demo-tcp", async move {
            tokio::select! {
                () = serve_tcp(self.tcp, broken) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(State(broken): State<watch::Sender<bool>>) -> (StatusCode, Json<Value>) {
    if *broken.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "broken" })))
    } else {
        (StatusCode::OK, Json(json!({ "status": "ok" })))
    }
}

async fn switch(State(broken): State<watch::Sender<bool>>, to: bool) -> Json<Value> {
    broken.send_replace(to);
    Json(json!({ "broken": to }))
}

/// Says `ready` to everybody who connects; listens only while not broken.
async fn serve_tcp(address: SocketAddr, broken: watch::Sender<bool>) {
    let mut changes = broken.subscribe();
    loop {
        if !becomes(&mut changes, false).await {
            return;
        }
        match TcpListener::bind(address).await {
            Ok(listener) => loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((mut peer, _)) = accepted {
                            // A peer that went away is its own loss.
                            let _ = peer.write_all(b"ready\n").await;
                        }
                    }
                    _ = becomes(&mut changes, true) => break,
                }
            },
            Err(why) => {
                tracing::warn!(%address, %why, "the demo's TCP target cannot listen");
                // The port may be free later; nothing announces that.
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

/// Waits for a state; false when the process ends.
async fn becomes(changes: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    changes.wait_for(|broken| *broken == wanted).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_taken() {
        let parsed = DemoTargets::parse("http=127.0.0.1:1 tcp=127.0.0.1:2").unwrap();
        assert_eq!(parsed.tcp.port(), 2);
        for bad in ["", "http=127.0.0.1:1", "http=0.0.0.0:1 tcp=127.0.0.1:2", "http=x tcp=y"] {
            assert!(DemoTargets::parse(bad).unwrap_err().contains("write \"http="), "{bad}");
        }
    }
}
