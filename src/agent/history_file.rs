//! History over a restart: a snapshot of the store, written every minute and at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::runtime::{durable, metrics};
use crate::store::Store;

/// How often history is written.
const EVERY: Duration = Duration::from_secs(60);
/// Largest snapshot that is read back, in bytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Reads the snapshot into the store. Returns what to tell the user, if it cannot be read; it is then put aside.
pub fn restore(store: &Store, path: &Path) -> Option<String> {
    let size = std::fs::metadata(path).ok()?.len();
    let read = if size > MAX_BYTES {
        Err(format!("{size} bytes long"))
    } else {
        std::fs::read(path)
            .map_err(|why| why.to_string())
            .and_then(|bytes| store.restore(&bytes).map_err(|why| why.to_string()))
    };
    match read {
        Ok(series) => {
            tracing::debug!(series, "history restored");
            None
        }
        Err(why) => {
            let kept = durable::set_aside(path);
            Some(format!("{}: {why}; history starts anew, the file is kept as {}", path.display(), kept.display()))
        }
    }
}

/// Writes the snapshot every minute, and once more when the process stops.
pub async fn keep(store: Arc<Store>, path: PathBuf, stop: CancellationToken) {
    loop {
        let last = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            () = stop.cancelled() => true,
        };
        let (store, to) = (Arc::clone(&store), path.clone());
        let written = tokio::task::spawn_blocking(move || durable::replace(&to, &store.snapshot()).map(|_| ())).await;
        if let Ok(Err(why)) = written {
            metrics::error("agent");
            tracing::warn!(%why, path = %path.display(), "history could not be written");
        }
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use crate::model::labels::METRIC_NAME;
    use crate::store::StoreConfig;

    #[tokio::test]
    async fn history_survives_a_stop_and_a_damaged_file_costs_only_history() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let store = Arc::new(Store::new(StoreConfig::default()));
        store.append_values("t", 1000, &[(Labels::from_pairs([(METRIC_NAME, "up")]), 1.0)]);
        let stop = CancellationToken::new();
        stop.cancel();
        keep(Arc::clone(&store), path.clone(), stop).await;
        let back = Store::new(StoreConfig::default());
        assert_eq!(restore(&back, &path), None);
        assert_eq!(back.stats().series, 1);
        std::fs::write(&path, "x").unwrap();
        assert!(restore(&Store::new(StoreConfig::default()), &path).unwrap().contains("history.corrupt"));
    }
}
