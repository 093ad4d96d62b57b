//! A fleet's surroundings for tests: a journal and receivers that can stop dead at any point, nodes, time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Clock, Deliver, Engine, Fleet, FleetConfig, FleetError, FleetPorts, Now};
use crate::alert::desk::SendFailure;
use crate::alert::testing::words;
use crate::model::check::BoxFuture;
use crate::model::fleet_plan::Integration;
use crate::model::notification::Notification;
use crate::model::object::ObjectKey;
use crate::model::ports::{Change, ClusterView, Journal, JournalError, NodeState};
use crate::model::series::Millis;
use crate::model::{Labels, Span};

/// Where a process is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The commit that holds an intent has not reached the disk.
    BeforeIntent,
    /// It is on the disk, and nobody knows yet.
    AfterIntent,
    /// The message has not left.
    BeforeSend,
    /// The receiver has it, and nobody knows yet.
    AfterSend,
    /// The commit that holds the outcome has not reached the disk.
    BeforeOutcome,
    /// It is on the disk, and nobody knows yet.
    AfterOutcome,
}

/// Everything outside the process: it outlives a crash.
pub struct World {
    documents: Mutex<BTreeMap<String, Value>>,
    sent: Mutex<Vec<Notification>>,
    /// Counts commits and sends, for waiting.
    events: watch::Sender<u64>,
    /// Where the next process stops dead.
    stop_at: Mutex<Option<Point>>,
    stopped: watch::Sender<bool>,
    /// How receivers answer, by name.
    pub refusing: Mutex<BTreeMap<String, bool>>,
    /// The journal cannot be written.
    pub full: Mutex<Option<JournalError>>,
    time: AtomicI64,
    pub nodes: Mutex<Vec<NodeState>>,
}

impl World {
    pub fn new() -> Arc<Self> {
        let node = NodeState {
            name: "n1".into(),
            node_ready: true,
            agent_ready: true,
            agent_since: 0,
            created_at: 0,
            labels: BTreeMap::new(),
        };
        Arc::new(Self {
            documents: Mutex::default(),
            sent: Mutex::default(),
            events: watch::channel(0).0,
            stop_at: Mutex::default(),
            stopped: watch::channel(false).0,
            refusing: Mutex::default(),
            full: Mutex::default(),
            time: AtomicI64::new(1_000_000),
            nodes: Mutex::new(vec![node]),
        })
    }

    /// The fleet of a new process in this world.
    pub async fn fleet(self: &Arc<Self>) -> Arc<Fleet> {
        let ports = FleetPorts {
            journal: Arc::new(Door(Arc::clone(self))),
            cluster: Arc::new(Door(Arc::clone(self))),
            deliver: Arc::new(Door(Arc::clone(self))),
            clock: Arc::new(Door(Arc::clone(self))),
            engine: Box::new(Series::default()),
            words: Box::new(words()),
        };
        Fleet::open(FleetConfig::default(), ports).await.unwrap()
    }

    pub fn stop_at(&self, point: Point) {
        *self.stop_at.lock().unwrap() = Some(point);
        self.stopped.send_replace(false);
    }

    /// Waits until the process has stopped dead.
    pub async fn has_stopped(&self) {
        self.stopped.subscribe().wait_for(|stopped| *stopped).await.unwrap();
    }

    /// Stops for ever if this is the point.
    async fn pass(&self, point: Point) {
        let here = self.stop_at.lock().unwrap().take_if(|stop| *stop == point).is_some();
        if here {
            self.stopped.send_replace(true);
            std::future::pending::<()>().await;
        }
    }

    /// Waits until something is true of the documents and the messages that went out.
    pub async fn until(&self, what: impl Fn(&BTreeMap<String, Value>, &[Notification]) -> bool) {
        let mut events = self.events.subscribe();
        loop {
            if what(&self.documents.lock().unwrap(), &self.sent.lock().unwrap()) {
                return;
            }
            events.changed().await.unwrap();
        }
    }

    pub fn sent(&self) -> Vec<Notification> {
        self.sent.lock().unwrap().clone()
    }

    pub fn documents(&self) -> BTreeMap<String, Value> {
        self.documents.lock().unwrap().clone()
    }

