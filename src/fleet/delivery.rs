//! The fleet's heart beat: think, commit, send, note the outcome. One message at a time per receiver.
//!
//! An intent is committed before its message is sent, and its outcome after. Whatever is cut off in between is found
//! in the journal at the next start and sent again under the same idempotency key.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::core::TICK;
use super::{Fleet, FleetError};
use crate::alert::desk::{Fate, SendFailure};
use crate::model::check::BoxFuture;
use crate::model::fleet_plan::Integration;
use crate::model::notification::Notification;
use crate::model::object::ObjectKey;
use crate::model::ports::JournalError;
use crate::model::series::Millis;

/// Longest time that one attempt may take, whatever the receiver's own deadline says.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);
/// How long messages on their way are waited for when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Least time between two commits that no message waits for, in milliseconds.
const COMMIT_PAUSE: Millis = 1000;

/// Sends messages.
pub trait Deliver: Send + Sync {
    /// Sends one message. Must not retry by itself.
    fn deliver<'a>(
        &'a self,
        to: &'a Integration,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), SendFailure>>;
}

/// What a finished attempt tells: which message, and how it went.
type Sent = (String, Result<(), SendFailure>);

/// Messages on their way.
#[derive(Default)]
struct Outbox {
    sends: JoinSet<Sent>,
    /// Which message each task carries: a task that panics cannot say it itself.
    carried: HashMap<tokio::task::Id, (String, ObjectKey)>,
    busy: BTreeSet<ObjectKey>,
}

impl Outbox {
    /// Waits for the next outcome; for ever if nothing is on its way.
    async fn next(&mut self) -> Option<Sent> {
        let (id, sent) = match self.sends.join_next_with_id().await {
            Some(Ok((id, sent))) => (id, Some(sent)),
            Some(Err(failure)) => (failure.id(), None),
            None => return std::future::pending().await,
        };
        let (key, receiver) = self.carried.remove(&id)?;
        self.busy.remove(&receiver);
        Some(sent.unwrap_or_else(|| {
            let message = "the send broke off inside this process".to_owned();
            let reason = "SendPanicked".to_owned();
            (key, Err(SendFailure { retryable: true, retry_after: None, reason, message }))
        }))
    }
}

impl Fleet {
    /// Lives until `shutdown`. Call it once.
    ///
    /// # Errors
    /// Another leader has taken over: nothing more is decided or sent.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), FleetError> {
        let mut outbox = Outbox::default();
        let mut last_commit: Option<Millis> = None;
        loop {
            let now = self.clock.now();
            let waits = {
                let mut core = self.core();
                core.step(self.cluster.nodes(), now);
                core.collect();
                self.publish(&core);
                core.desk.intents().any(|intent| !intent.is_durable())
            };
            let rested = last_commit.is_none_or(|at| now.mono - at >= COMMIT_PAUSE);
            if (waits || rested) && self.commit_or_stop().await? {
                last_commit = Some(now.mono);
            }
            self.dispatch(&mut outbox);
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {}
                sent = outbox.next() => self.note_outcome(sent),
                () = tokio::time::sleep(Duration::from_millis(TICK.unsigned_abs())) => {}
            }
        }
        self.finish(outbox).await
    }

    /// Lets what is on its way arrive, and keeps what became of it.
    async fn finish(&self, mut outbox: Outbox) -> Result<(), FleetError> {
        let deadline = tokio::time::Instant::now() + LAST_WORDS;
        while !outbox.sends.is_empty() {
            match tokio::time::timeout_at(deadline, outbox.next()).await {
                Ok(sent) => self.note_outcome(sent),
                Err(_) => break,
            }
        }
        self.commit_or_stop().await.map(|_| ())
    }

    /// Commits what waits; true if anything was committed. A journal that cannot be written now is tried again later.
    async fn commit_or_stop(&self) -> Result<bool, FleetError> {
        match self.commit().await {
            Ok(any) => Ok(any),
            Err(JournalError::LostLeadership) => Err(FleetError::LostLeadership),
            Err(why) => {
                tracing::error!(reason = "JournalUnavailable", "{why}; messages wait until it can be written");
                Ok(true)
            }
        }
    }

    /// Makes everything that waits durable. Safe to cut off at any point: nothing is forgotten before it is kept.
    pub(super) async fn commit(&self) -> Result<bool, JournalError> {
        let _one_at_a_time = self.gate.lock().await;
        let batch = {
            let core = self.core();
            if core.pending.is_empty() {
                return Ok(false);
            }
            core.pending.batch()
        };
        self.journal.commit(batch.changes.clone()).await?;
        let mut core = self.core();
        core.pending.settle(&batch);
        let intents = batch.changes.iter().filter(|change| change.value.is_some());
        let keys: Vec<&str> =
            intents.filter_map(|change| change.key.split_once("/intent/")).map(|(_, key)| key).collect();
        core.desk.made_durable(keys);
        Ok(true)
    }

    /// Starts sending what is due, at most one message per receiver.
    fn dispatch(&self, outbox: &mut Outbox) {
        let mut core = self.core();
        let plan = Arc::clone(&core.plan);
        let mut starts = Vec::new();
        for intent in core.desk.due(self.clock.now().wall) {
            let receiver = intent.receiver();
            let Some(to) = plan.receivers.get(receiver) else { continue };
            if outbox.busy.insert(receiver.clone()) {
                starts.push((intent.key().to_owned(), to.integration.clone(), intent.notification.clone()));
            }
        }
        for (key, to, notification) in starts {
            core.desk.begin(&key);
            let deliver = Arc::clone(&self.deliver);
            let receiver = notification.receiver.clone();
            let sent_key = key.clone();
            let task = outbox.sends.spawn(async move {
                let attempt = deliver.deliver(&to, &notification);
                let outcome = tokio::time::timeout(LONGEST_ATTEMPT, attempt).await.unwrap_or_else(|_| {
                    let message = format!("no answer within {} s", LONGEST_ATTEMPT.as_secs());
                    Err(SendFailure { retryable: true, retry_after: None, reason: "DeadlineExceeded".into(), message })
                });
                (sent_key, outcome)
            });
            outbox.carried.insert(task.id(), (key, receiver));
        }
    }

    fn note_outcome(&self, sent: Option<Sent>) {
        let Some((key, outcome)) = sent else { return };
        let now = self.clock.now().wall;
        let mut core = self.core();
        let Some(receiver) = core.desk.intents().find(|i| i.key() == key).map(|intent| intent.receiver().clone())
        else {
            return;
        };
        match &outcome {
            Ok(()) => {
                core.failing.remove(&receiver);
            }
            Err(failure) => {
                tracing::warn!(%receiver, reason = failure.reason, "a message was not delivered: {}", failure.message);
                core.failing.insert(receiver.clone(), (failure.reason.clone(), now));
            }
        }
        if core.desk.finish(&key, outcome, now) == Fate::Dropped {
            tracing::error!(%receiver, "a message was given up; its alerts are told with the group's next one");
        }
        core.collect();
        core.version += 1;
        self.publish(&core);
    }
}
