//! Families over several frames: every family once, with all its readings, in the order of first appearance.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::model::series::{Family, Frame, Reading};

/// One family and where its readings are.
pub(super) struct Group<'a> {
    pub(super) family: &'a Family,
    /// Nearly always one part; more when frames, or places in a frame, share a family.
    parts: Vec<(&'a Frame, Range<usize>)>,
}

impl<'a> Group<'a> {
    /// Its readings, each series once: of two readings of one series the first counts.
    pub(super) fn readings(&self) -> impl Iterator<Item = &'a Reading> {
        let mut seen = (self.parts.len() > 1).then(HashSet::new);
        self.parts
            .iter()
            .flat_map(|(frame, range)| &frame.readings[range.clone()])
            .filter(move |reading| seen.as_mut().is_none_or(|seen| seen.insert(&*reading.series.text)))
    }
}

/// The families of several frames. Of two families with one name the first one's help and type count.
pub(super) fn groups<'a>(frames: &[&'a Frame]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for &frame in frames {
        let mut start = 0;
        for run in frame.readings.chunk_by(|a, b| std::ptr::eq(&*a.series.family, &*b.series.family)) {
            let range = start..start + run.len();
            start = range.end;
            let family: &Family = &run[0].series.family;
            let place = *places.entry(&family.name).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.parts.push((frame, range)),
                None => groups.push(Group { family, parts: vec![(frame, range)] }),
            }
        }
    }
    groups
}
