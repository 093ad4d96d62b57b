//! The clock: the only place that asks the system for the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::series::Millis;

/// Unix time in milliseconds.
#[must_use]
pub fn now_millis() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Unix time in seconds.
#[must_use]
pub fn now_seconds() -> i64 {
    now_millis() / 1000
}
