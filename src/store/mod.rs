//! Recent history of all series in bounded memory.
//!
//! Every series has a short list of raw points, its *head*, and compressed chunks behind it. Series that somebody
//! selected are kept long, all others a few minutes. When memory runs out the oldest chunks of all series go first, and
//! what went is counted. A series that is missing from its source's next frame gets a staleness marker, so that queries
//! stop seeing it at once.

mod bits;
mod chunk;
mod decoded;
mod entry;
mod error;
mod index;
mod inner;
mod snapshot;

#[cfg(test)]
mod tests;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::model::Span;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::ports::{Series, SeriesId};
use crate::model::series::{Frame, Millis, Point};

pub use error::StoreError;
use inner::Inner;

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Labels that every collected series gets: `job`, `instance`, `node` and what the user adds. A collected label of
    /// the same name is kept as `exported_<name>`.
    pub identity: Labels,
    /// How long points are kept.
    pub retention: Span,
    /// How long points of selected series are kept.
    pub selected_retention: Span,
    /// Upper bound of the memory that history takes, in bytes, labels and index included.
    pub max_bytes: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            identity: Labels::empty(),
            retention: Span::seconds(600),
            selected_retention: Span::seconds(24 * 3600),
            max_bytes: 16 * 1024 * 1024,
        }
    }
}

/// What a store holds and what it had to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Series now.
    pub series: usize,
    /// Bytes now.
    pub bytes: usize,
    /// Points now, staleness markers included.
    pub points: usize,
    /// Series refused or dropped for want of memory.
    pub dropped_series: u64,
    /// Points dropped before their time for want of memory.
    pub dropped_points: u64,
    /// Points refused because the series already had a newer or equally old one.
    pub refused_points: u64,
}

/// Recent history. Shared by reference; writers wait for each other, readers do not.
pub struct Store(RwLock<Inner>);

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        Self(RwLock::new(Inner::new(config)))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // A panic while writing leaves at worst one series short of a point.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one collection. Series that this source brought last time and does not bring now get a staleness marker;
    /// an empty frame ends all of them.
    pub fn append(&self, frame: &Frame, source: &str) {
        self.write().append(frame, source);
    }

    /// Adds computed values (recorded rules, `ALERTS`, …) with their labels exactly as given, the metric name among
    /// them; staleness as with [`Store::append`].
    pub fn append_values(&self, source: &str, at: Millis, values: &[(Labels, f64)]) {
        self.write().append_values(source, at, values);
    }

    /// Says which series are kept for the long retention: those that all matchers of at least one selector select.
    pub fn select(&self, selectors: Vec<Vec<Matcher>>) {
        self.write().select(selectors);
    }

    /// Drops what is older than its retention. Call it now and then, such as every minute.
    pub fn prune(&self, now: Millis) {
        self.write().prune(now);
    }

    /// What the store holds and what it had to give up.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.read().stats()
    }

    /// The times of the oldest and the newest point; None when there is none.
    #[must_use]
    pub fn span(&self) -> Option<(Millis, Millis)> {
        let inner = self.read();
        let oldest = inner.series().filter_map(|(entry, _)| entry.oldest()).min()?;
        let newest = inner.series().filter_map(|(entry, _)| entry.newest()).max()?;
        Some((oldest, newest))
    }

    /// Everything in one byte string, for [`Store::restore`] of a later process.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.read())
    }

    /// Takes back a snapshot; of a series that has newer points already only what is older is taken. Returns how many
    /// series came back.
    ///
    /// # Errors
    /// The bytes are not a whole snapshot of this version; the store is unchanged then.
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, StoreError> {
        let series = snapshot::read(bytes)?;
        Ok(self.write().restore(series))
    }
}

impl Series for Store {
    fn generation(&self) -> u64 {
        self.read().generation
    }

    fn find(&self, matchers: &[Matcher], out: &mut Vec<SeriesId>) {
        self.read().find(matchers, out);
    }

    fn labels(&self, id: SeriesId) -> Labels {
        self.read().entry(id.0).map_or_else(Labels::empty, |entry| entry.labels.clone())
    }

    fn points(&self, id: SeriesId, from: Millis, to: Millis, out: &mut Vec<Point>) {
        let inner = self.read();
        if let Some(entry) = inner.entry(id.0) {
            entry.points(id.0, &inner.decoded, from, to, out);
        }
    }

    fn latest(&self, id: SeriesId, from: Millis, to: Millis) -> Option<Point> {
        self.read().entry(id.0).and_then(|entry| entry.latest(from, to))
    }
}
