//! The HTTP contract: every endpoint asked over a real connection, its answer compared with what is promised.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "web/cli.rs"]
mod cli;
#[path = "web/client.rs"]
mod client;
#[path = "web/fake.rs"]
mod fake;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use vitals::model::ports::CommandError;
use vitals::model::view::DashboardView;
use vitals::model::{Health, ObjectKey};
use vitals::web::Access;

use client::{Server, keys};
use fake::{Fake, alert, check};

#[tokio::test]
async fn health_has_the_shape_of_the_document() {
    let server = Server::start(Fake::rich()).await;
    let health = server.json("/health").await;
    assert_eq!(
        keys(&health),
        ["health_percentage", "healthy_components", "score", "status", "timestamp", "total_components"]
    );
    assert_eq!(health["status"], "unhealthy");
    assert_eq!(health["timestamp"], "2024-01-15T10:30:00Z");
    assert_eq!(health["healthy_components"], 6);
    assert_eq!(health["total_components"], 9);
}

#[tokio::test]
async fn detailed_health_names_every_component() {
    let server = Server::start(Fake::rich()).await;
    let detailed = server.json("/health/detailed").await;
    for key in ["status", "last_check", "healthy_components", "total_components", "health_percentage", "components"] {
        assert!(!detailed[key].is_null(), "{key}");
    }
    let api = &detailed["components"]["shop-api"];
    assert_eq!(api["component_type"], "api");
    assert_eq!(api["component_name"], "shop-api");
    assert_eq!(api["status"], "healthy");
    assert_eq!(api["last_check"], "2024-01-15T10:29:55Z");
    assert_eq!(api["response_time_ms"], 150.5);
    assert_eq!(api["success_rate"], 98.5);
    assert_eq!(api["error_rate"], 1.5);
    assert_eq!(detailed["checks"]["orders-db"], "unhealthy");
    assert!(detailed["components"]["old-ftp"].is_null(), "suspended checks are no components");
    assert!(detailed["components"]["payments"].get("response_time_ms").is_some_and(Value::is_null));
}

#[tokio::test]
async fn two_components_of_one_name_are_told_apart_by_namespace() {
    let fake = Fake::default();
    let mut other = check("a", "http", Health::Degraded, "", 1);
    other.key = ObjectKey::new("other", "a");
    *fake.checks.lock().unwrap() = vec![check("a", "http", Health::Healthy, "", 1), other];
    let server = Server::start(fake).await;
    let detailed = server.json("/health/detailed").await;
    assert_eq!(keys(&detailed["components"]), ["default/a", "other/a"]);
    let answer = server.get("/health/checks/a").await;
    assert_eq!(answer.status, 409);
    assert!(answer.json()["detail"].as_str().unwrap().contains("other/a"));
    assert_eq!(server.json("/health/checks/other/a?cached=true").await["status"], "degraded");
}

#[tokio::test]
async fn probes_answer_503_with_what_stands_still() {
    let server = Server::start(Fake::rich()).await;
    assert_eq!(server.get("/health/live").await.status, 200);
    assert_eq!(server.get("/health/ready").await.json()["status"], "ok");
    server.fake.dead.lock().unwrap().push("the scheduler has not moved for 40 s".into());
    let answer = server.get("/health/live").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["problems"][0], "the scheduler has not moved for 40 s");
}

