//! Alerts, pure: from rule to instance to episode, and the desk's decisions over time.
//!
//! An agent keeps a [`life::RuleLife`] per rule and writes its instances into a report ([`report::assemble`]). The
//! leader's [`ledger::Ledger`] reads reports into [`episode::Episode`]s; the [`desk::Desk`] decides who hears of them,
//! when, and how often. Time is an argument everywhere, so every decision can be replayed.

pub mod desk;
pub mod episode;
pub mod language;
pub mod ledger;
pub mod life;
pub mod render;
pub mod report;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod world;
