//! The words of the house: plain data and the traits between rooms. No I/O, no clock, no runtime.

pub mod check;
pub mod collector;
pub mod dashboard;
pub mod duration;
pub mod fleet_plan;
pub mod health;
pub mod labels;
pub mod matcher;
pub mod needs;
pub mod notification;
pub mod number;
pub mod object;
pub mod plan;
pub mod ports;
pub mod report;
pub mod series;
pub mod severity;
pub mod spec;
pub mod view;

pub use duration::Span;
pub use health::{Health, Verdict};
pub use labels::Labels;
pub use matcher::{MatchOp, Matcher};
pub use object::ObjectKey;
