//! What leaves the process as metrics: the text format, its JSON form, compression, and the metrics that libraries
//! count for us.

mod families;
pub mod gathered;
pub mod gzip;
pub mod json;
pub mod text;

pub use gathered::Gathered;
