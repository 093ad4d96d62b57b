//! Out: how metrics leave the process.
