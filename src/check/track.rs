//! The track of one check: run after run in, one steady state out. Pure; time is an argument.
//!
//! How a state is made, in this order:
//!
//! 1. *Outcome of a run*: the check's own verdict, made worse by `thresholds.*.responseTime`.
//! 2. *Streaks*: the state gets at least as bad as Degraded (Unhealthy) after `failureThreshold` runs in a row that
//!    were at least that bad, and better again after `successThreshold` runs in a row that were better. So three runs
//!    Unhealthy, Degraded, Unhealthy with `failureThreshold` 3 make it Degraded: that much all three agree on.
//! 3. *Rates*: once the window holds four runs, `successRate` and `errorRate` can make the state worse, and stop
//!    doing so as soon as the rate is good again: the window is smoothing enough. A Degraded run is a success, an
//!    Unhealthy one a failure, an Unknown one neither.
//! 4. *Unknown* runs neither make nor break a streak. `failureThreshold` of them in a row make the state Unknown;
//!    the next run that can be judged brings back the state from before, so that a gap neither pages nor resolves.
//!
//! The very first result counts at once, whatever the thresholds.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::duration::Span;
use crate::model::health::{Health, Reason, Verdict};
use crate::model::plan::{CheckPlan, Thresholds};
use crate::model::series::Millis;

/// The window of rates unless the thresholds say otherwise.
const DEFAULT_WINDOW: Span = Span::seconds(300);
/// Least runs in the window before rates count.
const LEAST_RUNS: usize = 4;
/// Most runs that a window holds; a longer one means the newest so many.
const MOST_RUNS: usize = 2048;
/// A state that changes more often than this within [`FLAPPING_WITHIN`] is flapping.
const FLAPPING_ABOVE: usize = 3;
/// Ten minutes, in milliseconds.
const FLAPPING_WITHIN: Millis = 600_000;

/// Whether a result is too old to say anything: older than two and a half intervals.
#[must_use]
pub fn is_stale(result_at: Millis, interval: Span, now: Millis) -> bool {
    now.saturating_sub(result_at) > stale_after(interval)
}

fn stale_after(interval: Span) -> Millis {
    interval.as_millis_i64().saturating_mul(5) / 2
}

/// What a check is at a given time.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<'a> {
    /// The state.
    pub health: Health,
    /// Why.
    pub reason: Reason,
    /// One sentence.
    pub message: &'a str,
    /// Since when the state is what it is, unix milliseconds; None before the first result.
    pub since: Option<Millis>,
}

/// How bad a judged run or state is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Fine,
    Degraded,
    Unhealthy,
}

impl Level {
    fn health(self) -> Health {
        match self {
            Self::Fine => Health::Healthy,
            Self::Degraded => Health::Degraded,
            Self::Unhealthy => Health::Unhealthy,
        }
    }
}

/// One hysteresis: "at least this bad", with the streaks for and against it.
#[derive(Clone, Copy, Debug, Default)]
struct Latch {
    set: bool,
    streak_for: u32,
    streak_against: u32,
}

impl Latch {
    fn feed(&mut self, bad: bool, first: bool, failures: u32, successes: u32) {
        if bad {
            self.streak_for = self.streak_for.saturating_add(1);
            self.streak_against = 0;
        } else {
            self.streak_against = self.streak_against.saturating_add(1);
            self.streak_for = 0;
        }
        if first {
            self.set = bad;
        } else if self.streak_for >= failures {
            self.set = true;
        } else if self.streak_against >= successes {
            self.set = false;
        }
    }
}

/// Reason and message of a run or of a rate.
#[derive(Clone, Debug)]
struct Words {
    reason: Reason,
    message: String,
}

/// The track of one check.
#[derive(Clone, Debug)]
pub struct Track {
    interval: Span,
    failure_threshold: u32,
    success_threshold: u32,
    thresholds: Thresholds,
    window: Millis,

