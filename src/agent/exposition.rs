//! `/metrics` of a process with an agent in it: the host read afresh, checks and alerts, and what the process counts.

use std::sync::{Mutex, PoisonError};

use super::Agent;
use crate::export::{Gathered, text};
use crate::model::series::Frame;
use crate::runtime::{clock, metrics};

/// Converts the process's own metrics; remembers their series between scrapes.
#[derive(Default)]
pub(super) struct Own(Mutex<Gathered>);

impl Own {
    pub(super) fn frame(&self) -> Frame {
        metrics::refresh_process();
        let mut frame = Frame { at: clock::now_millis(), readings: Vec::new() };
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.append(&prometheus::gather(), &mut frame);
        frame
    }
}

impl Agent {
    /// All metrics of now as text; `more` comes from other rooms of the process.
    #[must_use]
    pub fn text(&self, more: &Frame) -> Vec<u8> {
        let stats = self.inner.store.stats();
        metrics::OWN.series.set(stats.series as f64);
        metrics::OWN.store_bytes.set(stats.bytes as f64);
        metrics::raise(&metrics::OWN.store_dropped.with_label_values(&["series"]), stats.dropped_series);
        metrics::raise(&metrics::OWN.store_dropped.with_label_values(&["points"]), stats.dropped_points);
        let own = self.inner.own.frame();
        let mut out = Vec::new();
        self.with_frames(|frames| {
            let mut all = frames.to_vec();
            all.push(more);
            all.push(&own);
            text::write(&all, &mut out);
        });
        out
    }
}
