//! What the scheduler promises. Events are awaited; no test sleeps to see what happens.

use std::sync::atomic::AtomicUsize;

use tokio::sync::Semaphore;

use super::*;
use crate::model::health::Health;
use crate::model::plan::{CheckPlan, RulePlan, Thresholds};
use crate::model::spec::{CheckSpec, MemorySpec};

/// What the checks of a test do, by name, and what they saw.
#[derive(Default)]
struct Stage {
    /// Every run of check `held` takes a permit.
    gate: Option<Semaphore>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    begun: AtomicUsize,
    dropped: AtomicUsize,
}

struct Actor {
    name: String,
    stage: Arc<Stage>,
}

/// Notices the end of a run, also of one that is dropped.
struct Guard<'a>(&'a Stage, bool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Check for Actor {
    fn kind(&self) -> &'static str {
        match self.name.as_str() {
            "held" | "hangs" => "slow",
            _ => "quick",
        }
    }

    fn run(&self, _: Instant) -> BoxFuture<'_, Verdict> {
        let stage = &*self.stage;
        Box::pin(async move {
            let run = stage.begun.fetch_add(1, Ordering::SeqCst);
            let now = stage.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            stage.most_at_once.fetch_max(now, Ordering::SeqCst);
            let mut guard = Guard(stage, false);
            match self.name.as_str() {
                "panics" => panic!("on purpose"),
                "hangs" => std::future::pending().await,
                "held" => {
                    if let Some(gate) = &stage.gate {
                        gate.acquire().await.unwrap().forget();
                    }
                }
                _ => {}
            }
            guard.1 = true;
            match self.name.as_str() {
                "second-try" if run == 0 => Verdict::unhealthy("Broken", "first"),
                "broken" => Verdict::unhealthy("Broken", "always"),
                _ => Verdict::healthy("good"),
            }
        })
    }
}

fn entry(slot: u32, rev: u64, name: &str, interval: Span, retries: u32) -> Entry {
    let plan = CheckPlan {
        interval,
        timeout: if name == "hangs" { Span::millis(50) } else { Span::seconds(30) },
        retries,
        failure_threshold: 3,
        success_threshold: 2,
        thresholds: Thresholds::default(),
        component_type: String::new(),
        node_selector: Default::default(),
        spec: CheckSpec::Memory(MemorySpec {}),
    };
    Entry { slot, rev, key: ObjectKey::new("default", name), target: None, work: Work::Check(Box::new(plan)) }
}

const OFTEN: Span = Span::millis(20);
const SELDOM: Span = Span::seconds(3600);

struct Play {
    scheduler: Scheduler,
    results: mpsc::Receiver<Arc<Run>>,
    stage: Arc<Stage>,
    shutdown: CancellationToken,
}

impl Play {
    fn new(stage: Stage) -> Self {
        Self::with(stage, SchedulerConfig { first_runs_within: Some(Duration::ZERO), ..SchedulerConfig::new("node-1") })
    }

    fn with(stage: Stage, config: SchedulerConfig) -> Self {
        let stage = Arc::new(stage);
        let actors = Arc::clone(&stage);
        let build: Build = Box::new(move |key, _| match &*key.name {
            "refused" => Err(CheckError::JudgedInRollUp),
            name => Ok(Box::new(Actor { name: name.to_owned(), stage: Arc::clone(&actors) })),
        });
        let shutdown = CancellationToken::new();
        let (scheduler, results) = Scheduler::start(config, build, shutdown.clone());
        Self { scheduler, results, stage, shutdown }
    }

    async fn next(&mut self) -> Arc<Run> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.results.recv()).await;
        next.expect("no result within 20 s").expect("the scheduler ended")
    }
}

