//! HealthCheck: one question about one or many targets, asked from one place or from every node.

mod placement;
mod remediation;
mod status;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use placement::{MaintenanceWindow, Placement, PlacementType};
pub use remediation::{RemediationAction, RemediationSpec};
pub use status::{FailingNode, HealthCheckStatus, NodeCounts};

use super::common::number_or_percent;
use crate::model::Span;
use crate::model::spec::{
    CompositeSpec, CpuSpec, DiskSpec, DnsSpec, ExecSpec, FileSpec, GpuSpec, GrpcSpec, HeartbeatSpec, HttpSpec,
    IcmpSpec, KafkaSpec, KernelLogSpec, KubernetesSpec, LoadSpec, MemorySpec, NtpSpec, ProcessSpec,
    PrometheusQuerySpec, PrometheusSpec, RedisSpec, ServiceSpec, SmtpSpec, SqlSpec, SystemdSpec, TcpSpec, TlsSpec,
    WebsocketSpec,
};

/// A check: exactly one kind, how often, from where, and what counts as healthy.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "HealthCheck",
    namespaced,
    shortname = "vhc",
    category = "vitals",
    status = "HealthCheckStatus",
    derive = "PartialEq",
    doc = "One question about one or many targets, asked from one place or from every node.",
    printcolumn(name = "TYPE", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "HEALTH", type_ = "string", json_path = ".status.health"),
    printcolumn(name = "NODES", type_ = "string", json_path = ".status.summary"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Healthy\")].reason"),
    printcolumn(name = "SINCE", type_ = "date", json_path = ".status.since"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "INTERVAL", type_ = "string", json_path = ".status.interval", priority = 1),
    printcolumn(name = "TARGET", type_ = "string", json_path = ".status.target", priority = 1),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.http), has(self.tcp), has(self.tls), has(self.dns), has(self.icmp), has(self.grpc), has(self.websocket), has(self.postgres), has(self.mysql), has(self.redis), has(self.kafka), has(self.smtp), has(self.ntp), has(self.prometheusQuery), has(self.prometheus), has(self.disk), has(self.memory), has(self.cpu), has(self.load), has(self.process), has(self.systemd), has(self.kernelLog), has(self.file), has(self.gpu), has(self.kubernetes), has(self.exec), has(self.heartbeat), has(self.service), has(self.composite)].filter(present, present).size() == 1").message("a HealthCheck has exactly one kind of check, such as http, tcp or disk; write one HealthCheck for each"))]
#[x_kube(validation = Rule::new("!has(self.interval) || duration(self.interval) >= duration('1s')").message("interval must be at least 1s").field_path(".interval"))]
#[x_kube(validation = Rule::new("!has(self.timeout) || duration(self.timeout) > duration('0s')").message("timeout must be longer than 0s").field_path(".timeout"))]
#[x_kube(validation = Rule::new("!has(self.interval) || !has(self.timeout) || duration(self.timeout) <= duration(self.interval)").message("timeout must not be longer than interval, because a check never overlaps itself").field_path(".timeout"))]
#[x_kube(validation = Rule::new("!(has(self.minHealthy) && has(self.maxUnhealthy))").message("write minHealthy or maxUnhealthy, not both").field_path(".maxUnhealthy"))]
#[x_kube(validation = Rule::new("!has(self.composite) || !has(self.targets)").message("a composite check has no targets of its own; list its members under composite.checks").field_path(".targets"))]
#[x_kube(validation = Rule::new("!has(self.postgres) || has(self.postgres.dsn) != has(self.postgres.host)").message("postgres wants either dsn or host").field_path(".postgres"))]
#[x_kube(validation = Rule::new("!has(self.mysql) || has(self.mysql.dsn) != has(self.mysql.host)").message("mysql wants either dsn or host").field_path(".mysql"))]
#[x_kube(validation = Rule::new("!has(self.kubernetes) || has(self.kubernetes.name) != has(self.kubernetes.selector)").message("kubernetes wants either name or selector").field_path(".kubernetes"))]
#[x_kube(validation = Rule::new("!has(self.kafka) || !has(self.kafka.maxLag) || (has(self.kafka.topic) && has(self.kafka.consumerGroup))").message("kafka.maxLag needs topic and consumerGroup").field_path(".kafka"))]
#[x_kube(validation = Rule::new("!has(self.process) || !has(self.process.max) || !has(self.process.min) || self.process.min <= self.process.max").message("process.min must not be above process.max").field_path(".process"))]
#[x_kube(validation = Rule::new("!has(self.composite) || !has(self.composite.min) || self.composite.min <= self.composite.checks.size()").message("composite.min must not be above the number of checks").field_path(".composite"))]
#[x_kube(validation = Rule::new("!has(self.http) || !has(self.http.headers) || self.http.headers.all(h, has(h.value) != has(h.secretKeyRef))").message("each header has either value or secretKeyRef").field_path(".http.headers"))]
#[x_kube(validation = Rule::new("!has(self.http) || !(has(self.http.basicAuth) && has(self.http.bearer))").message("write basicAuth or bearer, not both").field_path(".http.bearer"))]
pub struct HealthCheckSpec {
    /// An HTTP request and assertions on its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSpec>,
    /// A TCP connection, optionally with an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpSpec>,
    /// A TLS server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// A DNS question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsSpec>,
    /// Echo requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpSpec>,
    /// The gRPC health service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcSpec>,
    /// A WebSocket connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket: Option<WebsocketSpec>,
    /// A PostgreSQL server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<SqlSpec>,
    /// A MySQL server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<SqlSpec>,
    /// A Redis server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSpec>,
    /// Kafka brokers, a topic, a consumer group's lag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSpec>,
    /// A mail server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SmtpSpec>,
    /// The clock against a time server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntp: Option<NtpSpec>,
    /// A query to a Prometheus server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus_query: Option<PrometheusQuerySpec>,
    /// A Prometheus server as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSpec>,
    /// Space of a file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpec>,
    /// Memory in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemorySpec>,
    /// Processor time in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuSpec>,
    /// Load average per processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadSpec>,
    /// How many processes of one name run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessSpec>,
    /// A systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd: Option<SystemdSpec>,
    /// Lines of the kernel's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_log: Option<KernelLogSpec>,
    /// Files: existence, age, size, content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSpec>,
    /// The machine's GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuSpec>,
    /// Readiness of cluster objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesSpec>,
    /// A command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecSpec>,
    /// Somebody pushes to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatSpec>,
    /// A task of this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
    /// A quorum over other checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composite: Option<CompositeSpec>,

