//! Tests of how a report is put together and cut.

use super::*;
use crate::alert::life::Outcome;
use crate::alert::testing::rule_plan;
use crate::model::report::{States, Truncated};
use crate::model::{Labels, Span};

/// A life with this many firing and pending instances, each with a label of this length.
fn life(firing: usize, pending: usize, width: usize) -> RuleLife {
    let mut plan = rule_plan("Disk", 30);
    plan.limit = 0;
    let named =
        |kind: &str, n: usize| (Labels::from_pairs([("disk", format!("{kind}{n:05}{}", "x".repeat(width)))]), 1.0);
    let old: Vec<_> = (0..firing).map(|n| named("f", n)).collect();
    let mut life = RuleLife::new();
    life.evaluate(&plan, Outcome::Samples(old.clone()), 1000);
    plan.hold = Span::seconds(3600);
    let all = old.into_iter().chain((0..pending).map(|n| named("p", n))).collect();
    life.evaluate(&plan, Outcome::Samples(all), 2000);
    life
}

fn state<'a>(slot: u32, severity: &'a str, life: &'a RuleLife) -> RuleState<'a> {
    RuleState { slot, severity, life }
}

#[test]
fn a_small_report_holds_everything() {
    let life = life(2, 3, 1);
    let report = assemble(Report::default(), [state(4, "high", &life)]);
    assert_eq!((report.firing.len(), report.pending.len()), (2, 3));
    assert_eq!((report.rules[0].slot, report.rules[0].firing, report.rules[0].pending), (4, 2, 3));
    assert!(report.truncated.is_none() && report.not_evaluated.is_empty());
}

#[test]
fn a_large_report_loses_pending_instances_first_then_the_least_urgent_firing_ones() {
    let (urgent, usual) = (life(60, 60, 100), life(150, 60, 100));
    let header = Report { states: States::new(1000), ..Report::default() };
    let report = assemble(header, [state(1, "low", &usual), state(2, "critical", &urgent)]);
    assert!(serde_json::to_vec(&report).unwrap().len() <= MAX_BYTES);
    assert_eq!(report.pending.len(), 0);
    assert_eq!(report.firing.iter().filter(|instance| instance.slot == 2).count(), 60);
    assert!(report.firing.iter().take(60).all(|instance| instance.slot == 2));
    let shown = u32::try_from(report.firing.len()).unwrap();
    assert_eq!(report.truncated, Truncated { pending: 120, firing: 210 - shown, resolved: 0 });
}

#[test]
fn endings_are_cut_last() {
    let mut plan = rule_plan("Disk", 30);
    plan.limit = 0;
    let mut life = life(100, 0, 50);
    let more: Vec<_> =
        (0..300).map(|n| (Labels::from_pairs([("disk", format!("new{n}{}", "y".repeat(50)))]), 1.0)).collect();
    life.evaluate(&plan, Outcome::Samples(more), 3000);
    let report = assemble(Report::default(), [state(1, "high", &life)]);
    assert_eq!((report.resolved.len(), report.truncated.resolved), (100, 0));
    assert!(report.truncated.firing > 0);
    assert!(serde_json::to_vec(&report).unwrap().len() <= MAX_BYTES);
}

#[test]
fn one_enormous_instance_does_not_push_out_the_others() {
    let (wide, usual) = (life(1, 0, 31_000), life(20, 0, 5));
    let report = assemble(Report::default(), [state(1, "critical", &wide), state(2, "low", &usual)]);
    assert_eq!(report.firing.iter().filter(|instance| instance.slot == 2).count(), 20);
}

#[test]
fn more_than_sixteen_rules_without_evaluation_are_counted_in_one_word() {
    let lives: Vec<RuleLife> = (0..20).map(|_| RuleLife::new()).collect();
    let report = assemble(Report::default(), (0..20u32).map(|slot| state(slot, "high", &lives[slot as usize])));
    assert_eq!(report.not_evaluated.len(), 16);
    assert!(report.more_not_evaluated);
}

#[test]
fn many_reasons_of_checks_leave_room_for_alerts() {
    let reason = SlotReason { slot: 1, reason: "Refused".into(), message: "m".repeat(500), since: 1 };
    let header = Report { reasons: vec![reason; 200], ..Report::default() };
    let life = life(50, 0, 5);
    let report = assemble(header, [state(1, "high", &life)]);
    assert_eq!(report.firing.len(), 50);
    assert!(serde_json::to_vec(&report).unwrap().len() <= MAX_BYTES);
}
