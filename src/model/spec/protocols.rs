//! Checks that speak one network protocol: tls, dns, icmp, grpc, websocket, ntp, smtp.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::TlsOptions;
use crate::model::duration::Span;

/// The certificate that a TLS server presents: valid, trusted, for this name, and not about to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSpec {
    /// Name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port; default 443.
    #[serde(default = "https_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Degraded when the certificate ends in fewer days; default 14.
    #[serde(default = "two_weeks")]
    #[schemars(range(min = 0, max = 3650))]
    pub min_days_left: i32,
    /// The name to verify and send as SNI, instead of `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}

fn https_port() -> i32 {
    443
}

fn two_weeks() -> i32 {
    14
}

/// What kind of record a DNS question asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms, reason = "the names that DNS gives its records")]
#[allow(missing_docs, reason = "the record types explain themselves")]
pub enum RecordType {
    #[default]
    A,
    AAAA,
    CNAME,
    MX,
    NS,
    PTR,
    SOA,
    SRV,
    TXT,
    CAA,
}

/// What the answer to a DNS question must look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsExpect {
    /// Each of these must be among the answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 255)))]
    pub answers: Vec<String>,
    /// The response code, `NOERROR` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^(NOERROR|FORMERR|SERVFAIL|NXDOMAIN|NOTIMP|REFUSED)$"))]
    pub rcode: Option<String>,
}

/// One DNS question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsSpec {
    /// The name asked for.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The record type; default A.
    #[serde(default, rename = "type")]
    pub record: RecordType,
    /// The server asked, `address[:port]`; default the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server: Option<String>,
    /// Assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<DnsExpect>,
}

/// Echo requests (ping).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IcmpSpec {
    /// Name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// How many requests; one answer is enough, a lost one makes it Degraded.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 10))]
    pub count: i32,
}

fn three() -> i32 {
    3
}

/// The standard gRPC health service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrpcSpec {
    /// `host:port`.
    #[schemars(length(min = 3, max = 260), regex(pattern = r"^[^/@\s]+:[0-9]{1,5}$"))]
    pub target: String,
    /// The service asked about; empty = the server as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub service: String,
    /// TLS settings; unset = plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// A WebSocket connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebsocketSpec {
    /// `ws://` or `wss://`, without user or password.
    #[schemars(length(min = 6, max = 2048), regex(pattern = r"^wss?://[^/@\s]+(/.*)?$"))]
    pub url: String,
    /// A text message sent after connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub send: Option<String>,
    /// A regular expression that the first message received must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub expect: Option<String>,
    /// TLS settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// The difference between this machine's clock and a time server's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NtpSpec {
    /// The server, `host[:port]`.
    #[schemars(length(min = 1, max = 260))]
    pub server: String,
    /// Unhealthy beyond this difference; default 100ms.
    #[serde(default = "tenth_of_a_second")]
    pub max_offset: Span,
}

fn tenth_of_a_second() -> Span {
    Span::millis(100)
}

/// A mail server's greeting and, if asked, its acceptance of a sender; no mail is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmtpSpec {
    /// Name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port; default 25.
    #[serde(default = "smtp_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Switch to TLS with STARTTLS and verify the certificate.
    #[serde(default, rename = "startTLS")]
    pub start_tls: bool,
    /// A sender that the server must accept (`MAIL FROM`, then `RSET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    pub from: Option<String>,
}

fn smtp_port() -> i32 {
    25
}
