//! Things that come and go between collections (CPUs, disks, interfaces, mounts), each with its series made once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::series::{Family, Frame, MetricKind, SeriesInfo};

/// A family that only grows.
pub(crate) fn counter(name: &'static str, help: &'static str) -> Arc<Family> {
    Family::new(name, help, MetricKind::Counter)
}

/// A family that goes up and down.
pub(crate) fn gauge(name: &'static str, help: &'static str) -> Arc<Family> {
    Family::new(name, help, MetricKind::Gauge)
}

/// Values by key. A pass over the source calls [`Rows::entry`] for every key it meets; [`Rows::finish`] forgets the rest.
///
/// The kernel lists things in the same order every time, so the next key is nearly always the one that followed last time.
pub(crate) struct Rows<T> {
    entries: Vec<Entry<T>>,
    index: HashMap<Box<[u8]>, usize>,
    next: usize,
    pass: u32,
}

struct Entry<T> {
    key: Box<[u8]>,
    pass: u32,
    value: T,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: HashMap::new(), next: 0, pass: 0 }
    }
}

impl<T> Rows<T> {
    /// Begins a pass.
    pub(crate) fn begin(&mut self) {
        self.next = 0;
        self.pass = self.pass.wrapping_add(1);
    }

    /// The value of a key, made if the key is new.
    pub(crate) fn entry(&mut self, key: &[u8], make: impl FnOnce() -> T) -> &mut T {
        let at = match self.entries.get(self.next) {
            Some(entry) if *entry.key == *key => self.next,
            _ => match self.index.get(key) {
                Some(&at) => at,
                None => {
                    self.index.insert(key.into(), self.entries.len());
                    self.entries.push(Entry { key: key.into(), pass: self.pass, value: make() });
                    self.entries.len() - 1
                }
            },
        };
        self.next = at + 1;
        let entry = &mut self.entries[at];
        entry.pass = self.pass;
        &mut entry.value
    }

    /// Ends a pass: forgets what was not met, and says whether there was any.
    pub(crate) fn finish(&mut self) -> bool {
        let pass = self.pass;
        if self.entries.iter().all(|entry| entry.pass == pass) {
            return false;
        }
        self.entries.retain(|entry| entry.pass == pass);
        self.index = self.entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
        true
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> + Clone {
        self.entries.iter().map(|entry| &entry.value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }
}

/// The readings of one thing in `N` families, some of which it may lack.
pub(crate) struct Columns<const N: usize> {
    series: [Arc<SeriesInfo>; N],
    values: [Option<f64>; N],
}

impl<const N: usize> Columns<N> {
    pub(crate) fn new(families: &[Arc<Family>; N], labels: &[(&str, &str)]) -> Self {
        Self { series: std::array::from_fn(|at| SeriesInfo::new(&families[at], labels)), values: [None; N] }
    }

    /// Forgets all values.
    pub(crate) fn clear(&mut self) {
        self.values = [None; N];
    }

    pub(crate) fn set(&mut self, column: usize, value: f64) {
        self.values[column] = Some(value);
    }

    /// Whether the thing has a value in this family.
    pub(crate) fn has(&self, column: usize) -> bool {
        self.values[column].is_some()
    }
}

/// Writes column by column, so that all readings of a family are adjacent although the kernel tells thing by thing.
pub(crate) fn put_columns<'a, const N: usize>(things: impl Iterator<Item = &'a Columns<N>> + Clone, out: &mut Frame) {
    for column in 0..N {
        for thing in things.clone() {
            if let Some(value) = thing.values[column] {
                out.put(&thing.series[column], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_hold_exactly_the_keys_of_the_last_pass_and_make_each_once(
            passes in proptest::collection::vec(proptest::collection::vec(0_u8..8, 0..12), 1..12),
        ) {
            let mut rows: Rows<u8> = Rows::default();
            let mut before: Vec<u8> = Vec::new();
            for keys in passes {
                rows.begin();
                for &key in &keys {
                    let known = before.contains(&key);
                    let mut made = false;
                    let value = *rows.entry(&[key], || { made = true; key });
                    prop_assert_eq!(value, key);
                    prop_assert!(!(known && made));
                    before.push(key);
                }
                rows.finish();
                let mut held: Vec<u8> = rows.values().copied().collect();
                held.sort_unstable();
                let mut expected = keys.clone();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(held, expected.clone());
                before = expected;
            }
        }
    }
}
