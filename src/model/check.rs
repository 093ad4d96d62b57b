//! The trait of every check, and the time it is given.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use super::health::Verdict;
use super::needs::Needs;

/// A boxed future, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One check, ready to run as often as asked. One instance per plan entry; runs never overlap.
///
/// The scheduler cancels a run at its deadline by dropping the future and reports `DeadlineExceeded`;
/// a check should still use the deadline to divide time between its phases and to say which phase hung.
pub trait Check: Send + Sync {
    /// The kind's word (`http`, `disk`, …).
    fn kind(&self) -> &'static str;

    /// What it needs from the machine.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Runs once.
    fn run(&self, deadline: Instant) -> BoxFuture<'_, Verdict>;
}
