//! Intents: messages that were decided. Durable before they are sent, gone when their outcome is durable.

use serde::{Deserialize, Serialize};

use crate::alert::episode::EpisodeKey;
use crate::model::Span;
use crate::model::notification::Notification;
use crate::model::object::ObjectKey;
use crate::model::series::Millis;

/// First wait after a failed attempt, in milliseconds; doubled each time.
const FIRST_BACK_OFF: Millis = 1000;
/// Longest wait after a failed attempt, in milliseconds.
const LONGEST_BACK_OFF: Millis = 5 * 60 * 1000;

/// One alert that a message tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which episode.
    pub case: EpisodeKey,
    /// Whether the message says that it ended.
    pub over: bool,
}

/// A message that was decided and whose fate is not yet known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The message, complete: every attempt sends the same bytes and the same idempotency key.
    pub notification: Notification,
    /// The group that it is about; none for the desk's own announcements.
    pub group: Option<u64>,
    /// What is known once it is delivered, alerts that did not fit into the message included.
    pub members: Vec<Member>,
    /// Where it stands. Not kept: after a restart it is simply sent again.
    #[serde(skip)]
    pub(super) attempt: Attempt,
}

/// Where a message stands in this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attempt {
    pub(super) durable: bool,
    pub(super) sending: bool,
    pub(super) failures: u32,
    pub(super) next: Millis,
}

impl Intent {
    /// What it is known by, to the journal and to the receiver.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.notification.idempotency_key
    }

    /// Whom it is for.
    #[must_use]
    pub fn receiver(&self) -> &ObjectKey {
        &self.notification.receiver
    }

    /// Whether the journal has it.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.attempt.durable
    }

    /// Attempts of this process that failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.attempt.failures
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        // A next attempt further away than any back-off is a clock that was set back.
        let waits = self.attempt.next > now && self.attempt.next - now <= 2 * LONGEST_BACK_OFF;
        self.attempt.durable && !self.attempt.sending && !waits
    }

    pub(super) fn back_off(&mut self, retry_after: Option<Span>, now: Millis) {
        let own = (FIRST_BACK_OFF << self.attempt.failures.min(20)).min(LONGEST_BACK_OFF);
        let asked = retry_after.map_or(0, Span::as_millis_i64).min(2 * LONGEST_BACK_OFF);
        self.attempt.failures = self.attempt.failures.saturating_add(1);
        self.attempt.sending = false;
        self.attempt.next = now.saturating_add(own.max(asked));
    }
}

/// Why an attempt to send failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// How long the receiver asked to wait.
    pub retry_after: Option<Span>,
    /// A finite word.
    pub reason: String,
    /// One sentence, without secrets.
    pub message: String,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The receiver has it.
    Delivered,
    /// It will be tried again.
    Failing,
    /// It was given up; what it said is said again with the group's next message.
    Dropped,
}

impl Fate {
    /// The word in views and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failing => "failing",
            Self::Dropped => "dropped",
        }
    }
}
