//! One series: its labels, its newest points raw and the older ones compressed.

use super::chunk::Chunk;
use super::decoded::Decoded;
use crate::model::labels::Labels;
use crate::model::series::{Millis, Point, is_stale};

/// Points that stay raw. Small, because every series pays for it.
pub(super) const HEAD_POINTS: usize = 32;
/// Points of a full chunk. Large, because every chunk pays for its frame.
const CHUNK_POINTS: usize = 256;

/// How many chunks of a series, from the newest, are worth keeping decompressed when somebody reads them.
const YOUNG_CHUNKS: usize = 4;

/// One series.
pub(super) struct Entry {
    pub labels: Labels,
    /// The `SeriesInfo` that it was last appended through; 0 when it was not through one.
    pub info: u64,
    /// The source that brings it.
    pub source: u32,
    /// The append that last brought it.
    pub seen: u64,
    /// Kept for the long retention.
    pub selected: bool,
    /// Newest points, never empty but before the first one, at most [`HEAD_POINTS`].
    head: Vec<Point>,
    chunks: Vec<Chunk>,
}

impl Entry {
    /// A series without points.
    pub fn new(labels: Labels, source: u32) -> Self {
        Self {
            labels,
            info: 0,
            source,
            seen: 0,
            selected: false,
            head: Vec::with_capacity(HEAD_POINTS),
            chunks: Vec::new(),
        }
    }

    /// Time of the newest point.
    pub fn newest(&self) -> Option<Millis> {
        self.head.last().map(|point| point.at).or_else(|| self.chunks.last().map(|chunk| chunk.to))
    }

    /// Whether the newest point is a staleness marker.
    pub fn is_ended(&self) -> bool {
        self.head.last().is_some_and(|point| is_stale(point.value))
    }

    /// Time of the oldest compressed point.
    pub fn oldest_chunk(&self) -> Option<Millis> {
        self.chunks.first().map(|chunk| chunk.from)
    }

    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.chunks.is_empty()
    }

    pub fn count(&self) -> usize {
        self.head.len() + self.chunks.iter().map(|chunk| usize::from(chunk.count)).sum::<usize>()
    }

    /// Whether the next point makes the head compress itself first.
    pub fn is_full(&self) -> bool {
        self.head.len() >= HEAD_POINTS
    }

    /// Adds a point; false when it is not newer than the newest one.
    #[inline]
    pub fn push(&mut self, point: Point) -> bool {
        if self.newest().is_some_and(|newest| point.at <= newest) {
            return false;
        }
        self.head.push(point);
        true
    }

    /// Compresses the head. It joins the last chunk while that is small and young enough to be dropped in time.
    pub fn compress(&mut self, retention_ms: i64, scratch: &mut Vec<Point>) {
        scratch.clear();
        let joins = match (self.chunks.last(), self.head.last()) {
            (Some(chunk), Some(last)) => {
                usize::from(chunk.count) + self.head.len() <= CHUNK_POINTS
                    && last.at.saturating_sub(chunk.from) <= retention_ms / 4
            }
            _ => false,
        };
        if joins && self.chunks.last().is_some_and(|chunk| chunk.decode(scratch)) {
            self.chunks.pop();
        }
        scratch.append(&mut self.head);
        if let Some(chunk) = Chunk::encode(scratch) {
            // Exact growth: a doubled list of chunks would cost every series.
            self.chunks.reserve_exact(1);
            self.chunks.push(chunk);
        }
    }

    /// Drops chunks that end before a time, and the head's points before it; gives the number of points.
    pub fn drop_before(&mut self, horizon: Millis) -> usize {
        let whole = self.drop_chunks_before(horizon);
        let old = self.head.partition_point(|point| point.at < horizon);
        self.head.drain(..old);
        whole + old
    }

    /// Drops chunks that end before a time; gives the number of points.
    pub fn drop_chunks_before(&mut self, horizon: Millis) -> usize {
        let old = self.chunks.partition_point(|chunk| chunk.to < horizon);
        self.chunks.drain(..old).map(|chunk| usize::from(chunk.count)).sum()
    }

    /// Drops the oldest chunk; gives its number of points.
    pub fn drop_oldest_chunk(&mut self) -> usize {
        if self.chunks.is_empty() { 0 } else { usize::from(self.chunks.remove(0).count) }
    }

    /// Appends the points of a time range, oldest first.
    pub fn points(&self, slot: u32, decoded: &Decoded, from: Millis, to: Millis, out: &mut Vec<Point>) {
        let first = self.chunks.partition_point(|chunk| chunk.to < from);
        for (index, chunk) in self.chunks.iter().enumerate().skip(first).take_while(|(_, chunk)| chunk.from <= to) {
            // Only the youngest: a look at a whole day must not drive out what rules read every second.
            if index + YOUNG_CHUNKS < self.chunks.len() {
                chunk.decode_between(from, to, out);
            } else if let Some(points) = decoded.points(slot, chunk) {
                out.extend_from_slice(between(&points, from, to));
            }
        }
        out.extend_from_slice(between(&self.head, from, to));
    }

    /// The newest point of a time range.
    pub fn latest(&self, from: Millis, to: Millis) -> Option<Point> {
        if let Some(last) = self.head.last()
            && last.at <= to
        {
            return (last.at >= from).then_some(*last);
        }
        let before = self.head.partition_point(|point| point.at <= to);
        if let Some(point) = before.checked_sub(1).and_then(|at| self.head.get(at)) {
            return (point.at >= from).then_some(*point);
        }
        let chunk = self.chunks.iter().rev().find(|chunk| chunk.from <= to)?;
        let mut points = Vec::new();
        chunk.decode_between(from, to, &mut points);
        points.last().copied()
    }

    /// The chunks and the head, for a snapshot.
    pub fn parts(&self) -> (&[Chunk], &[Point]) {
        (&self.chunks, &self.head)
    }

    /// Puts older chunks before what is there.
    pub fn prepend(&mut self, mut chunks: Vec<Chunk>) {
        chunks.append(&mut self.chunks);
        self.chunks = chunks;
    }

    /// Time of the oldest point.
    pub fn oldest(&self) -> Option<Millis> {
        self.oldest_chunk().or_else(|| self.head.first().map(|point| point.at))
    }

    /// Bytes in memory, without texts and index.
    pub fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Chunk::bytes).sum();
        let slack = (self.chunks.capacity() - self.chunks.len()) * size_of::<Chunk>();
        Self::fixed_bytes(self.labels.len()) + chunks + slack
    }

    /// What a series costs before it has compressed anything: its place, its head, its label set, and that set's place
    /// in the map from labels; without texts and index.
    pub fn fixed_bytes(labels: usize) -> usize {
        size_of::<Option<Self>>() + HEAD_POINTS * size_of::<Point>() + 16 + 32 * labels + 32 + 48
    }
}

/// The points of a time range.
fn between(points: &[Point], from: Millis, to: Millis) -> &[Point] {
    let begin = points.partition_point(|point| point.at < from);
    let end = points.partition_point(|point| point.at <= to);
    points.get(begin..end).unwrap_or_default()
}