    degraded: Latch,
    unhealthy: Latch,
    /// Whether any run was judged yet.
    judged: bool,
    unknown_streak: u32,
    unknown: bool,
    /// Runs of the window, oldest first: when, and whether it was a success.
    runs: VecDeque<(Millis, bool)>,
    failures: usize,

    /// Of the newest run of each level.
    words: [Option<Words>; 3],
    unknown_words: Option<Words>,
    rate: Option<(Level, Words)>,

    health: Health,
    since: Option<Millis>,
    result_at: Option<Millis>,
    flips: VecDeque<Millis>,
}

impl Track {
    /// A track without any result.
    #[must_use]
    pub fn new(plan: &CheckPlan) -> Self {
        Self {
            interval: plan.interval,
            failure_threshold: plan.failure_threshold.max(1),
            success_threshold: plan.success_threshold.max(1),
            thresholds: plan.thresholds.clone(),
            window: plan.thresholds.window.unwrap_or(DEFAULT_WINDOW).as_millis_i64(),
            degraded: Latch::default(),
            unhealthy: Latch::default(),
            judged: false,
            unknown_streak: 0,
            unknown: false,
            runs: VecDeque::new(),
            failures: 0,
            words: [None, None, None],
            unknown_words: None,
            rate: None,
            health: Health::Unknown,
            since: None,
            result_at: None,
            flips: VecDeque::new(),
        }
    }

    /// Takes one run that ended at `at` and took `took`; true when the state changed.
    pub fn feed(&mut self, at: Millis, verdict: &Verdict, took: Duration) -> bool {
        self.forget(at);
        self.result_at = Some(at);
        match self.outcome(verdict, took) {
            None => {
                self.unknown_streak = self.unknown_streak.saturating_add(1);
                self.unknown_words = Some(Words { reason: verdict.reason, message: verdict.message.clone() });
                self.unknown |= !self.judged || self.unknown_streak >= self.failure_threshold;
            }
            Some((level, words)) => {
                let first = !self.judged;
                let (failures, successes) = (self.failure_threshold, self.success_threshold);
                self.degraded.feed(level >= Level::Degraded, first, failures, successes);
                self.unhealthy.feed(level >= Level::Unhealthy, first, failures, successes);
                self.judged = true;
                self.unknown = false;
                self.unknown_streak = 0;
                self.count(at, level != Level::Unhealthy);
                self.words[level as usize] = Some(words.clone());
                // What is said of a Degraded state is said by the newest run that was at least Degraded.
                if level == Level::Unhealthy {
                    self.words[Level::Degraded as usize] = Some(words);
                }
            }
        }
        self.rate = self.judge_rates();
        self.settle(at)
    }

