//! Asking file systems how full they are, on threads of their own: `statfs` on a dead NFS server never returns.
//!
//! Each question is asked by a worker thread. A worker that hangs is left alone and another one takes the rest of the
//! queue, so a hung mount costs one sleeping thread and nobody else's answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// More hung mounts than this are not asked any more.
const MOST_WORKERS: usize = 32;
/// A worker asks and stores; it needs little.
const STACK_BYTES: usize = 128 << 10;

/// How full a file system is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::host) struct Usage {
    /// Its size in bytes.
    pub(in crate::host) size: f64,
    /// Bytes free.
    pub(in crate::host) free: f64,
    /// Bytes free for others than root.
    pub(in crate::host) available: f64,
    /// File nodes.
    pub(in crate::host) files: f64,
    /// File nodes free.
    pub(in crate::host) files_free: f64,
}

/// Asks the file system that a path lies on. May hang for as long as the file system does.
pub(in crate::host) fn usage(path: &Path) -> io::Result<Usage> {
    let answer = rustix::fs::statfs(path)?;
    let block = answer.f_bsize as f64;
    Ok(Usage {
        size: answer.f_blocks as f64 * block,
        free: answer.f_bfree as f64 * block,
        available: answer.f_bavail as f64 * block,
        files: answer.f_files as f64,
        files_free: answer.f_ffree as f64,
    })
}

/// What is known of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// The last answer.
    Usage(Usage),
    /// The system's error, in words.
    Failed(String),
    /// It has not answered for longer than it may.
    Stuck,
    /// It has not answered yet.
    Pending,
}

type Ask = Box<dyn Fn(&Path) -> io::Result<Usage> + Send + Sync>;

/// The threads that ask.
pub(super) struct Asker(Arc<Shared>);

struct Shared {
    ask: Ask,
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<PathBuf>,
    /// Being asked: since when, and in which round.
    busy: HashMap<PathBuf, (Instant, u64)>,
    answers: HashMap<PathBuf, Answer>,
    round: u64,
    workers: usize,
    idle: usize,
    closed: bool,
}

impl State {
    fn round_is_over(&self) -> bool {
        self.queue.is_empty() && self.busy.values().all(|(_, round)| *round != self.round)
    }
}

impl Asker {
    pub(super) fn new(ask: Ask) -> Self {
        let (state, work, done) = Default::default();
        Self(Arc::new(Shared { ask, state, work, done }))
    }

    /// Asks all these paths anew, except those that still owe an answer, and waits at most this long. Forgets all others.
    pub(super) fn ask(&self, paths: HashSet<&Path>, patience: Duration) {
        let mut state = self.0.lock();
        state.round += 1;
        state.answers.retain(|path, _| paths.contains(path.as_path()));
        // What an earlier round left in the queue is asked in this one.
        state.queue.retain(|path| paths.contains(path.as_path()));
        let waiting: HashSet<&Path> = state.queue.iter().map(PathBuf::as_path).collect();
        let owed = |path: &&Path| state.busy.contains_key(*path) || waiting.contains(*path);
        let mut new: Vec<PathBuf> = paths.into_iter().filter(|path| !owed(path)).map(Path::to_path_buf).collect();
        new.sort_unstable();
        state.queue.extend(new);
        let deadline = Instant::now() + patience;
        self.0.provide_worker(&mut state);
        while !state.round_is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let (guard, waited) =
                self.0.done.wait_timeout(state, left.min(patience / 4)).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() {
                // The worker hangs: another one shall take the rest.
                self.0.provide_worker(&mut state);
            }
        }
    }

    /// What is known of a path that may take this long to answer.
    pub(super) fn answer(&self, path: &Path, timeout: Duration) -> Answer {
        let state = self.0.lock();
        match state.busy.get(path) {
            Some((since, _)) if since.elapsed() >= timeout => Answer::Stuck,
            // All threads hang: this one's turn will not come.
            None if state.workers == MOST_WORKERS && state.busy.len() == MOST_WORKERS => Answer::Stuck,
            _ => state.answers.get(path).cloned().unwrap_or(Answer::Pending),
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at every point where a panic could be.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a worker for the queue, or starts one.
    fn provide_worker(self: &Arc<Self>, state: &mut State) {
        if state.queue.is_empty() {
            return;
        }
        if state.idle > 0 {
            self.work.notify_one();
        } else if state.workers < MOST_WORKERS {
            let shared = Arc::clone(self);
            let worker = thread::Builder::new().name("statfs".into()).stack_size(STACK_BYTES);
            if worker.spawn(move || shared.work()).is_ok() {
                state.workers += 1;
            }
        }
    }

    fn work(&self) {
        let mut state = self.lock();
        while !state.closed {
            if let Some(path) = state.queue.pop_front() {
                let round = state.round;
                state.busy.insert(path.clone(), (Instant::now(), round));
                drop(state);
                let answer = match (self.ask)(&path) {
                    Ok(usage) => Answer::Usage(usage),
                    Err(error) => Answer::Failed(words_of(&error)),
                };
                state = self.lock();
                state.busy.remove(&path);
                state.answers.insert(path, answer);
                if state.round_is_over() {
                    self.done.notify_all();
                }
            } else if state.idle > 0 {
                // One that waits is enough.
                break;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
        state.workers -= 1;
    }
}

/// The system's words for an error as Go writes them (`permission denied`), without a number.
fn words_of(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_root_file_system_tells_how_full_it_is() {
        let usage = usage(Path::new("/")).unwrap();
        assert!(usage.size > 0.0 && usage.free <= usage.size && usage.available <= usage.free, "{usage:?}");
    }

    #[test]
    fn errors_are_told_in_words() {
        let asker = Asker::new(Box::new(usage));
        asker.ask(HashSet::from([Path::new("/nowhere")]), LONG);
        assert_eq!(asker.answer(Path::new("/nowhere"), LONG), Answer::Failed("no such file or directory".into()));
    }

    #[test]
    fn a_hung_file_system_keeps_nobody_else_from_answering_and_recovers() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let asker = Asker::new(Box::new(move |path| {
            if path == Path::new("/a/hung") {
                let _ = gate.lock().unwrap().recv();
            }
            Ok(Usage::default())
        }));
        let paths = ["/a/hung", "/b", "/c", "/d"].map(Path::new);
        asker.ask(HashSet::from(paths), Duration::from_millis(400));
        for path in &paths[1..] {
            assert_eq!(asker.answer(path, LONG), Answer::Usage(Usage::default()), "{}", path.display());
        }
        assert_eq!(asker.answer(paths[0], LONG), Answer::Pending);
        assert_eq!(asker.answer(paths[0], Duration::ZERO), Answer::Stuck);

        // The next round neither waits for it nor asks it again.
        asker.ask(HashSet::from(paths), LONG);
        assert_eq!(asker.answer(paths[0], Duration::ZERO), Answer::Stuck);

        release.send(()).unwrap();
        release.send(()).unwrap();
        while asker.answer(paths[0], Duration::ZERO) == Answer::Stuck {
            thread::yield_now();
        }
        assert_eq!(asker.answer(paths[0], Duration::ZERO), Answer::Usage(Usage::default()));
    }

    #[test]
    fn what_is_not_asked_any_more_is_forgotten() {
        let asker = Asker::new(Box::new(|_| Ok(Usage::default())));
        asker.ask(HashSet::from([Path::new("/a")]), LONG);
        asker.ask(HashSet::from([Path::new("/b")]), LONG);
        assert_eq!(asker.answer(Path::new("/a"), LONG), Answer::Pending);
    }
}
