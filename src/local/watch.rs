//! Watching resource files: inotify where it works, a look at the files every ten seconds where it does not (network
//! file systems, mounted ConfigMaps whose symlink is swapped).

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// An editor saves in several steps: a change is believed when the files have been quiet for this long.
const QUIET: Duration = Duration::from_millis(200);
/// The look at the files, in case no event comes.
const LOOK: Duration = Duration::from_secs(10);

/// Tells when resource files may have changed.
pub struct Watch {
    paths: Vec<PathBuf>,
    events: mpsc::Receiver<()>,
    /// Dropped, it stops watching.
    _watcher: Option<notify::RecommendedWatcher>,
    seen: u64,
}

impl Watch {
    /// Watches files and directories.
    #[must_use]
    pub fn new(paths: &[PathBuf]) -> Self {
        let (sender, events) = mpsc::channel(1);
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change; and one waiting event says as much as a hundred.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        });
        let watcher = match made {
            Ok(mut watcher) => {
                for path in paths {
                    // A file is replaced by editors: its directory is what keeps being there.
                    let place = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(path) };
                    if let Err(why) = watcher.watch(place, RecursiveMode::Recursive) {
                        tracing::debug!(path = %place.display(), %why, "no events for this path; looking instead");
                    }
                }
                Some(watcher)
            }
            Err(why) => {
                tracing::debug!(%why, "no file events on this system; looking instead");
                None
            }
        };
        Self { paths: paths.to_vec(), events, _watcher: watcher, seen: stamp(paths) }
    }

    /// Waits until the files differ from what they were at the last call.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                event = self.events.recv() => {
                    if event.is_none() {
                        tokio::time::sleep(LOOK).await;
                    }
                    while tokio::time::timeout(QUIET, self.events.recv()).await.is_ok_and(|event| event.is_some()) {}
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = stamp(&self.paths);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

/// A number that changes when a file below the paths comes, goes or is written.
fn stamp(paths: &[PathBuf]) -> u64 {
    let mut hash = DefaultHasher::new();
    for path in paths {
        stamp_path(path, 0, &mut hash);
    }
    hash.finish()
}

fn stamp_path(path: &Path, depth: usize, hash: &mut DefaultHasher) {
    path.hash(hash);
    let Ok(meta) = std::fs::metadata(path) else { return };
    if meta.is_dir() {
        // Resource directories are flat but for `local/`; the bound keeps a link to `/` harmless.
        if depth > 2 {
            return;
        }
        let Ok(entries) = std::fs::read_dir(path) else { return };
        let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).take(10_000).collect();
        names.sort();
        for name in names {
            stamp_path(&name, depth + 1, hash);
        }
    } else {
        meta.len().hash(hash);
        meta.modified().ok().hash(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writing_a_file_is_noticed_and_reading_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        std::fs::write(&file, "a: 1").unwrap();
        let mut watch = Watch::new(&[dir.path().to_owned()]);
        let before = stamp(&[dir.path().to_owned()]);
        std::fs::read(&file).unwrap();
        assert_eq!(stamp(&[dir.path().to_owned()]), before);
        std::fs::write(dir.path().join("b.yaml"), "b: 1").unwrap();
        tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.unwrap();
    }
}
