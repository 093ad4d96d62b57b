//! What the track promises, by example and by property.

use proptest::prelude::*;

use super::*;
use crate::model::plan::Limits;
use crate::model::spec::{CheckSpec, MemorySpec};

const INTERVAL: Millis = 30_000;

fn plan(failures: u32, successes: u32) -> CheckPlan {
    CheckPlan {
        interval: Span::seconds(30),
        timeout: Span::seconds(10),
        retries: 0,
        failure_threshold: failures,
        success_threshold: successes,
        thresholds: Thresholds::default(),
        component_type: String::new(),
        node_selector: Default::default(),
        spec: CheckSpec::Memory(MemorySpec {}),
    }
}

fn verdict(letter: char) -> Verdict {
    match letter {
        'h' => Verdict::healthy("good"),
        'd' => Verdict::degraded("Slowish", "so so"),
        'u' => Verdict::unhealthy("Broken", "bad"),
        _ => Verdict::unknown("NoIdea", "who knows"),
    }
}

/// Feeds one run per interval and writes down the state after each.
fn states(track: &mut Track, runs: &str) -> String {
    let mut at = track.result_at.unwrap_or(0);
    let mut out = String::new();
    for letter in runs.chars() {
        at += INTERVAL;
        track.feed(at, &verdict(letter), Duration::from_millis(5));
        out.push(match track.at(at).health {
            Health::Healthy => 'h',
            Health::Degraded => 'd',
            Health::Unhealthy => 'u',
            Health::Unknown => '?',
        });
    }
    out
}

fn after(failures: u32, successes: u32, runs: &str) -> String {
    states(&mut Track::new(&plan(failures, successes)), runs)
}

#[test]
fn before_the_first_result_nothing_is_known() {
    let track = Track::new(&plan(3, 2));
    assert_eq!((track.at(0).health, track.at(0).reason, track.at(0).since), (Health::Unknown, "NotRunYet", None));
    assert_eq!(track.success_rate(), None);
}

#[test]
fn the_first_result_counts_at_once() {
    for (runs, state) in [("h", "h"), ("d", "d"), ("u", "u"), ("?", "?"), ("?u", "?u"), ("?h", "?h")] {
        assert_eq!(after(3, 2, runs), state);
    }
}

#[test]
fn a_state_changes_only_after_its_threshold_of_runs_in_a_row() {
    assert_eq!(after(3, 2, "huuhuuuhuhhuu"), "hhhhhhuuuuhhh");
    assert_eq!(after(1, 1, "huhuh"), "huhuh");
}

#[test]
fn mixed_bad_runs_agree_on_degraded() {
    assert_eq!(after(3, 2, "hudu"), "hhhd");
    assert_eq!(after(3, 2, "hududuuu"), "hhhddddu");
    assert_eq!(after(3, 2, "uddhh"), "uudd".to_owned() + "h");
}

#[test]
fn unknown_runs_neither_make_nor_break_a_streak() {
    assert_eq!(after(3, 2, "hu?u?u"), "hhhhhu");
    assert_eq!(after(3, 2, "h???"), "hhh?");
}

#[test]
fn after_a_gap_the_state_from_before_comes_back_so_that_nobody_is_paged_or_calmed_by_it() {
    assert_eq!(after(3, 2, "u???h"), "uuu?u", "one good run after a gap does not resolve");
    assert_eq!(after(3, 2, "h???u"), "hhh?h", "one bad run after a gap does not page");
    assert_eq!(after(3, 2, "u???hh"), "uuu?uh");
}

#[test]
fn a_steady_state_keeps_its_since_and_takes_the_newest_words() {
    let mut track = Track::new(&plan(1, 1));
    assert!(track.feed(1000, &verdict('u'), Duration::ZERO));
    assert!(!track.feed(31_000, &Verdict::unhealthy("Other", "worse"), Duration::ZERO));
    let standing = track.at(31_000);
    assert_eq!((standing.since, standing.reason, standing.message), (Some(1000), "Other", "worse"));
}

#[test]
fn a_run_that_does_not_change_the_state_does_not_change_its_words() {
    let mut track = Track::new(&plan(3, 2));
    states(&mut track, "hu");
    assert_eq!(track.at(INTERVAL * 2).reason, "Ok");
    states(&mut track, "uuh");
    assert_eq!(track.at(INTERVAL * 5).reason, "Broken");
}

#[test]
fn a_result_older_than_two_and_a_half_intervals_is_unknown_and_never_still_healthy() {
    let mut track = Track::new(&plan(3, 2));
    track.feed(0, &verdict('h'), Duration::ZERO);
    assert_eq!(track.at(75_000).health, Health::Healthy);
    let stale = track.at(75_001);
    assert_eq!((stale.health, stale.reason, stale.since), (Health::Unknown, "Stale", Some(75_000)));
    assert!(!is_stale(0, Span::seconds(30), 75_000) && is_stale(0, Span::seconds(30), 75_001));
}

