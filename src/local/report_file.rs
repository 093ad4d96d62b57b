//! The report's way in `run`: from the agent to the fleet in one process, with a copy in the state directory that
//! brings epochs and pending and firing alerts over a restart.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::model::check::BoxFuture;
use crate::model::ports::{ReportSink, SinkError};
use crate::model::report::Report;
use crate::runtime::{clock, durable, metrics};

/// Takes a report in; the fleet's side of the door.
pub trait TakesReports: Send + Sync {
    /// Takes one report of the agent of this name.
    fn take(&self, name: &str, report: Report);
}

/// A report sink with a copy on disk.
pub struct ReportFile {
    name: String,
    path: PathBuf,
    last: Mutex<Option<Report>>,
    fleet: Arc<dyn TakesReports>,
}

impl ReportFile {
    /// Reads the last report's copy. A copy that cannot be read is put aside; the text says so.
    #[must_use]
    pub fn open(name: &str, path: PathBuf, fleet: Arc<dyn TakesReports>) -> (Self, Option<String>) {
        let (last, told) = match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Report>(&bytes) {
                Ok(report) => (Some(report), None),
                Err(why) => {
                    let kept = durable::set_aside(&path);
                    // The fleet's journal may remember higher epochs than zero: unix seconds are above them all.
                    let epoch = u64::try_from(clock::now_seconds()).unwrap_or(0);
                    let told = format!("{}: {why}; kept as {}", path.display(), kept.display());
                    (Some(Report { epoch, ..Report::default() }), Some(told))
                }
            },
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => (None, None),
            Err(why) => (None, Some(format!("{}: {why}", path.display()))),
        };
        (Self { name: name.to_owned(), path, last: Mutex::new(last), fleet }, told)
    }
}

impl ReportSink for ReportFile {
    fn last(&self) -> BoxFuture<'_, Result<Option<Report>, SinkError>> {
        Box::pin(async move { Ok(self.last.lock().await.clone()) })
    }

    fn send(&self, report: Report) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            // Held over the write: reports reach the disk and the fleet in the order of their numbers.
            let mut last = self.last.lock().await;
            if let Some(old) = last.as_ref()
                && old.order() >= report.order()
            {
                return Err(SinkError::NotNewer { epoch: old.epoch, seq: old.seq });
            }
            let bytes =
                serde_json::to_vec(&report).map_err(|why| SinkError::Later { after_ms: 1000, why: why.to_string() })?;
            let path = self.path.clone();
            let written = tokio::task::spawn_blocking(move || durable::replace(&path, &bytes).map(|_| ())).await;
            // On disk first: what the fleet acts upon must survive a crash, or a page could be sent for an alert
            // that the next start has never heard of.
            match written {
                Ok(Ok(())) => {}
                Ok(Err(why)) => {
                    metrics::error("local");
                    return Err(SinkError::Later { after_ms: 1000, why: format!("{}: {why}", self.path.display()) });
                }
                Err(why) => return Err(SinkError::Later { after_ms: 1000, why: why.to_string() }),
            }
            *last = Some(report.clone());
            self.fleet.take(&self.name, report);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex as StdMutex;

    #[derive(Default)]
    struct Taken(StdMutex<Vec<(u64, u64)>>);

    impl TakesReports for Taken {
        fn take(&self, _: &str, report: Report) {
            self.0.lock().unwrap().push(report.order());
        }
    }

    fn report(epoch: u64, seq: u64) -> Report {
        Report { epoch, seq, ..Report::default() }
    }

    #[tokio::test]
    async fn a_report_that_is_not_newer_is_refused_and_the_other_side_says_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let taken = Arc::new(Taken::default());
        let (sink, _) = ReportFile::open("n", dir.path().join("report.json"), taken.clone());
        sink.send(report(2, 5)).await.unwrap();
        assert_eq!(sink.send(report(1, 9)).await, Err(SinkError::NotNewer { epoch: 2, seq: 5 }));
        assert_eq!(sink.send(report(2, 5)).await, Err(SinkError::NotNewer { epoch: 2, seq: 5 }));
        assert_eq!(*taken.0.lock().unwrap(), vec![(2, 5)]);
    }

    #[tokio::test]
    async fn the_last_report_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let (sink, _) = ReportFile::open("n", path.clone(), Arc::new(Taken::default()));
        sink.send(report(2, 5)).await.unwrap();
        drop(sink);
        let (sink, told) = ReportFile::open("n", path, Arc::new(Taken::default()));
        assert_eq!(told, None);
        assert_eq!(sink.last().await.unwrap().unwrap().order(), (2, 5));
    }

    #[test]
    fn a_corrupt_copy_is_named_and_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        std::fs::write(&path, "{").unwrap();
        let (sink, told) = ReportFile::open("n", path, Arc::new(Taken::default()));
        assert!(told.unwrap().contains("report.corrupt"));
        let epoch = sink.last.try_lock().unwrap().as_ref().unwrap().epoch;
        assert!(epoch > 1_700_000_000, "above every epoch counted from one");
    }
}
