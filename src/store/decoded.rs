//! Keeps the youngest chunks that queries read in their decompressed form: rules look at the same minutes again and
//! again, and reading a chunk costs more than evaluating a rule over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::Chunk;
use crate::model::series::{Millis, Point};

/// A chunk of a series: its slot, first time and number of points (which grows when it is written anew).
type Key = (u32, Millis, u16);

/// Decompressed chunks, up to a number of bytes.
pub(super) struct Decoded {
    budget: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    chunks: HashMap<Key, Arc<[Point]>>,
    bytes: usize,
}

impl Decoded {
    pub fn new(budget: usize) -> Self {
        Self { budget, kept: Mutex::default() }
    }

    /// The points of a chunk; None when it is damaged.
    pub fn points(&self, slot: u32, chunk: &Chunk) -> Option<Arc<[Point]>> {
        let key = (slot, chunk.from, chunk.count);
        // A panic elsewhere leaves a whole map: entries are added at once.
        if let Some(points) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).chunks.get(&key) {
            return Some(Arc::clone(points));
        }
        let mut points = Vec::new();
        if !chunk.decode(&mut points) {
            return None;
        }
        let points: Arc<[Point]> = points.into();
        let cost = points.len() * size_of::<Point>() + 96;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + cost > self.budget {
            // What is still in use comes back with the next evaluation.
            kept.chunks.clear();
            kept.bytes = 0;
        }
        if cost <= self.budget && kept.chunks.insert(key, Arc::clone(&points)).is_none() {
            kept.bytes += cost;
        }
        Some(points)
    }

    /// Forgets everything, because a slot may get another series.
    pub fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Bytes that it may take.
    pub fn budget(&self) -> usize {
        self.budget
    }
}
