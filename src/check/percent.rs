//! A percentage against the limits of CONTRACT §3: what the host kinds have in common.

use crate::model::health::{Reason, Verdict};

/// The limits of one kind; beyond means above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    degraded: Option<f64>,
    unhealthy: Option<f64>,
}

impl Limits {
    /// Limits in percent. `default` is the Unhealthy limit unless the user sets one; a Degraded limit at or above it
    /// means that the user wants no Unhealthy at all.
    pub(super) fn percent(degraded: Option<i32>, unhealthy: Option<i32>, default: i32) -> Self {
        let unhealthy = unhealthy.or(Some(default).filter(|limit| degraded.is_none_or(|degraded| degraded < *limit)));
        Self { degraded: degraded.map(f64::from), unhealthy: unhealthy.map(f64::from) }
    }

    pub(super) fn plain(degraded: Option<f64>, unhealthy: f64) -> Self {
        Self { degraded, unhealthy: Some(unhealthy) }
    }

    /// Judges a figure. `what` and `state` make a sentence around it: "/ is" 86 % "full".
    pub(super) fn judge(
        &self,
        figure: f64,
        reason: Reason,
        what: &str,
        state: &str,
        write: fn(f64) -> String,
    ) -> Verdict {
        let above = |limit: Option<f64>| limit.filter(|limit| figure > *limit);
        let sentence = || format!("{what} {}{state}", write(figure));
        let complaint = |limit: f64| format!("{}, above the limit of {}", sentence(), write(limit));
        match (above(self.unhealthy), above(self.degraded)) {
            (Some(limit), _) => Verdict::unhealthy(reason, complaint(limit)),
            (None, Some(limit)) => Verdict::degraded(reason, complaint(limit)),
            (None, None) => Verdict::healthy(sentence()),
        }
    }
}

/// A whole percentage, rounded up where rounding down would read as "86 %, above 86 %".
pub(super) fn whole(percent: f64) -> String {
    format!("{:.0} %", percent.ceil())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Health;
    use proptest::prelude::*;

    fn health(degraded: Option<i32>, unhealthy: Option<i32>, figure: f64) -> Health {
        Limits::percent(degraded, unhealthy, 85).judge(figure, "High", "is at", "", whole).health
    }

    #[test]
    fn a_figure_at_its_limit_is_still_good() {
        assert_eq!(health(None, None, 85.0), Health::Healthy);
        assert_eq!(health(None, None, 85.1), Health::Unhealthy);
        assert_eq!(health(Some(70), None, 70.1), Health::Degraded);
        assert_eq!(health(Some(70), None, 85.1), Health::Unhealthy);
        assert_eq!(health(Some(70), Some(95), 90.0), Health::Degraded);
    }

    #[test]
    fn a_degraded_limit_above_the_default_is_not_cut_off_by_it() {
        assert_eq!(health(Some(90), None, 88.0), Health::Healthy);
        assert_eq!(health(Some(90), None, 99.0), Health::Degraded);
    }

    #[test]
    fn the_sentence_never_says_that_a_number_is_above_itself() {
        let verdict = Limits::percent(None, None, 85).judge(85.2, "High", "is", " full", whole);
        assert_eq!(verdict.message, "is 86 % full, above the limit of 85 %");
    }

    proptest! {
        #[test]
        fn more_is_never_better(degraded in proptest::option::of(0i32..101), unhealthy in proptest::option::of(0i32..101), low in 0.0f64..100.0, more in 0.0f64..50.0) {
            prop_assert!(health(degraded, unhealthy, low) <= health(degraded, unhealthy, low + more));
        }
    }
}
