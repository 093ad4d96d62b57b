//! What a user may ask of each kind of check: the fields of CONTRACT §8, shared by the resource and the plan.

mod cluster;
mod data;
mod host;
mod machine;
mod network;
mod protocols;

pub use cluster::{ExecSpec, HeartbeatSpec, KubernetesSpec, LabelSelector, ObjectKind, ServiceSpec};
pub use data::{KafkaSpec, Operator, PrometheusQuerySpec, PrometheusSpec, RedisSpec, SaslSpec, SqlSpec, ValueExpect};
pub use host::{CpuSpec, DiskSpec, LoadSpec, MemorySpec};
pub use machine::{Baseline, FileSpec, GpuSpec, KernelLogSpec, ProcessSpec, SystemdSpec};
pub use network::{
    BasicAuth, BodyJson, CompositeSpec, Header, HttpExpect, HttpSpec, SecretKeyRef, TcpSpec, TlsOptions,
};
pub use protocols::{DnsExpect, DnsSpec, GrpcSpec, IcmpSpec, NtpSpec, RecordType, SmtpSpec, TlsSpec, WebsocketSpec};

use serde::{Deserialize, Serialize};

/// A check that this build can run: the payload of a plan entry (`{"http": {…}}`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::large_enum_variant, reason = "there is one per check, and most checks are http")]
pub enum CheckSpec {
    /// HTTP request and assertions.
    Http(HttpSpec),
    /// TCP connection, optional exchange.
    Tcp(TcpSpec),
    /// Space of a file system.
    Disk(DiskSpec),
    /// Memory in use.
    Memory(MemorySpec),
    /// Processor time in use.
    Cpu(CpuSpec),
    /// Load average per core.
    Load(LoadSpec),
    /// A check that the embedding program brings itself, by name.
    Service(ServiceSpec),
    /// Quorum over other checks; judged in the roll-up, never run by an agent.
    Composite(CompositeSpec),
}

impl CheckSpec {
    /// The words of all kinds that this build can run.
    pub const KINDS: [&'static str; 7] = ["http", "tcp", "disk", "memory", "cpu", "load", "composite"];

    /// The kind's word, as in the resource.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Disk(_) => "disk",
            Self::Memory(_) => "memory",
            Self::Cpu(_) => "cpu",
            Self::Load(_) => "load",
            Self::Service(_) => "service",
            Self::Composite(_) => "composite",
        }
    }

    /// What is checked, in a few words for the TARGET column.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Http(http) => http.url.clone(),
            Self::Tcp(tcp) => format!("{}:{}", tcp.host, tcp.port),
            Self::Disk(disk) => disk.path.clone(),
            Self::Memory(_) | Self::Cpu(_) | Self::Load(_) => "host".into(),
            Self::Service(service) => service.task.clone(),
            Self::Composite(composite) => format!("{} checks", composite.checks.len()),
        }
    }
}
