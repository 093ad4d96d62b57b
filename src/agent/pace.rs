//! When an agent writes its report: soon after a flip, rarely otherwise, never in a herd. Pure; time is an argument.
//!
//! The rules are DESIGN §6.3. `T` is the spread: max(1 s, agents of the role / 90), so that all agents together stay
//! below 90 writes a second even when every check in the cluster flips at once.

use std::collections::{HashMap, VecDeque};

use crate::model::labels::Fnv;
use crate::model::series::Millis;

/// Time between heartbeats, before jitter.
pub const HEARTBEAT: Millis = 5 * 60_000;
/// After adopting a plan the agent writes at the latest after this time.
pub const ADOPTION: Millis = 30_000;
/// More than three flips of one entry within this time make it flapping.
const FLAP_WINDOW: Millis = 10 * 60_000;
/// A flapping entry causes a write at most this often.
const FLAP_PAUSE: Millis = 5 * 60_000;
/// Flips within [`FLAP_WINDOW`] that are still normal.
const FLAP_LIMIT: usize = 3;
/// Longest back-off after refused writes.
const LONGEST_BACKOFF: Millis = 60_000;

/// Why a report is written: the label of `vitals_report_writes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing new: says that the agent lives.
    Heartbeat,
    /// A new plan has been adopted.
    Adopted,
    /// A check or an alert changed.
    Flip,
}

impl Cause {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Adopted => "adopted",
            Self::Flip => "flip",
        }
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A check's state, in this slot.
    Check(u32),
    /// An alert of the rule in this slot began to fire for the first time in its episode: never delayed by flapping.
    Firing(u32),
    /// An alert of the rule in this slot ended.
    Resolved(u32),
    /// An alert of the rule in this slot became pending.
    Pending(u32),
}

impl Change {
    fn slot(self) -> u32 {
        match self {
            Self::Check(slot) | Self::Firing(slot) | Self::Resolved(slot) | Self::Pending(slot) => slot,
        }
    }
}

/// The pace of one agent.
#[derive(Debug)]
pub struct Pace {
    /// `T`, milliseconds.
    spread: Millis,
    /// Whether a flip waits a random part of `T` first (every-node work) or goes at once (one agent, no herd).
    scatter: bool,
    /// Seeds the jitter.
    seed: u64,
    draws: u64,
    last_flip_write: Option<Millis>,
    due: Option<(Millis, Cause)>,
    /// What the report under way was due for; changes after it was built are not in it.
    sending: Option<(Millis, Cause)>,
    heartbeat_at: Millis,
    flips: HashMap<u32, VecDeque<Millis>>,
    flap_write: HashMap<u32, Millis>,
    not_before: Millis,
    failures: u32,
}

impl Pace {
    /// The pace of the agent of this name, started now.
    #[must_use]
    pub fn new(name: &str, spread: Millis, scatter: bool, now: Millis) -> Self {
        let mut pace = Self {
            spread,
            scatter,
            seed: Fnv::of(&[name]),
            draws: 0,
            last_flip_write: None,
            due: None,
            sending: None,
            heartbeat_at: now,
            flips: HashMap::new(),
            flap_write: HashMap::new(),
            not_before: now,
            failures: 0,
        };
        pace.heartbeat_at = now + pace.next_heartbeat();
        pace
    }

    /// Something changed: plan a write. Returns whether the entry is flapping.
    pub fn changed(&mut self, change: Change, now: Millis) -> bool {
        // Pending alone is worth a write only in small clusters; else it rides along with the next one.
        if matches!(change, Change::Pending(_)) && self.spread > 2000 {
            return false;
        }
        // Becoming pending is no flip: a rule that pends, fires and ends once would else be called flapping.
        let flapping = !matches!(change, Change::Pending(_)) && self.note_flip(change.slot(), now);
        let mut at = now;
        if self.scatter {
            at += self.draw(self.spread);
        }
        if let Some(last) = self.last_flip_write {
            at = at.max(last + self.spread);
        }
        if flapping && !matches!(change, Change::Firing(_)) {
            let last = self.flap_write.get(&change.slot()).copied().unwrap_or(now);
            at = at.max(last + FLAP_PAUSE);
        }
        self.plan(at, Cause::Flip);
        flapping
    }

