//! What a rule wants of a query: its samples, or the word that there is nothing to judge by.

use super::{Limits, Query, Value};
use crate::model::Labels;
use crate::model::ports::Series;
use crate::model::series::Millis;

impl Query {
    /// The samples at one time; a number is a sample without labels. None: nothing was found, and no series exists that
    /// the query selects, which is not the same as "nothing holds".
    ///
    /// # Errors
    /// The engine's words; or the expression gives neither a vector nor a scalar.
    pub fn rule_samples(&self, series: &dyn Series, at: Millis) -> Result<Option<Vec<(Labels, f64)>>, String> {
        let samples = match self.instant(series, at, &Limits::default()).map_err(|why| why.to_string())? {
            Value::Vector(samples) => samples,
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            Value::Matrix(_) | Value::Text(_) => {
                return Err("the expression gives neither a vector nor a scalar".into());
            }
        };
        if samples.is_empty() {
            let selectors = self.selectors();
            let mut found = Vec::new();
            for matchers in &selectors {
                series.find(matchers, &mut found);
            }
            if found.is_empty() && !selectors.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(samples))
    }
}
