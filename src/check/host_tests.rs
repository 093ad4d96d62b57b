//! The host kinds against made-up file trees.

use std::time::{Duration, Instant};

use super::testing::env;
use super::*;
use crate::model::duration::Span;
use crate::model::health::Health;
use crate::model::plan::{Limits, Thresholds};

/// A host whose /proc says what the test wants.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        host.write("meminfo", "MemTotal: 1000 kB\nMemAvailable: 150 kB\n");
        host.write("loadavg", "0.10 3.00 1.00 1/2 3\n");
        host.write("stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n");
        host
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn check(&self, spec: serde_json::Value, thresholds: Thresholds) -> Result<Box<dyn Check>, CheckError> {
        let env = CheckEnv { roots: Roots::new(self.dir.path(), "/sys", "/"), ..env() };
        build(&ObjectKey::new("shop", "host"), &plan(spec, thresholds), &env)
    }

    async fn run(&self, spec: serde_json::Value, thresholds: Thresholds) -> Verdict {
        self.check(spec, thresholds).unwrap().run(Instant::now() + Duration::from_secs(20)).await
    }
}

fn plan(spec: serde_json::Value, thresholds: Thresholds) -> CheckPlan {
    CheckPlan {
        interval: Span::seconds(30),
        timeout: Span::seconds(10),
        retries: 0,
        failure_threshold: 3,
        success_threshold: 2,
        thresholds,
        component_type: String::new(),
        node_selector: Default::default(),
        spec: serde_json::from_value(spec).unwrap(),
    }
}

fn unhealthy(limits: Limits) -> Thresholds {
    Thresholds { unhealthy: limits, ..Thresholds::default() }
}

#[tokio::test]
async fn memory_is_judged_by_its_default_and_by_the_user_s_limit() {
    let host = Host::new();
    let verdict = host.run(serde_json::json!({"memory": {}}), Thresholds::default()).await;
    assert_eq!((verdict.health, verdict.reason), (Health::Unhealthy, "MemoryUsageHigh"));
    assert_eq!(verdict.message, "memory is 85 % used, above the limit of 80 %");
    let limits = Limits { memory: Some(90), ..Limits::default() };
    assert_eq!(host.run(serde_json::json!({"memory": {}}), unhealthy(limits)).await.health, Health::Healthy);
}

#[tokio::test]
async fn load_is_judged_per_processor() {
    let host = Host::new();
    for (spec, health) in [
        (serde_json::json!({}), Health::Healthy),
        (serde_json::json!({"perCore": "1.49"}), Health::Unhealthy),
        (serde_json::json!({"perCore": "2", "degradedPerCore": "1"}), Health::Degraded),
    ] {
        let verdict = host.run(serde_json::json!({ "load": spec }), Thresholds::default()).await;
        assert_eq!(verdict.health, health, "{}", verdict.message);
        assert_eq!(verdict.details["processors"], 2);
    }
    for bad in ["", ".", "inf", "-1", "1e3", "1.2.3"] {
        assert!(host.check(serde_json::json!({"load": {"perCore": bad}}), Thresholds::default()).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn cpu_is_judged_between_two_runs_and_the_first_run_has_a_result_of_its_own() {
    let host = Host::new();
    let check = host.check(serde_json::json!({"cpu": {}}), Thresholds::default()).unwrap();
    let soon = Instant::now() + Duration::from_secs(20);
    // Nothing moved between the two readings of the first run.
    assert_eq!(check.run(soon).await.reason, "NoTimePassed");
    host.write("stat", "cpu  80 0 0 20 0 0 0 0 0 0\n");
    let verdict = check.run(soon).await;
    assert_eq!(
        (verdict.health, verdict.message.as_str()),
        (Health::Unhealthy, "the processors are 80 % busy, above the limit of 75 %")
    );
    host.write("stat", "cpu  90 0 0 110 0 0 0 0 0 0\n");
    assert_eq!(check.run(soon).await.health, Health::Healthy);
    let real =
        build(&ObjectKey::new("shop", "cpu"), &plan(serde_json::json!({"cpu": {}}), Thresholds::default()), &env());
    assert_ne!(real.unwrap().run(soon).await.health, Health::Unknown);
}

#[tokio::test]
async fn the_disk_of_this_machine_is_judged_and_a_missing_path_is_unknown() {
    let host = Host::new();
    let limits = Limits { disk: Some(100), ..Limits::default() };
    let verdict = host.run(serde_json::json!({"disk": {"path": "/"}}), unhealthy(limits)).await;
    assert_eq!(verdict.health, Health::Healthy, "{}", verdict.message);
    assert!(verdict.details["totalBytes"].as_f64().unwrap() > 0.0);
    let verdict = host.run(serde_json::json!({"disk": {"path": "/nonexistent"}}), Thresholds::default()).await;
    assert_eq!(verdict.health, Health::Unknown);
    assert!(verdict.message.contains("/nonexistent"), "{}", verdict.message);
}

#[tokio::test]
async fn a_source_that_is_gone_or_garbled_is_unknown_and_named() {
    let host = Host::new();
    for (kind, file) in [("memory", "meminfo"), ("load", "loadavg"), ("cpu", "stat")] {
        host.write(file, "\u{0}garbage");
        let verdict = host.run(serde_json::json!({ kind: {} }), Thresholds::default()).await;
        assert_eq!(verdict.health, Health::Unknown, "{kind}");
        std::fs::remove_file(host.dir.path().join(file)).unwrap();
        let verdict = host.run(serde_json::json!({ kind: {} }), Thresholds::default()).await;
        assert_eq!(verdict.health, Health::Unknown, "{kind}");
        assert!(verdict.message.contains(file), "{}", verdict.message);
    }
}

#[test]
fn a_composite_check_is_refused_because_the_roll_up_judges_it() {
    let error = Host::new().check(serde_json::json!({"composite": {"checks": ["a"]}}), Thresholds::default()).err();
    assert_eq!(error, Some(CheckError::JudgedInRollUp));
}
