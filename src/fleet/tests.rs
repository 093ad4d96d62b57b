//! Tests of the whole fleet: reports in, messages out, killed at every point.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::testing::{Point, Running, World};
use super::{Fleet, FleetError, Receipt};
use crate::alert::testing::{instance, plan, receiver, rule, rule_in};
use crate::model::fleet_plan::{FleetCheck, FleetPlan, FleetRule, Quorum, RuleScope, SlotRef};
use crate::model::object::ObjectKey;
use crate::model::ports::{CommandError, JournalError};
use crate::model::report::{Ended, Instance, Report, States};
use crate::model::view::AlertView;
use crate::model::{Health, Span};

/// Tells at once, and again after a year.
fn prompt(mut rule: FleetRule) -> FleetRule {
    rule.notify.group_wait = Span::default();
    rule.notify.group_interval = Span::seconds(1);
    rule.notify.repeat_interval = Span::seconds(365 * 24 * 3600);
    rule
}

fn check() -> FleetCheck {
    FleetCheck {
        kind: "tcp",
        target: "db:5432".into(),
        slots: vec![SlotRef { slot: 0, rev: 1, target: None }],
        interval: Span::seconds(30),
        timeout: Span::seconds(10),
        quorum: Quorum::None,
        depends_on: Vec::new(),
        composite: None,
        critical: true,
        component_type: "database".into(),
        suspended: false,
        labels: BTreeMap::new(),
    }
}

/// One check in slot 0, one rule in slot 3.
fn usual_plan(receivers: &[&str]) -> FleetPlan {
    let receivers = receivers.iter().map(|name| (*name, receiver())).collect();
    let mut plan = plan(5, vec![("disk", prompt(rule_in(3, 1, "Disk", 60)))], receivers);
    plan.checks.insert(ObjectKey::new("shop", "db"), check());
    plan
}

fn report(seq: u64, health: Health, firing: Vec<Instance>) -> Report {
    let mut states = States::new(1);
    states.set(0, health);
    Report { epoch: 1, seq, plan_rev: 5, renew_time: 1000, states, firing, ..Report::default() }
}

fn fires() -> Report {
    report(1, Health::Healthy, vec![instance(3, "sda", 900)])
}

fn ends() -> Report {
    let resolved = vec![Ended { instance: instance(3, "sda", 900), resolved_at: 950 }];
    Report { resolved, ..report(2, Health::Healthy, vec![]) }
}

/// A new process: plan, newest report, heart beat.
async fn begin(world: &Arc<World>, newest: &Report) -> (Arc<Fleet>, Running) {
    let fleet = world.fleet().await;
    fleet.set_plan(usual_plan(&["ops"]));
    let running = Running::start(&fleet);
    // The heart beat has to see the node before its report counts; until then it is kept.
    assert_ne!(fleet.receive("node.n1", newest.clone()), Receipt::UnknownName);
    (fleet, running)
}

/// Everything decided has been sent, and the journal knows.
async fn settled(world: &World, messages: usize) {
    world.until(|documents, sent| sent.len() >= messages && !documents.keys().any(|key| key.contains("/intent/"))).await;
}

fn alert(fleet: &Fleet) -> Option<AlertView> {
    fleet.alerts().into_iter().find(|alert| alert.name == "Disk")
}

#[tokio::test]
async fn an_alert_goes_from_a_report_to_its_receiver_and_to_the_views() {
    let world = World::new();
    let (fleet, running) = begin(&world, &fires()).await;
    settled(&world, 1).await;
    let sent = &world.sent()[0];
    assert_eq!((sent.cause.as_str(), sent.status(), sent.alerts[0].name.as_str()), ("firing", "firing", "Disk"));
    let shown = alert(&fleet).unwrap();
    assert_eq!((shown.state.as_str(), shown.node.as_str()), ("Firing", "n1"));
    assert_eq!(shown.notifications[0].status, "delivered");
    let rule = &fleet.rules()[0];
    assert_eq!((rule.state.as_str(), rule.firing.as_str(), rule.evaluated.as_str()), ("Firing", "1/1", "Ok"));
    assert_eq!(rule.receivers, [ObjectKey::new("shop", "ops")]);
    fleet.receive("node.n1", ends());
    settled(&world, 2).await;
    assert_eq!(world.sent()[1].status(), "resolved");
    running.stop().await.unwrap();
    let past = fleet.alert_history(0, i64::MAX, 10);
    assert_eq!((past.len(), past[0].resolved_reason.as_str()), (1, "Resolved"));
    assert_eq!(fleet.summary().resolved_alerts, 1);
    assert!(alert(&fleet).is_none());
}

