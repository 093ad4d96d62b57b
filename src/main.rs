//! The `vitals` program.

fn main() {}
