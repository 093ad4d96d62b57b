//! Composition roots: one file a command, wiring only.
