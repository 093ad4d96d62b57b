//! What is behind the store's lock: the table of series, who brings them, and how memory is kept within its bound.

use std::collections::HashMap;
use std::sync::Arc;

use super::decoded::Decoded;
use super::entry::Entry;
use super::index::{Index, Texts};
use super::snapshot::SavedSeries;
use super::{StoreConfig, StoreStats};
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::ports::{SeriesId, next_generation};
use crate::model::series::{Frame, Millis, Point, SeriesInfo, stale_nan};

/// Stands for a series that was refused.
const NO_SLOT: u32 = u32::MAX;

/// A series without a point for this long counts as given up, in milliseconds.
const SILENT_MS: i64 = 300_000;

/// Who brings series, and which ones last time.
struct Source {
    name: Arc<str>,
    /// In the order of the last frame: the `SeriesInfo` (0 when there is none) and where its series is. The next frame
    /// usually has the same order, so nothing needs to be looked up.
    layout: Vec<(u64, u32)>,
}

/// The table.
pub(super) struct Inner {
    config: StoreConfig,
    pub generation: u64,
    entries: Vec<Option<Entry>>,
    /// Slots that may be used again.
    free: Vec<u32>,
    /// Slots that become free with the next prune: queries under way may still hold their numbers.
    cooling: Vec<u32>,
    by_labels: HashMap<Labels, u32>,
    by_info: HashMap<u64, u32>,
    index: Index,
    texts: Texts,
    sources: Vec<Source>,
    by_source: HashMap<Arc<str>, u32>,
    free_sources: Vec<u32>,
    selectors: Vec<Vec<Matcher>>,
    /// Counts appends, so that each can tell what it has seen.
    tick: u64,
    /// Bytes of all entries.
    entry_bytes: usize,
    /// Of these, what series cost before they have any compressed history.
    fixed_bytes: usize,
    /// A series was refused since the last append began.
    refused_series: bool,
    newest: Millis,
    dropped_series: u64,
    dropped_points: u64,
    refused_points: u64,
    /// Decompressed chunks; a sixteenth of the memory is set aside for them.
    pub decoded: Decoded,
    scratch: Vec<Point>,
    spare_layout: Vec<(u64, u32)>,
}

impl Inner {
    pub fn new(config: StoreConfig) -> Self {
        let decoded = Decoded::new(config.max_bytes / 16);
        Self {
            config,
            decoded,
            generation: next_generation(),
            entries: Vec::new(),
            free: Vec::new(),
            cooling: Vec::new(),
            by_labels: HashMap::new(),
            by_info: HashMap::new(),
            index: Index::default(),
            texts: Texts::default(),
            sources: Vec::new(),
            by_source: HashMap::new(),
            free_sources: Vec::new(),
            selectors: Vec::new(),
            tick: 0,
            entry_bytes: 0,
            fixed_bytes: 0,
            refused_series: false,
            newest: Millis::MIN,
            dropped_series: 0,
            dropped_points: 0,
            refused_points: 0,
            scratch: Vec::new(),
            spare_layout: Vec::new(),
        }
    }

    pub fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// All series that are there.
    pub fn series(&self) -> impl Iterator<Item = (&Entry, &str)> {
        self.entries.iter().flatten().map(|entry| {
            let source = self.sources.get(entry.source as usize).map_or("", |source| source.name.as_ref());
            (entry, source)
        })
    }

    pub fn append(&mut self, frame: &Frame, source: &str) {
        let source = self.source(source);
        self.bring(source, frame.at, frame.readings.len(), |inner, position, known| {
            let reading = frame.readings.get(position)?;
            let slot = match known {
                Some((info, slot))
                    if info == reading.series.id && inner.entry(slot).is_some_and(|entry| entry.info == info) =>
                {
                    slot
                }
                _ => inner.slot_of(&reading.series, source),
            };
            Some((reading.series.id, slot, reading.value))
        });
    }

    pub fn append_values(&mut self, source: &str, at: Millis, values: &[(Labels, f64)]) {
        let source = self.source(source);
        self.bring(source, at, values.len(), |inner, position, known| {
            let (labels, value) = values.get(position)?;
            let slot = match known {
                Some((0, slot)) if inner.entry(slot).is_some_and(|entry| entry.labels == *labels) => slot,
                _ => inner.slot_of_labels(labels, source),
            };
            Some((0, slot, *value))
        });
    }

