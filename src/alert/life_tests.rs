//! Tests of one rule's life, in seconds since an arbitrary start.

use super::*;
use crate::alert::testing::rule_plan;
use crate::model::Span;
use proptest::prelude::*;

fn disk(name: &str) -> Labels {
    Labels::from_pairs([("__name__", "x"), ("disk", name)])
}

fn holds(names: &[&str]) -> Outcome {
    Outcome::Samples(names.iter().map(|name| (disk(name), 1.0)).collect())
}

fn plan_for(hold: u64) -> RulePlan {
    RulePlan { hold: Span::seconds(hold), ..rule_plan("Disk", 30) }
}

/// Evaluates at a second and says how many are pending, firing and ended.
fn at(life: &mut RuleLife, plan: &RulePlan, outcome: Outcome, second: i64) -> (u32, u32, usize) {
    life.evaluate(plan, outcome, second * 1000);
    let (pending, firing) = life.counts();
    (pending, firing, life.ended(0).count())
}

#[test]
fn without_for_an_alert_fires_at_once() {
    let mut life = RuleLife::new();
    assert_eq!(at(&mut life, &plan_for(0), holds(&["a"]), 0), (0, 1, 0));
}

#[test]
fn a_for_shorter_than_the_interval_fires_on_the_second_evaluation() {
    let (mut life, plan) = (RuleLife::new(), plan_for(10));
    assert_eq!(at(&mut life, &plan, holds(&["a"]), 0), (1, 0, 0));
    assert_eq!(at(&mut life, &plan, holds(&["a"]), 30), (0, 1, 0));
}

#[test]
fn a_pending_instance_that_vanishes_leaves_nothing_behind() {
    let (mut life, plan) = (RuleLife::new(), plan_for(60));
    at(&mut life, &plan, holds(&["a"]), 0);
    assert_eq!(at(&mut life, &plan, holds(&[]), 30), (0, 0, 0));
    assert_eq!(at(&mut life, &plan, holds(&["a"]), 60), (1, 0, 0));
    assert_eq!(life.pending(0).next().unwrap().active_at, 60);
}

#[test]
fn a_firing_instance_that_vanishes_is_resolved_and_told_for_fifteen_minutes() {
    let (mut life, plan) = (RuleLife::new(), plan_for(0));
    at(&mut life, &plan, holds(&["a"]), 100);
    assert_eq!(at(&mut life, &plan, holds(&[]), 130), (0, 0, 1));
    let ended = life.ended(7).next().unwrap();
    assert_eq!((ended.instance.slot, ended.instance.fired_at, ended.resolved_at), (7, 100, 130));
    let written = Report { resolved: life.ended(7).collect(), ..Report::default() };
    life.written(7, &written);
    assert_eq!(at(&mut life, &plan, holds(&[]), 130 + 14 * 60), (0, 0, 1));
    assert_eq!(at(&mut life, &plan, holds(&[]), 130 + 15 * 60), (0, 0, 0));
}

#[test]
fn an_ending_that_no_report_carried_is_kept_however_long_it_takes() {
    let (mut life, plan) = (RuleLife::new(), plan_for(0));
    at(&mut life, &plan, holds(&["a"]), 0);
    at(&mut life, &plan, holds(&[]), 30);
    assert_eq!(at(&mut life, &plan, holds(&[]), 7200), (0, 0, 1));
}

#[test]
fn keep_firing_for_bridges_a_gap_and_then_lets_go() {
    let mut plan = plan_for(0);
    plan.keep_firing_for = Span::seconds(60);
    let mut life = RuleLife::new();
    at(&mut life, &plan, holds(&["a"]), 0);
    assert_eq!(at(&mut life, &plan, holds(&[]), 30), (0, 1, 0));
    assert_eq!(life.firing(0).next().unwrap().keep_firing_since, 30);
    assert_eq!(at(&mut life, &plan, holds(&["a"]), 60), (0, 1, 0));
    assert_eq!(life.firing(0).next().unwrap().keep_firing_since, 0);
    assert_eq!(at(&mut life, &plan, holds(&[]), 90), (0, 1, 0));
    assert_eq!(at(&mut life, &plan, holds(&[]), 150), (0, 0, 1));
}

#[test]
fn raising_for_does_not_end_a_firing_episode() {
    let mut life = RuleLife::new();
    at(&mut life, &plan_for(0), holds(&["a"]), 0);
    assert_eq!(at(&mut life, &plan_for(600), holds(&["a"]), 30), (0, 1, 0));
    assert_eq!(life.firing(0).next().unwrap().fired_at, 0);
}

#[test]
fn two_results_that_differ_only_in_the_metric_name_fail_the_rule_and_change_nothing() {
    let (mut life, plan) = (RuleLife::new(), plan_for(0));
    at(&mut life, &plan, holds(&["a"]), 0);
    let twice = vec![(disk("b"), 1.0), (Labels::from_pairs([("__name__", "y"), ("disk", "b")]), 2.0)];
    assert_eq!(at(&mut life, &plan, Outcome::Samples(twice), 30), (0, 1, 0));
    assert_eq!(life.not_evaluated(), Some("EvaluationFailed"));
    assert!(life.error().unwrap().contains("aggregate"));
}

#[test]
fn what_could_not_be_evaluated_neither_resolves_nor_fires() {
    let (mut life, plan) = (RuleLife::new(), plan_for(60));
    at(&mut life, &plan_for(0), holds(&["old"]), 0);
    at(&mut life, &plan, holds(&["old", "new"]), 30);
    for outcome in [Outcome::Warming, Outcome::NoSuchSeries, Outcome::Failed("boom".into())] {
        assert_eq!(at(&mut life, &plan, outcome, 600), (1, 1, 0));
        assert!(life.not_evaluated().is_some());
    }
}

