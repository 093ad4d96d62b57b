//! Every endpoint's shape, as CONTRACT fixes it: all keys present, extra keys allowed.

use serde_json::Value;

use crate::support::ask::request;
use crate::support::resources::{check, head, health_rule, http_check};
use crate::support::{Home, Running, Target, eventually};

/// A running program with one healthy and one unhealthy check and an alert about the latter.
struct Site {
    _targets: [Target; 2],
    _home: Home,
    vitals: Running,
}

impl Site {
    fn start() -> Self {
        let targets = [Target::start(), Target::start()];
        targets[1].break_it();
        let labelled = http_check("broken", &targets[1].url())
            .replace("  name: broken\n", "  name: broken\n  labels: {vitals.dev/component-type: tts_client}\n");
        let dashboard = format!(
            "{}spec:\n  title: My machine\n  description: what it does\n  panels:\n  - title: Memory\n    kind: Gauge\n    \
             unit: bytes\n    queries: [{{expr: node_memory_MemTotal_bytes}}]\n    thresholds: {{warning: \"80\", critical: \"90\"}}\n",
            head("Dashboard", "my-machine")
        );
        let home = Home::with(
            &[
                http_check("fine", &targets[0].url()),
                labelled,
                check("load", "load: {perCore: \"10000\"}"),
                health_rule("broken-down", "broken", "0s"),
                dashboard,
            ]
            .concat(),
        );
        let vitals = home.start();
        vitals.await_health("fine", "healthy");
        vitals.await_health("load", "healthy");
        vitals.await_health("broken", "unhealthy");
        vitals.await_alert("broken-down", "active");
        Self { _targets: targets, _home: home, vitals }
    }
}

/// Fails unless an object has all these keys.
#[track_caller]
fn has_keys(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "key {key:?} is missing in {value}");
    }
}

#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a time"));
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    assert!(parsed.is_ok() && text.ends_with('Z'), "{text:?} is not RFC 3339 in UTC");
}

#[track_caller]
fn is_number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn is_health(value: &Value) -> bool {
    ["healthy", "degraded", "unhealthy", "unknown"].iter().any(|word| value == word)
}

#[test]
fn health_has_the_documented_shape() {
    let site = Site::start();
    let health = site.vitals.json("/health");
    has_keys(&health, &["status", "timestamp", "healthy_components", "total_components", "health_percentage"]);
    is_time(&health["timestamp"]);
    assert_eq!((&health["healthy_components"], &health["total_components"]), (&2.into(), &3.into()));
    assert_eq!(health["status"], "degraded", "two of three healthy is between 50 and 100 percent");
    assert!((is_number(&health["health_percentage"]) - 66.6).abs() < 0.1);

    let detailed = site.vitals.json("/health/detailed");
    has_keys(
        &detailed,
        &[
            "status",
            "last_check",
            "healthy_components",
            "total_components",
            "health_percentage",
            "components",
            "checks",
        ],
    );
    is_time(&detailed["last_check"]);
    let broken = &detailed["components"]["broken"];
    has_keys(
        broken,
        &["component_type", "component_name", "status", "last_check", "response_time_ms", "success_rate", "error_rate"],
    );
    assert_eq!(broken["component_type"], "tts_client");
    assert_eq!(broken["component_name"], "broken");
    assert_eq!(broken["status"], "unhealthy");
    assert_eq!(is_number(&broken["success_rate"]) + is_number(&broken["error_rate"]), 100.0);
    assert_eq!(detailed["checks"]["fine"], "healthy");
    site.vitals.terminate();
}

#[test]
fn live_and_ready_answer_probes() {
    let site = Site::start();
    assert_eq!(site.vitals.get("/health/live").status, 200);
    eventually("it is ready", || match site.vitals.get("/health/ready") {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer),
    });
    site.vitals.terminate();
}