    /// Time between runs; default HEALTH_CHECK_INTERVAL, 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Deadline of one run; default the smaller of 10s and the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How often a failed run is repeated at once, within the timeout, before it counts.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub retries: i32,
    /// Consecutive failed runs before the state changes to the worse.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: i32,
    /// Consecutive good runs before the state changes to the better.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub success_threshold: i32,
    /// Many targets for one check; each gets a state of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["address"]))]
    pub targets: Vec<CheckTarget>,
    /// Limits beyond which a run counts as Degraded or Unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<ThresholdsSpec>,
    /// Where it runs; default one place for network kinds, every node for host kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// How many of the results must be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "number_or_percent")]
    pub min_healthy: Option<IntOrString>,
    /// How many of the results may be unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "number_or_percent")]
    pub max_unhealthy: Option<IntOrString>,
    /// Names of checks of this namespace that must be Healthy for this one to mean anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 253)))]
    pub depends_on: Vec<String>,
    /// Times at which failures raise no alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub maintenance_windows: Vec<MaintenanceWindow>,
    /// Do not run; count for nothing.
    #[serde(default)]
    pub suspend: bool,
    /// What is done by itself when the check fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<RemediationSpec>,
}

fn three() -> i32 {
    3
}

fn two() -> i32 {
    2
}

/// One of many targets of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckTarget {
    /// What replaces the check's own address. For http a URL, a path (`/health`, keeps the host) or `host[:port]`
    /// (keeps scheme and path); for tcp `host`, `host:port` or `:port`; for disk a path.
    #[schemars(length(min = 1, max = 2048))]
    pub address: String,
    /// How it is called in results; default the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
}

/// Limits in two steps.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.degraded) || !has(self.unhealthy) || ((!has(self.degraded.cpu) || !has(self.unhealthy.cpu) || self.degraded.cpu <= self.unhealthy.cpu) && (!has(self.degraded.memory) || !has(self.unhealthy.memory) || self.degraded.memory <= self.unhealthy.memory) && (!has(self.degraded.disk) || !has(self.unhealthy.disk) || self.degraded.disk <= self.unhealthy.disk) && (!has(self.degraded.errorRate) || !has(self.unhealthy.errorRate) || self.degraded.errorRate <= self.unhealthy.errorRate) && (!has(self.degraded.successRate) || !has(self.unhealthy.successRate) || self.degraded.successRate >= self.unhealthy.successRate) && (!has(self.degraded.responseTime) || !has(self.unhealthy.responseTime) || duration(self.degraded.responseTime) <= duration(self.unhealthy.responseTime)))").message("a degraded limit must be reached before the unhealthy limit of the same name"))]
pub struct ThresholdsSpec {
    /// Beyond these a run is Degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<LimitsSpec>,
    /// Beyond these a run is Unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<LimitsSpec>,
    /// Over what time success and error rates are taken (at least 4 runs); default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
}

/// One set of limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsSpec {
    /// Longest acceptable run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_time: Option<Span>,
    /// Lowest acceptable share of good runs, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub success_rate: Option<i32>,
    /// Highest acceptable share of failed runs, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub error_rate: Option<i32>,
    /// Highest acceptable processor use, percent (cpu checks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub cpu: Option<i32>,
    /// Highest acceptable memory use, percent (memory checks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub memory: Option<i32>,
    /// Highest acceptable disk use, percent (disk checks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub disk: Option<i32>,
}
