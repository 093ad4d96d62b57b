//! From resources to plans: pure, no clock, no I/O.
