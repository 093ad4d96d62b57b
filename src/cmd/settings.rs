//! Flags and environment variables of CONTRACT §7, the same for every command that reads resource files.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use super::ground;
use crate::check::{CheckEnv, CheckError, Secrets, build};
use crate::compile::{Overrides, Settings, TryCheck, hours_or_duration, seconds_or_duration};
use crate::host::Roots;
use crate::local::installation::Sources;
use crate::model::Span;
use crate::model::plan::{CheckPlan, Thresholds};
use crate::model::spec::SecretKeyRef;
use crate::net::{DialPolicy, Dialer};
use crate::runtime::telemetry::LogFormat;

/// Settings above VitalsConfig: flag first, then environment.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Time between runs of checks that name no interval, in seconds or as a duration.
    #[arg(long, env = "HEALTH_CHECK_INTERVAL", value_name = "TIME")]
    check_interval: Option<String>,
    /// Deadline of checks that name none.
    #[arg(long, env = "HEALTH_CHECK_TIMEOUT", value_name = "TIME")]
    check_timeout: Option<String>,
    /// Time between evaluations of rules that name no interval.
    #[arg(long, env = "ALERT_CHECK_INTERVAL", value_name = "TIME")]
    rule_interval: Option<String>,
    /// How often pages refresh dashboards that name no interval.
    #[arg(long, env = "DASHBOARD_UPDATE_INTERVAL", value_name = "TIME")]
    dashboard_interval: Option<String>,
    /// How long series that rules or dashboards use are kept, in hours or as a duration.
    #[arg(long, env = "METRICS_RETENTION_HOURS", value_name = "TIME")]
    retention: Option<String>,
    /// A webhook that gets every alert that the default receiver gets.
    #[arg(long, env = "ALERT_WEBHOOK_URL", hide_env_values = true, value_name = "URL")]
    webhook_url: Option<String>,
    /// A label of every series, name=value; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Where secretKeyRef is looked up: DIR/NAMESPACE/NAME/KEY is the file with the value.
    #[arg(long, value_name = "DIR")]
    secrets_dir: Option<PathBuf>,
    /// How log lines look on standard error.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// error, warn, info, debug or trace; or a filter per module.
    #[arg(long, env = "VITALS_LOG", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

impl Flags {
    /// What is read, with these settings.
    ///
    /// # Errors
    /// A value that cannot be read.
    pub fn sources(&self, paths: Vec<PathBuf>, env: &CheckEnv) -> anyhow::Result<Sources> {
        let overrides = self.overrides()?;
        let env = env.clone();
        let complete = move |settings: &mut Settings| {
            let secrets = Arc::clone(&env.secrets);
            settings.secrets = Some(Arc::new(move |namespace: &str, name: &str, key: &str| {
                secrets(namespace, &SecretKeyRef { name: name.to_owned(), key: key.to_owned() })
            }));
            settings.try_check = Some(try_check(env.clone()));
            // At the start and at every reload; a network that cannot be read was refused by the schema.
            match ground::dial_policy(settings) {
                Ok(policy) => env.dialer.set_policy(policy),
                Err(why) => tracing::warn!(%why, "the network policy stays as it was"),
            }
        };
        Ok(Sources { paths, overrides, complete: Box::new(complete) })
    }

    /// What checks are made with: loopback is open, since who starts this owns the machine.
    #[must_use]
    pub fn check_env(&self) -> CheckEnv {
        CheckEnv { dialer: Dialer::new(DialPolicy::local()), roots: Roots::default(), secrets: self.secrets() }
    }

    fn secrets(&self) -> Secrets {
        let dir = self.secrets_dir.clone();
        Arc::new(move |namespace, wanted| {
            // A name that would leave the directory is no Secret's name.
            let plain = |part: &str| !part.is_empty() && !part.contains('/') && part != "." && part != "..";
            if ![namespace, &wanted.name, &wanted.key].into_iter().all(plain) {
                return None;
            }
            let path = dir.as_ref()?.join(namespace).join(&wanted.name).join(&wanted.key);
            let text = std::fs::read_to_string(path).ok()?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        })
    }

    fn overrides(&self) -> anyhow::Result<Overrides> {
        let seconds = |name: &str, text: &Option<String>| -> anyhow::Result<_> {
            match text {
                Some(text) => seconds_or_duration(text).map(Some).map_err(|why| anyhow::anyhow!("{name}: {why}")),
                None => Ok(None),
            }
        };
        let mut labels = std::collections::BTreeMap::new();
        for label in &self.labels {
            match label.split_once('=') {
                Some((name, value)) if !name.is_empty() => labels.insert(name.to_owned(), value.to_owned()),
                _ => bail!("--label {label:?} is not NAME=VALUE"),
            };
        }
        let retention = match &self.retention {
            Some(text) => Some(hours_or_duration(text).map_err(|why| anyhow::anyhow!("--retention: {why}"))?),
            None => None,
        };
        Ok(Overrides {
            check_interval: seconds("--check-interval", &self.check_interval)?,
            check_timeout: seconds("--check-timeout", &self.check_timeout)?,
            rule_interval: seconds("--rule-interval", &self.rule_interval)?,
            dashboard_interval: seconds("--dashboard-interval", &self.dashboard_interval)?,
            retention,
            alert_webhook_url: self.webhook_url.clone(),
            labels,
            ..Overrides::default()
        })
    }
}

/// Makes a check without running it: what is wrong with its fields is told before it is planned.
fn try_check(env: CheckEnv) -> Arc<TryCheck> {
    Arc::new(move |key, spec| {
        let plan = CheckPlan {
            interval: Span::seconds(30),
            timeout: Span::seconds(10),
            retries: 0,
            failure_threshold: 1,
            success_threshold: 1,
            thresholds: Thresholds::default(),
            component_type: String::new(),
            node_selector: std::collections::BTreeMap::new(),
            spec: spec.clone(),
        };
        match build(key, &plan, &env) {
            Err(CheckError::BadField { field, why }) => Err((field, "InvalidCheck", why)),
            // Composite checks are judged in the roll-up.
            Ok(_) | Err(CheckError::JudgedInRollUp) => Ok(()),
        }
    })
}
