//! x
/// p
pub struct Problem;
/// v
pub fn validate() {}
