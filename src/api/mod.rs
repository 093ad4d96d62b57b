//! The public contract: the seven resources of group `vitals.dev`, their CRDs and their local validation.

#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the words of the others")]

mod agentreport;
mod alertreceiver;
mod alertrule;
mod common;
mod dashboard;
mod healthcheck;
mod schema;
mod silence;
mod validate;
mod vitalsconfig;

use std::fmt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

pub use agentreport::{AgentReport, AgentReportSpec, AgentReportStatus, AgentRole, ReportSummary};
pub use alertreceiver::{
    AlertReceiver, AlertReceiverSpec, AlertReceiverStatus, AlertmanagerReceiver, DatadogReceiver, EmailReceiver,
    EscalateTo, LastError, LogLevel, LogReceiver, NewrelicReceiver, PagerDutyReceiver, RateLimit, ReceiverMatch, Retry,
    SlackReceiver, SmtpAuth, TimeRange, WebhookFormat, WebhookReceiver,
};
pub use alertrule::{
    AlertCounts, AlertRule, AlertRuleSpec, AlertRuleStatus, AlertStatus, ErrorRate, Function, HealthCondition,
    InhibitedBy, NotifySpec, PrometheusSource, RuleScopeSpec, ThresholdCondition,
};
pub use common::{Acknowledgement, LabelMatcher, ObjectRef, SeverityWord};
pub use dashboard::{
    Dashboard, DashboardExports, DashboardSpec, DashboardStatus, DashboardVariable, ExportedAs, GrafanaExport,
};
pub use healthcheck::{
    CheckTarget, FailingNode, HealthCheck, HealthCheckSpec, HealthCheckStatus, LimitsSpec, MaintenanceWindow,
    NodeCounts, Placement, PlacementType, RemediationAction, RemediationSpec, ThresholdsSpec,
};
pub use schema::normalize;
pub use silence::{AlertRef, Silence, SilenceSpec, SilenceStatus, SilenceUntil};
pub use validate::{Problem, nearest, validate};
pub use vitalsconfig::{VitalsConfig, VitalsConfigSpec, VitalsConfigStatus, *};

/// The API group of all resources.
pub const GROUP: &str = "vitals.dev";
/// The version of all resources.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of all resources.
pub const API_VERSION: &str = "vitals.dev/v1alpha1";
/// The category: `kubectl get vitals` lists everything.
pub const CATEGORY: &str = "vitals";
/// Label that makes a check decide the system's health alone.
pub const LABEL_CRITICAL: &str = "vitals.dev/critical";
/// Label that names what a check is about.
pub const LABEL_COMPONENT_TYPE: &str = "vitals.dev/component-type";
/// Label of a namespace whose owners may ask for host checks and see all series.
pub const LABEL_TRUSTED: &str = "vitals.dev/trusted";

/// One of the seven kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the kinds are described at their types")]
pub enum Kind {
    HealthCheck,
    AlertRule,
    Dashboard,
    AlertReceiver,
    Silence,
    AgentReport,
    VitalsConfig,
}

impl Kind {
    /// All seven.
    pub const ALL: [Self; 7] = [
        Self::HealthCheck,
        Self::AlertRule,
        Self::Dashboard,
        Self::AlertReceiver,
        Self::Silence,
        Self::AgentReport,
        Self::VitalsConfig,
    ];

    /// The kind as written in a resource.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HealthCheck => "HealthCheck",
            Self::AlertRule => "AlertRule",
            Self::Dashboard => "Dashboard",
            Self::AlertReceiver => "AlertReceiver",
            Self::Silence => "Silence",
            Self::AgentReport => "AgentReport",
            Self::VitalsConfig => "VitalsConfig",
        }
    }

    /// The plural in URLs and file names.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::HealthCheck => "healthchecks",
            Self::AlertRule => "alertrules",
            Self::Dashboard => "dashboards",
            Self::AlertReceiver => "alertreceivers",
            Self::Silence => "silences",
            Self::AgentReport => "agentreports",
            Self::VitalsConfig => "vitalsconfigs",
        }
    }

    /// The short name for `kubectl get`.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        match self {
            Self::HealthCheck => "vhc",
            Self::AlertRule => "valr",
            Self::Dashboard => "vdb",
            Self::AlertReceiver => "vrcv",
            Self::Silence => "vsil",
            Self::AgentReport => "vrep",
            Self::VitalsConfig => "vcfg",
        }
    }

    /// Whether its objects live in a namespace.
    #[must_use]
    pub fn namespaced(self) -> bool {
        self != Self::VitalsConfig
    }

    /// Reads a kind as written in a resource.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Its CRD, structural and bounded.
    #[must_use]
    pub fn crd(self) -> CustomResourceDefinition {
        normalize(match self {
            Self::HealthCheck => HealthCheck::crd(),
            Self::AlertRule => AlertRule::crd(),
            Self::Dashboard => Dashboard::crd(),
            Self::AlertReceiver => AlertReceiver::crd(),
            Self::Silence => Silence::crd(),
            Self::AgentReport => AgentReport::crd(),
            Self::VitalsConfig => VitalsConfig::crd(),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// All seven CRDs, ready for `kubectl apply`.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    Kind::ALL.into_iter().map(Kind::crd).collect()
}
