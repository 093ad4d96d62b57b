//! Tests of how reports begin, continue and end episodes.

use super::*;
use crate::alert::life::Outcome;
use crate::alert::testing::{instance, plan, rule, rule_in, rule_plan};
use crate::model::Labels;
use crate::model::report::{Ended, Instance, NotEvaluated, RuleCount, Truncated};

const NODE: &str = "n1";

fn key() -> ObjectKey {
    ObjectKey::new("shop", "disk")
}

/// A ledger with one rule, every 60 s, in slot 3 since revision 5.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(Some(ObjectKey::new("ops", "cut")));
    ledger.set_plan(Arc::new(plan(10, vec![("disk", rule_in(3, 5, "Disk", 60))], vec![])), 0);
    ledger
}

fn report(seq: u64, at: Seconds, firing: Vec<Instance>) -> Report {
    Report { epoch: 1, seq, renew_time: at, plan_rev: 10, firing, ..Report::default() }
}

fn ended(disk: &str, fired_at: Seconds, resolved_at: Seconds) -> Ended {
    Ended { instance: instance(3, disk, fired_at), resolved_at }
}

/// Reads a report and says what it began (`+`) and ended (`-`).
fn read(ledger: &mut Ledger, report: &Report) -> Vec<String> {
    ledger.receive(NODE, report, report.renew_time);
    told(ledger)
}

fn told(ledger: &mut Ledger) -> Vec<String> {
    let said = |event: Event| match event {
        Event::Fired(episode) => format!("+{}@{}", disk(&episode), episode.fired_at),
        Event::Ended { episode, reason, .. } => {
            format!("-{}@{} {}", disk(&episode), episode.fired_at, reason.as_str())
        }
        Event::Missed { episode, .. } => format!("?{}@{}", disk(&episode), episode.fired_at),
    };
    ledger.take_events().into_iter().map(said).collect()
}

fn disk(episode: &Episode) -> String {
    episode.labels.get("disk").or(episode.labels.get(SUMMARY_LABEL)).unwrap_or("").to_owned()
}

#[test]
fn an_instance_fires_once_and_carries_its_nodes_name() {
    let mut ledger = ledger();
    let mut liar = instance(3, "sda", 100);
    liar.labels = liar.labels.with("node", "somebody-else");
    assert_eq!(read(&mut ledger, &report(1, 100, vec![liar.clone()])), ["+sda@100"]);
    assert!(read(&mut ledger, &report(2, 160, vec![liar])).is_empty());
    let open: Vec<_> = ledger.open().collect();
    assert_eq!(open[0].labels.get("node"), Some(NODE));
    assert_eq!(open[0].labels.get("instance"), Some(NODE));
}

#[test]
fn a_firing_alert_resolves_only_after_two_absences_one_interval_apart() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    assert!(read(&mut ledger, &report(2, 110, vec![])).is_empty());
    assert!(read(&mut ledger, &report(3, 169, vec![])).is_empty());
    assert_eq!(read(&mut ledger, &report(4, 170, vec![])), ["-sda@100 Reconciled"]);
}

#[test]
fn being_named_again_forgets_the_absence() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    read(&mut ledger, &report(2, 110, vec![]));
    read(&mut ledger, &report(3, 120, vec![instance(3, "sda", 100)]));
    assert!(read(&mut ledger, &report(4, 180, vec![])).is_empty());
}

#[test]
fn a_report_that_may_have_left_it_out_is_no_witness() {
    for doubt in ["truncated", "not evaluated", "more not evaluated", "older plan"] {
        let mut ledger = ledger();
        read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
        for seq in 2..20 {
            let mut silent = report(seq, 100 + 60 * seq as i64, vec![]);
            match doubt {
                "truncated" => silent.truncated = Truncated { pending: 1, ..Truncated::default() },
                "not evaluated" => silent.not_evaluated = vec![NotEvaluated { slot: 3, reason: "Warming".into() }],
                "more not evaluated" => silent.more_not_evaluated = true,
                _ => silent.plan_rev = 4,
            }
            let ended = read(&mut ledger, &silent).into_iter().filter(|said| said.starts_with('-')).count();
            assert_eq!(ended, 0, "{doubt}");
        }
    }
}

