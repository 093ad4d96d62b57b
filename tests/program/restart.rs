//! What a stop and a start in the same state directory keep.

use rustix::process::Signal;

use crate::support::resources::{check, health_rule, http_check, no_defaults, webhook};
use crate::support::{Home, Sink, Target, eventually, vitals};

fn world(hold: &str) -> (Target, Sink, Home) {
    let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
    home.write("check.yaml", http_check("shop", &target.url()));
    home.write("rule.yaml", health_rule("shop-down", "shop", hold));
    home.write("hook.yaml", webhook("hook", &sink.url()));
    home.write("config.yaml", no_defaults());
    (target, sink, home)
}

fn let_some_runs_pass(target: &Target) {
    let before = target.asked();
    eventually("the check has run a few more times", || {
        if target.asked() >= before + 4 { Ok(()) } else { Err(target.asked()) }
    });
}

#[test]
fn a_firing_alert_and_what_was_told_survive_a_restart() {
    let (target, sink, home) = world("0s");
    let first = home.start();
    target.break_it();
    let before = first.await_alert("shop-down", "active");
    sink.await_messages("shop-down", "firing", 1);
    let_some_runs_pass(&target);
    first.terminate();

    let second = home.start();
    let after = second.await_alert("shop-down", "active");
    for key in ["id", "created_at", "severity"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    let_some_runs_pass(&target);
    assert_eq!(sink.about("shop-down").len(), 1, "it was told before: {:#?}", sink.about("shop-down"));
    target.mend_it();
    sink.await_messages("shop-down", "resolved", 1);
    let_some_runs_pass(&target);
    let told = sink.about("shop-down");
    assert_eq!(told.len(), 2, "{told:#?}");
    let history = second.json("/alerts/history");
    let past = history["alerts"].as_array().unwrap().iter().find(|alert| alert["name"] == "shop-down").unwrap();
    assert_eq!(past["notifications"].as_array().map(Vec::len), Some(2), "the log spans the restart: {past}");
    second.terminate();

    let third = home.start();
    let kept = third.json("/alerts/history");
    assert!(kept["alerts"].as_array().unwrap().iter().any(|alert| alert["name"] == "shop-down"), "{kept}");
    third.terminate();
}

#[test]
fn an_acknowledgement_survives_a_restart() {
    let (target, _sink, home) = world("0s");
    let first = home.start();
    target.break_it();
    let id = first.await_alert("shop-down", "active")["id"].as_str().unwrap().to_owned();
    let done = vitals(["ack", &id, "--comment", "mine", "--server", &first.url]).expect_code(0);
    assert!(done.said().contains("shop-down") || done.said().contains(&id), "{}", done.said());
    first.await_alert("shop-down", "acknowledged");
    first.terminate();

    let second = home.start();
    second.await_alert("shop-down", "acknowledged");
    let_some_runs_pass(&target);
    assert_eq!(second.alert("shop-down").unwrap()["status"], "acknowledged");
    second.terminate();
}

#[test]
fn a_pending_alert_keeps_its_start_over_a_restart() {
    let (target, sink, home) = world("1h");
    let first = home.start();
    target.break_it();
    let before = first.await_alert("shop-down", "pending");
    first.terminate();
    let second = home.start();
    let after = second.await_alert("shop-down", "pending");
    assert_eq!(after["created_at"], before["created_at"]);
    assert!(sink.about("shop-down").is_empty());
    second.terminate();
}

#[test]
fn a_target_mended_while_the_program_was_away_is_told_once() {
    let (target, sink, home) = world("0s");
    let first = home.start();
    target.break_it();
    sink.await_messages("shop-down", "firing", 1);
    let_some_runs_pass(&target);
    first.terminate();
    target.mend_it();
    let second = home.start();
    sink.await_messages("shop-down", "resolved", 1);
    let_some_runs_pass(&target);
    assert_eq!(sink.about("shop-down").len(), 2, "{:#?}", sink.about("shop-down"));
    second.terminate();
}

#[test]
fn a_rule_deleted_while_the_program_was_away_leaves_no_alert_behind() {
    let (target, sink, home) = world("0s");
    let first = home.start();
    target.break_it();
    sink.await_messages("shop-down", "firing", 1);
    first.terminate();
    home.remove("rule.yaml");
    let second = home.start();
    second.await_health("shop", "unhealthy");
    eventually("the alert is gone", || match second.alert("shop-down") {
        None => Ok(()),
        Some(alert) => Err(alert),
    });
    second.terminate();
}

#[test]
fn history_of_metrics_survives_a_restart() {
    let home = Home::with(&check("load", "load: {}"));
    let count = |url: &str| -> f64 {
        let expr = "sum(count_over_time(node_memory_MemTotal_bytes[10m]))";
        let done = vitals(["query", expr, "--server", url]).expect_code(0);
        let number = done.stdout.split_whitespace().rev().find_map(|word| word.parse().ok());
        number.unwrap_or(0.0)
    };
    let first = home.start();
    eventually("there is a sample", || if count(&first.url) >= 1.0 { Ok(()) } else { Err("none") });
    first.terminate();
    let second = home.start();
    eventually("old and new samples are there", || {
        let now = count(&second.url);
        if now >= 2.0 { Ok(()) } else { Err(now) }
    });
    second.terminate();
}

#[test]
fn ctrl_c_and_sigterm_end_it_cleanly_even_while_everything_hangs() {
    for signal in [Signal::INT, Signal::TERM] {
        let (target, sink, home) = world("0s");
        let vitals = home.start();
        target.break_it();
        sink.conduct(crate::support::Conduct::Hang);
        sink.await_messages("shop-down", "firing", 1);
        target.delay(std::time::Duration::from_secs(30));
        let before = target.asked();
        eventually("a run hangs", || if target.asked() > before { Ok(()) } else { Err(before) });
        let (status, said) = vitals.signal(signal);
        assert_eq!(status.code(), Some(0), "after {signal:?}: {status}\n{said}");
        crate::support::program::assert_no_panic(&said);
    }
}
