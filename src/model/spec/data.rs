//! Checks of databases, queues and metric stores: postgres, mysql, redis, kafka, prometheusQuery, prometheus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::{SecretKeyRef, TlsOptions};
use crate::model::duration::Span;

/// The value that a query must return.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueExpect {
    /// The first column of the first row (or the reply), as text.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// A login and a read-only query, in a transaction that is rolled back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqlSpec {
    /// A connection URL without a password, instead of host, port, user and database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 8, max = 2048),
        regex(pattern = r"^(postgres|postgresql|mysql)://([^:@/\s]+@)?[^@/\s]+(/\S*)?$")
    )]
    pub dsn: Option<String>,
    /// Name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// Port; default the protocol's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub user: Option<String>,
    /// The database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub database: Option<String>,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_key_ref: Option<SecretKeyRef>,
    /// TLS settings; unset = as the server prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
    /// What is asked; default `SELECT 1`.
    #[serde(default = "select_one")]
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// Assertion on the first value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ValueExpect>,
}

fn select_one() -> String {
    "SELECT 1".into()
}

/// A Redis server and one read-only command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisSpec {
    /// `redis://host:port/database` or `rediss://`, without a password.
    #[schemars(length(min = 9, max = 2048), regex(pattern = r"^rediss?://([^:@/\s]+@)?[^@/\s]+(/[0-9]*)?$"))]
    pub url: String,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_key_ref: Option<SecretKeyRef>,
    /// What is asked; default `PING`.
    #[serde(default = "ping")]
    #[schemars(length(min = 1, max = 1024))]
    pub command: String,
    /// Assertion on the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ValueExpect>,
    /// TLS settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

fn ping() -> String {
    "PING".into()
}

/// How a Kafka client logs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SaslSpec {
    /// The mechanism.
    #[schemars(length(max = 16), regex(pattern = "^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$"))]
    pub mechanism: String,
    /// The user.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,
    /// The password.
    pub password_secret_key_ref: SecretKeyRef,
}

/// Brokers, and if asked a topic and how far a consumer group lags behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaSpec {
    /// `host:port` of the brokers to start from.
    #[schemars(length(min = 1, max = 20), inner(length(min = 3, max = 260)))]
    pub brokers: Vec<String>,
    /// A topic that must exist with a leader for each partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249))]
    pub topic: Option<String>,
    /// A consumer group of the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub consumer_group: Option<String>,
    /// Unhealthy when the group is more messages behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_lag: Option<i64>,
    /// Login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslSpec>,
    /// TLS settings; unset = plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// `>`
    GreaterThan,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    LessThan,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Operator {
    /// The operator as PromQL writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GreaterThan => ">",
            Self::GreaterOrEqual => ">=",
            Self::LessThan => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// A query to a Prometheus server; Unhealthy when a result compares true with the value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusQuerySpec {
    /// The server's base URL.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^/@\s]+(/.*)?$"))]
    pub url: String,
    /// PromQL.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// How the result is compared.
    pub operator: Operator,
    /// With what; a decimal in quotes.
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub value: String,
    /// Bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretKeyRef>,
    /// TLS settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// A Prometheus server as a whole: process, configuration, endpoints, scrape targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusSpec {
    /// The server's base URL.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^/@\s]+(/.*)?$"))]
    pub url: String,
    /// Its configuration file on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), regex(pattern = "^/"))]
    pub config_path: Option<String>,
    /// Jobs or instances that must be up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub expected_targets: Vec<String>,
    /// Deadline of each single request; default 5s.
    #[serde(default = "five_seconds")]
    pub check_timeout: Span,
    /// How often a failed request is repeated; default 3.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 10))]
    pub retry_attempts: i32,
    /// Time between repetitions; default 2s.
    #[serde(default = "two_seconds")]
    pub retry_delay: Span,
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn two_seconds() -> Span {
    Span::seconds(2)
}

fn three() -> i32 {
    3
}