    /// Lets time pass.
    pub fn pass_time(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn happened(&self) {
        self.events.send_modify(|count| *count += 1);
    }
}

/// Whether a commit is the first word about a message, or the last.
fn stage(changes: &[Change]) -> (bool, bool) {
    let intents = || changes.iter().filter(|change| change.key.contains("/intent/"));
    (intents().any(|change| change.value.is_some()), intents().any(|change| change.value.is_none()))
}

/// One port of the world.
struct Door(Arc<World>);

impl Journal for Door {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Value)>, JournalError>> {
        let documents = self.0.documents();
        Box::pin(async move { Ok(documents.into_iter().collect()) })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            if let Some(why) = self.0.full.lock().unwrap().clone() {
                self.0.happened();
                return Err(why);
            }
            let (begins, ends) = stage(&changes);
            if begins {
                self.0.pass(Point::BeforeIntent).await;
            }
            if ends {
                self.0.pass(Point::BeforeOutcome).await;
            }
            for change in changes {
                let mut documents = self.0.documents.lock().unwrap();
                match change.value {
                    Some(value) => documents.insert(change.key, serde_json::from_str(&value.to_string()).unwrap()),
                    None => documents.remove(&change.key),
                };
            }
            self.0.happened();
            if begins {
                self.0.pass(Point::AfterIntent).await;
            }
            if ends {
                self.0.pass(Point::AfterOutcome).await;
            }
            Ok(())
        })
    }
}

impl Deliver for Door {
    fn deliver<'a>(
        &'a self,
        _: &'a Integration,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), SendFailure>> {
        Box::pin(async move {
            self.0.pass(Point::BeforeSend).await;
            let intent = format!("{}/intent/{}", notification.receiver.namespace, notification.idempotency_key);
            assert!(self.0.documents().contains_key(&intent), "a message left before its intent was durable");
            let refuses = self.0.refusing.lock().unwrap().contains_key(&*notification.receiver.name);
            if refuses {
                self.0.happened();
                return Err(SendFailure {
                    retryable: true,
                    retry_after: None,
                    reason: "Refused".into(),
                    message: "no".into(),
                });
            }
            self.0.sent.lock().unwrap().push(notification.clone());
            self.0.happened();
            self.0.pass(Point::AfterSend).await;
            Ok(())
        })
    }
}

impl Clock for Door {
    /// Every look at the clock takes a second: nothing in a test waits for real time.
    fn now(&self) -> Now {
        let time = self.0.time.fetch_add(1000, Ordering::SeqCst);
        Now { wall: time, mono: time }
    }
}

impl ClusterView for Door {
    fn nodes(&self) -> Vec<NodeState> {
        self.0.nodes.lock().unwrap().clone()
    }
}

/// An engine whose expressions are the name of a series: it finds those that are above zero.
#[derive(Default)]
struct Series {
    now: Vec<(Labels, f64)>,
}

impl Engine for Series {
    fn record(&mut self, _: Millis, samples: &[(Labels, f64)]) {
        self.now = samples.to_vec();
    }

    fn record_rule(&mut self, _: &ObjectKey, _: Millis, _: &[(Labels, f64)]) {}

    fn evaluate(&mut self, expr: &str, _: Millis) -> Result<Option<Vec<(Labels, f64)>>, String> {
        let (name, wanted) = expr.split_once(" == ").ok_or("write NAME == NUMBER")?;
        let wanted: f64 = wanted.parse().map_err(|_| "not a number".to_owned())?;
        let named: Vec<_> = self.now.iter().filter(|(labels, _)| labels.metric() == Some(name)).cloned().collect();
        let found = named.iter().filter(|(_, value)| *value == wanted).cloned().collect();
        Ok((!named.is_empty()).then_some(found))
    }

    fn reach(&mut self, _: &str) -> Span {
        Span::default()
    }
}

/// A running fleet, until it is stopped or killed.
pub struct Running {
    pub stop: CancellationToken,
    pub task: tokio::task::JoinHandle<Result<(), FleetError>>,
}

impl Running {
    pub fn start(fleet: &Arc<Fleet>) -> Self {
        let stop = CancellationToken::new();
        let (fleet, token) = (Arc::clone(fleet), stop.clone());
        Self { stop, task: tokio::spawn(async move { fleet.run(token).await }) }
    }

    /// kill -9.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// SIGTERM.
    pub async fn stop(self) -> Result<(), FleetError> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}
