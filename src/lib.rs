//! Vitals: health checks, hardware metrics and alerts as Kubernetes resources.
//!
//! The floor plan (see ARCHITECTURE.md for who may call whom):
//!
//! | floor | rooms |
//! |---|---|
//! | words | [`model`], [`api`], [`compile`] |
//! | engines: pure, no clock, no I/O | [`promql`], [`store`], [`alert`], [`template`] |
//! | hands: the outside world | [`net`], [`host`], [`check`], [`notify`], [`export`] |
//! | lives: who does what when | [`agent`], [`fleet`], [`local`], [`web`] |
//! | rim: one process | [`runtime`], [`cli`], [`cmd`] |

pub mod agent;
pub mod alert;
pub mod api;
pub mod check;
pub mod cli;
pub mod cmd;
pub mod compile;
pub mod export;
pub mod fleet;
pub mod host;
pub mod local;
pub mod model;
pub mod net;
pub mod notify;
pub mod promql;
pub mod runtime;
pub mod store;
pub mod template;
pub mod web;

pub use cmd::embed::Builder;
pub use cmd::embedded::Running;
