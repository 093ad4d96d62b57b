//! Tests of the roll-up: expected results, readiness, roll-out, dependencies, times.

use std::sync::Arc;

use super::*;
use crate::model::Span;
use crate::model::fleet_plan::SlotRef;
use crate::model::ports::NodeState;
use crate::model::report::{Report, SlotReason, States};

/// Nodes, a plan and the two clocks, in seconds.
struct Fleet {
    nodes: Nodes,
    plan: FleetPlan,
    states: Vec<NodeState>,
    now: i64,
    seq: u64,
    last: BTreeMap<ObjectKey, Rollup>,
    kept: BTreeMap<ObjectKey, Kept>,
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

fn check(slots: &[(u32, u64)]) -> FleetCheck {
    FleetCheck {
        kind: "tcp",
        target: "db:5432".into(),
        slots: slots.iter().map(|(slot, rev)| SlotRef { slot: *slot, rev: *rev, target: None }).collect(),
        interval: Span::seconds(30),
        timeout: Span::seconds(10),
        quorum: Quorum::None,
        depends_on: Vec::new(),
        composite: None,
        critical: false,
        component_type: String::new(),
        suspended: false,
        labels: BTreeMap::new(),
    }
}

fn after(names: &[&str]) -> FleetCheck {
    FleetCheck { depends_on: names.iter().map(|name| key(name)).collect(), ..check(&[]) }
}

impl Fleet {
    fn new(nodes: usize, checks: Vec<(&str, FleetCheck)>) -> Self {
        let state = |n: usize| NodeState {
            name: format!("n{n}"),
            node_ready: true,
            agent_ready: true,
            agent_since: 0,
            created_at: 0,
            labels: BTreeMap::new(),
        };
        let plan = FleetPlan {
            rev: 1,
            checks: checks.into_iter().map(|(name, check)| (key(name), check)).collect(),
            ..FleetPlan::default()
        };
        let mut fleet = Self {
            nodes: Nodes::default(),
            plan,
            states: (0..nodes).map(state).collect(),
            now: 1000,
            seq: 0,
            last: BTreeMap::new(),
            kept: BTreeMap::new(),
        };
        fleet.nodes.sync(fleet.states.clone());
        fleet.nodes.set_plan(&fleet.plan, fleet.at());
        fleet
    }

    fn at(&self) -> Now {
        Now { wall: self.now * 1000, mono: self.now * 1000 }
    }

    fn tell(&mut self, node: usize, plan_rev: u64, states: &[Health]) {
        self.seq += 1;
        let mut report = Report { epoch: 1, seq: self.seq, plan_rev, ..Report::default() };
        report.states = States::new(8);
        for (slot, health) in states.iter().enumerate() {
            report.states.set(slot as u32, *health);
        }
        let reason = SlotReason { slot: 0, reason: "Refused".into(), message: "no one listens".into(), since: 1 };
        report.reasons = vec![reason];
        self.nodes.keep(&format!("n{node}"), Arc::new(report), self.now * 1000);
    }

    fn roll(&mut self) -> BTreeMap<ObjectKey, Rollup> {
        self.nodes.sync(self.states.clone());
        self.last = roll_up(&self.plan, &self.nodes, self.at(), &self.last, &self.kept);
        self.last.clone()
    }

    fn health(&mut self, name: &str) -> (Health, String) {
        let rollup = self.roll().remove(&key(name)).unwrap();
        (rollup.health, rollup.reason)
    }

    fn edit(&mut self, name: &str, check: FleetCheck) {
        self.plan.rev += 1;
        self.plan.checks.insert(key(name), check);
        self.nodes.set_plan(&self.plan, self.at());
    }
}

use Health::{Degraded, Healthy, Unhealthy, Unknown};

#[test]
fn one_bad_node_degrades_and_is_named_with_its_reason() {
    let mut fleet = Fleet::new(3, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Healthy]);
    fleet.tell(1, 1, &[Unhealthy]);
    fleet.tell(2, 1, &[Healthy]);
    let rollup = fleet.roll().remove(&key("db")).unwrap();
    assert_eq!((rollup.health, rollup.reason.as_str(), rollup.summary().as_str()), (Degraded, "Refused", "2/3"));
    assert_eq!((rollup.failing[0].node.as_str(), rollup.message.as_str()), ("n1", "no one listens"));
}

