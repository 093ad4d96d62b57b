//! Resource documents as users write them, with intervals short enough for a test.

/// The first lines of every document.
pub fn head(kind: &str, name: &str) -> String {
    format!("---\napiVersion: vitals.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}\n")
}

/// A HealthCheck that runs every second and believes a single result; `body` is the kind of check as YAML flow
/// (`tcp: {host: …}`), more lines of `spec` may follow.
pub fn check(name: &str, body: &str) -> String {
    format!(
        "{}spec:\n  interval: 1s\n  timeout: 1s\n  failureThreshold: 1\n  successThreshold: 1\n{}",
        head("HealthCheck", name),
        indent(body)
    )
}

/// An HTTP check.
pub fn http_check(name: &str, url: &str) -> String {
    check(name, &format!("http: {{url: \"{url}\"}}"))
}

/// A TCP check on loopback.
pub fn tcp_check(name: &str, port: u16) -> String {
    check(name, &format!("tcp: {{host: 127.0.0.1, port: {port}}}"))
}

/// A rule that fires when a check is Unhealthy for this long and tells receiver `hook` without delay.
pub fn health_rule(name: &str, check: &str, hold: &str) -> String {
    rule(
        name,
        &format!(
            "health: {{name: {check}, statusIn: [Unhealthy]}}\nfor: {hold}\nseverity: high\n\
             annotations: {{summary: \"{check} is down\"}}\n{}",
            notify_hook()
        ),
    )
}

/// A rule that is evaluated every second.
pub fn rule(name: &str, body: &str) -> String {
    format!("{}spec:\n  interval: 1s\n{}", head("AlertRule", name), indent(body))
}

/// Tells at once, and never twice of its own accord within a test. No receiver is named: `hook` takes everything.
pub fn notify_hook() -> &'static str {
    "notify: {groupWait: 0s, groupInterval: 1s, repeatInterval: 4h}"
}

/// A receiver that takes every alert.
pub fn webhook(name: &str, url: &str) -> String {
    format!("{}spec:\n  webhook: {{url: \"{url}\", timeout: 5s}}\n", head("AlertReceiver", name))
}

/// Switches the shipped rules and dashboards off.
pub fn no_defaults() -> String {
    format!("{}spec:\n  defaults: {{rules: false, dashboards: false}}\n", head("VitalsConfig", "default"))
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
