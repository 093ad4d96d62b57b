//! What [`Builder`](super::embed::Builder) starts, and how functions and registries of a program become checks and
//! collectors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::export::Gathered;
use crate::local::installation::Installation;
use crate::model::Verdict;
use crate::model::check::{BoxFuture, Check};
use crate::model::collector::{CollectError, Collector};
use crate::model::ports::Views;
use crate::model::series::Frame;
use crate::model::view::{AlertView, CheckView};
use crate::runtime::tasks::Tasks;

/// One run of a check from code.
pub type Run = Arc<dyn Fn() -> BoxFuture<'static, Verdict> + Send + Sync>;

/// A running Vitals inside another program.
pub struct Running {
    pub(super) url: String,
    pub(super) installation: Arc<Installation>,
    pub(super) tasks: Tasks,
    pub(super) _assembled: super::assemble::Assembled,
}

impl Running {
    /// Where page and API are.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All checks now.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckView> {
        self.installation.checks()
    }

    /// Pending and firing alerts now.
    #[must_use]
    pub fn alerts(&self) -> Vec<AlertView> {
        self.installation.alerts()
    }

    /// Stops in order; state is kept.
    pub async fn stop(self) {
        self.tasks.stop().cancel();
        self.tasks.finish(Duration::from_secs(10)).await;
    }
}

/// A check that is a function of the program.
pub struct FromCode(pub Run);

impl Check for FromCode {
    fn kind(&self) -> &'static str {
        "service"
    }

    fn run(&self, _: Instant) -> BoxFuture<'_, Verdict> {
        (self.0)()
    }
}

/// The metrics of a registry, as a collector.
pub struct FromRegistry(pub prometheus::Registry, pub Gathered);

impl Collector for FromRegistry {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        self.1.append(&self.0.gather(), out);
        Ok(())
    }
}
