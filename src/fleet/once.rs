//! One roll-up without a life: what `vitals check` says of checks that ran once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::Now;
use super::nodes::Nodes;
use super::rollup::roll_up;
use super::views::check_view;
use crate::model::fleet_plan::FleetPlan;
use crate::model::ports::NodeState;
use crate::model::report::Report;
use crate::model::series::Millis;
use crate::model::view::CheckView;

/// Rolls up one node's report, as if that node were the whole cluster.
#[must_use]
pub fn roll_up_once(plan: &FleetPlan, node: NodeState, report: Report, at: Millis) -> Vec<CheckView> {
    let now = Now { wall: at, mono: 0 };
    let name = node.name.clone();
    let mut nodes = Nodes::default();
    nodes.sync(vec![node]);
    nodes.set_plan(plan, now);
    nodes.keep(&name, Arc::new(report), now.mono);
    let rollups = roll_up(plan, &nodes, now, &BTreeMap::new(), &BTreeMap::new());
    plan.checks.iter().map(|(key, check)| check_view(key, check, rollups.get(key))).collect()
}