#[test]
fn a_rule_that_never_ran_says_so() {
    assert_eq!(RuleLife::new().not_evaluated(), Some("Warming"));
}

#[test]
fn no_data_ok_resolves_and_no_data_alerting_adds_one_instance_without_labels() {
    let mut plan = plan_for(0);
    let mut life = RuleLife::new();
    at(&mut life, &plan, holds(&["a"]), 0);
    plan.no_data = OnTrouble::Alerting;
    assert_eq!(at(&mut life, &plan, Outcome::NoSuchSeries, 30), (0, 2, 0));
    assert!(life.firing(0).any(|instance| instance.labels.is_empty()));
    assert_eq!(at(&mut life, &plan, holds(&["a"]), 60), (0, 1, 1));
    plan.no_data = OnTrouble::Ok;
    assert_eq!(at(&mut life, &plan, Outcome::NoSuchSeries, 90), (0, 0, 2));
    assert_eq!(life.not_evaluated(), None);
}

#[test]
fn an_overflow_never_resolves_what_fires_and_counts_the_rest() {
    let mut plan = plan_for(0);
    plan.limit = 2;
    let mut life = RuleLife::new();
    at(&mut life, &plan, holds(&["a", "b"]), 0);
    let before: Vec<_> = life.firing(0).map(|instance| instance.labels).collect();
    let many: Vec<String> = (0..40).map(|n| format!("n{n}")).collect();
    let all: Vec<&str> = many.iter().map(String::as_str).chain(["a", "b"]).collect();
    assert_eq!(at(&mut life, &plan, holds(&all), 30), (0, 2, 0));
    assert_eq!(life.firing(0).map(|instance| instance.labels).collect::<Vec<_>>(), before);
    assert_eq!(life.dropped(), 40);
    plan.limit = 1;
    assert_eq!(at(&mut life, &plan, holds(&["a", "b"]), 60), (0, 2, 0), "a lower limit resolves nothing either");
}

#[test]
fn a_restored_instance_keeps_its_times_and_cannot_resolve_while_warming() {
    let mut life = RuleLife::new();
    at(&mut life, &plan_for(0), holds(&["a"]), 100);
    let report = Report { plan_rev: 5, firing: life.firing(3).collect(), ..Report::default() };
    let mut again = RuleLife::new();
    again.restore(3, 5, &report);
    assert!(again.has_restored());
    assert_eq!(at(&mut again, &plan_for(0), Outcome::Warming, 200), (0, 1, 0));
    assert_eq!(at(&mut again, &plan_for(0), holds(&["a"]), 230), (0, 1, 0));
    assert_eq!(again.firing(3).next().unwrap().fired_at, 100);
    assert!(!again.has_restored());
}

#[test]
fn a_report_of_an_older_plan_restores_nothing_into_a_slot_that_was_reused() {
    let mut life = RuleLife::new();
    at(&mut life, &plan_for(0), holds(&["a"]), 100);
    let report = Report { plan_rev: 5, firing: life.firing(3).collect(), ..Report::default() };
    let mut other = RuleLife::new();
    other.restore(3, 6, &report);
    assert_eq!(other.counts(), (0, 0));
}

#[test]
fn two_episodes_never_share_the_second_by_which_they_are_known() {
    let (mut life, plan) = (RuleLife::new(), plan_for(0));
    life.evaluate(&plan, holds(&["a"]), 100_000);
    life.evaluate(&plan, holds(&[]), 100_200);
    life.evaluate(&plan, holds(&["a"]), 100_400);
    assert_eq!(life.ended(0).next().unwrap().instance.fired_at, 100);
    assert_eq!(life.firing(0).next().unwrap().fired_at, 101);
}

#[test]
fn a_clock_that_was_set_back_does_not_hold_an_alert_off() {
    let (mut life, plan) = (RuleLife::new(), plan_for(60));
    at(&mut life, &plan, holds(&["a"]), 100_000);
    at(&mut life, &plan, holds(&["a"]), 50);
    assert_eq!(at(&mut life, &plan, holds(&["a"]), 110), (0, 1, 0));
}

/// Prometheus's steps for one instance, written as a table of what it was and what it is.
fn model(history: &[bool], hold: i64, keep: i64, interval: i64) -> Vec<&'static str> {
    let (mut active, mut fired, mut gap): (Option<i64>, bool, Option<i64>) = (None, false, None);
    let steps = history.iter().enumerate().map(|(step, holds)| {
        let now = step as i64 * interval;
        if *holds {
            let since = *active.get_or_insert(now);
            gap = None;
            fired = fired || now - since >= hold;
        } else if fired && keep > 0 && now - *gap.get_or_insert(now) < keep {
        } else {
            (active, fired, gap) = (None, false, None);
        }
        match (active, fired) {
            (None, _) => "inactive",
            (_, false) => "pending",
            (_, true) => "firing",
        }
    });
    steps.collect()
}

proptest! {
    #[test]
    fn any_history_gives_the_states_that_prometheus_gives(
        history in proptest::collection::vec(any::<bool>(), 1..40), hold in 0u64..5, keep in 0u64..5,
    ) {
        let mut plan = plan_for(hold * 20);
        plan.keep_firing_for = Span::seconds(keep * 20);
        let mut life = RuleLife::new();
        let mut seen = Vec::new();
        for (step, now) in history.iter().enumerate() {
            let (pending, firing, _) =
                at(&mut life, &plan, if *now { holds(&["a"]) } else { holds(&[]) }, step as i64 * 30);
            seen.push(match (pending, firing) { (0, 0) => "inactive", (1, 0) => "pending", _ => "firing" });
        }
        prop_assert_eq!(seen, model(&history, hold as i64 * 20, keep as i64 * 20, 30));
    }
}
