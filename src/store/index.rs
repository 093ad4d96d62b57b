//! Finds series by their labels, and keeps each label text once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::Labels;
use crate::model::matcher::{MatchOp, Matcher};

/// Bytes of an entry of a hash map beside its key and value, roughly.
const MAP_SHARE: usize = 16;

/// Label texts, each kept once.
#[derive(Default)]
pub(super) struct Texts {
    texts: HashSet<Arc<str>>,
    bytes: usize,
}

impl Texts {
    /// The shared copy of a text.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.bytes += Self::cost(&text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// Forgets the texts that nobody else uses.
    pub fn forget_unused(&mut self) {
        let mut freed = 0;
        self.texts.retain(|text| {
            let used = Arc::strong_count(text) > 1;
            if !used {
                freed += Self::cost(text);
            }
            used
        });
        self.bytes -= freed;
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn cost(text: &Arc<str>) -> usize {
        // The text with its two counters, rounded up as allocators do, and its place in the set.
        (text.len() + 16).next_multiple_of(16) + 16 + MAP_SHARE
    }
}

/// From label name and value to the series that have it, in order of slot.
#[derive(Default)]
pub(super) struct Index {
    pairs: HashMap<Arc<str>, HashMap<Arc<str>, Vec<u32>>>,
    bytes: usize,
}

impl Index {
    /// Adds a series.
    pub fn add(&mut self, slot: u32, labels: &Labels, texts: &mut Texts) {
        for (name, value) in labels.iter() {
            let values = self.pairs.entry(texts.share(name)).or_default();
            let slots = values.entry(texts.share(value)).or_insert_with(|| {
                self.bytes += 64 + MAP_SHARE;
                Vec::new()
            });
            let before = slots.capacity();
            if let Err(at) = slots.binary_search(&slot) {
                slots.insert(at, slot);
            }
            self.bytes += 4 * (slots.capacity() - before);
        }
    }

    /// Removes a series.
    pub fn remove(&mut self, slot: u32, labels: &Labels) {
        for (name, value) in labels.iter() {
            let Some(values) = self.pairs.get_mut(name) else { continue };
            let Some(slots) = values.get_mut(value) else { continue };
            if let Ok(at) = slots.binary_search(&slot) {
                slots.remove(at);
            }
            if slots.is_empty() {
                self.bytes -= 4 * slots.capacity() + 64 + MAP_SHARE;
                values.remove(value);
            }
            if values.is_empty() {
                self.pairs.remove(name);
            }
        }
    }

    /// The slots among which all selected series are; None when that may be every series.
    pub fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<u32>> {
        let exact = matchers.iter().filter(|m| m.op() == MatchOp::Equal && !m.value().is_empty());
        let shortest = exact
            .map(|matcher| self.pairs.get(matcher.name()).and_then(|values| values.get(matcher.value())))
            .map(|slots| slots.map_or(&[][..], Vec::as_slice))
            .min_by_key(|slots| slots.len());
        if let Some(slots) = shortest {
            return Some(slots.to_vec());
        }
        let narrowing = matchers.iter().find(|matcher| !matcher.matches_empty())?;
        let Some(values) = self.pairs.get(narrowing.name()) else { return Some(Vec::new()) };
        // The pattern is tried once per distinct value, not once per series.
        let mut slots: Vec<u32> = values
            .iter()
            .filter(|(value, _)| narrowing.matches_value(value))
            .flat_map(|(_, slots)| slots.iter().copied())
            .collect();
        slots.sort_unstable();
        Some(slots)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
