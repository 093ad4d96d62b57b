//! PromQL: parse once, evaluate over any history.
