//! Checks: one kind per file, a scheduler that runs them, and the track that turns runs into a state.

mod cpu;
mod disk;
mod expect;
mod http;
mod load;
mod memory;
mod percent;
pub mod scheduler;
mod tcp;
pub mod track;

use std::sync::Arc;

use crate::host::{HostError, Roots};
use crate::model::check::Check;
use crate::model::health::Verdict;
use crate::model::object::ObjectKey;
use crate::model::plan::CheckPlan;
use crate::model::spec::{CheckSpec, SecretKeyRef};
use crate::net::{Dialer, NetError};

pub use scheduler::{Progress, Run, RunNowError, Scheduler, SchedulerConfig, Stats, run_once};
pub use track::{Standing, Track, is_stale};

/// Looks up one key of a Secret in a namespace; None when there is no such Secret or key.
/// Asked anew for every run, so that a changed Secret takes effect by itself.
pub type Secrets = Arc<dyn Fn(&str, &SecretKeyRef) -> Option<String> + Send + Sync>;

/// What checks are made with.
#[derive(Clone)]
pub struct CheckEnv {
    /// The only way out.
    pub dialer: Dialer,
    /// Where the host's file trees are.
    pub roots: Roots,
    /// Where secrets come from.
    pub secrets: Secrets,
}

/// Why a check cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A field cannot be used.
    #[error("{field}: {why}")]
    BadField {
        /// The field's path below the check's kind: `http.expect.bodyMatches`.
        field: String,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// Judged from other checks by the roll-up, not run by an agent.
    #[error("a composite check is judged from its member checks in the roll-up; no agent runs it")]
    JudgedInRollUp,
}

impl CheckError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadField { .. } => "InvalidCheck",
            Self::JudgedInRollUp => "JudgedInRollUp",
        }
    }

    fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::BadField { field: field.into(), why: why.into() }
    }

    fn net(field: &str, error: &NetError) -> Self {
        Self::field(field, error.to_string())
    }
}

/// Makes the check of a plan entry. A new kind is one file and one line here.
///
/// # Errors
/// A field cannot be used, or no agent runs this kind.
pub fn build(key: &ObjectKey, plan: &CheckPlan, env: &CheckEnv) -> Result<Box<dyn Check>, CheckError> {
    Ok(match &plan.spec {
        CheckSpec::Http(spec) => Box::new(http::HttpCheck::new(key, spec, env)?),
        CheckSpec::Tcp(spec) => Box::new(tcp::TcpCheck::new(spec, env)?),
        CheckSpec::Disk(spec) => Box::new(disk::DiskCheck::new(spec, &plan.thresholds, env)),
        CheckSpec::Memory(_) => Box::new(memory::MemoryCheck::new(&plan.thresholds, env)),
        CheckSpec::Cpu(_) => Box::new(cpu::CpuCheck::new(&plan.thresholds, env)),
        CheckSpec::Load(spec) => Box::new(load::LoadCheck::new(spec, env)?),
        CheckSpec::Service(service) => {
            return Err(CheckError::field("service.task", format!("nothing is registered as {:?}", service.task)));
        }
        CheckSpec::Composite(_) => return Err(CheckError::JudgedInRollUp),
    })
}

/// What a source of the kernel that cannot be read says of the machine: nothing.
fn unreadable(error: &HostError) -> Verdict {
    Verdict::unknown(error.reason(), error.to_string())
}

#[cfg(test)]
mod host_tests;
#[cfg(test)]
mod testing;