#[tokio::test]
async fn a_kill_at_any_point_loses_no_alert_and_repeats_at_most_the_same_message() {
    let points = [
        (Point::BeforeIntent, 1),
        (Point::AfterIntent, 1),
        (Point::BeforeSend, 1),
        (Point::AfterSend, 2),
        (Point::BeforeOutcome, 2),
        (Point::AfterOutcome, 1),
    ];
    for (point, most) in points {
        let world = World::new();
        for (turn, newest) in [fires(), ends()].iter().enumerate() {
            world.stop_at(point);
            let (_, running) = begin(&world, newest).await;
            world.has_stopped().await;
            running.kill().await;
            let before = turn * most;
            let (_, running) = begin(&world, newest).await;
            settled(&world, before + most).await;
            running.stop().await.unwrap();
            let sent = world.sent().split_off(before);
            assert_eq!(sent.len(), most, "{point:?}");
            assert!(sent.iter().all(|message| *message == sent[0]), "{point:?}: not the same message");
            assert_eq!(sent[0].status(), ["firing", "resolved"][turn], "{point:?}");
        }
    }
}

#[tokio::test]
async fn a_dead_receiver_keeps_no_other_waiting_and_is_shown() {
    let world = World::new();
    world.refusing.lock().unwrap().insert("dead".into(), true);
    let fleet = world.fleet().await;
    fleet.set_plan(usual_plan(&["dead", "ops"]));
    let running = Running::start(&fleet);
    fleet.receive("node.n1", fires());
    world.until(|_, sent| sent.len() == 1).await;
    fleet.receive("node.n1", ends());
    world.until(|_, sent| sent.len() == 2).await;
    let shown = fleet.receivers();
    assert_eq!((shown[0].ready, shown[0].reason.as_str(), shown[0].queued), (false, "Refused", 1));
    assert!(shown[1].ready);
    world.refusing.lock().unwrap().clear();
    world.pass_time(600);
    world.until(|_, sent| sent.len() == 4).await;
    running.stop().await.unwrap();
    assert!(fleet.receivers()[0].ready);
}

