//! The fleet's clock: the time of day for people and deadlines, and a clock that never jumps for waiting times.

use std::time::Instant;

use crate::model::series::Millis;
use crate::runtime::clock::now_millis;

/// One moment on both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix time.
    pub wall: Millis,
    /// Time since some moment before the process's first question; never goes back.
    pub mono: Millis,
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Now;
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { wall: now_millis(), mono: Millis::try_from(self.start.elapsed().as_millis()).unwrap_or(Millis::MAX) }
    }
}
