//! The wheel of the scheduler: a heap of due times, places per kind, and what happens when a run ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::running::{Done, Job, run, unix_millis};
use super::{Command, Planned, Progress, Run, RunNowError, SchedulerConfig, Stats};
use crate::model::labels::Fnv;

/// Longest sleep: bounds how old [`Progress`] may be.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);
/// Runs at a time of a kind that the configuration does not name.
const DEFAULT_AT_ONCE: usize = 16;
/// Least time between two runs on demand of one check.
const ON_DEMAND_EVERY: Duration = Duration::from_secs(1);

/// A promise to somebody who asked for a run.
type Waiter = oneshot::Sender<Result<Arc<Run>, RunNowError>>;

/// One planned check.
struct Slot {
    job: Arc<Job>,
    interval: Duration,
    /// Its place within the interval, counted from the unix epoch.
    phase: Duration,
    /// Tells this occupant of the slot from earlier and later ones.
    generation: u64,
    /// The first run comes when planned, the next one at the phase.
    fresh: bool,
    state: State,
    waiters: Vec<Waiter>,
    on_demand: Option<Instant>,
}

enum State {
    Idle,
    /// Due, but all places of its kind are taken.
    Waiting,
    Running(AbortHandle),
}

/// The places of one kind.
struct Gate {
    running: usize,
    limit: usize,
    /// Who waits: slot, generation, since when due.
    queue: VecDeque<(u32, u64, Instant)>,
}

/// The scheduler's one task.
pub(super) struct Clockwork {
    config: SchedulerConfig,
    /// The unix time of an instant: taken once, so that a clock that is set does not move the phases.
    origin: (Instant, Duration),
    slots: HashMap<u32, Slot>,
    heap: BinaryHeap<Reverse<(Instant, u32, u64)>>,
    gates: HashMap<&'static str, Gate>,
    generations: u64,
    results: mpsc::Sender<Arc<Run>>,
    done: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    progress: Progress,
    stats: Arc<Stats>,
}

impl Clockwork {
    pub(super) fn new(
        config: SchedulerConfig,
        results: mpsc::Sender<Arc<Run>>,
        progress: Progress,
        stats: Arc<Stats>,
    ) -> Self {
        let unix = Duration::from_millis(unix_millis().unsigned_abs());
        Self {
            config,
            origin: (Instant::now(), unix),
            slots: HashMap::new(),
            heap: BinaryHeap::new(),
            gates: HashMap::new(),
            generations: 0,
            results,
            done: mpsc::unbounded_channel(),
            progress,
            stats,
        }
    }

