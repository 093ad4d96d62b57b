//! What this version does not serve yet: fields that are in the schema already and are refused until they work.
//!
//! Nothing is silently ignored: every leaf of every schema is below an entry of one of the two tables, and a test walks the
//! schemas to prove it. To serve a field, move its line.

use serde_json::Value;

use crate::api::Kind;

/// Fields that are refused, with everything below them.
pub const NOT_YET: &[(Kind, &str)] = &[
    (Kind::HealthCheck, "spec.tls"),
    (Kind::HealthCheck, "spec.dns"),
    (Kind::HealthCheck, "spec.icmp"),
    (Kind::HealthCheck, "spec.grpc"),
    (Kind::HealthCheck, "spec.websocket"),
    (Kind::HealthCheck, "spec.postgres"),
    (Kind::HealthCheck, "spec.mysql"),
    (Kind::HealthCheck, "spec.redis"),
    (Kind::HealthCheck, "spec.kafka"),
    (Kind::HealthCheck, "spec.smtp"),
    (Kind::HealthCheck, "spec.ntp"),
    (Kind::HealthCheck, "spec.prometheusQuery"),
    (Kind::HealthCheck, "spec.prometheus"),
    (Kind::HealthCheck, "spec.process"),
    (Kind::HealthCheck, "spec.systemd"),
    (Kind::HealthCheck, "spec.kernelLog"),
    (Kind::HealthCheck, "spec.file"),
    (Kind::HealthCheck, "spec.gpu"),
    (Kind::HealthCheck, "spec.kubernetes"),
    (Kind::HealthCheck, "spec.exec"),
    (Kind::HealthCheck, "spec.heartbeat"),
    (Kind::HealthCheck, "spec.maintenanceWindows"),
    (Kind::HealthCheck, "spec.remediation"),
    (Kind::AlertRule, "spec.prometheus"),
    (Kind::AlertRule, "spec.threshold.clearValue"),
    (Kind::AlertRule, "spec.absentOnEveryNode"),
    (Kind::AlertRule, "spec.remediation"),
    (Kind::Dashboard, "spec.variables"),
    (Kind::Dashboard, "spec.exports"),
    (Kind::AlertReceiver, "spec.email"),
    (Kind::AlertReceiver, "spec.slack"),
    (Kind::AlertReceiver, "spec.pagerDuty"),
    (Kind::AlertReceiver, "spec.alertmanager"),
    (Kind::AlertReceiver, "spec.datadog"),
    (Kind::AlertReceiver, "spec.newrelic"),
    (Kind::AlertReceiver, "spec.muteTimes"),
    (Kind::AlertReceiver, "spec.groupBy"),
    (Kind::AlertReceiver, "spec.groupWait"),
    (Kind::AlertReceiver, "spec.groupInterval"),
    (Kind::AlertReceiver, "spec.repeatInterval"),
    (Kind::AlertReceiver, "spec.escalateTo"),
    (Kind::Silence, "spec.schedule"),
    (Kind::VitalsConfig, "spec.names"),
    (Kind::VitalsConfig, "spec.metrics"),
    (Kind::VitalsConfig, "spec.exports"),
    (Kind::VitalsConfig, "spec.intervals.export"),
    (Kind::VitalsConfig, "spec.checkPolicy.crossNamespace"),
    (Kind::VitalsConfig, "spec.auth"),
    (Kind::VitalsConfig, "spec.tls"),
    (Kind::VitalsConfig, "spec.logs.file"),
    (Kind::VitalsConfig, "spec.agent"),
    (Kind::VitalsConfig, "spec.prober"),
    (Kind::VitalsConfig, "spec.prometheusRuleSelector"),
    (Kind::AgentReport, "spec"),
];

