//! The plan's way in `run`: from the compiler to the agent through a channel, with a copy in the state directory so
//! that slots keep their meaning over restarts.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::check::BoxFuture;
use crate::model::plan::{Plan, Role};
use crate::model::ports::PlanSource;
use crate::runtime::durable;

/// The compiler's end.
#[derive(Debug)]
pub struct PlanSender {
    plans: watch::Sender<Arc<Plan>>,
    copy: PathBuf,
}

/// The agent's end.
#[derive(Debug)]
pub struct PlanReceiver {
    plans: watch::Receiver<Arc<Plan>>,
}

/// Reads the last plan's copy: the slots and revisions that the next plan must respect.
///
/// A copy that cannot be read is put aside, and the caller is told: reports made under it are then not understood,
/// which the next revision (unix seconds, so above any earlier one) makes harmless.
#[must_use]
pub fn last_plan(copy: &std::path::Path) -> (Plan, Option<String>) {
    let bytes = match std::fs::read(copy) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return (Plan::empty(Role::Node), None),
        Err(why) => return (Plan::empty(Role::Node), Some(format!("{}: {why}", copy.display()))),
    };
    match Plan::decode(&bytes) {
        Ok(plan) => (plan, None),
        Err(why) => {
            let kept = durable::set_aside(copy);
            let told = format!("{}: {why}; kept as {}", copy.display(), kept.display());
            (Plan::empty(Role::Node), Some(told))
        }
    }
}

/// A channel that starts with a plan.
#[must_use]
pub fn channel(first: Arc<Plan>, copy: PathBuf) -> (PlanSender, PlanReceiver) {
    let (sender, mut receiver) = watch::channel(first);
    receiver.mark_changed();
    (PlanSender { plans: sender, copy }, PlanReceiver { plans: receiver })
}

impl PlanSender {
    /// Keeps a plan for the next start.
    ///
    /// # Errors
    /// The plan is too large, or the state directory cannot be written.
    pub fn keep(&self, plan: &Plan) -> Result<(), String> {
        let bytes = plan.encode().map_err(|why| why.to_string())?;
        durable::replace(&self.copy, &bytes).map(|_| ()).map_err(|why| format!("{}: {why}", self.copy.display()))
    }

    /// Hands a plan to the agent.
    pub fn send(&self, plan: Arc<Plan>) {
        self.plans.send_replace(plan);
    }
}

impl PlanSource for PlanReceiver {
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Plan>>> {
        Box::pin(async move {
            self.plans.changed().await.ok()?;
            Some(Arc::clone(&self.plans.borrow_and_update()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_agent_gets_the_first_plan_and_then_the_newest_one() {
        let dir = tempfile::tempdir().unwrap();
        let plan = |rev| Arc::new(Plan { rev, ..Plan::empty(Role::Node) });
        let (sender, mut receiver) = channel(plan(1), dir.path().join("plan.gz"));
        assert_eq!(receiver.next().await.unwrap().rev, 1);
        sender.send(plan(2));
        sender.send(plan(3));
        assert_eq!(receiver.next().await.unwrap().rev, 3);
        drop(sender);
        assert!(receiver.next().await.is_none());
    }

    #[test]
    fn a_corrupt_copy_is_named_and_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("plan.gz");
        std::fs::write(&copy, "not gzip").unwrap();
        let (plan, told) = last_plan(&copy);
        assert_eq!(plan.rev, 0);
        assert!(told.unwrap().contains("plan.corrupt"));
        assert!(!copy.exists());
    }
}