    /// Turns until told to stop.
    pub(super) async fn turn(mut self, mut inbox: mpsc::UnboundedReceiver<Command>, shutdown: CancellationToken) {
        loop {
            self.progress.tick();
            let now = Instant::now();
            self.start_what_is_due(now);
            let next = self.heap.peek().map_or(now + LONGEST_SLEEP, |Reverse((due, ..))| *due);
            let wake = next.min(now + LONGEST_SLEEP);
            tokio::select! {
                () = shutdown.cancelled() => break,
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some(done) = self.done.1.recv() => {
                    self.finish(done);
                    // Many checks end in one turn: no need to go around for each.
                    while let Ok(done) = self.done.1.try_recv() {
                        self.finish(done);
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        for slot in self.slots.values() {
            if let State::Running(handle) = &slot.state {
                handle.abort();
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Change { planned, removed } => {
                for slot in removed {
                    self.remove(slot);
                }
                for planned in planned {
                    self.plan(planned);
                }
            }
            Command::RunNow { slot, answer } => self.run_now(slot, answer),
        }
    }

    fn plan(&mut self, Planned { job, interval }: Planned) {
        self.remove(job.slot);
        self.generations += 1;
        let (number, generation) = (job.slot, self.generations);
        let key = job.key.to_string();
        let hash = Fnv::of(&[&key, job.target.as_deref().unwrap_or_default(), &self.config.node]);
        let slot = Slot {
            phase: part_of(interval, hash),
            fresh: self.config.first_runs_within.is_some(),
            job,
            interval,
            generation,
            state: State::Idle,
            waiters: Vec::new(),
            on_demand: None,
        };
        let now = Instant::now();
        let due = match self.config.first_runs_within {
            Some(within) => now + part_of(within.min(interval), hash),
            None => self.next_tick(&slot, now),
        };
        self.heap.push(Reverse((due, number, generation)));
        self.slots.insert(number, slot);
    }

    fn remove(&mut self, number: u32) {
        let Some(slot) = self.slots.remove(&number) else { return };
        match slot.state {
            State::Running(handle) => {
                handle.abort();
                self.leave(slot.job.kind);
            }
            // Its place in the queue is passed over when its turn comes.
            State::Waiting => decrement(&self.stats.waiting),
            State::Idle => {}
        }
    }

    fn run_now(&mut self, number: u32, answer: Waiter) {
        let now = Instant::now();
        let Some(slot) = self.slots.get_mut(&number) else {
            let _ = answer.send(Err(RunNowError::NotPlanned));
            return;
        };
        if slot.on_demand.is_some_and(|last| now.duration_since(last) < ON_DEMAND_EVERY) {
            let _ = answer.send(Err(RunNowError::TooOften));
            return;
        }
        slot.on_demand = Some(now);
        slot.waiters.push(answer);
        if matches!(slot.state, State::Idle) {
            self.begin(number, now, true);
        }
    }

    fn start_what_is_due(&mut self, now: Instant) {
        while let Some(Reverse((due, number, generation))) = self.heap.peek().copied() {
            if due > now {
                return;
            }
            self.heap.pop();
            let Some(slot) = self.slots.get_mut(&number).filter(|slot| slot.generation == generation) else { continue };
            let idle = matches!(slot.state, State::Idle);
            // A second run right after the first would say nothing new.
            let after = if std::mem::take(&mut slot.fresh) { now + slot.interval / 2 } else { now };
            let next = next_tick(self.origin, slot.interval, slot.phase, after);
            self.heap.push(Reverse((next, number, generation)));
            if idle {
                self.begin(number, due, false);
            } else {
                self.stats.skipped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Starts an idle check, or lets it wait for a place.
    fn begin(&mut self, number: u32, due: Instant, urgent: bool) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        let at_once = &self.config.at_once;
        let kind = slot.job.kind;
        let gate = self.gates.entry(kind).or_insert_with(|| Gate {
            running: 0,
            limit: at_once.get(kind).copied().unwrap_or(DEFAULT_AT_ONCE).max(1),
            queue: VecDeque::new(),
        });
        if gate.running >= gate.limit {
            slot.state = State::Waiting;
            self.stats.waiting.fetch_add(1, Ordering::Relaxed);
            let ticket = (number, slot.generation, due);
            if urgent {
                gate.queue.push_front(ticket)
            } else {
                gate.queue.push_back(ticket)
            }
            return;
        }
        gate.running += 1;
        self.stats.running.fetch_add(1, Ordering::Relaxed);
        let (results, done, stats) = (self.results.clone(), self.done.0.clone(), Arc::clone(&self.stats));
        let task = tokio::spawn(run(Arc::clone(&slot.job), slot.generation, due, results, done, stats));
        slot.state = State::Running(task.abort_handle());
    }

    fn finish(&mut self, (number, generation, run): Done) {
        // A run of an earlier occupant gave its place back when that was removed.
        let Some(slot) = self.slots.get_mut(&number).filter(|slot| slot.generation == generation) else { return };
        slot.state = State::Idle;
        for waiter in slot.waiters.drain(..) {
            let _ = waiter.send(Ok(Arc::clone(&run)));
        }
        let kind = slot.job.kind;
        self.leave(kind);
    }

    /// Gives a place of this kind back and lets the next one in.
    fn leave(&mut self, kind: &'static str) {
        decrement(&self.stats.running);
        let Some(gate) = self.gates.get_mut(kind) else { return };
        gate.running = gate.running.saturating_sub(1);
        while let Some((number, generation, due)) = gate.queue.pop_front() {
            let waiting = |slot: &&mut Slot| slot.generation == generation && matches!(slot.state, State::Waiting);
            if let Some(slot) = self.slots.get_mut(&number).filter(waiting) {
                slot.state = State::Idle;
                decrement(&self.stats.waiting);
                self.begin(number, due, false);
                return;
            }
        }
    }

    fn next_tick(&self, slot: &Slot, after: Instant) -> Instant {
        next_tick(self.origin, slot.interval, slot.phase, after)
    }
}

/// The first instant after `after` whose unix time is `phase` past a multiple of `interval`.
fn next_tick(origin: (Instant, Duration), interval: Duration, phase: Duration, after: Instant) -> Instant {
    let (began, unix) = origin;
    let now = (unix + after.saturating_duration_since(began)).as_micros();
    let (interval, phase) = (interval.as_micros().max(1), phase.as_micros());
    let since = (now + interval - phase % interval) % interval;
    after + Duration::from_micros(u64::try_from(interval - since).unwrap_or(u64::MAX))
}

/// A share of `whole` that depends on nothing but the hash.
fn part_of(whole: Duration, hash: u64) -> Duration {
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX).max(1);
    // FNV's low bits are its weakest for short texts; fold the high half in.
    Duration::from_micros((hash ^ (hash >> 32)) % micros)
}

fn decrement(gauge: &AtomicU64) {
    gauge.fetch_sub(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_tick_is_the_first_one_of_its_phase(
            unix in 0u64..2_000_000_000_000, later in 0u64..100_000_000, interval in 1u64..3_600_000, hash: u64,
        ) {
            let origin = (Instant::now(), Duration::from_millis(unix));
            let interval = Duration::from_millis(interval);
            let phase = part_of(interval, hash);
            prop_assert!(phase < interval);
            let after = origin.0 + Duration::from_micros(later);
            let tick = next_tick(origin, interval, phase, after);
            prop_assert!(tick > after && tick <= after + interval);
            let at = origin.1 + tick.duration_since(origin.0);
            prop_assert_eq!(at.as_micros() % interval.as_micros(), phase.as_micros());
            prop_assert_eq!(next_tick(origin, interval, phase, tick), tick + interval);
        }
    }
}