    /// Adds `count` values of one source. `resolve` gives what is at a position, and where it goes; it is told what was
    /// at that position last time.
    fn bring(
        &mut self,
        source: u32,
        at: Millis,
        count: usize,
        resolve: impl Fn(&mut Self, usize, Option<(u64, u32)>) -> Option<(u64, u32, f64)>,
    ) {
        self.tick += 1;
        self.newest = self.newest.max(at);
        let last =
            self.sources.get_mut(source as usize).map(|source| std::mem::take(&mut source.layout)).unwrap_or_default();
        let mut layout = std::mem::take(&mut self.spare_layout);
        layout.clear();
        let mut unchanged = last.len() == count;
        for position in 0..count {
            let known = last.get(position).copied();
            let Some((info, slot, value)) = resolve(self, position, known) else { continue };
            unchanged &= known == Some((info, slot));
            layout.push((info, slot));
            self.push(slot, Point { at, value }, source);
        }
        if !unchanged {
            self.end_missing(&last, at, source);
        }
        self.spare_layout = last;
        if let Some(source) = self.sources.get_mut(source as usize) {
            source.layout = layout;
        }
        if self.bytes() > self.limit() {
            self.make_room();
        }
        if std::mem::take(&mut self.refused_series) {
            self.drop_silent_series();
        }
    }

    fn push(&mut self, slot: u32, point: Point, source: u32) {
        let (tick, short, long) = (self.tick, self.config.retention, self.config.selected_retention);
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if entry.is_full() {
            let before = entry.bytes();
            let retention = if entry.selected { long } else { short };
            entry.compress(retention.as_millis_i64(), &mut self.scratch);
            self.entry_bytes = self.entry_bytes + entry.bytes() - before;
        }
        if entry.push(point) {
            entry.seen = tick;
            entry.source = source;
        } else {
            // Twice in one frame, or older than what is there: it does not count as missing either.
            entry.seen = tick;
            self.refused_points += 1;
        }
    }

    /// Marks the series of the last frame that this one did not bring.
    fn end_missing(&mut self, last: &[(u64, u32)], at: Millis, source: u32) {
        let tick = self.tick;
        for (_, slot) in last {
            let Some(entry) = self.entry_mut(*slot) else { continue };
            // Another source may have taken it over.
            if entry.seen != tick && entry.source == source && !entry.is_ended() {
                self.push(*slot, Point { at, value: stale_nan() }, source);
            }
        }
    }

    fn source(&mut self, name: &str) -> u32 {
        if let Some(at) = self.by_source.get(name) {
            return *at;
        }
        let name = self.texts.share(name);
        let source = Source { name: Arc::clone(&name), layout: Vec::new() };
        let at = match self.free_sources.pop() {
            Some(at) => {
                if let Some(place) = self.sources.get_mut(at as usize) {
                    *place = source;
                }
                at
            }
            None => {
                self.sources.push(source);
                (self.sources.len() - 1) as u32
            }
        };
        self.by_source.insert(name, at);
        at
    }

    /// Sources that brought nothing last time and have no series left leave their place.
    fn forget_idle_sources(&mut self) {
        let mut used = vec![false; self.sources.len()];
        for entry in self.entries.iter().flatten() {
            if let Some(used) = used.get_mut(entry.source as usize) {
                *used = true;
            }
        }
        for (at, (source, used)) in self.sources.iter_mut().zip(used).enumerate() {
            if !used && source.layout.is_empty() && self.by_source.remove(&source.name).is_some() {
                source.name = Arc::from("");
                source.layout = Vec::new();
                self.free_sources.push(at as u32);
            }
        }
    }

    fn slot_of(&mut self, info: &SeriesInfo, source: u32) -> u32 {
        if let Some(slot) = self.by_info.get(&info.id) {
            return *slot;
        }
        let labels = self.with_identity(&info.labels);
        let slot = self.slot_of_labels(&labels, source);
        if slot != NO_SLOT {
            let before = self.entry_mut(slot).map_or(0, |entry| std::mem::replace(&mut entry.info, info.id));
            self.by_info.remove(&before);
            self.by_info.insert(info.id, slot);
        }
        slot
    }

