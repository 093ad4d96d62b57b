//! The machine under us: one collector per file, read and record apart.