#[tokio::test]
async fn a_newly_planned_check_runs_at_once_and_then_at_its_interval() {
    let mut play = Play::new(Stage::default());
    play.scheduler.set_entries(&[entry(3, 7, "good", OFTEN, 0)]);
    for _ in 0..3 {
        let run = play.next().await;
        assert_eq!((run.slot, run.rev, run.key.to_string(), run.kind), (3, 7, "default/good".into(), "quick"));
        assert_eq!((run.verdict.health, run.attempts), (Health::Healthy, 1));
        assert!(run.started_at > 1_700_000_000_000);
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_of_that_check_alone() {
    let mut play = Play::new(Stage::default());
    play.scheduler.set_entries(&[entry(0, 1, "panics", OFTEN, 3), entry(1, 1, "good", OFTEN, 0)]);
    let (mut panicked, mut good) = (0, 0);
    while panicked < 2 || good < 2 {
        let run = play.next().await;
        match run.slot {
            0 => {
                assert_eq!((run.verdict.health, run.verdict.reason), (Health::Unhealthy, "Panicked"));
                panicked += 1;
            }
            _ => good += 1,
        }
    }
    assert!(play.scheduler.stats().panics.load(Ordering::Relaxed) >= 2);
}

#[tokio::test]
async fn a_hanging_check_ends_at_its_deadline_and_its_future_is_dropped() {
    let mut play = Play::new(Stage::default());
    play.scheduler.set_entries(&[entry(0, 1, "hangs", SELDOM, 5)]);
    let run = play.next().await;
    assert_eq!((run.verdict.health, run.verdict.reason), (Health::Unhealthy, "DeadlineExceeded"));
    assert!(run.verdict.message.contains("50ms"));
    assert_eq!(play.stage.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failed_run_is_repeated_at_once_and_only_the_last_attempt_counts() {
    let mut play = Play::new(Stage::default());
    play.scheduler.set_entries(&[entry(0, 1, "second-try", SELDOM, 2)]);
    let run = play.next().await;
    assert_eq!((run.verdict.health, run.attempts), (Health::Healthy, 2));
    play.scheduler.set_entries(&[entry(0, 2, "broken", SELDOM, 2)]);
    let run = play.next().await;
    assert_eq!((run.verdict.reason, run.attempts), ("Broken", 3));
}

#[tokio::test]
async fn a_check_can_be_run_once_without_a_schedule() {
    for (name, reason, attempts) in
        [("good", "Ok", 1), ("broken", "Broken", 3), ("panics", "Panicked", 1), ("hangs", "DeadlineExceeded", 1)]
    {
        let actor = Actor { name: name.into(), stage: Arc::default() };
        let timeout = if name == "hangs" { Duration::from_millis(20) } else { Duration::from_secs(20) };
        let (verdict, took) = run_once(&actor, timeout, 2).await;
        assert_eq!((verdict.reason, took), (reason, attempts), "{name}");
    }
}

#[tokio::test]
async fn a_check_never_overlaps_itself_and_missed_ticks_become_none() {
    let mut play = Play::new(Stage { gate: Some(Semaphore::new(0)), ..Stage::default() });
    play.scheduler.set_entries(&[entry(0, 1, "held", Span::millis(10), 0), entry(1, 1, "good", Span::millis(10), 0)]);
    // Held beyond several of its own intervals, while its neighbour goes on.
    while play.scheduler.stats().skipped.load(Ordering::Relaxed) < 3 {
        assert_eq!(play.next().await.slot, 1);
    }
    play.stage.gate.as_ref().unwrap().add_permits(1000);
    while play.next().await.slot != 0 {}
    assert!(play.stage.most_at_once.load(Ordering::SeqCst) <= 2, "one of each at most");
}

#[tokio::test]
async fn slow_checks_of_one_kind_do_not_take_the_places_of_another() {
    let at_once = HashMap::from([("slow", 2)]);
    let config = SchedulerConfig { at_once, first_runs_within: Some(Duration::ZERO), ..SchedulerConfig::new("n") };
    let mut play = Play::with(Stage { gate: Some(Semaphore::new(0)), ..Stage::default() }, config);
    let mut entries: Vec<Entry> = (0..10).map(|slot| entry(slot, 1, "held", SELDOM, 0)).collect();
    entries.push(entry(10, 1, "good", SELDOM, 0));
    play.scheduler.set_entries(&entries);
    assert_eq!(play.next().await.slot, 10, "the quick one did not wait");
    assert_eq!(play.scheduler.stats().waiting.load(Ordering::Relaxed), 8);
    play.stage.gate.as_ref().unwrap().add_permits(10);
    for _ in 0..10 {
        play.next().await;
    }
    assert!(play.stage.most_at_once.load(Ordering::SeqCst) <= 3, "two slow ones and a quick one");
    assert_eq!(play.scheduler.stats().waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_unchanged_entry_survives_a_new_plan_while_it_runs() {
    let mut play = Play::new(Stage { gate: Some(Semaphore::new(0)), ..Stage::default() });
    play.scheduler.set_entries(&[entry(0, 1, "held", SELDOM, 0)]);
    play.scheduler.set_entries(&[entry(0, 1, "held", SELDOM, 0), entry(1, 2, "good", SELDOM, 0)]);
    assert_eq!(play.next().await.slot, 1);
    play.stage.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(play.next().await.slot, 0);
    assert_eq!(play.stage.begun.load(Ordering::SeqCst), 2, "the held one began once");
    assert_eq!(play.stage.dropped.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_changed_entry_is_stopped_and_begun_anew() {
    let mut play = Play::new(Stage { gate: Some(Semaphore::new(0)), ..Stage::default() });
    play.scheduler.set_entries(&[entry(0, 1, "held", SELDOM, 0), entry(1, 1, "good", SELDOM, 0)]);
    assert_eq!(play.next().await.slot, 1);
    play.scheduler.set_entries(&[entry(0, 2, "good", SELDOM, 0), entry(1, 1, "good", SELDOM, 0)]);
    let run = play.next().await;
    assert_eq!((run.slot, run.rev, run.kind), (0, 2, "quick"));
}

#[tokio::test]
async fn a_removed_entry_gives_its_place_back() {
    let at_once = HashMap::from([("slow", 1)]);
    let config = SchedulerConfig { at_once, first_runs_within: Some(Duration::ZERO), ..SchedulerConfig::new("n") };
    let mut play = Play::with(Stage::default(), config);
    play.scheduler.set_entries(&[entry(0, 1, "hangs", SELDOM, 0)]);
    play.scheduler.set_entries(&[entry(1, 2, "held", SELDOM, 0)]);
    assert_eq!(play.next().await.slot, 1);
}

#[tokio::test]
async fn a_run_on_demand_is_answered_counted_and_limited() {
    let mut play = Play::new(Stage::default());
    play.scheduler.set_entries(&[entry(0, 1, "good", SELDOM, 0)]);
    play.next().await;
    let answered = play.scheduler.run_now(0).await.unwrap();
    assert_eq!(play.next().await, answered, "the same run is a result like any other");
    assert_eq!(play.scheduler.run_now(0).await, Err(RunNowError::TooOften));
    assert_eq!(play.scheduler.run_now(9).await, Err(RunNowError::NotPlanned));
}

#[tokio::test]
async fn a_run_on_demand_joins_the_run_in_progress() {
    let mut play = Play::new(Stage { gate: Some(Semaphore::new(0)), ..Stage::default() });
    play.scheduler.set_entries(&[entry(0, 1, "held", SELDOM, 0), entry(1, 1, "good", SELDOM, 0)]);
    assert_eq!(play.next().await.slot, 1);
    let mut asked = std::pin::pin!(play.scheduler.run_now(0));
    assert!(futures::poll!(asked.as_mut()).is_pending());
    // Commands are obeyed in order: once this one is answered, the first one was taken.
    assert_eq!(play.scheduler.run_now(9).await, Err(RunNowError::NotPlanned));
    play.stage.gate.as_ref().unwrap().add_permits(1);
    asked.await.unwrap();
    assert_eq!(play.stage.begun.load(Ordering::SeqCst), 2, "held and good, each once");
}

#[tokio::test]
async fn an_entry_that_cannot_be_made_or_understood_is_unknown_and_says_why() {
    let mut play = Play::new(Stage::default());
    let unsupported = Entry { work: Work::Unsupported("no such kind".into()), ..entry(1, 1, "x", SELDOM, 0) };
    let rule: RulePlan =
        serde_json::from_value(serde_json::json!({"name": "r", "expr": "1", "interval": "1m", "limit": 1})).unwrap();
    let rule = Entry { work: Work::Rule(Box::new(rule)), ..entry(2, 1, "rule", SELDOM, 0) };
    play.scheduler.set_entries(&[entry(0, 1, "refused", SELDOM, 0), unsupported, rule]);
    let mut seen = [play.next().await, play.next().await];
    seen.sort_by_key(|run| run.slot);
    assert_eq!((seen[0].verdict.health, seen[0].verdict.reason), (Health::Unknown, "JudgedInRollUp"));
    assert_eq!((seen[1].verdict.health, seen[1].verdict.reason), (Health::Unknown, "UnsupportedByAgent"));
    assert_eq!(play.scheduler.run_now(2).await, Err(RunNowError::NotPlanned));
}

#[tokio::test]
async fn shutdown_drops_running_checks_and_ends_the_results() {
    let mut play = Play::new(Stage::default());
    play.scheduler.set_entries(&[entry(0, 1, "hangs", SELDOM, 0), entry(1, 1, "good", SELDOM, 0)]);
    assert_eq!(play.next().await.slot, 1);
    play.shutdown.cancel();
    let end =
        tokio::time::timeout(Duration::from_secs(20), async { while play.results.recv().await.is_some() {} }).await;
    assert!(end.is_ok(), "the results did not end");
    assert_eq!(play.stage.at_once.load(Ordering::SeqCst), 0);
    assert_eq!(play.scheduler.run_now(1).await, Err(RunNowError::Gone));
}

#[tokio::test]
async fn progress_advances_without_any_check() {
    let play = Play::new(Stage::default());
    let progress = play.scheduler.progress();
    let first = progress.last();
    let advanced = async {
        while progress.last() <= first {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), advanced).await.is_ok());
}

#[tokio::test]
async fn a_slow_reader_of_results_loses_none() {
    let config = SchedulerConfig { results: 1, first_runs_within: Some(Duration::ZERO), ..SchedulerConfig::new("n") };
    let mut play = Play::with(Stage::default(), config);
    play.scheduler.set_entries(&(0..50).map(|slot| entry(slot, 1, "good", SELDOM, 0)).collect::<Vec<_>>());
    let mut slots = Vec::new();
    for _ in 0..50 {
        slots.push(play.next().await.slot);
    }
    slots.sort_unstable();
    assert_eq!(slots, (0..50).collect::<Vec<_>>());
}
