//! Evaluates the tree.

pub(super) mod aggregate;
pub(super) mod binary;
pub(super) mod calendar;
pub(super) mod call;
pub(super) mod histogram;
pub(super) mod keys;
pub(super) mod numbers;
pub(super) mod over_time;
pub(super) mod run;

use crate::model::Labels;

/// One element of an instant vector.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub labels: Labels,
    /// The metric name is to be dropped: marked instead of done, because building a label set is the costly part.
    pub hide: bool,
    pub value: f64,
}

/// What a node yields at one time.
#[derive(Clone, Debug)]
pub(super) enum Val {
    Scalar(f64),
    Vector(Vec<Sample>),
    Text(String),
}
