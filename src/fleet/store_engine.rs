//! The leader's engine: its series go into the store that queries read, and its rules are PromQL over that store.

use std::collections::HashMap;
use std::sync::Arc;

use super::cluster_rules::Engine;
use crate::model::duration::Span;
use crate::model::labels::Labels;
use crate::model::object::ObjectKey;
use crate::model::series::Millis;
use crate::promql::Query;
use crate::store::Store;

/// Most parsed expressions that are kept; beyond, all are parsed anew once.
const MAX_PARSED: usize = 2000;

/// An engine over a store.
pub struct StoreEngine {
    store: Arc<Store>,
    parsed: HashMap<String, Result<Query, String>>,
}

impl StoreEngine {
    /// An engine over this store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, parsed: HashMap::new() }
    }

    fn query(&mut self, expr: &str) -> Result<Query, String> {
        if self.parsed.len() >= MAX_PARSED && !self.parsed.contains_key(expr) {
            self.parsed.clear();
        }
        let parse = || Query::parse(expr).map_err(|why| why.to_string());
        self.parsed.entry(expr.to_owned()).or_insert_with(parse).clone()
    }
}

impl Engine for StoreEngine {
    fn record(&mut self, at: Millis, samples: &[(Labels, f64)]) {
        self.store.append_values("fleet", at, samples);
    }

    fn record_rule(&mut self, rule: &ObjectKey, at: Millis, samples: &[(Labels, f64)]) {
        self.store.append_values(&format!("fleet:{rule}"), at, samples);
    }

    fn evaluate(&mut self, expr: &str, at: Millis) -> Result<Option<Vec<(Labels, f64)>>, String> {
        self.query(expr)?.rule_samples(self.store.as_ref(), at)
    }

    fn reach(&mut self, expr: &str) -> Span {
        self.query(expr).map_or(Span::default(), |query| query.reach())
    }
}
