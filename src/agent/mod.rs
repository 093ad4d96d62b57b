//! One node's life: plan in, collect, check, evaluate, report out.
pub mod pace;
