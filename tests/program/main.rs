//! The built program from outside: started as a user starts it, judged by what it prints, answers, sends and keeps.
//!
//! One test binary, so that tests that mostly wait for one-second intervals wait side by side. Every test has its own
//! home directory, ports and scripted world; none needs root or a network beyond loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing; clippy knows only functions marked #[test] as tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bad_state;
mod checks;
mod cli_files;
mod cli_views;
mod endpoints;
mod flow;
mod harness;
mod kill_points;
mod metrics;
mod places;
mod quickstart;
mod reload;
mod restart;