    /// A plan was adopted and is not yet answered: write when [`Self::settled`] is called, or after 30 s.
    pub fn adopting(&mut self, now: Millis) {
        self.plan(now + ADOPTION, Cause::Adopted);
    }

    /// Every changed entry of the adopted plan has a result: write now.
    pub fn settled(&mut self, now: Millis) {
        self.plan(now, Cause::Adopted);
    }

    /// When to write next, and why.
    #[must_use]
    pub fn next(&self) -> (Millis, Cause) {
        let (at, cause) = match self.due {
            Some((at, cause)) if at <= self.heartbeat_at => (at, cause),
            _ => (self.heartbeat_at, Cause::Heartbeat),
        };
        (at.max(self.not_before), cause)
    }

    /// A report of everything so far is being built and sent. What changes from now on is due anew.
    pub fn begin(&mut self) {
        self.sending = self.due.take();
    }

    /// The report that [`Self::begin`] announced was taken.
    pub fn written(&mut self, now: Millis) {
        if matches!(self.sending.take(), Some((_, Cause::Flip))) {
            self.last_flip_write = Some(now);
            for (slot, flips) in &self.flips {
                if flips.len() > FLAP_LIMIT {
                    self.flap_write.insert(*slot, now);
                }
            }
            if let Some((at, Cause::Flip)) = &mut self.due {
                *at = (*at).max(now + self.spread);
            }
        }
        self.failures = 0;
        self.not_before = now;
        self.heartbeat_at = now + self.next_heartbeat();
    }

    /// The report that [`Self::begin`] announced was refused for now: it stays due, after the longer of what the other side asked and our back-off.
    pub fn refused(&mut self, after: Millis, now: Millis) {
        self.failures = self.failures.saturating_add(1);
        let backoff = (1000 << self.failures.min(6)).min(LONGEST_BACKOFF);
        self.not_before = now + after.max(backoff / 2 + self.draw(backoff / 2));
        let (at, cause) = self.sending.take().unwrap_or((now, Cause::Heartbeat));
        self.plan(at, cause);
    }