    /// The labels of a collected series, with who we are; a label that is in the way is kept as `exported_…`.
    fn with_identity(&self, labels: &Labels) -> Labels {
        let identity = &self.config.identity;
        let mut pairs: Vec<(String, &str)> = Vec::with_capacity(labels.len() + identity.len());
        for (name, value) in labels.iter() {
            let mut name = name.to_owned();
            while identity.get(&name).is_some()
                || (name.starts_with("exported_") && pairs.iter().any(|(n, _)| *n == name))
            {
                name.insert_str(0, "exported_");
            }
            pairs.push((name, value));
        }
        pairs.extend(identity.iter().map(|(name, value)| (name.to_owned(), value)));
        Labels::from_pairs(pairs)
    }

    fn slot_of_labels(&mut self, labels: &Labels, source: u32) -> u32 {
        match self.by_labels.get(labels) {
            Some(slot) => *slot,
            None => self.create(labels, source),
        }
    }

    fn create(&mut self, labels: &Labels, source: u32) -> u32 {
        let texts: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 96).sum();
        if self.fixed_bytes() + Entry::fixed_bytes(labels.len()) + texts > self.limit() / 4 * 3 {
            self.dropped_series += 1;
            self.refused_series = true;
            return NO_SLOT;
        }
        let pairs: Vec<_> =
            labels.iter().map(|(name, value)| (self.texts.share(name), self.texts.share(value))).collect();
        let labels = Labels::from_pairs(pairs);
        let mut entry = Entry::new(labels.clone(), source);
        entry.selected = is_selected(&self.selectors, &labels);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(None);
                (self.entries.len() - 1) as u32
            }
        };
        self.entry_bytes += entry.bytes();
        self.fixed_bytes += Entry::fixed_bytes(labels.len());
        self.index.add(slot, &labels, &mut self.texts);
        self.by_labels.insert(labels, slot);
        if let Some(place) = self.entries.get_mut(slot as usize) {
            *place = Some(entry);
        }
        self.generation = next_generation();
        slot
    }

    fn remove(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::take) else { return };
        self.entry_bytes -= entry.bytes();
        self.fixed_bytes -= Entry::fixed_bytes(entry.labels.len());
        self.by_labels.remove(&entry.labels);
        self.by_info.remove(&entry.info);
        self.index.remove(slot, &entry.labels);
        self.cooling.push(slot);
    }

    fn bytes(&self) -> usize {
        self.fixed_bytes() + self.entry_bytes - self.fixed_bytes
    }

    /// What everything but decompressed chunks may take.
    fn limit(&self) -> usize {
        self.config.max_bytes - self.decoded.budget()
    }

    /// What the series cost without their compressed history. It may take three quarters of the memory: a flood of new
    /// series must not drive out the history of the others.
    fn fixed_bytes(&self) -> usize {
        let layouts: usize = self.sources.iter().map(|source| source.layout.capacity() * 16 + 64).sum();
        self.fixed_bytes + self.index.bytes() + self.texts.bytes() + layouts + self.by_info.capacity() * 24
    }

    /// Drops the oldest chunks of all series until there is some room again.
    fn make_room(&mut self) {
        let target = self.limit() - self.limit() / 16;
        let now = self.newest;
        while self.bytes() > target {
            let Some(oldest) = self.entries.iter().flatten().filter_map(Entry::oldest_chunk).min() else { break };
            let horizon = oldest.saturating_add((now.saturating_sub(oldest) / 16).max(1));
            let mut dropped = 0;
            for entry in self.entries.iter_mut().flatten() {
                if entry.oldest_chunk().is_some_and(|from| from < horizon) {
                    let before = entry.bytes();
                    let mut count = entry.drop_chunks_before(horizon);
                    if count == 0 && entry.oldest_chunk() == Some(oldest) {
                        // The chunk reaches beyond the horizon; it is the oldest nevertheless.
                        count = entry.drop_oldest_chunk();
                    }
                    dropped += count;
                    self.entry_bytes = self.entry_bytes + entry.bytes() - before;
                }
            }
            self.dropped_points += dropped as u64;
        }
    }

    /// Where new series had to be refused: drops series that ended, or that nobody brings any more, longest first, until
    /// half of the memory is free for series.
    fn drop_silent_series(&mut self) {
        let target = self.limit() / 2;
        let mut silent: Vec<(Millis, u32)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| {
                let entry = entry.as_ref()?;
                let newest = entry.newest()?;
                let silent = entry.is_ended() || newest < self.newest.saturating_sub(SILENT_MS);
                silent.then_some((newest, slot as u32))
            })
            .collect();
        silent.sort_unstable();
        let mut removed = Vec::new();
        for (_, slot) in silent {
            if self.fixed_bytes() <= target {
                break;
            }
            self.dropped_points += self.entry(slot).map_or(0, Entry::count) as u64;
            self.dropped_series += 1;
            self.remove(slot);
            removed.push(slot);
        }
        self.after_removal(&removed);
    }

    fn after_removal(&mut self, removed: &[u32]) {
        if removed.is_empty() {
            return;
        }
        // A layout must not lead to a slot that may belong to another series later.
        let gone: std::collections::HashSet<u32> = removed.iter().copied().collect();
        for source in &mut self.sources {
            source.layout.retain(|(_, slot)| !gone.contains(slot));
        }
        self.decoded.clear();
        self.texts.forget_unused();
        self.generation = next_generation();
    }

    pub fn select(&mut self, selectors: Vec<Vec<Matcher>>) {
        for entry in self.entries.iter_mut().flatten() {
            entry.selected = is_selected(&selectors, &entry.labels);
        }
        self.selectors = selectors;
    }

    pub fn prune(&mut self, now: Millis) {
        self.free.append(&mut self.cooling);
        let short = now.saturating_sub(self.config.retention.as_millis_i64());
        let long = now.saturating_sub(self.config.selected_retention.as_millis_i64());
        let mut empty = Vec::new();
        for (slot, place) in self.entries.iter_mut().enumerate() {
            let Some(entry) = place else { continue };
            let before = entry.bytes();
            entry.drop_before(if entry.selected { long } else { short });
            self.entry_bytes = self.entry_bytes + entry.bytes() - before;
            if entry.is_empty() {
                empty.push(slot as u32);
            }
        }
        for slot in &empty {
            self.remove(*slot);
        }
        self.after_removal(&empty);
        self.forget_idle_sources();
    }

    pub fn find(&self, matchers: &[Matcher], out: &mut Vec<SeriesId>) {
        let selected = |slot: &u32| {
            self.entry(*slot).is_some_and(|entry| matchers.iter().all(|matcher| matcher.matches(&entry.labels)))
        };
        let start = out.len();
        match self.index.candidates(matchers) {
            Some(slots) => out.extend(slots.into_iter().filter(selected).map(SeriesId)),
            None => out.extend((0..self.entries.len() as u32).filter(selected).map(SeriesId)),
        }
        let labels = |id: &SeriesId| self.entry(id.0).map(|entry| &entry.labels);
        if let Some(found) = out.get_mut(start..) {
            found.sort_unstable_by(|a, b| labels(a).cmp(&labels(b)));
        }
    }

    pub fn stats(&self) -> StoreStats {
        StoreStats {
            series: self.by_labels.len(),
            bytes: self.bytes() + self.decoded.bytes(),
            points: self.entries.iter().flatten().map(Entry::count).sum(),
            dropped_series: self.dropped_series,
            dropped_points: self.dropped_points,
            refused_points: self.refused_points,
        }
    }

    /// Takes series back; older points go before newer ones that are here already.
    pub fn restore(&mut self, saved: Vec<SavedSeries>) -> usize {
        let mut count = 0;
        for series in saved {
            let source = self.source(&series.source);
            let slot = self.slot_of_labels(&series.labels, source);
            let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_mut) else { continue };
            let before = entry.bytes();
            let limit = entry.oldest().unwrap_or(Millis::MAX);
            let was_empty = entry.is_empty();
            let chunks: Vec<_> = series.chunks.into_iter().take_while(|chunk| chunk.to < limit).collect();
            self.newest = chunks.last().map_or(self.newest, |chunk| self.newest.max(chunk.to));
            entry.prepend(chunks);
            self.entry_bytes = self.entry_bytes + entry.bytes() - before;
            count += 1;
            // The source's first frame after a restart ends what it does not bring any more.
            if was_empty
                && !series.ended
                && let Some(source) = self.sources.get_mut(source as usize)
            {
                source.layout.push((0, slot));
            }
        }
        if self.bytes() > self.limit() {
            self.make_room();
        }
        count
    }
}

fn is_selected(selectors: &[Vec<Matcher>], labels: &Labels) -> bool {
    selectors.iter().any(|matchers| matchers.iter().all(|matcher| matcher.matches(labels)))
}
