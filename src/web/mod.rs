//! The HTTP face: JSON, metrics, probes and the page.
