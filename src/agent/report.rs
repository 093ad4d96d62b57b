//! Writing the report: the state of now, assembled, handed over, and what became of it.

use super::Agent;
use crate::alert::report::{RuleState, assemble};
use crate::model::health::Health;
use crate::model::ports::SinkError;
use crate::model::report::{Report, SlotReason, States};
use crate::model::series::Millis;
use crate::runtime::{clock, metrics};

/// Reasons carried for the worst checks.
const MAX_REASONS: usize = 20;
/// Longest message in a reason, in characters.
const MAX_MESSAGE: usize = 200;

impl Agent {
    /// Writes one report; a refused one stays due.
    pub(super) async fn write_report(&self, cause: &str) {
        let now = clock::now_millis();
        let report = self.build_report(now);
        let sent = self.inner.reports.send(report.clone()).await;
        let now = clock::now_millis();
        let mut state = self.state();
        match sent {
            Ok(()) => {
                metrics::OWN.report_writes.with_label_values(&[cause]).inc();
                state.pace.written(now);
                state.accepted_at = Some(now);
                for rule in state.rules.by_slot.values_mut() {
                    rule.life.written(rule.slot, &report);
                }
            }
            Err(SinkError::NotNewer { epoch, .. }) => {
                tracing::warn!(epoch, "another report of this agent is newer; continuing above it");
                state.epoch = epoch + 1;
                state.seq = 0;
                state.pace.refused(0, now);
            }
            Err(SinkError::Later { after_ms, why }) => {
                metrics::error("agent");
                tracing::warn!(%why, "the report was not taken");
                state.pace.refused(i64::try_from(after_ms).unwrap_or(1000), now);
            }
        }
        drop(state);
        self.changed();
    }

    fn build_report(&self, now: Millis) -> Report {
        let mut state = self.state();
        state.pace.begin();
        state.seq += 1;
        let mut states = States::new(state.plan.slots());
        let mut reasons: Vec<(Health, SlotReason)> = Vec::new();
        for (slot, check) in &state.checks.by_slot {
            let standing = check.standing(now);
            states.set(*slot, standing.health);
            if standing.health != Health::Healthy {
                let reason = SlotReason {
                    slot: *slot,
                    reason: standing.reason.to_owned(),
                    message: shortened(standing.message),
                    since: standing.since.unwrap_or(now) / 1000,
                };
                reasons.push((standing.health, reason));
            }
        }
        // The worst first: Unhealthy, then Degraded, then Unknown.
        reasons.sort_by_key(|(health, reason)| (worst_first(*health), reason.since, reason.slot));
        reasons.truncate(MAX_REASONS);
        let report = Report {
            epoch: state.epoch,
            seq: state.seq,
            renew_time: now / 1000,
            plan_rev: state.plan.rev,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            states,
            reasons: reasons.into_iter().map(|(_, reason)| reason).collect(),
            ..Report::default()
        };
        let rules = state.rules.by_slot.values().filter(|rule| !rule.plan.record);
        assemble(
            report,
            rules.map(|rule| RuleState { slot: rule.slot, severity: &rule.plan.severity, life: &rule.life }),
        )
    }
}

fn worst_first(health: Health) -> u8 {
    match health {
        Health::Unhealthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Healthy => 3,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
