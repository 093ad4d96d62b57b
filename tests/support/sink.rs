//! A webhook receiver that remembers what it was sent and can be told to fail or to hang.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;
use super::world::{Request, Server};

/// How the receiver treats what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// 200.
    Accept,
    /// This status, after remembering the message.
    Refuse(u16),
    /// Remembers the message and never answers, until told otherwise.
    Hang,
}

/// One POST that arrived, answered or not.
#[derive(Clone, Debug)]
pub struct Message {
    /// Header `Idempotency-Key`.
    pub key: String,
    /// The body.
    pub body: Value,
    /// How it was treated.
    pub conduct: Conduct,
    /// When it arrived.
    pub at: Instant,
}

impl Message {
    /// `firing` or `resolved`.
    pub fn status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    /// Whether it speaks of an alert of this rule.
    pub fn is_about(&self, alertname: &str) -> bool {
        self.alerts().iter().any(|alert| alert["labels"]["alertname"] == alertname)
    }

    /// Since when its first alert fires.
    pub fn starts_at(&self) -> String {
        self.alerts().first().and_then(|alert| alert["startsAt"].as_str()).unwrap_or_default().to_owned()
    }

    /// Its alerts.
    pub fn alerts(&self) -> &[Value] {
        self.body["alerts"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The receiver.
pub struct Sink {
    server: Server,
    desk: Arc<Desk>,
}

struct Desk {
    state: Mutex<(Conduct, Vec<Message>)>,
    changed: Condvar,
}

impl Sink {
    /// Accepts everything.
    pub fn start() -> Self {
        let desk = Arc::new(Desk { state: Mutex::new((Conduct::Accept, Vec::new())), changed: Condvar::new() });
        let remember = Arc::clone(&desk);
        let server = Server::http(move |request| remember.take(request));
        Self { server, desk }
    }

    /// Where to POST.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.server.port())
    }

    /// Changes how messages are treated, those that hang included.
    pub fn conduct(&self, conduct: Conduct) {
        self.desk.state.lock().unwrap().0 = conduct;
        self.desk.changed.notify_all();
    }

    /// Every message about this rule, in order of arrival.
    pub fn about(&self, alertname: &str) -> Vec<Message> {
        let state = self.desk.state.lock().unwrap();
        state.1.iter().filter(|message| message.is_about(alertname)).cloned().collect()
    }

    /// Messages about this rule with this status.
    pub fn of(&self, alertname: &str, status: &str) -> Vec<Message> {
        self.about(alertname).into_iter().filter(|message| message.status() == status).collect()
    }

    /// Waits until at least `count` messages with this status about this rule have arrived.
    #[track_caller]
    pub fn await_messages(&self, alertname: &str, status: &str, count: usize) -> Vec<Message> {
        let start = Instant::now();
        loop {
            let found = self.of(alertname, status);
            if found.len() >= count {
                return found;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "{count} {status} messages about {alertname} never came; came: {found:#?}");
            let state = self.desk.state.lock().unwrap();
            drop(self.desk.changed.wait_timeout(state, left.min(std::time::Duration::from_millis(200))).unwrap());
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.conduct(Conduct::Accept);
    }
}

impl Desk {
    fn take(&self, request: &Request) -> Option<(u16, String)> {
        let mut state = self.state.lock().unwrap();
        let message = Message {
            key: request.header("idempotency-key").unwrap_or_default().to_owned(),
            body: serde_json::from_str(&request.body).unwrap_or(Value::Null),
            conduct: state.0,
            at: Instant::now(),
        };
        state.1.push(message);
        self.changed.notify_all();
        if state.0 == Conduct::Hang {
            while state.0 == Conduct::Hang {
                state = self.changed.wait(state).unwrap();
            }
            return None;
        }
        match state.0 {
            Conduct::Refuse(status) => Some((status, "refused by the test".into())),
            Conduct::Accept | Conduct::Hang => Some((200, String::new())),
        }
    }
}
