//! Settings in force: flag, environment, VitalsConfig, built-in default, in this order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::api::{LogFormat, VitalsConfigSpec};
use crate::model::duration::BadSpan;
use crate::model::spec::CheckSpec;
use crate::model::{ObjectKey, Span};

/// The namespace of the operator and of the shipped rules and dashboards.
pub const OPERATOR_NAMESPACE: &str = "vitals-system";

/// In what kind of installation the resources work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `vitals run`: one process, this machine is every node.
    #[default]
    Run,
    /// A cluster.
    Cluster,
}

/// Which namespaces may ask for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// All: `vitals run`, where who writes the files owns the machine.
    #[default]
    All,
    /// The operator's and these.
    Only(BTreeSet<String>),
}

/// Looks up one key of one Secret of a namespace: `(namespace, name, key)`.
pub type Secrets = dyn Fn(&str, &str, &str) -> Option<String> + Send + Sync;

/// Tries whether a check could be built, without running it; an error names the field below `spec` (`http.url`), a reason
/// and what is wrong. Gives `vitals validate` the words of the room that runs checks.
pub type TryCheck = dyn Fn(&ObjectKey, &CheckSpec) -> Result<(), (String, &'static str, String)> + Send + Sync;

/// What was set by flag or environment; the caller has already put flags before the environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// HEALTH_CHECK_INTERVAL.
    pub check_interval: Option<Span>,
    /// HEALTH_CHECK_TIMEOUT.
    pub check_timeout: Option<Span>,
    /// ALERT_CHECK_INTERVAL.
    pub rule_interval: Option<Span>,
    /// DASHBOARD_UPDATE_INTERVAL.
    pub dashboard_interval: Option<Span>,
    /// METRICS_RETENTION_HOURS.
    pub retention: Option<Span>,
    /// Most bytes of history.
    pub max_memory: Option<u64>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// ALERT_WEBHOOK_URL.
    pub alert_webhook_url: Option<String>,
    /// Label `job`.
    pub job: Option<String>,
    /// `--label name=value`, added to those of the config.
    pub labels: BTreeMap<String, String>,
    /// Collectors to run, too.
    pub enable_collectors: Vec<String>,
    /// Collectors not to run.
    pub disable_collectors: Vec<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
}

