//! Runs all collectors for one frame, and lets each of them fail alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::model::collector::{CollectError, Collector};
use crate::model::health::Reason;
use crate::model::series::{Family, Frame, MetricKind, Millis, SeriesInfo};

/// A set of collectors that are run together.
pub struct Collection {
    entries: Vec<Entry>,
    panics: u64,
}

struct Entry {
    collector: Box<dyn Collector>,
    duration: Arc<SeriesInfo>,
    success: Arc<SeriesInfo>,
    /// How the last run went, to be told when the frame's readings are complete.
    seconds: f64,
    problem: Option<Reason>,
}

impl Collection {
    /// A collection of these collectors, run in this order.
    #[must_use]
    pub fn new(collectors: Vec<Box<dyn Collector>>) -> Self {
        let duration = Family::new(
            "node_scrape_collector_duration_seconds",
            "node_exporter: Duration of a collector scrape.",
            MetricKind::Gauge,
        );
        let success = Family::new(
            "node_scrape_collector_success",
            "node_exporter: Whether a collector succeeded.",
            MetricKind::Gauge,
        );
        let entries = collectors.into_iter().map(|collector| {
            let labels = [("collector", collector.name())];
            Entry {
                duration: SeriesInfo::new(&duration, &labels),
                success: SeriesInfo::new(&success, &labels),
                collector,
                seconds: 0.0,
                problem: None,
            }
        });
        Self { entries: entries.collect(), panics: 0 }
    }

    /// The names of its collectors.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.collector.name())
    }

    /// How often a collector panicked since the process started.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// Fills the frame with all readings of now. A collector that fails or panics brings none; the others are unharmed.
    ///
    /// Blocks for the time that the kernel needs, usually well below a millisecond.
    pub fn collect(&mut self, at: Millis, frame: &mut Frame) {
        frame.reset(at);
        for entry in &mut self.entries {
            let begin = Instant::now();
            let start = frame.readings.len();
            // Collectors hold plain values: after a panic they are at worst incomplete, and the next pass replaces them.
            let result = catch_unwind(AssertUnwindSafe(|| entry.collector.collect(frame)));
            if !matches!(result, Ok(Ok(()))) {
                frame.readings.truncate(start);
            }
            let problem = match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((error.reason(), Some(error))),
                Err(_) => {
                    self.panics += 1;
                    Some(("Panicked", None))
                }
            };
            entry.note(problem);
            entry.seconds = begin.elapsed().as_secs_f64();
        }
        for entry in &self.entries {
            frame.put(&entry.duration, entry.seconds);
        }
        for entry in &self.entries {
            frame.put(&entry.success, if entry.problem.is_some() { 0.0 } else { 1.0 });
        }
    }
}

impl Entry {
    /// Remembers how a run went, and logs it when that differs from the run before.
    fn note(&mut self, problem: Option<(Reason, Option<CollectError>)>) {
        let collector = self.collector.name();
        let reason = problem.as_ref().map(|(reason, _)| *reason);
        if reason != self.problem {
            match &problem {
                // What the machine does not have is no news.
                Some((_, Some(CollectError::Absent(_)))) => {}
                Some((reason, Some(error))) => tracing::warn!(collector, reason, %error, "a collector failed"),
                Some((reason, None)) => tracing::error!(collector, reason, "a collector panicked; this is a bug"),
                None if self.problem == Some("Absent") => {}
                None => tracing::info!(collector, "a collector works again"),
            }
        }
        self.problem = reason;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Options, Roots, Selection, collectors_with};

    /// Writes one reading, then does what it was told.
    struct Scripted(&'static str, fn() -> Result<(), CollectError>);

    impl Collector for Scripted {
        fn name(&self) -> &'static str {
            self.0
        }

        fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
            out.put(&SeriesInfo::new(&Family::new(self.0, "h", MetricKind::Gauge), &[]), 1.0);
            (self.1)()
        }
    }

    #[test]
    fn a_collector_that_fails_or_panics_loses_only_its_own_readings() {
        let mut collection = Collection::new(vec![
            Box::new(Scripted("good", || Ok(()))),
            Box::new(Scripted("absent", || Err(CollectError::Absent("such thing")))),
            Box::new(Scripted("bad", || panic!("on purpose"))),
            Box::new(Scripted("fine", || Ok(()))),
        ]);
        let mut frame = Frame::default();
        collection.collect(7, &mut frame);
        assert_eq!(frame.at, 7);
        let of = |family: &str| -> Vec<(String, f64)> {
            let readings = frame.readings.iter().filter(|reading| reading.series.family.name == family);
            readings
                .map(|reading| (reading.series.labels.get("collector").unwrap_or("").to_owned(), reading.value))
                .collect()
        };
        assert_eq!((of("good").len(), of("absent").len(), of("bad").len(), of("fine").len()), (1, 0, 0, 1));
        let success = of("node_scrape_collector_success");
        let success: Vec<_> = success.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(success, [("good", 1.0), ("absent", 0.0), ("bad", 0.0), ("fine", 1.0)]);
        assert_eq!(of("node_scrape_collector_duration_seconds").len(), 4);
        assert_eq!(collection.panics(), 1);
    }

    #[test]
    fn on_this_machine_every_family_is_in_one_place_and_no_series_comes_twice() {
        let options = Options { softirqs: true, ..Options::default() };
        let collectors = collectors_with(&Roots::default(), &Selection::default(), &options).unwrap();
        let mut collection = Collection::new(collectors);
        let mut frame = Frame::default();
        for at in 0..2 {
            collection.collect(at, &mut frame);
            crate::host::collectors::assert_well_formed(&frame);
        }
        assert!(frame.readings.len() > 50, "{}", frame.readings.len());
    }

    #[test]
    fn series_are_made_once_and_then_shared() {
        let mut collection =
            Collection::new(crate::host::collectors(&Roots::default(), &Selection::default()).unwrap());
        let (mut first, mut second) = (Frame::default(), Frame::default());
        collection.collect(0, &mut first);
        collection.collect(1, &mut second);
        let ids = |frame: &Frame| -> std::collections::HashSet<u64> {
            frame.readings.iter().map(|reading| reading.series.id).collect()
        };
        let new = ids(&second).difference(&ids(&first)).count();
        // Other processes may mount something or plug an interface meanwhile, but not hundreds.
        assert!(new < second.readings.len() / 2, "{new} of {} are new", second.readings.len());
    }
}
