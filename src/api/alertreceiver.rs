//! AlertReceiver: where messages about alerts go.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{LabelMatcher, ObjectRef, SeverityWord, conditions};
use crate::model::Span;
use crate::model::spec::{Header, SecretKeyRef, TlsOptions};

/// A receiver: exactly one integration, and which alerts it takes.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "AlertReceiver",
    namespaced,
    shortname = "vrcv",
    category = "vitals",
    status = "AlertReceiverStatus",
    derive = "PartialEq",
    doc = "Where messages about alerts go.",
    printcolumn(name = "TYPE", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.log), has(self.webhook), has(self.email), has(self.slack), has(self.pagerDuty), has(self.alertmanager), has(self.datadog), has(self.newrelic)].filter(present, present).size() == 1").message("an AlertReceiver has exactly one integration: log, webhook, email, slack, pagerDuty, alertmanager, datadog or newrelic"))]
pub struct AlertReceiverSpec {
    /// This process's own log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReceiver>,
    /// An HTTP endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookReceiver>,
    /// E-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailReceiver>,
    /// Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackReceiver>,
    /// PagerDuty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pager_duty: Option<PagerDutyReceiver>,
    /// One or more Alertmanagers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<AlertmanagerReceiver>,
    /// Datadog events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datadog: Option<DatadogReceiver>,
    /// New Relic events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newrelic: Option<NewrelicReceiver>,

    /// Which alerts it takes; unset = all that it may see.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<ReceiverMatch>,
    /// Takes the alerts that no other receiver takes.
    #[serde(default)]
    pub default: bool,
    /// Namespaces whose alerts it takes (a receiver in the operator's namespace), or whose rules may name it; empty = all
    /// in the operator's namespace, else only its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    pub allowed_namespaces: Vec<String>,
    /// Times at which nothing is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub mute_times: Vec<TimeRange>,
    /// Labels whose values make one message, instead of the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 128)))]
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits, instead of the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Span>,
    /// Least time between two messages of a group that changed, instead of the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Span>,
    /// Least time between two messages of a group that did not change, instead of the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Span>,
    /// Most messages over all rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How a failing message is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Whom to tell when nobody takes an alert in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<EscalateTo>,
    /// Whether the end of an alert is told too.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

fn yes() -> bool {
    true
}

/// Which alerts a receiver takes; all given parts must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverMatch {
    /// Severities; empty = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    pub severity: Vec<SeverityWord>,
    /// Labels that must have exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, String>,
    /// Conditions on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matchers: Vec<LabelMatcher>,
}

/// This process's own log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogReceiver {
    /// The level of a firing alert's line.
    #[serde(default)]
    pub level: LogLevel,
}

/// A log level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Error.
    Error,
    /// Warning.
    #[default]
    Warn,
    /// Information.
    Info,
}

impl LogLevel {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// An HTTP endpoint that takes a POST.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url) != has(self.urlFrom)").message("webhook wants either url or urlFrom"))]
#[x_kube(validation = Rule::new("has(self.template) == (has(self.format) && self.format == 'Template')").message("template goes with format: Template, and format: Template needs one").field_path(".template"))]
#[x_kube(validation = Rule::new("!has(self.headers) || self.headers.all(h, has(h.value) != has(h.secretKeyRef))").message("each header has either value or secretKeyRef").field_path(".headers"))]
pub struct WebhookReceiver {
    /// Where to POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^/@\s]+(/.*)?$"))]
    pub url: Option<String>,
    /// Where to POST, from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<SecretKeyRef>,
    /// More request headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub headers: Vec<Header>,
    /// Deadline of one attempt; default 10s.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// What is sent.
    #[serde(default)]
    pub format: WebhookFormat,
    /// A Go template of the whole body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub template: Option<String>,
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

/// What a webhook sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WebhookFormat {
    /// Alertmanager's webhook body, version 4.
    #[default]
    AlertmanagerV4,
    /// What `template` makes.
    Template,
}

/// E-mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailReceiver {
    /// To whom.
    #[schemars(length(min = 1, max = 50), inner(length(min = 3, max = 254)))]
    pub to: Vec<String>,
    /// From whom.
    #[schemars(length(min = 3, max = 254))]
    pub from: String,
    /// The mail server, `host:port`.
    #[schemars(length(min = 3, max = 260))]
    pub smarthost: String,
    /// Login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<SmtpAuth>,
    /// TLS settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// Login at a mail server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmtpAuth {
    /// The user.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,
    /// The password.
    pub password_secret_key_ref: SecretKeyRef,
}

/// Slack.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.tokenFrom) != has(self.urlFrom)").message("slack wants either tokenFrom or urlFrom"))]
pub struct SlackReceiver {
    /// A bot token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_from: Option<SecretKeyRef>,
    /// An incoming webhook's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<SecretKeyRef>,
    /// The channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub channel: Option<String>,
    /// Change the first message instead of writing a new one.
    #[serde(default)]
    pub update_message: bool,
}

/// PagerDuty, Events API v2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PagerDutyReceiver {
    /// The integration key.
    pub routing_key_from: SecretKeyRef,
}

/// Alertmanagers; each gets everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagerReceiver {
    /// Base URLs.
    #[schemars(
        length(min = 1, max = 10),
        inner(length(min = 8, max = 2048), regex(pattern = r"^https?://[^/@\s]+(/.*)?$"))
    )]
    pub urls: Vec<String>,
    /// Bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretKeyRef>,
    /// TLS settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// Datadog events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogReceiver {
    /// The API key.
    pub api_key_from: SecretKeyRef,
    /// The site, such as `datadoghq.eu`.
    #[serde(default = "datadog_site")]
    #[schemars(length(min = 1, max = 128))]
    pub site: String,
}

fn datadog_site() -> String {
    "datadoghq.com".into()
}

/// New Relic events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewrelicReceiver {
    /// The insert key.
    pub key_from: SecretKeyRef,
    /// The account's number.
    #[schemars(length(min = 1, max = 32))]
    pub account: String,
}

/// A time at which nothing is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeRange {
    /// Days: `Mon` … `Sun`; empty = every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), inner(length(max = 3), regex(pattern = "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)$")))]
    pub days: Vec<String>,
    /// From, `22:00`.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// To, `06:00`; before `from` means the next day.
    #[schemars(length(max = 5), regex(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub to: String,
    /// The time zone, such as `Europe/Berlin`; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
}

/// Most messages over all rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Most messages an hour; the others are counted and announced by one.
    #[schemars(range(min = 1, max = 10_000))]
    pub per_hour: i32,
}

/// How a failing message is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How long a message is tried; default 1h.
    #[serde(default = "one_hour")]
    pub max_age: Span,
}

fn one_hour() -> Span {
    Span::seconds(3600)
}

/// Whom to tell when nobody takes an alert in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EscalateTo {
    /// After how long.
    pub after: Span,
    /// Another AlertReceiver.
    #[serde(rename = "ref")]
    pub receiver: ObjectRef,
}

/// The state of an AlertReceiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertReceiverStatus {
    /// The generation of the spec that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The integration.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub kind: Option<String>,
    /// The last failure, while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// A failure to deliver; a reason, never a body or a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// A finite word: `AuthError`, `RateLimited`, `ClientError`, `ServerError`, `Timeout`, …
    #[schemars(length(max = 128))]
    pub reason: String,
    /// One sentence.
    #[schemars(length(max = 512))]
    pub message: String,
    /// When it began.
    pub time: Time,
}
