//! kill -9 at any point loses no alert and repeats no message outside the window between sending it and noting that.

use std::time::{Duration, Instant};

use crate::support::resources::{health_rule, http_check, no_defaults, webhook};
use crate::support::{Conduct, Home, Sink, Target, eventually};

/// How long after its arrival a message may count as not yet noted. Only a kill within it excuses a repeat.
const WINDOW: Duration = Duration::from_secs(2);

struct World {
    target: Target,
    sink: Sink,
    home: Home,
    kills: Vec<Instant>,
}

impl World {
    fn new() -> Self {
        let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
        home.write("check.yaml", http_check("shop", &target.url()));
        home.write("rule.yaml", health_rule("shop-down", "shop", "1s"));
        home.write("hook.yaml", webhook("hook", &sink.url()));
        home.write("config.yaml", no_defaults());
        Self { target, sink, home, kills: Vec::new() }
    }

    fn kill(&mut self, vitals: crate::support::Running) {
        let said = vitals.kill_9();
        self.kills.push(Instant::now());
        crate::support::program::assert_no_panic(&said);
    }

    fn let_some_runs_pass(&self) {
        let before = self.target.asked();
        eventually("the check has run a few more times", || {
            if self.target.asked() >= before + 5 { Ok(()) } else { Err(self.target.asked()) }
        });
    }

    /// One episode, one key; a second copy only where a kill hit the window of the first.
    fn assert_told_once(&self, status: &str) {
        let told = self.sink.of("shop-down", status);
        assert!(!told.is_empty(), "nobody was told that the alert is {status}");
        for copy in &told[1..] {
            assert_eq!(copy.key, told[0].key, "a repeat carries the same key: {told:#?}");
            assert_eq!(copy.starts_at(), told[0].starts_at(), "it is the same episode: {told:#?}");
        }
        for pair in told.windows(2) {
            let excused = self.kills.iter().any(|kill| *kill >= pair[0].at && *kill <= pair[0].at + WINDOW);
            assert!(excused, "a message was repeated although no kill hit its window: {told:#?}");
        }
    }
}

#[test]
fn killed_between_a_send_and_its_note_the_message_is_repeated_with_the_same_key() {
    let mut world = World::new();
    world.sink.conduct(Conduct::Hang);
    let vitals = world.home.start();
    world.target.break_it();
    let first = world.sink.await_messages("shop-down", "firing", 1).remove(0);
    world.kill(vitals);

    world.sink.conduct(Conduct::Accept);
    let vitals = world.home.start();
    let told = world.sink.await_messages("shop-down", "firing", 2);
    assert_eq!(told[1].key, first.key);
    assert_eq!(told[1].starts_at(), first.starts_at());
    world.let_some_runs_pass();
    assert_eq!(world.sink.of("shop-down", "firing").len(), 2, "accepted once, it is not sent again");
    world.target.mend_it();
    world.sink.await_messages("shop-down", "resolved", 1);
    world.let_some_runs_pass();
    assert_eq!(world.sink.of("shop-down", "resolved").len(), 1);
    vitals.terminate();
}

#[test]
fn killed_after_the_note_nothing_is_repeated() {
    let mut world = World::new();
    let vitals = world.home.start();
    world.target.break_it();
    let first = world.sink.await_messages("shop-down", "firing", 1).remove(0);
    eventually("the window has passed", || if first.at.elapsed() > WINDOW { Ok(()) } else { Err("not yet") });
    let before = vitals.await_alert("shop-down", "active");
    world.kill(vitals);

    let vitals = world.home.start();
    let after = vitals.await_alert("shop-down", "active");
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["created_at"], before["created_at"]);
    world.let_some_runs_pass();
    assert_eq!(world.sink.about("shop-down").len(), 1, "{:#?}", world.sink.about("shop-down"));
    vitals.terminate();
}

#[test]
fn killed_while_the_end_is_being_sent_the_end_is_still_told() {
    let mut world = World::new();
    let vitals = world.home.start();
    world.target.break_it();
    world.sink.await_messages("shop-down", "firing", 1);
    world.let_some_runs_pass();
    world.sink.conduct(Conduct::Hang);
    world.target.mend_it();
    world.sink.await_messages("shop-down", "resolved", 1);
    world.kill(vitals);
    world.sink.conduct(Conduct::Accept);
    let vitals = world.home.start();
    world.sink.await_messages("shop-down", "resolved", 2);
    world.let_some_runs_pass();
    world.assert_told_once("firing");
    world.assert_told_once("resolved");
    vitals.terminate();
}

#[test]
fn an_acknowledgement_that_was_answered_survives_a_kill() {
    let mut world = World::new();
    let vitals = world.home.start();
    world.target.break_it();
    let id = vitals.await_alert("shop-down", "active")["id"].as_str().unwrap().to_owned();
    assert_eq!(vitals.post(&format!("/alerts/{id}/acknowledge"), "{\"comment\":\"mine\"}").status, 200);
    world.kill(vitals);
    let vitals = world.home.start();
    vitals.await_alert("shop-down", "acknowledged");
    vitals.terminate();
}

/// The moments are the test's input, not a wait for anything: each run of the program is killed at another point of
/// its start, its evaluation or its delivery.
fn kill_at_moments(seed: u64) {
    let mut world = World::new();
    world.target.break_it();
    let mut dice = seed;
    let mut moments = Vec::new();
    for _ in 0..6 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis((dice >> 33) % 2500);
        moments.push(moment);
        let vitals = world.home.start();
        std::thread::sleep(moment);
        world.kill(vitals);
    }
    println!("killed after {moments:?}");
    let vitals = world.home.start();
    world.sink.await_messages("shop-down", "firing", 1);
    vitals.await_alert("shop-down", "active");
    world.let_some_runs_pass();
    world.assert_told_once("firing");

    world.target.mend_it();
    for moment in &moments[..2] {
        std::thread::sleep(*moment / 4);
    }
    world.kill(vitals);
    let vitals = world.home.start();
    world.sink.await_messages("shop-down", "resolved", 1);
    world.let_some_runs_pass();
    world.assert_told_once("firing");
    world.assert_told_once("resolved");
    vitals.terminate();
}

#[test]
fn killed_at_six_moments_an_episode_is_told_once() {
    kill_at_moments(1);
}

#[test]
fn killed_at_six_other_moments_an_episode_is_told_once() {
    kill_at_moments(20);
}
