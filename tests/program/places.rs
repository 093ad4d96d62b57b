//! Where the program is told to work: paths, ports, state directories that are not what they should be.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::support::program::{Done, finish, program};
use crate::support::resources::check;
use crate::support::{Home, Running, vitals};

fn fails(command: Command, words: &[&str]) -> Done {
    finish(command).expect_code(2).expect_words(words)
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    for verb in ["run", "check", "validate"] {
        vitals([verb, "/no/such/place"]).expect_code(2).expect_words(&["/no/such/place"]);
    }
}

#[test]
fn a_directory_without_resources_is_named() {
    let home = Home::new();
    let shown = home.resources().display().to_string();
    for verb in ["run", "check", "validate"] {
        vitals([verb, &shown]).expect_code(2).expect_words(&[&shown]);
    }
    home.write("notes.txt", "not a resource");
    vitals(["run", &shown]).expect_code(2).expect_words(&[&shown, ".yaml"]);
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = Home::with(&check("load", "load: {}"));
    let mut command = program();
    command.arg("run").arg(home.resources()).arg("--state-dir").arg(home.state()).args(["--port", &port]);
    fails(command, &[&port, "--port"]);
}

#[test]
fn a_port_from_the_environment_is_used_and_the_flag_wins() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = Home::with(&check("load", "load: {}"));
    let mut command = program();
    command.arg("run").arg(home.resources()).arg("--state-dir").arg(home.state()).env("MONITORING_PORT", &port);
    fails(command, &[&port]);
    let mut command = home.command();
    command.env("MONITORING_PORT", &port);
    Running::start(command).terminate();
}

#[test]
fn a_state_directory_below_a_file_is_named() {
    let home = Home::with(&check("load", "load: {}"));
    std::fs::write(home.path("plain"), "a file").unwrap();
    let state = home.path("plain").join("state");
    let mut command = program();
    command.arg("run").arg(home.resources()).arg("--state-dir").arg(&state).args(["--port", "0"]);
    fails(command, &[&state.display().to_string(), "--state-dir"]);
}

#[test]
fn two_programs_do_not_share_a_state_directory() {
    let home = Home::with(&check("load", "load: {}"));
    let first = home.start();
    fails(home.command(), &[&home.state().display().to_string()]);
    assert_eq!(first.get("/health/live").status, 200);
    first.kill_9();
    home.start().terminate();
}

#[test]
fn several_paths_files_and_directories_are_read_together() {
    let home = Home::with(&check("first", "load: {perCore: \"10000\"}"));
    let single = home.path("single.yaml");
    std::fs::write(&single, check("second", "load: {perCore: \"10000\"}")).unwrap();
    let mut command = home.command();
    command.arg(&single);
    let vitals = Running::start(command);
    vitals.await_health("first", "healthy");
    vitals.await_health("second", "healthy");
    vitals.terminate();
}

#[test]
fn directories_are_descended_and_hidden_files_left_alone() {
    let home = Home::new();
    std::fs::create_dir(home.resources().join("local")).unwrap();
    home.write("local/deep.yaml", check("deep", "load: {perCore: \"10000\"}"));
    home.write(".swap.yaml", "{ not yaml");
    home.write("all.yml", check("flat", "load: {perCore: \"10000\"}"));
    let vitals = home.start();
    vitals.await_health("deep", "healthy");
    vitals.await_health("flat", "healthy");
    assert!(!vitals.terminate().contains(".swap.yaml"));
}

#[test]
fn an_unknown_flag_command_or_kind_is_bad_usage() {
    vitals(["run"]).expect_code(2);
    vitals(["fly"]).expect_code(2);
    vitals(["run", ".", "--no-such-flag"]).expect_code(2);
    vitals(["run", ".", "--port", "70000"]).expect_code(2).expect_words(&["70000"]);
    vitals(["run", ".", "--host", "no host", "--port", "0"]).expect_code(2);
}

#[test]
fn logs_are_text_or_json() {
    let home = Home::with(&check("load", "load: {perCore: \"10000\"}"));
    let mut command = home.command();
    command.args(["--log-format", "json"]);
    let vitals = Running::start(command);
    vitals.await_health("load", "healthy");
    let said = vitals.terminate();
    let json = said.lines().filter(|line| line.starts_with('{')).count();
    assert!(json > 0, "no JSON line in:\n{said}");
    for line in said.lines().filter(|line| line.starts_with('{')) {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