#[tokio::test]
async fn an_acknowledgement_is_durable_when_it_returns() {
    let world = World::new();
    let (fleet, running) = begin(&world, &fires()).await;
    settled(&world, 1).await;
    let id = alert(&fleet).unwrap().id;
    let shown = fleet.acknowledge(&id, "eve", "on it").await.unwrap();
    assert_eq!(shown.acknowledged.unwrap().by, "eve");
    running.kill().await;
    let (again, running) = begin(&world, &fires()).await;
    assert_eq!(alert(&again).unwrap().acknowledged.unwrap().comment, "on it");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_acknowledgement_that_cannot_be_kept_is_refused_and_not_in_force() {
    let world = World::new();
    let (fleet, running) = begin(&world, &fires()).await;
    settled(&world, 1).await;
    running.stop().await.unwrap();
    let id = alert(&fleet).unwrap().id;
    *world.full.lock().unwrap() = Some(JournalError::Unavailable("disk full".into()));
    let refused = fleet.acknowledge(&id, "eve", "").await.unwrap_err();
    assert!(refused.to_string().contains("disk full"));
    assert!(alert(&fleet).unwrap().acknowledged.is_none());
    assert!(matches!(fleet.acknowledge("no-id", "eve", "").await, Err(CommandError::NotFound(_))));
}

#[tokio::test]
async fn messages_wait_for_a_journal_that_cannot_be_written() {
    let world = World::new();
    *world.full.lock().unwrap() = Some(JournalError::Unavailable("disk full".into()));
    let (fleet, running) = begin(&world, &fires()).await;
    let mut tries = 0;
    while tries < 3 {
        tries += usize::from(fleet.commit().await.is_err());
        tokio::task::yield_now().await;
    }
    assert!(world.sent().is_empty());
    *world.full.lock().unwrap() = None;
    settled(&world, 1).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_leader_that_lost_its_journal_to_another_stops() {
    let world = World::new();
    *world.full.lock().unwrap() = Some(JournalError::LostLeadership);
    let (_, running) = begin(&world, &fires()).await;
    assert!(matches!(running.task.await.unwrap(), Err(FleetError::LostLeadership)));
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn reports_are_kept_for_a_plan_that_is_still_to_come() {
    let world = World::new();
    let (fleet, running) = begin(&world, &report(1, Health::Healthy, vec![])).await;
    world.until(|documents, _| documents.contains_key("shop/check/db")).await;
    let ahead = Report { plan_rev: 9, ..report(2, Health::Unhealthy, vec![]) };
    assert_eq!(fleet.receive("node.n1", ahead), Receipt::Kept);
    assert_eq!(fleet.checks()[0].health, Health::Healthy);
    let mut next = usual_plan(&["ops"]);
    next.rev = 9;
    fleet.set_plan(next);
    world.until(|documents, _| documents["shop/check/db"]["health"] == "Unhealthy").await;
    assert_eq!(fleet.receive("node.n1", fires()), Receipt::NotNewer { epoch: 1, seq: 2 });
    assert_eq!(fleet.receive("prober.p1", fires()), Receipt::UnknownName);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_leaders_own_rules_see_the_roll_up_and_their_alerts_reach_receivers() {
    let world = World::new();
    let fleet = world.fleet().await;
    let mut plan = usual_plan(&["ops"]);
    let mut down = FleetRule { scope: RuleScope::Cluster, ..prompt(rule("Down", 1)) };
    down.rule.expr = "vitals_healthcheck_health == 0".into();
    plan.rules.insert(ObjectKey::new("shop", "down"), down);
    fleet.set_plan(plan);
    let running = Running::start(&fleet);
    fleet.receive("node.n1", report(1, Health::Unhealthy, vec![]));
    settled(&world, 1).await;
    let sent = &world.sent()[0].alerts[0];
    assert_eq!((sent.name.as_str(), sent.component.as_str()), ("Down", "db"));
    assert_eq!(fleet.summary().system.health(), Health::Unhealthy);
    fleet.receive("node.n1", report(2, Health::Healthy, vec![]));
    settled(&world, 2).await;
    assert_eq!(world.sent()[1].status(), "resolved");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_leaders_own_alerts_survive_a_kill_and_are_not_told_again() {
    let world = World::new();
    let mut plan = usual_plan(&["ops"]);
    let mut down = FleetRule { scope: RuleScope::Cluster, ..prompt(rule("Down", 1)) };
    down.rule.expr = "vitals_healthcheck_health == 0".into();
    plan.rules.insert(ObjectKey::new("shop", "down"), down);
    let bad = report(1, Health::Unhealthy, vec![]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let fleet = world.fleet().await;
        fleet.set_plan(plan.clone());
        let running = Running::start(&fleet);
        fleet.receive("node.n1", bad.clone());
        settled(&world, 1).await;
        world.pass_time(100);
        // Another report, and what it changes, has gone through every stage.
        let before = fleet.changed();
        while fleet.changed() == before || fleet.alerts().is_empty() {
            fleet.receive_aged("node.n1", bad.clone(), 0);
            fleet.set_plan(plan.clone());
            tokio::task::yield_now().await;
        }
        let alert = fleet.alerts().remove(0);
        ids.push((alert.id, alert.fired_at));
        running.kill().await;
    }
    assert_eq!(world.sent().len(), 1);
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn a_node_that_goes_away_takes_its_alerts_with_it() {
    let world = World::new();
    let (fleet, running) = begin(&world, &fires()).await;
    settled(&world, 1).await;
    let other = crate::model::ports::NodeState { name: "n2".into(), ..world.nodes.lock().unwrap()[0].clone() };
    *world.nodes.lock().unwrap() = vec![other];
    settled(&world, 2).await;
    running.stop().await.unwrap();
    assert_eq!(fleet.alert_history(0, i64::MAX, 10)[0].resolved_reason, "NodeRemoved");
}

#[tokio::test]
async fn a_document_that_cannot_be_read_costs_only_itself() {
    let world = World::new();
    let (_, running) = begin(&world, &fires()).await;
    settled(&world, 1).await;
    running.kill().await;
    let fleet = world.fleet().await;
    assert_eq!(fleet.alerts().len(), 1);
    assert!(world.documents().keys().any(|key| key.starts_with("shop/alert/")));
}