/// What is in force.
#[derive(Clone)]
pub struct Settings {
    /// In what kind of installation.
    pub mode: Mode,
    /// The operator's own namespace.
    pub operator_namespace: String,
    /// Between runs of a check that names no interval.
    pub check_interval: Span,
    /// Deadline of a check that names none; unset = the smaller of 10s and its interval.
    pub check_timeout: Option<Span>,
    /// Between evaluations of a rule that names no interval.
    pub rule_interval: Span,
    /// Between refreshes of a dashboard that names none.
    pub dashboard_interval: Span,
    /// How long series are kept that a rule or dashboard selects.
    pub retention: Span,
    /// Most bytes of history.
    pub max_memory: u64,
    /// Where state is kept, if anybody said.
    pub state_dir: Option<PathBuf>,
    /// A webhook that the default receiver has beside it.
    pub alert_webhook_url: Option<String>,
    /// Label `job` of every series.
    pub job: String,
    /// More labels of every series.
    pub labels: BTreeMap<String, String>,
    /// Collectors to run, too.
    pub enable_collectors: Vec<String>,
    /// Collectors not to run.
    pub disable_collectors: Vec<String>,
    /// Networks never to dial.
    pub deny_networks: Vec<String>,
    /// Networks to dial although denied.
    pub allow_networks: Vec<String>,
    /// Which namespaces may ask for everything.
    pub trust: Trust,
    /// Whether rules of other namespaces see only their own series.
    pub restrict_rules: bool,
    /// Most requests a second to one target.
    pub target_rate: Option<u32>,
    /// Most requests a second of one namespace.
    pub namespace_rate: Option<u32>,
    /// Whether the shipped rules are on.
    pub default_rules: bool,
    /// Whether the shipped dashboards are on.
    pub default_dashboards: bool,
    /// Which receiver takes what no other takes.
    pub default_receiver: Option<ObjectKey>,
    /// Level or filter of the process's own log.
    pub log_level: Option<String>,
    /// Form of the process's own log.
    pub log_format: Option<LogFormat>,
    /// Looks Secrets up; none = whatever needs one is refused.
    pub secrets: Option<Arc<Secrets>>,
    /// Names of `service` checks that the program around Vitals registered.
    pub services: std::collections::BTreeSet<String>,
    /// Tries checks; none = they are only read.
    pub try_check: Option<Arc<TryCheck>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::effective(Mode::Run, &Overrides::default(), None)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Settings {
    /// Puts together what was set at the start, what the config says, and the defaults.
    #[must_use]
    pub fn effective(mode: Mode, over: &Overrides, config: Option<&VitalsConfigSpec>) -> Self {
        let empty = VitalsConfigSpec::default();
        let config = config.unwrap_or(&empty);
        let intervals = config.intervals.clone().unwrap_or_default();
        let retention = config.retention.clone().unwrap_or_default();
        let labels = config.labels.clone().unwrap_or_default();
        let collectors = config.collectors.clone().unwrap_or_default();
        let network = config.network_policy.clone().unwrap_or_default();
        let policy = config.check_policy.clone().unwrap_or_default();
        let defaults = config.defaults.clone().unwrap_or_default();
        let logs = config.logs.clone().unwrap_or_default();
        let rate = |set: Option<i32>, in_cluster: u32| {
            set.and_then(|rate| u32::try_from(rate).ok()).or((mode == Mode::Cluster).then_some(in_cluster))
        };
        let hours = retention.hours.and_then(|hours| u64::try_from(hours).ok());
        Self {
            mode,
            operator_namespace: OPERATOR_NAMESPACE.into(),
            check_interval: over.check_interval.or(intervals.check).unwrap_or(Span::seconds(30)),
            check_timeout: over.check_timeout.or(intervals.check_timeout),
            rule_interval: over.rule_interval.or(intervals.rule).unwrap_or(Span::seconds(60)),
            dashboard_interval: over.dashboard_interval.or(intervals.dashboard).unwrap_or(Span::seconds(30)),
            retention: over.retention.or(hours.map(|h| Span::seconds(h * 3600))).unwrap_or(Span::seconds(24 * 3600)),
            max_memory: over.max_memory.or(retention.max_memory.as_deref().and_then(bytes)).unwrap_or(16 << 20),
            state_dir: over.state_dir.clone().or(retention.directory.map(PathBuf::from)),
            alert_webhook_url: over.alert_webhook_url.clone(),
            job: over.job.clone().or(labels.job).unwrap_or_else(|| "node".into()),
            labels: labels.extra.into_iter().chain(over.labels.clone()).collect(),
            enable_collectors: joined(collectors.enable, &over.enable_collectors),
            disable_collectors: joined(collectors.disable, &over.disable_collectors),
            deny_networks: network.deny,
            allow_networks: network.allow,
            trust: match (mode, &config.trusted_namespaces) {
                (Mode::Run, None) => Trust::All,
                (_, named) => Trust::Only(named.iter().flatten().cloned().collect()),
            },
            restrict_rules: config.rule_policy.as_ref().and_then(|policy| policy.restrict).unwrap_or(true),
            target_rate: rate(policy.target_rate, 50),
            namespace_rate: rate(policy.namespace_rate, 200),
            default_rules: defaults.rules.unwrap_or(true),
            default_dashboards: defaults.dashboards.unwrap_or(true),
            default_receiver: config
                .default_receiver
                .as_ref()
                .map(|named| ObjectKey::new(named.namespace.as_deref().unwrap_or(OPERATOR_NAMESPACE), &named.name)),
            log_level: over.log_level.clone().or(logs.level),
            log_format: over.log_format.or(logs.format),
            secrets: None,
            services: std::collections::BTreeSet::new(),
            try_check: None,
        }
    }

    /// Whether a namespace may ask for everything.
    #[must_use]
    pub fn trusts(&self, namespace: &str) -> bool {
        match &self.trust {
            Trust::All => true,
            Trust::Only(named) => namespace == self.operator_namespace || named.contains(namespace),
        }
    }

    /// Deadline of a check that names none.
    #[must_use]
    pub fn timeout(&self, interval: Span) -> Span {
        self.check_timeout.unwrap_or(Span::seconds(10)).min(interval)
    }
}

fn joined(mut list: Vec<String>, more: &[String]) -> Vec<String> {
    list.extend_from_slice(more);
    list
}

/// Reads a setting of the environment that is a plain number of seconds or a duration.
///
/// # Errors
/// It is neither.
pub fn seconds_or_duration(text: &str) -> Result<Span, BadSpan> {
    number_or_duration(text, "s")
}

/// Reads a setting of the environment that is a plain number of hours or a duration.
///
/// # Errors
/// It is neither.
pub fn hours_or_duration(text: &str) -> Result<Span, BadSpan> {
    number_or_duration(text, "h")
}

fn number_or_duration(text: &str, unit: &str) -> Result<Span, BadSpan> {
    let text = text.trim();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Span::parse(&if plain { format!("{text}{unit}") } else { text.to_owned() })
        .map_err(|_| BadSpan { text: text.chars().take(64).collect() })
}

/// Reads an amount of memory: bytes, or a number with `Ki`, `Mi`, `Gi`.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> VitalsConfigSpec {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_was_set_at_the_start_wins_over_the_config_and_the_config_over_the_default() {
        let config = config(serde_json::json!({
            "intervals": { "check": "20s", "rule": "40s" }, "labels": { "job": "j", "extra": { "a": "1", "b": "1" } },
            "retention": { "hours": 2, "maxMemory": "32Mi" }
        }));
        let over = Overrides {
            check_interval: Some(Span::seconds(5)),
            labels: [("a".to_owned(), "2".to_owned())].into(),
            ..Overrides::default()
        };
        let settings = Settings::effective(Mode::Run, &over, Some(&config));
        assert_eq!(settings.check_interval, Span::seconds(5));
        assert_eq!(settings.rule_interval, Span::seconds(40));
        assert_eq!(settings.dashboard_interval, Span::seconds(30));
        assert_eq!(settings.retention, Span::seconds(7200));
        assert_eq!(settings.max_memory, 32 << 20);
        assert_eq!(settings.labels, [("a".into(), "2".into()), ("b".into(), "1".into())].into());
    }

    #[test]
    fn the_timeout_is_never_longer_than_the_interval() {
        let mut settings = Settings::default();
        assert_eq!(settings.timeout(Span::seconds(30)), Span::seconds(10));
        assert_eq!(settings.timeout(Span::seconds(2)), Span::seconds(2));
        settings.check_timeout = Some(Span::seconds(20));
        assert_eq!(settings.timeout(Span::seconds(30)), Span::seconds(20));
        assert_eq!(settings.timeout(Span::seconds(2)), Span::seconds(2));
    }

    #[test]
    fn run_trusts_everybody_unless_told_otherwise_and_a_cluster_nobody() {
        let named = config(serde_json::json!({ "trustedNamespaces": ["a"] }));
        let run = Settings::effective(Mode::Run, &Overrides::default(), None);
        assert!(run.trusts("whoever"));
        let run = Settings::effective(Mode::Run, &Overrides::default(), Some(&named));
        assert!(run.trusts("a") && run.trusts(OPERATOR_NAMESPACE) && !run.trusts("b"));
        let cluster = Settings::effective(Mode::Cluster, &Overrides::default(), None);
        assert!(!cluster.trusts("default"));
        assert_eq!((cluster.target_rate, run.target_rate), (Some(50), None));
    }

    #[test]
    fn plain_numbers_of_the_environment_are_seconds_or_hours() {
        assert_eq!(seconds_or_duration("30").unwrap(), Span::seconds(30));
        assert_eq!(seconds_or_duration(" 5m ").unwrap(), Span::seconds(300));
        assert_eq!(hours_or_duration("24").unwrap(), Span::seconds(86_400));
        assert!(seconds_or_duration("soon").unwrap_err().to_string().contains("\"soon\""));
        assert!(seconds_or_duration("").is_err());
        assert_eq!(bytes("16Mi"), Some(16 << 20));
        assert_eq!(bytes("16MB"), None);
    }
}
