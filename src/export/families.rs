//! Families over several frames: every family once, with all its readings, in the order of first appearance.

use std::collections::{HashMap, HashSet};

use crate::model::series::{Family, Frame, Reading};

/// One family and where its readings are.
pub(super) struct Group<'a> {
    pub(super) family: &'a Family,
    first: &'a [Reading],
    /// Seldom any: only when frames, or places in a frame, share a family.
    more: Vec<&'a [Reading]>,
}

impl<'a> Group<'a> {
    /// Its readings, each series once: of two readings of one series the first counts.
    pub(super) fn readings(&self) -> impl Iterator<Item = &'a Reading> {
        let mut seen = (!self.more.is_empty()).then(HashSet::new);
        std::iter::once(self.first)
            .chain(self.more.iter().copied())
            .flatten()
            .filter(move |reading| seen.as_mut().is_none_or(|seen| seen.insert(&*reading.series.text)))
    }
}

/// The families of several frames. Of two families with one name the first one's help and type count.
pub(super) fn groups<'a>(frames: &[&'a Frame]) -> Vec<Group<'a>> {
    let runs = || {
        let runs =
            |frame: &'a Frame| frame.readings.chunk_by(|a, b| std::ptr::eq(&*a.series.family, &*b.series.family));
        frames.iter().copied().flat_map(runs)
    };
    let count = runs().count();
    let mut groups: Vec<Group<'a>> = Vec::with_capacity(count);
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(count);
    for first in runs() {
        let family: &Family = &first[0].series.family;
        let place = *places.entry(&family.name).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.more.push(first),
            None => groups.push(Group { family, first, more: Vec::new() }),
        }
    }
    groups
}
