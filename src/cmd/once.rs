//! The doors of an agent that lives for one run of each check: one plan in, the last report out.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::Agent;
use crate::fleet::roll_up_once;
use crate::model::check::BoxFuture;
use crate::model::fleet_plan::FleetPlan;
use crate::model::plan::Plan;
use crate::model::ports::{NodeState, PlanSource, ReportSink, SinkError};
use crate::model::report::Report;
use crate::model::view::CheckView;
use crate::runtime::clock;

/// Brings one plan and then no more.
pub struct OnePlan(Option<Arc<Plan>>);

impl OnePlan {
    /// Brings this plan.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self(Some(plan))
    }
}

impl PlanSource for OnePlan {
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Plan>>> {
        let plan = self.0.take();
        Box::pin(std::future::ready(plan))
    }
}

/// Keeps the last report.
pub struct LastReport(watch::Sender<Report>);

impl LastReport {
    /// The sink, and where the last report is seen.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Report>) {
        let (sender, receiver) = watch::channel(Report::default());
        (Self(sender), receiver)
    }
}

impl ReportSink for LastReport {
    fn last(&self) -> BoxFuture<'_, Result<Option<Report>, SinkError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn send(&self, report: Report) -> BoxFuture<'_, Result<(), SinkError>> {
        self.0.send_replace(report);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// All checks as they came out, composite ones and dependencies judged.
#[must_use]
pub fn views(plan: &FleetPlan, node: &str, report: Report, agent: &Agent) -> Vec<CheckView> {
    let now = clock::now_millis();
    let state = NodeState {
        name: node.to_owned(),
        node_ready: true,
        agent_ready: true,
        agent_since: now,
        created_at: now,
        labels: BTreeMap::new(),
    };
    let mut checks = roll_up_once(plan, state, report, now);
    for check in &mut checks {
        let slots = plan.checks.get(&check.key).map_or(&[][..], |check| &check.slots);
        let known = slots.iter().filter_map(|slot| agent.check_slot(slot.slot));
        if let Some(last) = known.max_by_key(|slot| slot.health == check.health) {
            last.fill(check);
        }
    }
    checks
}
