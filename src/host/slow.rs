//! Sources that take too long for a scrape (a clock frequency can take 20 ms per core): read on a thread of their own,
//! and told as of last time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const STACK_BYTES: usize = 128 << 10;

/// A value that a slow function makes every now and then, as long as somebody asks for it.
pub(crate) struct Slow<T> {
    make: Arc<dyn Fn() -> T + Send + Sync>,
    state: Arc<Mutex<State<T>>>,
    every: Duration,
}

struct State<T> {
    value: Option<T>,
    running: bool,
    started: Option<Instant>,
}

impl<T: Clone + Send + 'static> Slow<T> {
    pub(crate) fn new(every: Duration, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let state = State { value: None, running: false, started: None };
        Self { make: Arc::new(make), state: Arc::new(Mutex::new(state)), every }
    }

    /// The newest value there is; none until the first one is made. Never waits.
    pub(crate) fn latest(&self) -> Option<T> {
        let mut state = lock(&self.state);
        if !state.running && state.started.is_none_or(|started| started.elapsed() >= self.every) {
            let (make, shared) = (Arc::clone(&self.make), Arc::clone(&self.state));
            let thread = thread::Builder::new().name("slow source".into()).stack_size(STACK_BYTES);
            state.started = Some(Instant::now());
            // If no thread can be had now, it is tried again after a while.
            state.running = thread
                .spawn(move || {
                    let value = make();
                    let mut state = lock(&shared);
                    state.value = Some(value);
                    state.running = false;
                })
                .is_ok();
        }
        state.value.clone()
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_source_that_hangs_is_neither_waited_for_nor_asked_twice() {
        let (release, gate) = mpsc::channel::<u8>();
        let gate = Mutex::new(gate);
        let slow = Slow::new(Duration::ZERO, move || gate.lock().unwrap().recv().unwrap_or(0));
        assert_eq!(slow.latest(), None);
        assert_eq!(slow.latest(), None);
        release.send(7).unwrap();
        let value = loop {
            if let Some(value) = slow.latest() {
                break value;
            }
            thread::yield_now();
        };
        assert_eq!(value, 7);
    }
}
