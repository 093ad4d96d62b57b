//! A whole installation in one process: files instead of an API server, a directory instead of its storage.

pub mod demo_targets;
pub mod files;
pub mod installation;
pub mod journal;
pub mod last_good;
pub mod one_node;
pub mod plan_channel;
pub mod report_file;
pub mod views;
pub mod watch;
pub mod yaml;