#[tokio::test]
async fn checks_are_listed_and_shown_and_run() {
    let server = Server::start(Fake::rich()).await;
    let list = server.json("/health/checks").await;
    assert_eq!(list["total"], 10);
    let first = &list["checks"][0];
    for key in ["name", "namespace", "type", "status", "message", "last_check", "duration_ms", "interval_seconds"] {
        assert!(first.get(key).is_some(), "{key}");
    }
    assert_eq!(first["interval_seconds"], 30.0);

    let cached = server.json("/health/checks/shop-api?cached=true").await;
    assert_eq!(cached["details"]["status_code"], 200);
    assert!(server.fake.ran.lock().unwrap().is_empty(), "a cached answer runs nothing");
    assert_eq!(server.json("/health/checks/shop-api").await["name"], "shop-api");
    assert_eq!(server.json("/health/checks/default%2Fshop-api").await["name"], "shop-api");
    assert_eq!(server.post("/health/checks/default/shop-api/run", "").await.json()["name"], "shop-api");
    assert_eq!(server.fake.ran.lock().unwrap().len(), 3);

    assert_eq!(server.get("/health/checks/nope").await.status, 404);
    assert_eq!(server.post("/health/checks/shop-api", "").await.status, 404);
    *server.fake.refuse_run.lock().unwrap() = Some(CommandError::TooOften("shop-api ran just now".into()));
    let answer = server.get("/health/checks/shop-api").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
}

#[tokio::test]
async fn history_is_bounded_and_can_be_paged_backwards() {
    let server = Server::start(Fake::rich()).await;
    let page = server.json("/health/history?check=shop-api&limit=10").await;
    let runs = page["history"].as_array().unwrap();
    assert_eq!(runs.len(), 10);
    assert_eq!(keys(&runs[0]), ["check", "duration_ms", "message", "reason", "status", "timestamp"]);
    assert!(runs[0]["timestamp"].as_str() < runs[9]["timestamp"].as_str(), "newest last");
    let older =
        server.json(&format!("/health/history?check=shop-api&limit=100&to={}", page["next"].as_str().unwrap())).await;
    assert_eq!(older["history"].as_array().unwrap().len(), 30);
    assert!(older["next"].is_null());
    for bad in ["limit=0", "limit=5000", "from=yesterday", "check=nope&limit=x"] {
        let status = server.get(&format!("/health/history?{bad}")).await.status;
        assert!(status == 400 || status == 404, "{bad}: {status}");
    }
}

#[tokio::test]
async fn alerts_have_the_shape_of_the_document() {
    let server = Server::start(Fake::rich()).await;
    let answer = server.json("/alerts").await;
    let first = &answer["alerts"][0];
    for key in ["id", "name", "severity", "status", "message", "component", "created_at", "updated_at"] {
        assert!(first[key].is_string(), "{key}");
    }
    assert_eq!(first["status"], "active");
    assert_eq!(first["created_at"], "2024-01-15T10:25:00Z");
    assert_eq!(answer["alerts"][1]["status"], "acknowledged");
    assert_eq!(answer["alerts"].as_array().unwrap().len(), 2, "pending alerts are not active");
    assert_eq!(answer["summary"]["total_active"], 2);
    assert_eq!(answer["summary"]["total_resolved"], 5);
    assert_eq!(
        answer["summary"]["active_by_severity"],
        json!({"critical": 1, "high": 0, "medium": 1, "low": 0, "info": 0})
    );
}

#[tokio::test]
async fn alerts_are_filtered_by_status_and_severity() {
    let server = Server::start(Fake::rich()).await;
    let names = |answer: &Value| -> Vec<String> {
        answer["alerts"].as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&server.json("/alerts?status=pending").await), ["a3"]);
    assert_eq!(names(&server.json("/alerts?status=resolved").await), ["a0"]);
    assert_eq!(names(&server.json("/alerts?status=all&severity=critical,warning").await), ["a1", "a2"]);
    assert_eq!(names(&server.json("/alerts?status=firing").await), ["a1", "a2"]);
    assert_eq!(server.get("/alerts?status=loud").await.status, 400);
    assert_eq!(server.get("/alerts?severity=loud").await.status, 400);
    let past = server.json("/alerts/history").await;
    assert_eq!(past["alerts"][0]["resolved_at"], "2024-01-15T10:29:00Z");
    assert_eq!(past["alerts"][0]["duration_seconds"], 240.0);
    assert_eq!(past["alerts"][0]["notifications"][0]["receiver"], "default/team");
}