#[test]
fn its_agents_word_ends_it_at_once_and_only_once() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    let mut over = report(2, 130, vec![]);
    over.resolved = vec![ended("sda", 100, 125)];
    assert_eq!(read(&mut ledger, &over), ["-sda@100 Resolved"]);
    over.seq = 3;
    assert!(read(&mut ledger, &over).is_empty());
}

#[test]
fn an_episode_that_began_and_ended_unheard_is_noted_once() {
    let mut ledger = ledger();
    let mut over = report(1, 130, vec![]);
    over.resolved = vec![ended("sda", 100, 125)];
    assert_eq!(read(&mut ledger, &over), ["?sda@100"]);
    for seq in 2..100 {
        over.seq = seq;
        over.renew_time += 60;
        assert!(read(&mut ledger, &over).is_empty());
    }
}

#[test]
fn old_and_repeated_reports_change_nothing() {
    let mut ledger = ledger();
    read(&mut ledger, &report(5, 100, vec![instance(3, "sda", 100)]));
    for seq in [4, 5] {
        let late = report(seq, 50, vec![instance(3, "sdb", 50)]);
        assert_eq!(ledger.receive(NODE, &late, 200), Received::NotNewer { epoch: 1, seq: 5 });
    }
    assert_eq!(ledger.open().count(), 1);
}

#[test]
fn a_report_ahead_of_the_plan_waits() {
    let mut ledger = ledger();
    let ahead = Report { plan_rev: 11, ..report(1, 100, vec![instance(3, "sda", 100)]) };
    assert_eq!(ledger.receive(NODE, &ahead, 100), Received::AheadOfPlan);
    assert_eq!(ledger.open().count(), 0);
}

#[test]
fn a_reused_slot_is_not_read_from_reports_of_the_older_plan() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    ledger.set_plan(Arc::new(plan(20, vec![("other", rule_in(3, 15, "Other", 60))], vec![])), 110);
    assert_eq!(told(&mut ledger), ["-sda@100 RuleDeleted"]);
    assert!(read(&mut ledger, &report(2, 120, vec![instance(3, "sda", 100)])).is_empty());
    let adopted = Report { plan_rev: 20, ..report(3, 130, vec![instance(3, "sda", 125)]) };
    assert_eq!(read(&mut ledger, &adopted), ["+sda@125"]);
    assert_eq!(ledger.open().next().unwrap().rule, ObjectKey::new("shop", "other"));
}

#[test]
fn a_suspended_rule_and_a_lost_node_end_their_alerts_with_their_own_reasons() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    ledger.receive("n2", &report(1, 100, vec![instance(3, "sda", 100)]), 100);
    told(&mut ledger);
    ledger.remove_node("n2", 110);
    assert_eq!(told(&mut ledger), ["-sda@100 NodeRemoved"]);
    let asleep = FleetRule { suspended: true, ..rule_in(3, 5, "Disk", 60) };
    ledger.set_plan(Arc::new(plan(11, vec![("disk", asleep)], vec![])), 120);
    assert_eq!(told(&mut ledger), ["-sda@100 NotSelected"]);
}

#[test]
fn an_agent_without_memory_continues_the_episode() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    let mut fresh = Report { epoch: 2, ..report(1, 200, vec![]) };
    fresh.pending = vec![Instance { fired_at: 0, active_at: 190, ..instance(3, "sda", 1) }];
    assert!(read(&mut ledger, &fresh).is_empty());
    assert!(read(&mut ledger, &Report { seq: 2, renew_time: 400, ..fresh.clone() }).is_empty(), "it holds");
    let again = Report { epoch: 2, ..report(3, 500, vec![instance(3, "sda", 490)]) };
    assert!(read(&mut ledger, &again).is_empty());
    assert_eq!(ledger.open().next().unwrap().fired_at, 100);
    let mut over = Report { epoch: 2, ..report(4, 600, vec![]) };
    over.resolved = vec![ended("sda", 490, 590)];
    assert_eq!(read(&mut ledger, &over), ["-sda@100 Resolved"]);
    assert!(read(&mut ledger, &Report { seq: 5, ..over }).is_empty(), "the same end told again is no news");
}

#[test]
fn a_new_episode_in_the_same_life_ends_the_one_before() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    let again = report(2, 300, vec![instance(3, "sda", 290)]);
    assert_eq!(read(&mut ledger, &again), ["-sda@100 Resolved", "+sda@290"]);
}