    /// The state at `now`: Unknown when the newest result is older than two and a half intervals.
    #[must_use]
    pub fn at(&self, now: Millis) -> Standing<'_> {
        let Some(result_at) = self.result_at else {
            return Standing { health: Health::Unknown, reason: "NotRunYet", message: "has not run yet", since: None };
        };
        if is_stale(result_at, self.interval, now) {
            let since = Some(result_at.saturating_add(stale_after(self.interval)));
            let message = "the last result is older than two and a half intervals";
            // Time spent Unknown for another cause just before belongs to the same state.
            let since = if self.health == Health::Unknown { self.since } else { since };
            return Standing { health: Health::Unknown, reason: "Stale", message, since };
        }
        let words = self.current_words();
        let reason = words.map_or("Ok", |words| words.reason);
        let message = words.map_or("", |words| words.message.as_str());
        Standing { health: self.health, reason, message, since: self.since }
    }

    /// Share of successful runs in the window, percent; None before the first judged run.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        self.error_rate().map(|rate| 100.0 - rate)
    }

    /// Share of failed runs in the window, percent; None before the first judged run.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (!self.runs.is_empty()).then(|| 100.0 * self.failures as f64 / self.runs.len() as f64)
    }

    /// Whether the state changed more than three times in the last ten minutes.
    #[must_use]
    pub fn flapping(&self, now: Millis) -> bool {
        self.flips.iter().filter(|flip| now.saturating_sub(**flip) < FLAPPING_WITHIN).count() > FLAPPING_ABOVE
    }

    /// Level and words of a run; None if it could not be judged.
    fn outcome(&self, verdict: &Verdict, took: Duration) -> Option<(Level, Words)> {
        let own = match verdict.health {
            Health::Unknown => return None,
            Health::Healthy => Level::Fine,
            Health::Degraded => Level::Degraded,
            Health::Unhealthy => Level::Unhealthy,
        };
        let slower = |limit: Option<Span>| limit.filter(|limit| took > limit.std());
        let slow =
            match (slower(self.thresholds.unhealthy.response_time), slower(self.thresholds.degraded.response_time)) {
                (Some(limit), _) => Some((Level::Unhealthy, limit)),
                (None, Some(limit)) => Some((Level::Degraded, limit)),
                (None, None) => None,
            };
        match slow {
            Some((level, limit)) if level > own => {
                Some((level, Words { reason: "ResponseTimeHigh", message: format!("takes longer than {limit}") }))
            }
            _ => Some((own, Words { reason: verdict.reason, message: verdict.message.clone() })),
        }
    }

    fn judge_rates(&self) -> Option<(Level, Words)> {
        if self.runs.len() < LEAST_RUNS {
            return None;
        }
        let (success, error) = (self.success_rate()?, self.error_rate()?);
        let window = Span::millis(self.window.unsigned_abs());
        for (level, limits) in
            [(Level::Unhealthy, &self.thresholds.unhealthy), (Level::Degraded, &self.thresholds.degraded)]
        {
            if let Some(least) = limits.success_rate.filter(|least| success < f64::from(*least)) {
                let message = format!("less than {least} % of the runs of the last {window} succeeded");
                return Some((level, Words { reason: "SuccessRateLow", message }));
            }
            if let Some(most) = limits.error_rate.filter(|most| error > f64::from(*most)) {
                let message = format!("more than {most} % of the runs of the last {window} failed");
                return Some((level, Words { reason: "ErrorRateHigh", message }));
            }
        }
        None
    }

    fn streak_level(&self) -> Level {
        match (self.unhealthy.set, self.degraded.set) {
            (true, _) => Level::Unhealthy,
            (false, true) => Level::Degraded,
            (false, false) => Level::Fine,
        }
    }

    fn current_words(&self) -> Option<&Words> {
        if self.unknown {
            return self.unknown_words.as_ref();
        }
        let level = self.streak_level();
        match &self.rate {
            Some((rate, words)) if *rate > level => Some(words),
            _ => self.words[level as usize].as_ref(),
        }
    }

    fn settle(&mut self, at: Millis) -> bool {
        let health = if self.unknown {
            Health::Unknown
        } else {
            self.rate.as_ref().map_or(Level::Fine, |(level, _)| *level).max(self.streak_level()).health()
        };
        if self.since.is_some() && health == self.health {
            return false;
        }
        if self.since.is_some() {
            self.flips.push_back(at);
            if self.flips.len() > FLAPPING_ABOVE + 1 {
                self.flips.pop_front();
            }
        }
        self.health = health;
        self.since = Some(at);
        true
    }

    fn count(&mut self, at: Millis, success: bool) {
        self.runs.push_back((at, success));
        self.failures += usize::from(!success);
        if self.runs.len() > MOST_RUNS {
            self.drop_oldest();
        }
    }

    /// Drops runs that left the window, and whatever a clock set back made lie in the future.
    fn forget(&mut self, now: Millis) {
        while self.runs.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= self.window) {
            self.drop_oldest();
        }
        while self.runs.back().is_some_and(|(at, _)| *at > now) {
            let gone = self.runs.pop_back();
            self.failures -= usize::from(gone.is_some_and(|(_, success)| !success));
        }
        self.flips.retain(|flip| *flip <= now);
    }

    fn drop_oldest(&mut self) {
        let gone = self.runs.pop_front();
        self.failures -= usize::from(gone.is_some_and(|(_, success)| !success));
    }
}

#[cfg(test)]
mod tests;
