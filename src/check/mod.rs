//! Checks: one kind per file, and the scheduler that runs them.
