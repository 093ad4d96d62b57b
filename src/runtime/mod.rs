//! The process: settings, logs, shutdown, tasks.