#[tokio::test]
async fn an_alert_is_acknowledged_by_program_and_by_form() {
    let server = Server::start(Fake::rich()).await;
    let answer = server.post("/alerts/a1/acknowledge", r#"{"by":"Kim","comment":"on it"}"#).await;
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("acknowledged")));
    assert_eq!(answer.json()["acknowledged"]["by"], "Kim");
    let form = server
        .send(
            "POST",
            "/alerts/a1/acknowledge",
            &[("content-type", "application/x-www-form-urlencoded")],
            "by=Lou+%C3%A9&comment=",
        )
        .await;
    assert_eq!((form.status, form.header("location")), (303, Some("/#alerts")));
    assert_eq!(server.fake.alerts.lock().unwrap()[0].acknowledged.as_ref().unwrap().by, "Lou é");
    assert_eq!(server.post("/alerts/nope/acknowledge", "").await.status, 404);
    assert_eq!(server.post("/alerts/a1/acknowledge", "{").await.status, 400);
    assert_eq!(server.post("/alerts/a1/acknowledge", r#"{"who":"me"}"#).await.status, 400);
    let long = format!(r#"{{"by":"{}"}}"#, "x".repeat(600));
    assert_eq!(server.post("/alerts/a1/acknowledge", &long).await.status, 400);
}

#[tokio::test]
async fn dashboards_have_the_shape_of_the_document() {
    let server = Server::start(Fake::rich()).await;
    let list = server.json("/dashboards").await;
    assert_eq!(list["dashboards"][0]["id"], "system_overview");
    assert_eq!(list["dashboards"][0]["updated_at"], "2024-01-15T10:30:00Z");
    let board = server.json("/dashboard/system_overview").await;
    for key in ["id", "title", "description", "refresh_interval", "created_at", "updated_at", "panels"] {
        assert!(!board[key].is_null(), "{key}");
    }
    assert_eq!(board["refresh_interval"], 30.0);
    let panel = &board["panels"][1];
    assert_eq!(panel["id"], "system_health");
    assert_eq!(panel["panel_type"], "metrics");
    assert_eq!(panel["layout"], json!({"width": 3, "height": 4}));
    let metric = &panel["metrics"][0];
    assert_eq!(metric["name"], "system_health_percentage");
    assert_eq!(metric["value"], 100.0);
    assert_eq!(metric["unit"], "%");
    assert_eq!(metric["timestamp"], "2024-01-15T10:30:00Z");
    assert_eq!(metric["chart_type"], "gauge");
    assert_eq!(metric["color"], "green");
    assert_eq!(metric["threshold_warning"], 80.0);
    assert_eq!(metric["threshold_critical"], 60.0);
    assert!(board["panels"][0]["metrics"][0]["values"].as_array().unwrap().len() > 50);
    assert_eq!(board["panels"][7]["alerts"].as_array().unwrap().len(), 2);
    assert_eq!(server.json("/dashboard/default/system-overview").await["id"], "system_overview");
    assert_eq!(server.get("/dashboard/nope").await.status, 404);
    assert_eq!(server.get("/dashboard/system_overview?range=long").await.status, 400);
}

#[tokio::test]
async fn metrics_are_text_unless_json_is_asked_for() {
    let server = Server::start(Fake::rich()).await;
    let text = server.get("/metrics").await;
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body.contains("up{job=\"a\"} 1"));
    let json = server.send("GET", "/metrics", &[("accept", "application/json")], "").await.json();
    assert_eq!(json["timestamp"], "2024-01-15T10:30:00Z");
    assert_eq!(
        json["metrics"]["up"],
        json!({"type": "gauge", "help": "Says hello.", "samples": [{"labels": {"job": "a"}, "value": 1.0}]})
    );
    let always = server.send("GET", "/metrics/prometheus", &[("accept", "application/json")], "").await;
    assert!(always.body.starts_with("# HELP"));
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    assert!(server.send("GET", "/metrics", &[("accept", prometheus)], "").await.body.starts_with("# HELP"));
}

#[tokio::test]
async fn status_and_info_say_what_runs_here() {
    let server = Server::start(Fake::rich()).await;
    let status = server.json("/status").await;
    assert_eq!(status["uptime_seconds"], 18_000);
    assert_eq!(status["checks"], json!({"healthy": 6, "degraded": 1, "unhealthy": 1, "unknown": 1}));
    assert_eq!(status["alerts"]["critical"], 1);
    assert_eq!(status["agents"], json!({"ready": 1, "desired": 1}));
    assert_eq!(status["plan_revision"], 42);
    for key in ["status", "version", "mode", "node"] {
        assert!(status[key].is_string(), "{key}");
    }
    let info = server.json("/info").await;
    assert_eq!(info["hostname"], "test");
    assert!(info["version"].is_string());
}

#[tokio::test]
async fn the_prometheus_api_answers_queries() {
    let server = Server::start(Fake::rich()).await;
    let answer = server.json("/api/v1/query?query=node_load1").await;
    assert_eq!(answer["status"], "success");
    assert_eq!(answer["data"]["resultType"], "vector");
    assert_eq!(answer["data"]["result"][0]["metric"], json!({"__name__": "node_load1"}));
    assert_eq!(answer["data"]["result"][0]["value"][0], 1_705_314_600.0);
    assert!(answer["data"]["result"][0]["value"][1].is_string());
    let form = server
        .send(
            "POST",
            "/api/v1/query",
            &[("content-type", "application/x-www-form-urlencoded")],
            "query=node_load1&time=1705314000",
        )
        .await
        .json();
    assert_eq!(form["data"]["result"][0]["value"][0], 1_705_314_000.0);

    let range = server.json("/api/v1/query_range?query=cpu_usage&start=1705314000&end=1705314600&step=60").await;
    assert_eq!(range["data"]["resultType"], "matrix");
    assert_eq!(range["data"]["result"].as_array().unwrap().len(), 2);
    assert_eq!(range["data"]["result"][0]["values"].as_array().unwrap().len(), 11);
    for bad in [
        "/api/v1/query",
        "/api/v1/query?query=up%20%2B",
        "/api/v1/series?match[]=1",
        "/api/v1/query_range?query=a&start=2&end=1&step=1",
        "/api/v1/query_range?query=a&start=1&end=2&step=0",
        "/api/v1/query_range?query=a&start=1&end=1705314600&step=1",
        "/api/v1/series",
    ] {
        let answer = server.get(bad).await;
        assert_eq!((answer.status, answer.json()["errorType"].as_str()), (400, Some("bad_data")), "{bad}");
    }
    assert_eq!(server.json("/api/v1/label/core/values").await["data"], json!(["0", "1"]));
    assert_eq!(server.json("/api/v1/labels?match[]=cpu_usage").await["data"], json!(["__name__", "core"]));
    assert_eq!(server.json("/api/v1/series?match[]=received").await["data"].as_array().unwrap().len(), 2);
    assert!(server.json("/api/v1/status/buildinfo").await["data"]["version"].is_string());
}

#[tokio::test]
async fn the_prometheus_api_lists_rules_and_alerts() {
    let server = Server::start(Fake::rich()).await;
    let rules = server.json("/api/v1/rules").await;
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!(rule["state"], "firing");
    assert_eq!(rule["query"], "node_load1");
    assert_eq!(rule["duration"], 60.0);
    assert_eq!(rule["type"], "alerting");
    assert_eq!(rule["health"], "ok");
    assert_eq!(rule["alerts"][0]["state"], "firing");
    assert_eq!(rule["alerts"][0]["labels"]["alertname"], "OrdersDatabaseDown");
    assert_eq!(server.json("/api/v1/rules?type=record").await["data"]["groups"], json!([]));
    assert_eq!(server.get("/api/v1/rules?type=x").await.status, 400);
    let alerts = server.json("/api/v1/alerts").await;
    assert_eq!(alerts["data"]["alerts"].as_array().unwrap().len(), 3);
    assert_eq!(alerts["data"]["alerts"][2]["state"], "pending");
}

#[tokio::test]
async fn resources_and_reasons_are_there_for_the_terminal() {
    let server = Server::start(Fake::rich()).await;
    for kind in ["healthchecks", "vhc", "HealthCheck", "alertrules", "alerts", "vdb", "vrcv", "silences"] {
        let list = server.json(&format!("/api/v1/resources/{kind}")).await;
        assert!(!list["items"].as_array().unwrap().is_empty(), "{kind}");
        assert_eq!(list["now"], fake::NOW);
    }
    assert_eq!(server.json("/api/v1/resources/vhc/default/shop-api").await["kind"], "http");
    assert_eq!(server.get("/api/v1/resources/vhc/default/nope").await.status, 404);
    assert_eq!(server.get("/api/v1/resources/pods").await.status, 404);

    let why = server.json("/api/v1/why/default/orders-db").await;
    assert_eq!(why["check"]["check"]["health"], "Unhealthy");
    assert_eq!(why["check"]["failing_phase"], "connect");
    assert!(why["check"]["next"][0].as_str().unwrap().contains("Nothing listens"));
    let why = server.json("/api/v1/why/ordersdatabasedown").await;
    assert_eq!(why["rule"]["values_total"], 1);
    assert!(why["rule"]["next"].to_string().contains("do not get through"));
    let why = server.json("/api/v1/why/lonely").await;
    assert!(why["rule"]["next"].to_string().contains("Nobody is told"));
    assert_eq!(server.get("/api/v1/why/nope").await.status, 404);
}

#[tokio::test]
async fn followers_hear_of_every_change() {
    let server = Server::start(Fake::rich()).await;
    let mut stream = server.open("/api/v1/events").await;
    assert!(stream.until("data: {\"version\":7}").await);
    server.fake.version.store(8, Ordering::SeqCst);
    assert!(stream.until("data: {\"version\":8}").await);
    server.stop.cancel();
    assert!(!stream.until("data: {\"version\":9}").await, "the stream ends with the server");
}

#[tokio::test]
async fn errors_are_problem_details() {
    let server = Server::start(Fake::rich()).await;
    let answer = server.get("/nope").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(keys(&answer.json()), ["detail", "reason", "status", "title", "type"]);
    let answer = server.get("/health/checks/%ff").await;
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (400, Some("BadRequest")));
    let answer = server.send("DELETE", "/health", &[], "").await;
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (405, Some("WrongMethod")));
    assert!(answer.header("allow").is_some());
    let answer = server.post("/alerts/a1/acknowledge", &" ".repeat(70_000)).await;
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (413, Some("TooLarge")));
}

