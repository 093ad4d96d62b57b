//! The resources users write: the public contract, one file per kind.
