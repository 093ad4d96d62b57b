//! Ports: the doors between rooms. An engine or a life asks through a port; another room, chosen where the process
//! is put together, answers.

use std::sync::Arc;

use super::check::BoxFuture;
use super::labels::Labels;
use super::matcher::Matcher;
use super::object::ObjectKey;
use super::plan::Plan;
use super::report::Report;
use super::series::{Millis, Point};
use super::view::{
    AlertView, CheckView, DashboardView, ProbeView, ReceiverView, RuleView, RunView, SilenceView, SystemView,
};

/// A series within one [`Series`] implementation. Valid until [`Series::generation`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u32);

/// A generation that no [`Series`] of this process had before: for its first one and for each that follows.
#[must_use]
pub fn next_generation() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Recent history, as queries read it.
pub trait Series: Send + Sync {
    /// Changes whenever a series appears or disappears: lets an engine keep what `find` returned. Take the numbers
    /// from [`next_generation`]: what an engine kept of one implementation must never be taken for another's.
    fn generation(&self) -> u64;

    /// The series that all matchers select, in a stable order. Matchers see the metric name as `__name__`.
    fn find(&self, matchers: &[Matcher], out: &mut Vec<SeriesId>);

    /// A series' labels, `__name__` included.
    fn labels(&self, id: SeriesId) -> Labels;

    /// Appends the points with `from <= at <= to`, oldest first, staleness markers included.
    fn points(&self, id: SeriesId, from: Millis, to: Millis, out: &mut Vec<Point>);

    /// The newest point with `from <= at <= to`, staleness markers included.
    fn latest(&self, id: SeriesId, from: Millis, to: Millis) -> Option<Point>;
}

/// Where an agent's plan comes from.
pub trait PlanSource: Send {
    /// Waits for the next plan; the first call returns the plan in force. None: no more will come.
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Plan>>>;
}

/// Where an agent's reports go.
pub trait ReportSink: Send + Sync {
    /// The newest report of this agent that the other side has, if any: the source of epochs and of restored alerts.
    fn last(&self) -> BoxFuture<'_, Result<Option<Report>, SinkError>>;

    /// Hands over one report; returns when it is kept.
    fn send(&self, report: Report) -> BoxFuture<'_, Result<(), SinkError>>;
}

/// Why a report was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The other side holds a report of this or a higher order: continue above it.
    #[error("the report is not newer than epoch {epoch}, seq {seq}")]
    NotNewer {
        /// Its epoch.
        epoch: u64,
        /// Its sequence number.
        seq: u64,
    },
    /// Try again, not before this many milliseconds.
    #[error("the report was not taken now ({why}); again in {after_ms} ms")]
    Later {
        /// How long to wait.
        after_ms: u64,
        /// Why.
        why: String,
    },
}

/// One change of the journal: a document set or (None) removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The document's key. Its first segment is the namespace that the document belongs to: `namespace/…`.
    pub key: String,
    /// The document.
    pub value: Option<serde_json::Value>,
}

/// The leader's durable memory: small documents by key. What `commit` returned Ok for survives a kill -9.
pub trait Journal: Send + Sync {
    /// All documents.
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, serde_json::Value)>, JournalError>>;

    /// Makes all these changes, or none of them.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), JournalError>>;
}

/// Why the journal did not keep something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Somebody else wrote: this process is no longer the leader.
    #[error("another leader has written the journal")]
    LostLeadership,
    /// It could not be written now.
    #[error("the journal cannot be written: {0}")]
    Unavailable(String),
}

/// One node as the leader sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Whether the node is Ready.
    pub node_ready: bool,
    /// Whether its agent's pod is running and Ready.
    pub agent_ready: bool,
    /// Since when `agent_ready` has its value, unix milliseconds.
    pub agent_since: Millis,
    /// When the node came, unix milliseconds.
    pub created_at: Millis,
    /// The node's labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// The nodes of the cluster; in `run` just this machine.
pub trait ClusterView: Send + Sync {
    /// All nodes on which an agent is expected.
    fn nodes(&self) -> Vec<NodeState>;
}

/// What a running process shows.
pub trait Views: Send + Sync {
    /// The whole.
    fn system(&self) -> SystemView;
    /// All checks, by key.
    fn checks(&self) -> Vec<CheckView>;
    /// Runs, newest last; of one check if given, of the time range, at most `limit` newest ones.
    fn runs(&self, check: Option<&ObjectKey>, from: Millis, to: Millis, limit: usize) -> Vec<RunView>;
    /// All rules, by key.
    fn rules(&self) -> Vec<RuleView>;
    /// Pending and firing alerts, most urgent first.
    fn alerts(&self) -> Vec<AlertView>;
    /// Resolved alerts, newest last.
    fn alert_history(&self, from: Millis, to: Millis, limit: usize) -> Vec<AlertView>;
    /// All receivers, by key.
    fn receivers(&self) -> Vec<ReceiverView>;
    /// All silences, by key.
    fn silences(&self) -> Vec<SilenceView>;
    /// All dashboards, by title.
    fn dashboards(&self) -> Vec<DashboardView>;
    /// Whether the scheduler, collector, evaluator and report loops advance.
    fn live(&self) -> ProbeView;
    /// Whether there is a plan in force and its report was taken.
    fn ready(&self) -> ProbeView;
    /// Recent history.
    fn series(&self) -> Arc<dyn Series>;
    /// A number that changes whenever any of the above did, for pages that follow along.
    fn version(&self) -> u64;
}

/// What a running process exposes to scrapers.
pub trait Exposition: Send + Sync {
    /// All metrics of now, in the text format 0.0.4.
    fn text(&self) -> BoxFuture<'_, Vec<u8>>;
}

/// What may be done to a running process.
pub trait Commands: Send + Sync {
    /// Runs one check now and waits for its verdict; counted like any run, at most once a second per check.
    fn run_check(&self, key: &ObjectKey) -> BoxFuture<'_, Result<CheckView, CommandError>>;

    /// Acknowledges the current episode of an alert.
    fn acknowledge(&self, id: &str, by: &str, comment: &str) -> BoxFuture<'_, Result<AlertView, CommandError>>;
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// Asked too often.
    #[error("{0}; try again in a second")]
    TooOften(String),
    /// Not possible in this state.
    #[error("{0}")]
    Conflict(String),
    /// The process could not do it.
    #[error("{0}")]
    Failed(String),
}