#[test]
fn several_targets_are_several_results() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1), (1, 1), (2, 1)]))]);
    fleet.tell(0, 1, &[Healthy, Healthy, Unhealthy]);
    let rollup = fleet.roll().remove(&key("db")).unwrap();
    assert_eq!((rollup.health, rollup.summary().as_str()), (Degraded, "2/3"));
}

#[test]
fn a_node_that_is_not_ready_is_unknown_at_once() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Healthy]);
    assert_eq!(fleet.health("db").0, Healthy);
    fleet.states[0].node_ready = false;
    assert_eq!(fleet.health("db"), (Unknown, "NodeNotReady".into()));
}

#[test]
fn an_agent_that_is_not_ready_keeps_its_last_word_for_a_while() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Healthy]);
    (fleet.states[0].agent_ready, fleet.states[0].agent_since) = (false, fleet.now * 1000);
    fleet.now += 75;
    assert_eq!(fleet.health("db").0, Healthy, "two and a half intervals of 30 s");
    fleet.now += 1;
    assert_eq!(fleet.health("db"), (Unknown, "AgentNotReady".into()));
}

#[test]
fn silence_of_two_and_a_half_heartbeats_is_unknown() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Healthy]);
    fleet.now += 750;
    assert_eq!(fleet.health("db").0, Healthy);
    fleet.now += 1;
    assert_eq!(fleet.health("db"), (Unknown, "ReportStale".into()));
    assert_eq!(fleet.nodes.frozen(fleet.at()).len(), 1);
}

#[test]
fn a_young_node_without_a_report_is_not_expected_yet() {
    let mut fleet = Fleet::new(2, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Healthy]);
    fleet.states[1].created_at = fleet.now * 1000;
    fleet.now += 119;
    assert_eq!(fleet.health("db").0, Healthy);
    fleet.now += 1;
    let rollup = fleet.roll().remove(&key("db")).unwrap();
    assert_eq!((rollup.health, rollup.failing[0].reason.as_str()), (Degraded, "NoReport"));
}

#[test]
fn rolling_out_alone_never_worsens_health() {
    let mut fleet = Fleet::new(2, vec![("db", check(&[(0, 1)]))]);
    for node in 0..2 {
        fleet.tell(node, 1, &[Healthy]);
    }
    fleet.edit("db", check(&[(0, 2)]));
    fleet.edit("new", check(&[(1, 3)]));
    fleet.now += 60;
    assert_eq!(fleet.health("db").0, Healthy, "the last word counts");
    assert_eq!(fleet.health("new").0, Unknown, "nothing is expected of a new check");
    assert_eq!(fleet.last[&key("new")].counts.total(), 0);
    fleet.tell(0, 3, &[Healthy, Healthy]);
    assert_eq!(fleet.health("new").0, Healthy, "one node has adopted it");
    fleet.now += 20;
    assert_eq!(fleet.health("new"), (Degraded, "NotAdopted".into()), "3 T + timeout + 60 s have passed");
}

#[test]
fn a_slot_that_changed_hands_does_not_lend_its_old_state() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Unhealthy]);
    fleet.plan.checks.clear();
    fleet.edit("web", check(&[(0, 2)]));
    assert_eq!(fleet.health("web").0, Unknown);
    assert_eq!(fleet.last[&key("web")].counts.total(), 0);
}

#[test]
fn a_check_whose_dependency_fails_is_unknown_and_says_which() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)])), ("api", check(&[(1, 1)])), ("web", check(&[(2, 1)]))]);
    fleet.plan.checks.get_mut(&key("api")).unwrap().depends_on = vec![key("db")];
    fleet.plan.checks.get_mut(&key("web")).unwrap().depends_on = vec![key("api")];
    fleet.tell(0, 1, &[Unhealthy, Healthy, Healthy]);
    assert_eq!(fleet.health("api"), (Unknown, "DependencyFailed".into()));
    assert_eq!(fleet.health("web"), (Unknown, "DependencyFailed".into()));
    assert!(fleet.last[&key("api")].message.contains("shop/db, which is Unhealthy"));
    fleet.tell(0, 1, &[Healthy, Healthy, Healthy]);
    assert_eq!(fleet.health("web").0, Healthy);
}