#[tokio::test]
async fn pages_of_other_sites_can_neither_read_nor_act() {
    let server = Server::start(Fake::rich()).await;
    let evil = server.send("GET", "/health", &[("host", "evil.example")], "").await;
    assert_eq!((evil.status, evil.json()["reason"].as_str()), (403, Some("Forbidden")));
    for host in ["localhost", "localhost:9", "127.0.0.1:1", "[::1]:8080", "127.9.9.9"] {
        assert_eq!(server.send("GET", "/health", &[("host", host)], "").await.status, 200, "{host}");
    }
    for headers in
        [vec![("origin", "https://evil.example")], vec![("origin", "null")], vec![("sec-fetch-site", "cross-site")]]
    {
        assert_eq!(server.send("POST", "/alerts/a1/acknowledge", &headers, "").await.status, 403, "{headers:?}");
        assert_eq!(server.send("GET", "/health/checks/shop-api", &headers, "").await.status, 403, "{headers:?}");
    }
    let own = format!("http://{}", server.address);
    let answer =
        server.send("POST", "/alerts/a1/acknowledge", &[("origin", &own), ("sec-fetch-site", "same-origin")], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn beyond_loopback_only_the_probes_are_open() {
    let server = Server::start_with(Fake::rich(), |options| options.access = Access::OpenOnly).await;
    assert_eq!(server.json("/health").await, json!({"status": "unhealthy"}));
    assert_eq!(server.get("/health/live").await.status, 200);
    assert_eq!(server.get("/health/ready").await.status, 200);
    for path in ["/", "/metrics", "/health/detailed", "/alerts", "/api/v1/query?query=up", "/nope"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("www-authenticate").is_some()), (401, true), "{path}");
    }
}