    /// Forgets slots that are no longer in the plan.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.flips.retain(|slot, _| keep(*slot));
        self.flap_write.retain(|slot, _| keep(*slot));
    }

    fn plan(&mut self, at: Millis, cause: Cause) {
        self.due = Some(match self.due {
            // The earlier time wins; the stronger cause is what the write is counted as.
            Some((earlier, old)) => (earlier.min(at), old.max(cause)),
            None => (at, cause),
        });
    }

    fn note_flip(&mut self, slot: u32, now: Millis) -> bool {
        let flips = self.flips.entry(slot).or_default();
        flips.push_back(now);
        while flips.front().is_some_and(|first| *first <= now - FLAP_WINDOW) || flips.len() > 2 * FLAP_LIMIT {
            flips.pop_front();
        }
        flips.len() > FLAP_LIMIT
    }

    fn next_heartbeat(&mut self) -> Millis {
        HEARTBEAT - HEARTBEAT / 10 + self.draw(HEARTBEAT / 5)
    }

    /// A number in 0..=limit, different for every agent and every draw.
    fn draw(&mut self, limit: Millis) -> Millis {
        self.draws += 1;
        let hash = Fnv::of(&[&self.seed.to_string(), &self.draws.to_string()]);
        // FNV's low bits are its best mixed ones only after folding.
        let mixed = (hash ^ (hash >> 32)) & 0xffff_ffff;
        (mixed as i64) % (limit.max(0) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone() -> Pace {
        Pace::new("node-1", 1000, false, 0)
    }

    fn write(pace: &mut Pace, at: Millis) {
        pace.begin();
        pace.written(at);
    }

    #[test]
    fn a_flip_while_a_report_is_under_way_is_not_forgotten() {
        let mut pace = alone();
        pace.changed(Change::Check(1), 5000);
        pace.begin();
        pace.changed(Change::Check(2), 5010);
        pace.written(5020);
        assert_eq!(pace.next(), (6020, Cause::Flip));
    }

    #[test]
    fn a_first_flip_is_written_at_once_and_the_next_one_t_later() {
        let mut pace = alone();
        pace.changed(Change::Check(1), 5000);
        assert_eq!(pace.next(), (5000, Cause::Flip));
        write(&mut pace, 5000);
        pace.changed(Change::Check(2), 5100);
        assert_eq!(pace.next(), (6000, Cause::Flip));
    }

    #[test]
    fn without_news_an_agent_writes_every_five_minutes_give_or_take_a_tenth() {
        let mut pace = alone();
        for _ in 0..200 {
            let (at, cause) = pace.next();
            assert_eq!(cause, Cause::Heartbeat);
            let last = pace.not_before;
            assert!((270_000..=330_000).contains(&(at - last)), "{}", at - last);
            write(&mut pace, at);
        }
    }

    #[test]
    fn any_write_postpones_the_heartbeat() {
        let mut pace = alone();
        pace.changed(Change::Check(1), 200_000);
        write(&mut pace, 200_000);
        assert!(pace.next().0 >= 470_000);
    }

    #[test]
    fn agents_that_flip_together_spread_over_t() {
        let mut firsts: Vec<Millis> = (0..900)
            .map(|agent| {
                let mut pace = Pace::new(&format!("node-{agent}"), 10_000, true, 0);
                pace.changed(Change::Check(1), 0);
                pace.next().0
            })
            .collect();
        firsts.sort_unstable();
        let busiest = firsts.chunk_by(|a, b| a / 1000 == b / 1000).map(<[_]>::len).max().unwrap();
        assert!(busiest <= 130, "{busiest} of 900 writes in one second, 90 expected");
    }

    #[test]
    fn a_flapping_check_is_written_every_five_minutes_but_a_first_firing_is_never_late() {
        let mut pace = alone();
        for second in 1..=3 {
            assert!(!pace.changed(Change::Check(1), second * 2000));
            let at = pace.next().0;
            write(&mut pace, at);
        }
        assert!(pace.changed(Change::Check(1), 8000));
        assert!(pace.next().0 >= 270_000, "{:?}", pace.next());
        pace.changed(Change::Firing(1), 12_000);
        assert_eq!(pace.next(), (12_000, Cause::Flip));
    }

    #[test]
    fn the_end_of_an_alert_is_told_at_once_however_often_it_pended() {
        let mut pace = alone();
        for second in 1..=9 {
            pace.changed(Change::Pending(1), second * 2000);
            let at = pace.next().0;
            write(&mut pace, at);
        }
        pace.changed(Change::Firing(1), 20_000);
        write(&mut pace, 20_000);
        pace.changed(Change::Resolved(1), 25_000);
        assert_eq!(pace.next(), (25_000, Cause::Flip));
    }

    #[test]
    fn pending_alone_does_not_write_in_a_large_cluster() {
        let mut pace = Pace::new("n", 5000, true, 0);
        pace.changed(Change::Pending(1), 1000);
        assert_eq!(pace.next().1, Cause::Heartbeat);
    }

    #[test]
    fn a_refused_write_stays_due_and_honours_the_wait_that_was_asked_for() {
        let mut pace = alone();
        pace.changed(Change::Check(1), 1000);
        pace.begin();
        pace.refused(20_000, 1000);
        assert_eq!(pace.next(), (21_000, Cause::Flip));
        for _ in 0..20 {
            pace.begin();
            pace.refused(0, 21_000);
        }
        assert!(pace.next().0 <= 21_000 + LONGEST_BACKOFF);
    }
}