#[test]
fn only_checks_on_a_circle_are_called_circular() {
    let checks = vec![
        ("a", after(&["b"])),
        ("b", after(&["a"])),
        ("behind", after(&["a"])),
        ("self", after(&["self"])),
        ("free", check(&[(0, 1)])),
    ];
    let mut fleet = Fleet::new(1, checks);
    fleet.tell(0, 1, &[Healthy]);
    for name in ["a", "b", "self"] {
        assert_eq!(fleet.health(name), (Unknown, "DependencyCycle".into()), "{name}");
    }
    assert_eq!(fleet.health("behind"), (Unknown, "DependencyFailed".into()));
    assert_eq!(fleet.health("free").0, Healthy);
}

#[test]
fn a_missing_dependency_holds_up_and_a_suspended_one_does_not() {
    let asleep = FleetCheck { suspended: true, ..check(&[]) };
    let mut fleet = Fleet::new(1, vec![("db", asleep), ("x", check(&[(0, 1)])), ("y", check(&[(1, 1)]))]);
    fleet.plan.checks.get_mut(&key("x")).unwrap().depends_on = vec![key("db")];
    fleet.plan.checks.get_mut(&key("y")).unwrap().depends_on = vec![key("nowhere")];
    fleet.tell(0, 1, &[Healthy, Healthy]);
    assert_eq!(fleet.health("x").0, Healthy);
    assert_eq!(fleet.health("y"), (Unknown, "DependencyFailed".into()));
    assert_eq!(fleet.health("db"), (Unknown, "Suspended".into()));
    let input = system(&fleet.plan, &fleet.last, std::iter::empty());
    assert_eq!(input.checks.total(), 2, "a suspended check counts for nothing");
}

#[test]
fn a_composite_needs_its_least_number_of_working_members() {
    let of = |names: &[&str], least| FleetCheck {
        composite: Some((names.iter().map(|name| key(name)).collect(), least)),
        ..check(&[])
    };
    let members = ["a", "b", "c"];
    let mut fleet = Fleet::new(
        1,
        vec![
            ("a", check(&[(0, 1)])),
            ("b", check(&[(1, 1)])),
            ("c", check(&[(2, 1)])),
            ("two", of(&members, 2)),
            ("all", of(&members, 3)),
            ("over", of(&["two", "nowhere"], 2)),
        ],
    );
    fleet.tell(0, 1, &[Healthy, Degraded, Unhealthy]);
    assert_eq!(fleet.health("two").0, Degraded);
    assert_eq!(fleet.health("all").0, Unhealthy);
    assert_eq!(fleet.health("over").0, Unknown, "a missing member could decide either way");
    assert_eq!(fleet.last[&key("two")].summary(), "1/3");
}

#[test]
fn since_changes_only_with_the_health_and_survives_a_restart() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)]))]);
    fleet.kept.insert(key("db"), Kept { health: Healthy, since: 5 });
    fleet.roll();
    fleet.tell(0, 1, &[Healthy]);
    assert_eq!(fleet.roll()[&key("db")].since, 5, "the first word continues what was known");
    fleet.now += 10;
    assert_eq!(fleet.roll()[&key("db")].since, 5);
    fleet.tell(0, 1, &[Unhealthy]);
    assert_eq!(fleet.roll()[&key("db")].since, fleet.now * 1000);
}

#[test]
fn an_empty_cluster_view_removes_nobody() {
    let mut fleet = Fleet::new(1, vec![("db", check(&[(0, 1)]))]);
    fleet.tell(0, 1, &[Healthy]);
    assert!(fleet.nodes.sync(Vec::new()).is_empty());
    assert!(fleet.nodes.is_there("n0"));
    let other = NodeState { name: "n9".into(), ..fleet.states[0].clone() };
    assert_eq!(fleet.nodes.sync(vec![other]), ["n0"]);
}

#[test]
fn a_long_chain_behind_a_circle_is_resolved_in_one_go() {
    let names: Vec<String> = (0..5000).map(|n| format!("c{n}")).collect();
    let mut checks: Vec<(&str, FleetCheck)> = vec![("c0", after(&["c1", "c0"]))];
    checks.extend((1..5000).map(|n| (names[n].as_str(), after(&[&names[n - 1]]))));
    let mut fleet = Fleet::new(1, checks);
    let rolled = fleet.roll();
    assert_eq!(rolled[&key("c0")].reason, "DependencyCycle");
    assert_eq!(rolled[&key("c4999")].reason, "DependencyFailed");
}
