//! Commands that need no server: `check`, `validate`, `crds` and the help.

use std::time::Duration;

use crate::support::resources::{check, http_check, rule};
use crate::support::{Home, Table, Target, vitals};

fn run_check(home: &Home, more: &[&str]) -> crate::support::program::Done {
    let path = home.resources().display().to_string();
    vitals(["check", path.as_str()].into_iter().chain(more.iter().copied()))
}

#[test]
fn check_ends_with_0_when_all_is_healthy() {
    let target = Target::start();
    let home = Home::with(&http_check("shop", &target.url()));
    let done = run_check(&home, &[]).expect_code(0);
    let table = Table::parse(&done.stdout);
    assert_eq!(table.cell("shop", "HEALTH").as_deref(), Some("Healthy"), "{}", done.stdout);
    assert_eq!(target.asked(), 1, "each check runs once");
}

#[test]
fn check_ends_with_1_when_something_is_unhealthy() {
    let (good, bad) = (Target::start(), Target::start());
    bad.break_it();
    let home = Home::with(&[http_check("good", &good.url()), http_check("bad", &bad.url())].concat());
    run_check(&home, &[]).expect_code(1).expect_words(&["good", "bad", "Unhealthy", "503"]);
}

#[test]
fn check_ends_with_3_when_something_is_degraded() {
    let target = Target::start();
    target.delay(Duration::from_millis(120));
    let body = format!("http: {{url: \"{}\"}}\nthresholds: {{degraded: {{responseTime: 20ms}}}}", target.url());
    run_check(&Home::with(&check("slow", &body)), &[]).expect_code(3).expect_words(&["Degraded"]);
}

#[test]
fn check_believes_a_single_run_whatever_the_thresholds() {
    let target = Target::start();
    target.break_it();
    let text = http_check("shop", &target.url()).replace("failureThreshold: 1", "failureThreshold: 10");
    run_check(&Home::with(&text), &[]).expect_code(1);
}

#[test]
fn check_writes_json_and_junit_for_machines() {
    let (good, bad) = (Target::start(), Target::start());
    bad.break_it();
    let home = Home::with(&[http_check("good", &good.url()), http_check("bad", &bad.url())].concat());
    let done = run_check(&home, &["-o", "json"]).expect_code(1);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let text = json.to_string();
    assert!(text.contains("\"good\"") && text.contains("\"bad\""), "{text}");
    assert!(text.to_lowercase().contains("\"unhealthy\""), "{text}");

    let junit = run_check(&home, &["-o", "junit"]).expect_code(1).stdout;
    assert!(junit.starts_with("<?xml"), "{junit}");
    for piece in ["<testsuite", "<testcase", "name=\"good\"", "name=\"bad\"", "<failure", "failures=\"1\""] {
        assert!(junit.contains(piece), "{piece} is missing in {junit}");
    }
}

#[test]
fn check_runs_composites_over_this_runs_results() {
    let (a, b) = (Target::start(), Target::start());
    b.break_it();
    let home = Home::with(
        &[http_check("a", &a.url()), http_check("b", &b.url()), check("any", "composite: {checks: [a, b], min: 1}")]
            .concat(),
    );
    let done = run_check(&home, &[]).expect_code(1);
    let table = Table::parse(&done.stdout);
    assert_eq!(table.cell("b", "HEALTH").as_deref(), Some("Unhealthy"));
    assert_ne!(table.cell("any", "HEALTH").as_deref(), Some("Unhealthy"), "{}", done.stdout);
}

#[test]
fn check_of_files_without_a_check_is_bad_input() {
    run_check(&Home::with(&rule("r", "expr: up")), &[]).expect_code(2).expect_words(&["HealthCheck"]);
}

#[test]
fn check_asks_a_running_program_when_told_to() {
    let target = Target::start();
    let home = Home::with(&http_check("shop", &target.url()));
    let running = home.start();
    running.await_health("shop", "healthy");
    vitals(["check", "--server", &running.url]).expect_code(0);
    target.break_it();
    running.await_health("shop", "unhealthy");
    vitals(["check", "--server", &running.url]).expect_code(1);
    let gone = running.url.clone();
    running.terminate();
    vitals(["check", "--server", &gone]).expect_code(2).expect_words(&[&gone]);
}

#[test]
fn crds_prints_all_seven_as_kubernetes_takes_them() {
    let done = vitals(["crds"]).expect_code(0);
    let documents: Vec<&str> = done.stdout.split("\n---").filter(|text| !text.trim().is_empty()).collect();
    assert_eq!(documents.len(), 7, "{:.500}", done.stdout);
    for kind in ["HealthCheck", "AlertRule", "Dashboard", "AlertReceiver", "Silence", "VitalsConfig", "AgentReport"] {
        let found = documents.iter().find(|text| text.contains(&format!("\n    kind: {kind}\n")));
        let text = found.unwrap_or_else(|| panic!("there is no CRD of kind {kind}"));
        assert!(text.contains("kind: CustomResourceDefinition"), "{kind}");
        assert!(text.contains("group: vitals.dev") && text.contains("v1alpha1"), "{kind}");
        assert!(text.len() < 262_144, "{kind} is {} bytes long", text.len());
    }
    for short in ["vhc", "valr", "vdb", "vrcv", "vsil", "vrep", "vcfg"] {
        assert!(done.stdout.contains(&format!("    - {short}\n")), "short name {short} is missing");
    }
}

#[test]
fn committed_crds_are_what_the_program_prints() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let printed = vitals(["crds"]).expect_code(0).stdout;
    let normal = |text: &str| -> Vec<String> {
        text.lines().map(str::trim_end).filter(|line| *line != "---" && !line.is_empty()).map(str::to_owned).collect()
    };
    let mut committed: Vec<_> = crate::support::program::files_below(&folder);
    committed.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    assert_eq!(committed.len(), 7, "one file per kind in crds/");
    let printed: Vec<Vec<String>> = printed.split("\n---").map(normal).filter(|lines| !lines.is_empty()).collect();
    for path in committed {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(printed.contains(&normal(&text)), "{} is out of date; `make crds` writes it anew", path.display());
    }
}

#[test]
fn every_command_explains_itself() {
    let help = vitals(["--help"]).expect_code(0).stdout;
    for command in ["run", "check", "validate", "get", "why", "query", "crds", "ack"] {
        assert!(help.contains(&format!("  {command} ")), "{command} is missing in:\n{help}");
        let own = vitals([command, "--help"]).expect_code(0).stdout;
        assert!(own.contains("Usage: vitals"), "{own}");
    }
    assert!(vitals(["--version"]).expect_code(0).stdout.starts_with("vitals "));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "\"$0\" crds | head -1", env!("CARGO_BIN_EXE_vitals")]);
    crate::support::program::finish(command).expect_code(0);
}

#[test]
fn the_embedding_example_shows_a_check_and_an_alert_from_code() {
    let mut command = std::process::Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--locked", "--example", "embed"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    crate::support::program::finish(command)
        .expect_code(0)
        .expect_words(&["listening on http://127.0.0.1:", "cache is Healthy; alert: The queue holds 12 orders"]);
}
