//! The fleet: the leader's life. Reports in; health, alerts and messages out.
//!
//! [`Fleet`] owns the plan, the nodes' newest reports, the ledger of episodes, the desk and the journal. It never
//! speaks to Kubernetes: nodes, journal, receivers and time come through ports. [`Fleet::run`] is its heart beat;
//! everything else may be called at any time from anywhere.

mod clock;
mod cluster_rules;
mod core;
mod delivery;
mod exposition;
mod judge;
mod nodes;
mod once;
mod pending;
mod rollup;
mod store_engine;
mod views;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::core::Core;
pub use self::core::Receipt;
use crate::alert::desk::Words;
use crate::model::fleet_plan::FleetPlan;
use crate::model::ports::{ClusterView, CommandError, Journal, JournalError};
use crate::model::report::{Fingerprint, Report};
use crate::model::series::Millis;
use crate::model::view::{AckView, AlertView};
pub use clock::{Clock, Now, SystemClock};
pub use cluster_rules::Engine;
pub use delivery::Deliver;
pub use judge::{Counts, SystemInput, judge, needed};
pub use once::roll_up_once;
pub use rollup::{Failing, Rollup};
pub use store_engine::StoreEngine;

/// Longest comment of an acknowledgement, in characters.
const LONGEST_COMMENT: usize = 1024;

/// How a fleet is set up.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The namespace whose receivers serve all others; None: every receiver's does, as in `run`.
    pub operator_namespace: Option<String>,
    /// How many ended alerts are kept.
    pub history: usize,
    /// Where people read more, without a closing slash; may be empty.
    pub base_url: String,
    /// Whether the leader writes counts of alerts as `ALERTS`: not where it shares a store with an agent that does.
    pub alerts_series: bool,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self { operator_namespace: None, history: 1000, base_url: String::new(), alerts_series: false }
    }
}

/// What a fleet needs from outside.
pub struct FleetPorts {
    /// Its durable memory.
    pub journal: Arc<dyn Journal>,
    /// Which nodes there are.
    pub cluster: Arc<dyn ClusterView>,
    /// How messages go out.
    pub deliver: Arc<dyn Deliver>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The store and query engine of the leader's own series.
    pub engine: Box<dyn Engine>,
    /// The language of labels and annotations.
    pub words: Box<dyn Words>,
}

/// Why a fleet cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The journal could not be read at the start: going on would tell everything anew.
    #[error("the journal cannot be read: {0}; mend or remove it and start again")]
    JournalUnreadable(JournalError),
    /// Somebody else writes the journal.
    #[error("another leader has taken over; this one stops deciding and sending")]
    LostLeadership,
}

impl FleetError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::JournalUnreadable(_) => "JournalUnreadable",
            Self::LostLeadership => "LostLeadership",
        }
    }
}

/// The leader's life.
pub struct Fleet {
    config: FleetConfig,
    core: Mutex<Core>,
    journal: Arc<dyn Journal>,
    cluster: Arc<dyn ClusterView>,
    deliver: Arc<dyn Deliver>,
    clock: Arc<dyn Clock>,
    /// Something happened that should be thought about.
    wake: Notify,
    /// One commit at a time.
    gate: tokio::sync::Mutex<()>,
    /// Changes whenever a view would.
    version: AtomicU64,
}

impl Fleet {
    /// Begins where the journal ends.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn open(config: FleetConfig, ports: FleetPorts) -> Result<Arc<Self>, FleetError> {
        let documents = ports.journal.load().await.map_err(FleetError::JournalUnreadable)?;
        let core = Core::restore(&config, &documents, ports.engine, ports.words, ports.clock.now());
        Ok(Arc::new(Self {
            config,
            core: Mutex::new(core),
            journal: ports.journal,
            cluster: ports.cluster,
            deliver: ports.deliver,
            clock: ports.clock,
            wake: Notify::new(),
            gate: tokio::sync::Mutex::new(()),
            version: AtomicU64::new(1),
        }))
    }

    /// What is known. A thread that panicked while holding it left nothing half done that the next step would not mend.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, core: &Core) {
        self.version.store(core.version, Ordering::Release);
    }

    /// Works from another plan; to be called before agents get theirs, so that no report is ahead of it.
    pub fn set_plan(&self, plan: FleetPlan) {
        let mut core = self.core();
        core.set_plan(&self.config, plan, self.clock.now());
        core.version += 1;
        self.publish(&core);
        drop(core);
        self.wake.notify_one();
    }

    /// Takes in a report, by the name of its AgentReport: `node.<node>`.
    pub fn receive(&self, name: &str, report: Report) -> Receipt {
        self.receive_aged(name, report, 0)
    }

    /// Takes in a report that was written `age` milliseconds ago: what a new leader finds at its start.
    pub fn receive_aged(&self, name: &str, report: Report, age: Millis) -> Receipt {
        let mut core = self.core();
        let receipt = core.receive(name, report, age, self.clock.now());
        if receipt == Receipt::Taken {
            core.version += 1;
        }
        self.publish(&core);
        let pressing = core.is_pressing();
        drop(core);
        if pressing {
            self.wake.notify_one();
        }
        receipt
    }

    /// Acknowledges the current episode of an alert; durable when this returns.
    ///
    /// # Errors
    /// Nothing of this id fires, or the journal did not keep it (then nothing is acknowledged).
    pub async fn acknowledge(&self, id: &str, by: &str, comment: &str) -> Result<AlertView, CommandError> {
        let unknown = || CommandError::NotFound(format!("firing alert {id:?}; `vitals get alerts` lists the ids"));
        let id: Fingerprint = id.parse().map_err(|_| unknown())?;
        let short = |text: &str| text.chars().take(LONGEST_COMMENT).collect::<String>();
        let ack = AckView { by: short(by), at: self.clock.now().wall, comment: short(comment) };
        let key = {
            let mut core = self.core();
            let key = core.desk.acknowledge(id, ack).map_err(|_| unknown())?;
            core.collect();
            key
        };
        if let Err(why) = self.commit().await {
            let mut core = self.core();
            core.desk.take_back(key);
            core.collect();
            return Err(CommandError::Failed(format!("the acknowledgement was not kept: {why}")));
        }
        let core = self.core();
        self.publish(&core);
        let case = core.desk.cases().find(|case| case.episode.key() == key);
        let case = case.or_else(|| core.desk.history().rev().find(|case| case.episode.key() == key));
        case.map(|case| case.view()).ok_or_else(unknown)
    }

    /// A number that changes whenever any of the views did.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