/// Fields that work, with everything below them that [`NOT_YET`] does not name.
#[cfg(test)]
const SERVED: &[(Kind, &[&str])] = &[
    (
        Kind::HealthCheck,
        &[
            "http",
            "tcp",
            "disk",
            "memory",
            "cpu",
            "load",
            "service",
            "composite",
            "interval",
            "timeout",
            "retries",
            "failureThreshold",
            "successThreshold",
            "targets",
            "thresholds",
            "placement",
            "minHealthy",
            "maxUnhealthy",
            "dependsOn",
            "suspend",
        ],
    ),
    (
        Kind::AlertRule,
        &[
            "expr",
            "health",
            "threshold",
            "errorRate",
            "record",
            "alert",
            "scope",
            "group",
            "order",
            "for",
            "keepFiringFor",
            "interval",
            "severity",
            "labels",
            "annotations",
            "minNodes",
            "noData",
            "onError",
            "limit",
            "notify",
            "inhibitedBy",
            "suspend",
        ],
    ),
    (Kind::Dashboard, &["title", "description", "refreshInterval", "panels"]),
    (
        Kind::AlertReceiver,
        &["log", "webhook", "match", "default", "allowedNamespaces", "rateLimit", "retry", "sendResolved"],
    ),
    (Kind::Silence, &["matchers", "alertRef", "startsAt", "endsAt", "duration", "until", "author", "comment"]),
    (
        Kind::VitalsConfig,
        &[
            "collectors",
            "labels",
            "intervals",
            "retention",
            "trustedNamespaces",
            "checkPolicy",
            "rulePolicy",
            "networkPolicy",
            "defaults",
            "defaultReceiver",
            "logs",
        ],
    ),
];

/// The fields of a spec that are not served yet. A field that has only its default, as the API server writes it into every
/// object, is not there.
#[must_use]
pub fn not_yet_supported(kind: Kind, spec: &Value) -> Vec<&'static str> {
    let fields = NOT_YET.iter().filter(|(of, _)| *of == kind).map(|(_, path)| *path);
    fields.filter(|path| present(spec, path.strip_prefix("spec").unwrap_or(path))).collect()
}

fn present(spec: &Value, path: &str) -> bool {
    let found = spec.pointer(&path.replace('.', "/"));
    // `false` is the default of every flag that is not served.
    found.is_some_and(|value| !value.is_null() && *value != Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leaves(schema: &Value, path: &str, out: &mut Vec<String>) {
        if let Some(fields) = schema["properties"].as_object().filter(|fields| !fields.is_empty()) {
            fields.iter().for_each(|(name, child)| leaves(child, &format!("{path}.{name}"), out));
        } else if schema["items"]["properties"].is_object() {
            leaves(&schema["items"], path, out);
        } else {
            out.push(path.to_owned());
        }
    }

    fn below(path: &str, field: &str) -> bool {
        path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    #[test]
    fn every_field_of_every_schema_is_either_served_or_refused() {
        let mut seen = 0;
        for kind in Kind::ALL {
            let crd = serde_json::to_value(kind.crd()).unwrap();
            let mut paths = Vec::new();
            leaves(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec", &mut paths);
            for path in paths {
                seen += 1;
                let refused = NOT_YET.iter().any(|(of, field)| *of == kind && below(&path, field));
                let fields = SERVED.iter().filter(|(of, _)| *of == kind).flat_map(|(_, fields)| fields.iter());
                let served = fields.map(|field| format!("spec.{field}")).any(|field| below(&path, &field));
                assert!(served || refused, "{kind} {path} is neither served nor refused: it would be silently ignored");
            }
        }
        assert!(seen > 300, "only {seen} fields were looked at");
    }

    #[test]
    fn every_entry_names_a_field_that_exists_and_is_off_by_default() {
        for kind in Kind::ALL {
            let crd = serde_json::to_value(kind.crd()).unwrap();
            for (_, path) in NOT_YET.iter().filter(|(of, _)| *of == kind) {
                let mut at = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
                for part in path.split('.') {
                    at = &at["properties"][part];
                }
                assert!(at.is_object(), "{kind} has no field {path}");
                let default = &at["default"];
                let off = default.is_null() || *default == false;
                assert!(off, "{kind} {path} defaults to {default}: every object would be refused");
            }
        }
    }

    #[test]
    fn only_fields_that_are_there_are_refused() {
        assert_eq!(not_yet_supported(Kind::AlertRule, &json!({ "expr": "up", "absentOnEveryNode": false })), [""; 0]);
        let spec = json!({ "threshold": { "metric": "a", "clearValue": "1" }, "remediation": {} });
        assert_eq!(not_yet_supported(Kind::AlertRule, &spec), ["spec.threshold.clearValue", "spec.remediation"]);
    }
}
