//! The truth tables: from many results to the health of one check, and from all checks to the health of the system.

use crate::model::Health;
use crate::model::fleet_plan::Quorum;
use crate::model::severity::Severity;

/// How many results there are of each health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Work.
    pub healthy: u32,
    /// Work, but not as they should.
    pub degraded: u32,
    /// Do not work.
    pub unhealthy: u32,
    /// Cannot be judged.
    pub unknown: u32,
}

impl Counts {
    /// Counts one result.
    pub fn add(&mut self, health: Health) {
        let which = match health {
            Health::Healthy => &mut self.healthy,
            Health::Degraded => &mut self.degraded,
            Health::Unhealthy => &mut self.unhealthy,
            Health::Unknown => &mut self.unknown,
        };
        *which += 1;
    }

    /// The results of one health.
    #[must_use]
    pub fn of(&self, health: Health) -> u32 {
        match health {
            Health::Healthy => self.healthy,
            Health::Degraded => self.degraded,
            Health::Unhealthy => self.unhealthy,
            Health::Unknown => self.unknown,
        }
    }

    /// All results.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.known() + self.unknown
    }

    /// All results that could be judged.
    #[must_use]
    pub fn known(&self) -> u32 {
        self.healthy + self.degraded + self.unhealthy
    }
}

/// How many results must work, of `total`; percentages round against the user. None without a quorum.
///
/// Degraded counts as working: otherwise `minHealthy: 8` of ten would call ten slow but working nodes Unhealthy, and
/// would say something else than `maxUnhealthy: 2`.
#[must_use]
pub fn needed(quorum: Quorum, total: u32) -> Option<u32> {
    let share = |percent: u32| u64::from(total) * u64::from(percent.min(100));
    let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    match quorum {
        Quorum::None => None,
        Quorum::MinHealthy(least) => Some(least),
        Quorum::MinHealthyPercent(percent) => Some(whole(share(percent).div_ceil(100))),
        Quorum::MaxUnhealthy(most) => Some(total.saturating_sub(most)),
        Quorum::MaxUnhealthyPercent(percent) => Some(total - whole(share(percent) / 100)),
    }
}

/// The health of a check from its results: CONTRACT §3.
#[must_use]
pub fn judge(counts: Counts, quorum: Quorum) -> Health {
    if counts.known() == 0 {
        return Health::Unknown;
    }
    let all_healthy = counts.healthy == counts.total();
    let working = counts.healthy + counts.degraded;
    match needed(quorum, counts.total()) {
        None if all_healthy => Health::Healthy,
        None if working > 0 => Health::Degraded,
        None => Health::Unhealthy,
        Some(needed) if working >= needed => {
            if all_healthy {
                Health::Healthy
            } else {
                Health::Degraded
            }
        }
        // The Unknown ones could decide either way.
        Some(needed) if working + counts.unknown >= needed => Health::Unknown,
        Some(_) => Health::Unhealthy,
    }
}

/// What the system's health is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemInput {
    /// Checks that are not suspended, by health.
    pub checks: Counts,
    /// Whether a check labelled critical is Unhealthy.
    pub critical_unhealthy: bool,
    /// Firing alerts that count as critical.
    pub critical: u32,
    /// As high.
    pub high: u32,
    /// As medium.
    pub medium: u32,
}

impl SystemInput {
    /// Counts a firing alert.
    pub fn add_alert(&mut self, severity: &str) {
        match Severity::of(severity) {
            Severity::Critical => self.critical += 1,
            Severity::High => self.high += 1,
            Severity::Medium => self.medium += 1,
            Severity::Low | Severity::Info => {}
        }
    }

    /// 100 × healthy / total; 100 when there is no check.
    #[must_use]
    pub fn percentage(&self) -> f64 {
        match self.checks.total() {
            0 => 100.0,
            total => 100.0 * f64::from(self.checks.healthy) / f64::from(total),
        }
    }

    /// The percentage minus 20 per firing critical alert, 10 per high, 5 per medium one; never below 0.
    #[must_use]
    pub fn score(&self) -> f64 {
        let penalty = 20.0 * f64::from(self.critical) + 10.0 * f64::from(self.high) + 5.0 * f64::from(self.medium);
        (self.percentage() - penalty).max(0.0)
    }