#[tokio::test]
async fn every_answer_carries_security_headers() {
    let server = Server::start(Fake::rich()).await;
    for path in ["/", "/health", "/nope", "/ui/style.css", "/metrics"] {
        let answer = server.get(path).await;
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_can_read_it() {
    let server = Server::start(Fake::rich()).await;
    let packed = server.send("GET", "/metrics", &[("accept-encoding", "gzip, br")], "").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.unpacked().starts_with("# HELP up"));
    let plain = server.send("GET", "/metrics", &[("accept-encoding", "gzip;q=0")], "").await;
    assert_eq!(plain.header("content-encoding"), None);
    let small = server.send("GET", "/health", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(small.header("content-encoding"), None);
}

#[tokio::test]
async fn the_server_counts_what_it_answers() {
    let server = Server::start(Fake::rich()).await;
    server.get("/health").await;
    server.get("/nope").await;
    let text = prometheus::TextEncoder::new().encode_to_string(&server.registry.gather()).unwrap();
    assert!(text.contains("vitals_requests_total{code=\"200\",route=\"/health\"} 1"), "{text}");
    assert!(text.contains("vitals_requests_total{code=\"404\",route=\"other\"} 1"), "{text}");
    assert!(text.contains("vitals_request_duration_seconds_count{route=\"/health\"} 1"));
    assert!(text.contains("vitals_active_connections"));
}

#[tokio::test]
async fn the_page_says_in_words_what_is_broken() {
    let server = Server::start(Fake::rich()).await;
    let page = server.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.body.contains("<h1 id=\"verdict\">orders-db is unhealthy, 2 alerts fire.</h1>"), "{}", page.body);
    for text in [
        "connection refused by 10.0.3.7:5432",
        "Acknowledge",
        "Kim is on it",
        "rules.yaml:41",
        "do not get through",
        "Last 30 runs: 24 healthy, 6 unhealthy",
        "/dashboards/system_overview",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    assert!(page.body.split('<').all(|tag| tag.split('>').next().unwrap().matches(" class=").count() <= 1));
    assert!(!page.body.contains("<style") && !page.body.contains(" style=\""), "the policy forbids inline style");
    assert!(!page.body.contains("<script>") && !page.body.contains(" onclick"), "the policy forbids inline script");
    let order: Vec<usize> = ["group-unhealthy", "group-degraded", "group-unknown", "group-healthy", "group-suspended"]
        .map(|id| page.body.find(id).unwrap())
        .into();
    assert!(order.is_sorted(), "worst first");
    let fragment = server.send("GET", "/", &[("x-fragment", "1")], "").await;
    assert!(!fragment.body.contains("<html") && fragment.body.contains("data-health=\"unhealthy\""));
}

#[tokio::test]
async fn the_page_says_when_all_is_well() {
    let fake = Fake::default();
    let server = Server::start(fake).await;
    assert!(server.get("/").await.body.contains("Nothing is checked yet."));
    *server.fake.checks.lock().unwrap() = vec![check("a", "http", Health::Healthy, "200", 60)];
    assert!(server.get("/").await.body.contains("All is well."));
    *server.fake.alerts.lock().unwrap() = vec![alert("x", "Loud", "high", "Firing", "it is loud")];
    let body = server.get("/").await.body;
    assert!(body.contains("The alert Loud fires.") && body.contains("class=\"verdict degraded\""));
}

#[tokio::test]
async fn hostile_names_and_messages_stay_text() {
    let fake = Fake::default();
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut view = check(hostile, "http", Health::Unhealthy, hostile, 1);
    view.target = hostile.into();
    let mut loud = alert(hostile, hostile, hostile, "Firing", hostile);
    loud.annotations.insert("runbook_url".into(), "javascript:alert(1)".into());
    *fake.checks.lock().unwrap() = vec![view];
    *fake.alerts.lock().unwrap() = vec![loud];
    *fake.dashboards.lock().unwrap() = vec![DashboardView {
        title: hostile.into(),
        description: hostile.into(),
        ..Fake::rich().dashboards.lock().unwrap()[0].clone()
    }];
    let server = Server::start(fake).await;
    for path in ["/", "/dashboards/system_overview"] {
        let body = server.get(path).await.body;
        assert!(!body.contains("<script>alert") && !body.contains("<img") && !body.contains("javascript:"), "{path}");
        assert!(body.contains("&lt;script&gt;"), "{path}");
    }
}

#[tokio::test]
async fn a_dashboard_is_drawn_without_script() {
    let server = Server::start(Fake::rich()).await;
    let page = server.get("/dashboards/system_overview").await;
    assert_eq!(page.status, 200);
    for text in [
        "System Overview",
        "<path",
        "No values yet.",
        "aria-label=\"CPU use from 10:00:00 to 10:30:00 UTC\"",
        "MiB/s",
        "100 %",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    let missing = server.get("/dashboards/nope").await;
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("text/html; charset=utf-8")));
}

#[tokio::test]
async fn the_page_fits_into_a_hundred_kilobytes() {
    let fake = Fake::rich();
    let many = (0..200).map(|n| check(&format!("service-{n}"), "http", Health::Healthy, "200 in 40 ms", 100));
    fake.checks.lock().unwrap().extend(many);
    let server = Server::start(fake).await;
    let mut total = 0;
    for path in ["/", "/ui/style.css", "/ui/live.js", "/ui/icon-healthy.svg"] {
        total += server.send("GET", path, &[("accept-encoding", "gzip")], "").await.bytes.len();
    }
    assert!(total < 100_000, "{total} bytes");
    let crowd = (0..2000).map(|n| check(&format!("worker-{n}"), "http", Health::Healthy, "200 in 40 ms", 100));
    server.fake.checks.lock().unwrap().extend(crowd);
    let page = server.get("/").await;
    assert!(page.body.contains("more in <a href=\"/health/checks\">"));
    assert!(server.send("GET", "/", &[("accept-encoding", "gzip")], "").await.bytes.len() < 60_000);
    assert_eq!(server.get("/ui/nope.js").await.status, 404);
}

/// A server to look at the page with: `VITALS_LOOK=8099 cargo test --test web look -- --ignored`.
#[tokio::test]
#[ignore = "serves until it is stopped"]
async fn look() {
    let port = std::env::var("VITALS_LOOK").ok().and_then(|port| port.parse().ok()).unwrap_or(8099);
    let fake = match std::env::var("VITALS_LOOK_AT").as_deref() {
        Ok("well") => {
            let fake = Fake::rich();
            fake.checks.lock().unwrap().retain(|check| check.health == Health::Healthy);
            fake.alerts.lock().unwrap().clear();
            fake.refused.lock().unwrap().clear();
            fake.receivers.lock().unwrap().clear();
            fake
        }
        _ => Fake::rich(),
    };
    let server = Server::start_on(port, fake, |_| {}).await;
    server.stop.cancelled().await;
    drop(Arc::clone(&server.fake));
}