#[test]
fn a_slow_run_is_degraded_or_unhealthy_by_the_limit_it_passed() {
    let mut plan = plan(1, 1);
    plan.thresholds.degraded = Limits { response_time: Some(Span::millis(100)), ..Limits::default() };
    plan.thresholds.unhealthy = Limits { response_time: Some(Span::seconds(1)), ..Limits::default() };
    let mut track = Track::new(&plan);
    for (millis, health, reason) in [
        (100, Health::Healthy, "Ok"),
        (101, Health::Degraded, "ResponseTimeHigh"),
        (1001, Health::Unhealthy, "ResponseTimeHigh"),
    ] {
        track.feed(0, &verdict('h'), Duration::from_millis(millis));
        assert_eq!((track.at(0).health, track.at(0).reason), (health, reason));
    }
    track.feed(0, &verdict('u'), Duration::from_millis(5000));
    assert_eq!(track.at(0).reason, "Broken", "a failed run keeps its own reason");
}

fn with_rates(degraded: i32, unhealthy: i32) -> Track {
    let mut plan = plan(100, 1);
    plan.thresholds.degraded = Limits { success_rate: Some(degraded), ..Limits::default() };
    plan.thresholds.unhealthy = Limits { error_rate: Some(100 - unhealthy), ..Limits::default() };
    Track::new(&plan)
}

#[test]
fn rates_count_from_the_fourth_run_on_and_stop_as_soon_as_they_are_good_again() {
    // Degraded below 80 % success, Unhealthy above 60 % errors; streaks play no role here.
    let mut track = with_rates(80, 40);
    assert_eq!(states(&mut track, "huuuu"), "hhhuu");
    assert_eq!(track.at(INTERVAL * 5).reason, "ErrorRateHigh");
    // The window is 5 minutes: ten runs. 4 of 7, 4 of 8 … 4 of 10 failed, then the old ones leave.
    assert_eq!(states(&mut track, "hhhhhhhhh"), "uddddddhh");
    assert_eq!(track.at(INTERVAL * 14).reason, "Ok");
}

#[test]
fn unknown_runs_do_not_count_in_rates_and_degraded_ones_are_successes() {
    let mut track = with_rates(80, 40);
    states(&mut track, "hdd?????u");
    assert_eq!(track.success_rate(), Some(75.0));
    assert_eq!(track.error_rate(), Some(25.0));
}

#[test]
fn more_than_three_changes_in_ten_minutes_are_flapping() {
    let mut track = Track::new(&plan(1, 1));
    states(&mut track, "huhu");
    assert!(!track.flapping(INTERVAL * 4));
    states(&mut track, "h");
    assert!(track.flapping(INTERVAL * 5));
    assert!(!track.flapping(INTERVAL * 2 + FLAPPING_WITHIN), "the first of the four is forgotten");
}

#[test]
fn a_clock_set_back_is_survived() {
    let mut track = with_rates(80, 40);
    for at in [1_000_000, 2_000_000, 5, 10, 15, 20] {
        track.feed(at, &verdict('u'), Duration::ZERO);
    }
    assert_eq!(track.error_rate(), Some(100.0));
    assert_eq!(track.runs.len(), 4);
}

proptest! {
    #[test]
    fn a_streak_of_the_threshold_s_length_always_decides(
        runs in "[hdu?]{0,40}", failures in 1u32..6, successes in 1u32..6,
    ) {
        let mut track = Track::new(&plan(failures, successes));
        states(&mut track, &runs);
        let mut bad = track.clone();
        prop_assert!(states(&mut bad, &"u".repeat(failures as usize)).ends_with('u'));
        let mut good = track.clone();
        prop_assert!(states(&mut good, &"h".repeat(successes as usize)).ends_with('h'));
        prop_assert!(states(&mut track, &"?".repeat(failures as usize)).ends_with('?'));
    }

    #[test]
    fn a_state_is_never_reached_without_its_evidence(runs in "[hdu?]{1,60}", failures in 1u32..5, successes in 1u32..5) {
        // Reference: walk back over the judged runs.
        let got: Vec<char> = after(failures, successes, &runs).chars().collect();
        let runs: Vec<char> = runs.chars().collect();
        for (index, state) in got.iter().enumerate() {
            let before = index.checked_sub(1).map(|i| got[i]);
            if before == Some(*state) || before == Some('?') || *state == '?' || before.is_none() {
                continue;
            }
            let judged: Vec<char> = runs[..=index].iter().copied().filter(|run| *run != '?').rev().collect();
            let worse = (before == Some('h')) || (before == Some('d') && *state == 'u');
            let need = if worse { failures } else { successes } as usize;
            prop_assert!(judged.len() >= need);
            let fits = |run: &char| match (worse, *state) {
                (true, 'd') => *run != 'h',
                (true, _) => *run == 'u',
                (false, 'd') => *run != 'u',
                (false, _) => *run == 'h',
            };
            prop_assert!(judged[..need].iter().all(fits), "{:?} -> {} at {}", before, state, index);
        }
    }

    #[test]
    fn rates_always_add_up_and_counts_never_drift(runs in proptest::collection::vec((0i64..400_000, 0usize..4), 0..200)) {
        let mut track = Track::new(&plan(3, 2));
        for (at, run) in runs {
            track.feed(at, &verdict(['h', 'd', 'u', '?'][run]), Duration::ZERO);
            prop_assert_eq!(track.failures, track.runs.iter().filter(|(_, success)| !success).count());
            if let (Some(good), Some(bad)) = (track.success_rate(), track.error_rate()) {
                prop_assert!((good + bad - 100.0).abs() < 1e-9);
            }
            prop_assert!(track.runs.len() <= MOST_RUNS);
            prop_assert_eq!(track.health == Health::Unknown, track.unknown);
        }
    }
}