    /// The system's health. That nothing could be judged is told before the percentage, which would then be 0.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.checks.total() > 0 && self.checks.known() == 0 {
            Health::Unknown
        } else if self.critical_unhealthy || self.percentage() < 50.0 {
            Health::Unhealthy
        } else if self.percentage() < 100.0 || self.critical > 0 {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways to spread up to `most` results over the four healths.
    fn all_counts(most: u32) -> Vec<Counts> {
        let mut all = Vec::new();
        for healthy in 0..=most {
            for degraded in 0..=most - healthy {
                for unhealthy in 0..=most - healthy - degraded {
                    for unknown in 0..=most - healthy - degraded - unhealthy {
                        all.push(Counts { healthy, degraded, unhealthy, unknown });
                    }
                }
            }
        }
        all
    }

    fn quorums() -> Vec<Quorum> {
        let mut all = vec![Quorum::None];
        for n in 0..=8 {
            all.extend([Quorum::MinHealthy(n), Quorum::MaxUnhealthy(n)]);
        }
        for percent in [0, 1, 20, 33, 34, 50, 51, 66, 67, 80, 99, 100] {
            all.extend([Quorum::MinHealthyPercent(percent), Quorum::MaxUnhealthyPercent(percent)]);
        }
        all
    }

    /// Whether a world without Unknown results satisfies a quorum, straight from its words.
    fn satisfied(working: u32, unhealthy: u32, quorum: Quorum) -> bool {
        let total = f64::from(working + unhealthy);
        match quorum {
            Quorum::None => true,
            Quorum::MinHealthy(n) => working >= n,
            Quorum::MinHealthyPercent(p) => f64::from(working) * 100.0 >= total * f64::from(p) - 1e-9,
            Quorum::MaxUnhealthy(n) => unhealthy <= n,
            Quorum::MaxUnhealthyPercent(p) => f64::from(unhealthy) * 100.0 <= total * f64::from(p) + 1e-9,
        }
    }

    /// The contract's table, by trying every way in which the Unknown results could turn out.
    fn by_definition(counts: Counts, quorum: Quorum) -> Health {
        let Counts { healthy, degraded, unhealthy, unknown } = counts;
        if counts.known() == 0 {
            return Health::Unknown;
        }
        if quorum == Quorum::None {
            return match (unhealthy + degraded + unknown == 0, healthy + degraded > 0) {
                (true, _) => Health::Healthy,
                (false, true) => Health::Degraded,
                (false, false) => Health::Unhealthy,
            };
        }
        let outcomes: Vec<bool> =
            (0..=unknown).map(|up| satisfied(healthy + degraded + up, unhealthy + unknown - up, quorum)).collect();
        if outcomes.iter().all(|fine| *fine) {
            if healthy == counts.total() { Health::Healthy } else { Health::Degraded }
        } else if outcomes.iter().any(|fine| *fine) {
            Health::Unknown
        } else {
            Health::Unhealthy
        }
    }

    #[test]
    fn every_mixture_of_results_is_judged_as_the_contract_defines() {
        for counts in all_counts(7) {
            for quorum in quorums() {
                assert_eq!(judge(counts, quorum), by_definition(counts, quorum), "{counts:?} {quorum:?}");
            }
        }
    }

    #[test]
    fn percentages_round_against_the_user() {
        assert_eq!(needed(Quorum::MinHealthyPercent(51), 3), Some(2));
        assert_eq!(needed(Quorum::MinHealthyPercent(67), 3), Some(3));
        assert_eq!(needed(Quorum::MaxUnhealthyPercent(33), 3), Some(3));
        assert_eq!(needed(Quorum::MaxUnhealthyPercent(34), 3), Some(2));
    }

    #[test]
    fn many_slow_nodes_do_not_make_a_check_with_a_quorum_unhealthy() {
        let slow = Counts { degraded: 10, ..Counts::default() };
        assert_eq!(judge(slow, Quorum::MinHealthy(8)), Health::Degraded);
    }

    #[test]
    fn the_system_is_unknown_while_nothing_is_judged_and_healthy_without_checks() {
        let mut system = SystemInput::default();
        assert_eq!((system.health(), system.percentage()), (Health::Healthy, 100.0));
        system.checks.unknown = 2;
        assert_eq!(system.health(), Health::Unknown);
        system.checks.healthy = 2;
        assert_eq!(system.health(), Health::Degraded);
        system.critical_unhealthy = true;
        assert_eq!(system.health(), Health::Unhealthy);
    }

    #[test]
    fn the_score_falls_with_firing_alerts_and_never_below_zero() {
        let mut system = SystemInput { checks: Counts { healthy: 4, ..Counts::default() }, ..SystemInput::default() };
        for word in ["critical", "high", "warning", "info"] {
            system.add_alert(word);
        }
        assert_eq!(system.score(), 65.0);
        assert_eq!(system.health(), Health::Degraded);
        system.critical = 9;
        assert_eq!(system.score(), 0.0);
    }
}
