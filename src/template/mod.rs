//! Go's template language with Prometheus's functions, for messages.
