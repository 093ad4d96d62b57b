//! Remembers per selector which series it selects, as long as no series appears or disappears.

use std::sync::{Arc, Mutex, PoisonError};

use super::ast::Selector;
use crate::model::Labels;
use crate::model::ports::{Series, SeriesId};

/// What a selector selected.
#[derive(Debug)]
pub(super) struct Found {
    /// The generation in which it did.
    generation: u64,
    /// Whose answer it is: the address of the data.
    of: usize,
    pub members: Vec<(SeriesId, Labels)>,
}

/// One slot per selector of a query; shared by its clones.
#[derive(Debug)]
pub(super) struct Cache(Vec<Mutex<Option<Arc<Found>>>>);

impl Cache {
    pub fn new(nodes: usize) -> Self {
        Self((0..nodes).map(|_| Mutex::new(None)).collect())
    }

    /// The series of a selector.
    pub fn find(&self, selector: &Selector, series: &dyn Series) -> Arc<Found> {
        let generation = series.generation();
        // The same query may be asked of several stores; the address tells them apart while they live, and
        // generations are unique over all stores of a process (see `ports::next_generation`).
        let of = std::ptr::from_ref(series).cast::<()>() as usize;
        let Some(slot) = self.0.get(selector.node) else { return Arc::new(search(selector, series, generation, of)) };
        // A poisoned slot holds a whole value or none: both are fine.
        if let Some(found) = slot.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && found.generation == generation
            && found.of == of
        {
            return Arc::clone(found);
        }
        let found = Arc::new(search(selector, series, generation, of));
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&found));
        found
    }
}

fn search(selector: &Selector, series: &dyn Series, generation: u64, of: usize) -> Found {
    let mut ids = Vec::new();
    series.find(&selector.matchers, &mut ids);
    let members = ids.into_iter().map(|id| (id, series.labels(id))).collect();
    Found { generation, of, members }
}