#[test]
fn checks_are_listed_and_shown_one_by_one() {
    let site = Site::start();
    let list = site.vitals.json("/health/checks");
    assert_eq!(list["total"], 3);
    let checks = list["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 3);
    for check in checks {
        has_keys(
            check,
            &["name", "namespace", "type", "status", "message", "last_check", "duration_ms", "interval_seconds"],
        );
        assert!(is_health(&check["status"]));
        is_time(&check["last_check"]);
        assert_eq!(is_number(&check["interval_seconds"]), 1.0);
    }
    for path in ["/health/checks/broken?cached=true", "/health/checks/default/broken?cached=true"] {
        let one = site.vitals.json(path);
        has_keys(&one, &["name", "type", "status", "message", "details"]);
        assert_eq!((&one["name"], &one["type"]), (&"broken".into(), &"http".into()), "{path}");
    }
    let missing = site.vitals.get("/health/checks/nothing");
    assert_eq!(missing.status, 404);
    is_problem(&missing.json(), 404);
    site.vitals.terminate();
}

#[test]
fn asking_for_a_check_runs_it_but_not_more_than_once_a_second() {
    let target = Target::start();
    let slow = http_check("rare", &target.url()).replace("interval: 1s", "interval: 1h");
    let home = Home::with(&slow);
    let vitals = home.start();
    vitals.await_health("rare", "healthy");
    let before = target.asked();
    eventually("it runs when asked", || {
        let answer = vitals.get("/health/checks/rare");
        if answer.status == 200 && target.asked() > before { Ok(()) } else { Err(answer) }
    });
    let statuses: Vec<u16> = (0..10).map(|_| vitals.post("/health/checks/rare/run", "").status).collect();
    assert!(statuses.contains(&429), "ten times at once is too often: {statuses:?}");
    target.break_it();
    eventually("an ordered run counts like any other", || {
        vitals.get("/health/checks/rare");
        let health = vitals.health("rare");
        if health == "unhealthy" { Ok(()) } else { Err(health) }
    });
    vitals.terminate();
}

#[test]
fn runs_are_kept_as_history() {
    let site = Site::start();
    let history = eventually("two runs are in the history", || {
        let history = site.vitals.json("/health/history?check=broken");
        if history["history"].as_array().is_some_and(|runs| runs.len() >= 2) { Ok(history) } else { Err(history) }
    });
    assert!(history.get("next").is_some());
    let runs = history["history"].as_array().unwrap();
    for run in runs {
        has_keys(run, &["timestamp", "check", "status", "message", "duration_ms"]);
        is_time(&run["timestamp"]);
        assert!(run["check"].as_str().unwrap().ends_with("broken"));
    }
    let times: Vec<&str> = runs.iter().map(|run| run["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "newest last: {times:?}");
    let one = site.vitals.json("/health/history?check=broken&limit=1");
    assert_eq!(one["history"].as_array().map(Vec::len), Some(1));
    assert_eq!(site.vitals.get("/health/history?from=yesterday").status, 400);
    site.vitals.terminate();
}

#[test]
fn alerts_have_the_documented_shape() {
    let site = Site::start();
    let answer = site.vitals.json("/alerts");
    let alert = answer["alerts"].as_array().unwrap().iter().find(|alert| alert["name"] == "broken-down").unwrap();
    has_keys(alert, &["id", "name", "severity", "status", "message", "component", "created_at", "updated_at"]);
    is_time(&alert["created_at"]);
    is_time(&alert["updated_at"]);
    assert_eq!((&alert["severity"], &alert["status"]), (&"high".into(), &"active".into()));
    let summary = &answer["summary"];
    has_keys(summary, &["total_active", "total_resolved", "active_by_severity"]);
    let by_severity = summary["active_by_severity"].as_object().unwrap();
    let mut keys: Vec<&String> = by_severity.keys().collect();
    keys.sort();
    assert_eq!(keys, ["critical", "high", "info", "low", "medium"]);
    let counted: u64 = by_severity.values().filter_map(Value::as_u64).sum();
    assert_eq!(summary["total_active"].as_u64(), Some(counted));

    let critical = site.vitals.json("/alerts?severity=critical");
    assert!(critical["alerts"].as_array().unwrap().iter().all(|alert| alert["severity"] == "critical"));
    let acknowledged = site.vitals.json("/alerts?status=acknowledged");
    assert_eq!(acknowledged["alerts"].as_array().map(Vec::len), Some(0));
    has_keys(&site.vitals.json("/alerts/history"), &["alerts", "next"]);
    is_problem(&site.vitals.post("/alerts/0000000000000000/acknowledge", "{\"comment\":\"x\"}").json(), 404);
    site.vitals.terminate();
}

#[test]
fn dashboards_are_listed_and_drawn_with_values() {
    let site = Site::start();
    let list = site.vitals.json("/dashboards");
    let mine = list["dashboards"].as_array().unwrap().iter().find(|entry| entry["id"] == "my_machine").unwrap();
    has_keys(mine, &["id", "title", "description", "updated_at"]);
    let shipped = list["dashboards"].as_array().unwrap().iter().any(|entry| entry["id"] == "system_overview");
    assert!(shipped, "the shipped dashboards are there: {list}");

    let dashboard = eventually("the dashboard has a value", || {
        let dashboard = site.vitals.json("/dashboard/my_machine");
        let value = &dashboard["panels"][0]["metrics"][0]["value"];
        if value.as_f64().is_some_and(|value| value > 0.0) { Ok(dashboard) } else { Err(dashboard) }
    });
    has_keys(&dashboard, &["id", "title", "description", "refresh_interval", "created_at", "updated_at", "panels"]);
    assert_eq!(is_number(&dashboard["refresh_interval"]), 30.0);
    let panel = &dashboard["panels"][0];
    has_keys(panel, &["id", "title", "description", "panel_type", "layout", "metrics"]);
    has_keys(&panel["layout"], &["width", "height"]);
    let metric = &panel["metrics"][0];
    has_keys(
        metric,
        &["name", "value", "unit", "timestamp", "chart_type", "color", "threshold_warning", "threshold_critical"],
    );
    assert_eq!(is_number(&metric["threshold_critical"]), 90.0);
    is_problem(&site.vitals.get("/dashboard/nothing").json(), 404);
    site.vitals.terminate();
}

#[test]
fn the_page_is_html_and_needs_nothing_from_elsewhere() {
    let site = Site::start();
    let page = site.vitals.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{}", page.head);
    assert!(page.body.contains("broken") && page.body.contains("fine"), "{:.2000}", page.body);
    for foreign in ["src=\"http", "src=\"//", "href=\"//", "@import url(http"] {
        assert!(!page.body.contains(foreign), "the page loads something from elsewhere: {foreign}");
    }
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src"), "the page has no content security policy: {}", page.head);
    site.vitals.terminate();
}

#[test]
fn a_hostile_check_name_or_message_cannot_run_in_the_page() {
    let target = Target::start();
    target.say("<script>alert(1)</script>");
    let body = format!("http: {{url: \"{}?%3Cb%3E\", expect: {{bodyMatches: \"<i>never</i>\"}}}}", target.url());
    let home = Home::with(&check("odd", &body));
    let vitals = home.start();
    vitals.await_health("odd", "unhealthy");
    let page = vitals.get("/").body;
    for raw in ["<script>alert(1)", "<i>never", "<b>"] {
        assert!(!page.contains(raw), "{raw} is in the page unescaped");
    }
    vitals.terminate();
}

#[test]
fn another_sites_page_cannot_talk_to_the_api() {
    let home = Home::with(&check("load", "load: {}"));
    let vitals = home.start();
    let rebound = request("GET", &vitals.url, "/health/checks", &["Host: evil.example"], "").unwrap();
    assert!(rebound.status == 403 || rebound.status == 421 || rebound.status == 400, "{rebound:?}");
    let crossed =
        request("POST", &vitals.url, "/health/checks/load/run", &["Origin: http://evil.example"], "").unwrap();
    assert_eq!(crossed.status, 403, "{crossed:?}");
    vitals.terminate();
}

#[test]
fn nonsense_requests_are_refused_and_the_server_stays() {
    let home = Home::with(&check("load", "load: {}"));
    let vitals = home.start();
    let long = "a".repeat(100_000);
    for (method, path) in [
        ("GET", "/no/such/page"),
        ("DELETE", "/alerts"),
        ("GET", "/health/checks/%ff%fe"),
        ("GET", "/health/checks/..%2f..%2fetc%2fpasswd"),
        ("GET", "/health/history?limit=99999999999999999999"),
        ("GET", &format!("/dashboard/{}", &long[..4000])),
    ] {
        let answer = request(method, &vitals.url, path, &[], "").unwrap();
        assert!((400..500).contains(&answer.status), "{method} {path:.60}: {}", answer.status);
    }
    // A server may also close the connection on these.
    let _ = request("POST", &vitals.url, "/alerts/x/acknowledge", &[], &"{".repeat(5_000_000));
    let _ = request("GET", &vitals.url, &format!("/{long}"), &[], "");
    assert_eq!(vitals.get("/health/live").status, 200);
    vitals.terminate();
}

#[track_caller]
fn is_problem(problem: &Value, status: u16) {
    has_keys(problem, &["title", "status", "detail"]);
    assert_eq!(problem["status"], status);
}
