//! A whole installation in one process: files instead of an API server, a directory instead of its storage.

pub mod demo_targets;
pub mod files;
pub mod journal;
pub mod plan_channel;
pub mod report_file;
pub mod watch;
pub mod yaml;
