//! How many messages an hour: the sends of the last hour, per receiver and per rule and receiver.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::object::ObjectKey;
use crate::model::series::Millis;

/// An hour, in milliseconds.
const HOUR: Millis = 3_600_000;
/// Most sends that are remembered: a higher `maxPerHour` counts as this.
const MAX_SENDS: usize = 3600;

/// What a limit is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct LimitKey {
    pub(super) receiver: ObjectKey,
    /// One rule's messages to the receiver; none: all messages to it.
    pub(super) rule: Option<ObjectKey>,
}

/// The messages of the last hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limit {
    sent: VecDeque<Millis>,
    /// When somebody was last told that messages are held back.
    announced: Option<Millis>,
}

impl Limit {
    /// Whether one more message may go; `per_hour` 0 is no limit.
    pub(super) fn allows(&self, per_hour: u32, now: Millis) -> bool {
        let most = (per_hour as usize).min(MAX_SENDS);
        per_hour == 0 || self.sent.iter().filter(|at| now - **at < HOUR).count() < most
    }

    /// Counts a message.
    pub(super) fn record(&mut self, now: Millis) {
        self.forget_old(now);
        if self.sent.len() >= MAX_SENDS {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    fn forget_old(&mut self, now: Millis) {
        // A clock that was set back must not keep future sends for ever.
        self.sent.retain(|at| now - *at < HOUR && *at <= now);
    }

    /// Whether to tell now that messages are held back: at most once an hour.
    pub(super) fn announce(&mut self, now: Millis) -> bool {
        let due = self.announced.is_none_or(|at| now - at >= HOUR || at > now);
        if due {
            self.announced = Some(now);
        }
        due
    }

    /// Whether nothing of the last hour is left to remember.
    pub(super) fn is_idle(&self, now: Millis) -> bool {
        self.sent.back().is_none_or(|at| now - at >= HOUR) && self.announced.is_none_or(|at| now - at >= HOUR)
    }
}
