//! Recent history in bounded memory.
