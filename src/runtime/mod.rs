//! The process: clock, logs, shutdown, tasks, its own metrics, and files that survive a crash.

pub mod clock;
pub mod durable;
pub mod metrics;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