#[test]
fn an_ending_and_a_new_beginning_in_one_report_are_two_episodes() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    let mut both = report(2, 300, vec![instance(3, "sda", 290)]);
    both.resolved = vec![ended("sda", 100, 200)];
    assert_eq!(read(&mut ledger, &both), ["-sda@100 Resolved", "+sda@290"]);
}

#[test]
fn what_was_reconciled_by_mistake_comes_back_as_an_episode_of_its_own() {
    let mut ledger = ledger();
    read(&mut ledger, &report(1, 100, vec![instance(3, "sda", 100)]));
    read(&mut ledger, &report(2, 110, vec![]));
    read(&mut ledger, &report(3, 170, vec![]));
    assert_eq!(read(&mut ledger, &report(4, 180, vec![instance(3, "sda", 100)])), ["+sda@101"]);
}

#[test]
fn a_full_report_and_an_exceeded_limit_are_announced_by_one_alert_each() {
    let mut ledger = ledger();
    let mut full = report(1, 100, vec![]);
    full.truncated = Truncated { firing: 7, ..Truncated::default() };
    full.rules = vec![RuleCount { slot: 3, pending: 0, firing: 0, dropped: 9 }];
    assert_eq!(read(&mut ledger, &full), ["+limit@100", "+report@100"]);
    assert!(read(&mut ledger, &Report { seq: 2, renew_time: 160, ..full }).is_empty());
    let mut ended = read(&mut ledger, &report(3, 220, vec![]));
    ended.sort();
    assert_eq!(ended, ["-limit@100 Resolved", "-report@100 Resolved"]);
}

#[test]
fn a_restart_of_the_leader_continues_and_reads_the_newest_report_once_more() {
    let mut before = ledger();
    let first = report(1, 100, vec![instance(3, "sda", 100)]);
    read(&mut before, &first);
    let mut after = ledger();
    after.restore(before.open().cloned().collect::<Vec<_>>(), []);
    assert!(read(&mut after, &first).is_empty());
    assert_eq!(after.receive(NODE, &first, 200), Received::NotNewer { epoch: 1, seq: 1 });
    let mut over = report(2, 130, vec![]);
    over.resolved = vec![ended("sda", 100, 125)];
    assert_eq!(read(&mut after, &over), ["-sda@100 Resolved"]);
}

#[test]
fn what_the_leader_evaluates_begins_and_ends_with_its_own_evaluation() {
    let rule = FleetRule { scope: RuleScope::Cluster, ..rule("Down", 60) };
    let mut ledger = Ledger::new(None);
    ledger.set_plan(Arc::new(plan(10, vec![("down", rule)], vec![])), 0);
    let (key, plan) = (ObjectKey::new("shop", "down"), rule_plan("Down", 60));
    let mut life = RuleLife::new();
    life.evaluate(&plan, Outcome::Samples(vec![(Labels::from_pairs([("disk", "x"), ("node", "n9")]), 1.0)]), 100_000);
    ledger.observe(&key, &life, 100);
    assert_eq!(told(&mut ledger), ["+x@100"]);
    assert_eq!(ledger.open().next().unwrap().labels.get("node"), Some("n9"), "its labels are the expression's");
    life.evaluate(&plan, Outcome::Failed("boom".into()), 160_000);
    ledger.observe(&key, &life, 160);
    assert!(told(&mut ledger).is_empty());
    life.evaluate(&plan, Outcome::Samples(vec![]), 220_000);
    ledger.observe(&key, &life, 220);
    assert_eq!(told(&mut ledger), ["-x@100 Resolved"]);
    assert_eq!(key_of(&ledger), 0);
}

fn key_of(ledger: &Ledger) -> usize {
    ledger.open().filter(|episode| episode.rule == key()).count()
}

#[test]
fn a_node_cannot_fill_the_leaders_memory() {
    let mut ledger = ledger();
    for seq in 1..200u64 {
        let mut report = report(seq, 100 + seq as i64, vec![]);
        report.truncated = Truncated { firing: 1, ..Truncated::default() };
        report.firing = (0..100).map(|n| instance(3, &format!("d{seq}-{n}"), 100)).collect();
        ledger.receive(NODE, &report, 100);
    }
    assert!(ledger.open().count() <= 4096 + 1);
}
