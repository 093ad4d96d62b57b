//! Hashes and compares the part of a label set that a grouping or a match looks at, without building that part.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use super::Sample;
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::promql::ast::Grouping;

/// Random per process: label values come from outside and must not be able to collide on purpose.
fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one(0x5eed_u64) | 1)
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * u128::from(MULTIPLIER ^ state.rotate_left(32));
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn add_text(mut state: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut buffer = [0; 8];
        buffer.copy_from_slice(word);
        state = mix(state, u64::from_le_bytes(buffer));
    }
    let mut buffer = [0; 8];
    for (to, from) in buffer.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    // The length keeps "a", "" apart from "", "a".
    mix(state, u64::from_le_bytes(buffer) ^ ((bytes.len() as u64) << 56))
}

/// How label sets are read: whether a metric name that will be dropped is still there.
#[derive(Clone, Copy, Debug)]
pub(in crate::promql) struct Reader {
    /// Names are dropped at the end of the query, as with Prometheus's delayed name removal.
    pub delayed: bool,
}

impl Reader {
    /// The labels that are there.
    pub fn labels(self, sample: &Sample) -> impl Iterator<Item = (&str, &str)> {
        let hidden = sample.hide && !self.delayed;
        sample.labels.iter().filter(move |(name, _)| !(hidden && *name == METRIC_NAME))
    }

    /// The value of one label, empty when absent.
    pub fn get<'a>(self, sample: &'a Sample, name: &str) -> &'a str {
        if sample.hide && !self.delayed && name == METRIC_NAME {
            return "";
        }
        sample.labels.get(name).unwrap_or("")
    }

    /// The labels that a grouping keeps. `except` always excludes the metric name.
    fn kept<'a>(self, sample: &'a Sample, grouping: &'a Grouping) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.labels(sample).filter(move |(name, _)| keeps(grouping, name))
    }

    /// A hash of what a grouping keeps.
    pub fn signature(self, sample: &Sample, grouping: &Grouping) -> u64 {
        let mut state = seed();
        if grouping.except {
            for (name, value) in self.kept(sample, grouping) {
                state = add_text(add_text(state, name), value);
            }
        } else {
            for name in &grouping.labels {
                state = add_text(state, self.get(sample, name));
            }
        }
        state
    }

    /// Whether a grouping keeps the same of both.
    pub fn same(self, a: &Sample, b: &Sample, grouping: &Grouping) -> bool {
        if grouping.except {
            self.kept(a, grouping).eq(self.kept(b, grouping))
        } else {
            grouping.labels.iter().all(|name| self.get(a, name) == self.get(b, name))
        }
    }

    /// What a grouping keeps, as a label set.
    pub fn part(self, sample: &Sample, grouping: &Grouping) -> Labels {
        if !grouping.except {
            let hidden = sample.hide && !self.delayed;
            let names: Vec<&str> =
                grouping.labels.iter().map(String::as_str).filter(|name| !(hidden && *name == METRIC_NAME)).collect();
            return sample.labels.only(&names);
        }
        let mut names: Vec<&str> = grouping.labels.iter().map(String::as_str).collect();
        names.push(METRIC_NAME);
        sample.labels.without(&names)
    }

    /// A hash of a whole set.
    pub fn whole(self, sample: &Sample) -> u64 {
        self.labels(sample).fold(seed(), |state, (name, value)| add_text(add_text(state, name), value))
    }
}

/// A hash of a whole label set.
pub(super) fn hash_labels(labels: &Labels) -> u64 {
    labels.iter().fold(seed(), |state, (name, value)| add_text(add_text(state, name), value))
}

fn keeps(grouping: &Grouping, name: &str) -> bool {
    let listed = grouping.labels.iter().any(|label| label == name);
    if grouping.except { !listed && name != METRIC_NAME } else { listed }
}

/// Hashes a `u64` that is a hash already.
#[derive(Default)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// From signatures to positions in a list that the caller keeps.
#[derive(Default)]
pub(super) struct Places {
    map: HashMap<u64, u32, std::hash::BuildHasherDefault<Ready>>,
}

impl Places {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { map: HashMap::with_capacity_and_hasher(capacity, Default::default()) }
    }

    /// The position of an equal element, or none.
    pub fn find(&self, mut signature: u64, same: impl Fn(usize) -> bool) -> Option<usize> {
        while let Some(place) = self.map.get(&signature) {
            if same(*place as usize) {
                return Some(*place as usize);
            }
            signature = signature.wrapping_add(MULTIPLIER);
        }
        None
    }

    /// The position of an equal element; if there is none, `place` is noted and None returned.
    pub fn find_or_put(&mut self, mut signature: u64, place: usize, same: impl Fn(usize) -> bool) -> Option<usize> {
        while let Some(found) = self.map.get(&signature) {
            if same(*found as usize) {
                return Some(*found as usize);
            }
            signature = signature.wrapping_add(MULTIPLIER);
        }
        self.map.insert(signature, place as u32);
        None
    }
}
