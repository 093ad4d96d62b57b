//! The terminal's commands against a real server, and the live view over its data.

use serde_json::Value;
use vitals::cli::client::Server as Remote;
use vitals::cli::get::{GetArgs, get};
use vitals::cli::live::{Live, Screen};
use vitals::cli::results::Format;
use vitals::cli::table::Style;
use vitals::cli::{CliError, Output, act, query, why};
use vitals::model::Health;
use vitals::model::view::AckView;

use crate::client::Server;
use crate::fake::{Fake, alert};

async fn start() -> (Server, Remote) {
    let server = Server::start(Fake::rich()).await;
    let remote = Remote::new(&format!("http://{}/", server.address)).unwrap();
    (server, remote)
}

async fn got(remote: &Remote, kind: &str, name: Option<&str>, output: Output) -> Result<String, CliError> {
    let args = GetArgs { kind: kind.into(), name: name.map(Into::into), output };
    let mut out = Vec::new();
    get(remote, &args, Style::Plain, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

fn headings(text: &str) -> Vec<&str> {
    text.lines().next().unwrap().split_whitespace().collect()
}

#[tokio::test]
async fn every_kind_has_the_columns_of_kubectl() {
    let (_server, remote) = start().await;
    for (kind, usual, wide) in [
        ("healthchecks", "NAME TYPE HEALTH NODES REASON SINCE AGE", "INTERVAL TARGET MESSAGE"),
        ("alertrules", "NAME STATE SEVERITY FIRING SINCE AGE", "EXPR FOR MESSAGE"),
        ("alerts", "ALERT SEVERITY STATE NODE SINCE MESSAGE", ""),
        ("dashboards", "NAME READY PANELS URL AGE", ""),
        ("alertreceivers", "NAME TYPE READY REASON AGE", ""),
        ("silences", "NAME STATE ENDS MATCHED AUTHOR AGE", "COMMENT"),
    ] {
        assert_eq!(headings(&got(&remote, kind, None, Output::Table).await.unwrap()).join(" "), usual, "{kind}");
        let both = format!("{usual} {wide}");
        assert_eq!(headings(&got(&remote, kind, None, Output::Wide).await.unwrap()).join(" "), both.trim(), "{kind}");
    }
}

#[tokio::test]
async fn get_shows_states_and_ages() {
    let (server, remote) = start().await;
    let text = got(&remote, "vhc", Some("orders-db"), Output::Table).await.unwrap();
    let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["orders-db", "tcp", "Unhealthy", "1/1", "ConnectionRefused", "12m", "-"]);
    let text = got(&remote, "alerts", None, Output::Table).await.unwrap();
    assert!(text.contains("DiskAlmostFull") && text.contains("Acknowledged"));
    let one: Value =
        serde_json::from_str(&got(&remote, "vhc", Some("default/search"), Output::Json).await.unwrap()).unwrap();
    assert_eq!(one["health"], "Healthy");
    assert!(got(&remote, "vhc", None, Output::Yaml).await.unwrap().starts_with("items:"));
    server.fake.checks.lock().unwrap()[0].key = vitals::model::ObjectKey::new("other", "cpu");
    assert_eq!(headings(&got(&remote, "vhc", None, Output::Table).await.unwrap())[..2], ["NAMESPACE", "NAME"]);
    server.fake.checks.lock().unwrap().clear();
    assert_eq!(got(&remote, "vhc", None, Output::Table).await.unwrap(), "No healthchecks found.\n");
}

#[tokio::test]
async fn what_is_not_there_is_said_with_a_way_on() {
    let (_server, remote) = start().await;
    assert!(
        got(&remote, "vhc", Some("nope"), Output::Table)
            .await
            .unwrap_err()
            .to_string()
            .contains("vitals get healthchecks")
    );
    assert_eq!(got(&remote, "pods", None, Output::Table).await.unwrap_err().reason(), "BadArgument");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Remote::new(&format!("http://{closed}")).unwrap();
    let error = got(&nobody, "vhc", None, Output::Table).await.unwrap_err();
    assert_eq!(error.reason(), "NoServer");
    let text = error.to_string();
    assert!(
        text.contains(&format!(
            "no Vitals answers at http://{closed}; start one with `vitals run examples/quickstart` or pass --server"
        )),
        "{text}"
    );
    assert_eq!(Remote::new("localhost:8080").err().unwrap().reason(), "BadServer");
    let odd = Remote::new(&format!("{}/nope", remote.url())).unwrap();
    assert_eq!(got(&odd, "vhc", None, Output::Table).await.unwrap_err().reason(), "Refused");
}

async fn explained(remote: &Remote, name: &str) -> String {
    let mut out = Vec::new();
    why::why(remote, name, Output::Table, Style::Plain, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn why_names_the_failing_phase_and_the_next_step() {
    let (server, remote) = start().await;
    {
        let mut checks = server.fake.checks.lock().unwrap();
        checks[3].depends_on =
            vec![vitals::model::ObjectKey::parse("root-disk"), vitals::model::ObjectKey::parse("gone")];
    }
    let text = explained(&remote, "orders-db").await;
    for part in [
        "HealthCheck default/orders-db\nUnhealthy since 12m: ConnectionRefused",
        "Fails in      connect",
        "Depends on\n  default/root-disk  Degraded",
        "default/gone  does not exist",
        "Last runs\n",
        "What to do next\n  1. It depends on default/gone",
        "Nothing listens at orders-db.example.org:5432",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
}

#[tokio::test]
async fn why_shows_a_rules_expression_value_and_receivers() {
    let (_server, remote) = start().await;
    let text = explained(&remote, "default/ordersdatabasedown").await;
    for part in [
        "AlertRule default/ordersdatabasedown\nFiring since 5m",
        "Expression    node_load1",
        "Value now     ",
        "  node_load1",
        "default/team  webhook  not ready (ConnectTimeout)",
        "vitals ack a1",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    assert!(explained(&remote, "lonely").await.contains("nobody"));
}

#[tokio::test]
async fn queries_print_series_and_values() {
    let (_server, remote) = start().await;
    let run = async |expr: &str, output: Output| -> Result<String, CliError> {
        let mut out = Vec::new();
        query::query(&remote, expr, output, Style::Plain, &mut out).await?;
        Ok(String::from_utf8(out).unwrap())
    };
    let text = run("system_health_percentage", Output::Table).await.unwrap();
    assert_eq!(text, "SERIES                     VALUE\nsystem_health_percentage   100\n");
    assert!(run("cpu_usage{core=\"0\"}", Output::Table).await.unwrap().contains("cpu_usage{core=\"0\"}"));
    assert_eq!(run("1 + 1", Output::Table).await.unwrap(), "2\n");
    assert!(run("nothing", Output::Table).await.unwrap().starts_with("No series"));
    assert_eq!(run("cpu_usage[30s]", Output::Table).await.unwrap().lines().count(), 5);
    let json: Value = serde_json::from_str(&run("vector(3)", Output::Json).await.unwrap()).unwrap();
    assert_eq!(json["result"][0]["value"][1], "3");
    let error = run("sum(", Output::Table).await.unwrap_err();
    assert_eq!(error.reason(), "Refused");
    assert!(error.to_string().contains("1:"), "{error}");
}

#[tokio::test]
async fn checking_a_server_gives_its_exit_code() {
    let (server, remote) = start().await;
    let mut out = Vec::new();
    let code = act::check(&remote, &[], Format::Table, Style::Plain, &mut out).await.unwrap();
    assert_eq!(code, 1);
    assert!(server.fake.ran.lock().unwrap().is_empty());
    let names = ["shop-api".to_owned(), "default/search".to_owned()];
    out.clear();
    assert_eq!(act::check(&remote, &names, Format::Json, Style::Plain, &mut out).await.unwrap(), 0);
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["total"], 2);
    assert_eq!(server.fake.ran.lock().unwrap().len(), 2);
    let error = act::check(&remote, &["nope".into()], Format::Json, Style::Plain, &mut out).await.unwrap_err();
    assert!(error.to_string().contains("there is no check"));
}

#[tokio::test]
async fn alerts_are_acknowledged_by_name_while_that_is_clear() {
    let (server, remote) = start().await;
    let mut out = Vec::new();
    act::acknowledge(&remote, "OrdersDatabaseDown", "Kim", "on it", &mut out).await.unwrap();
    assert_eq!(server.fake.alerts.lock().unwrap()[0].acknowledged.as_ref().unwrap().by, "Kim");
    server.fake.alerts.lock().unwrap().push(alert("b1", "OrdersDatabaseDown", "low", "Firing", ""));
    let error = act::acknowledge(&remote, "OrdersDatabaseDown", "Kim", "", &mut out).await.unwrap_err();
    assert!(error.to_string().contains("a1, b1"));
    act::acknowledge(&remote, "b1", "Kim", "", &mut out).await.unwrap();
    assert!(act::acknowledge(&remote, "nope", "Kim", "", &mut out).await.is_err());
}

fn shown(live: &mut Live, fake: &Fake, size: (usize, usize)) -> String {
    let mut out = Vec::new();
    live.update(fake, size, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_live_view_draws_over_itself_and_fits_the_screen() {
    let fake = Fake::rich();
    let mut live = Live::new(Screen::Terminal, Style::Plain, "http://127.0.0.1:8080");
    let first = shown(&mut live, &fake, (100, 30));
    assert!(!first.starts_with("\x1b["), "the first picture overwrites nothing");
    let names: Vec<&str> = first.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let place = |name: &str| names.iter().position(|have| *have == name).unwrap();
    assert!(place("orders-db") < place("root-disk") && place("root-disk") < place("cpu"), "worst first");
    assert!(
        first.contains("Unhealthy  6/9 checks healthy, 2 alerts firing") && first.contains("http://127.0.0.1:8080")
    );
    assert!(first.contains("rules.yaml:41"));
    let drawn = first.lines().count() - 1;
    let second = shown(&mut live, &fake, (60, 12));
    assert!(second.starts_with(&format!("\x1b[{drawn}F")), "{second:?}");
    let lines: Vec<&str> = second.split("\x1b[K\n").collect();
    assert!(lines.len() <= 12, "{}", lines.len());
    assert!(second.contains("more checks"));
    live.leave();
    assert!(!shown(&mut live, &fake, (60, 12)).starts_with("\x1b["));
    for size in [(1, 1), (0, 0), (10, 3), (500, 200)] {
        let _ = shown(&mut live, &fake, size);
    }
}

#[test]
fn without_a_terminal_each_change_is_one_line() {
    let fake = Fake::rich();
    let mut live = Live::new(Screen::Lines, Style::Plain, "");
    let first = shown(&mut live, &fake, (80, 24));
    assert!(first.contains("10:30:00Z check default/orders-db Unhealthy: connection refused by 10.0.3.7:5432\n"));
    assert!(!first.contains("payments"), "what has not run yet is no news");
    assert!(first.contains("10:30:00Z alert OrdersDatabaseDown firing (critical): orders-db refuses connections\n"));
    assert_eq!(shown(&mut live, &fake, (80, 24)), "", "no change, no line");
    fake.checks.lock().unwrap()[3].health = Health::Healthy;
    fake.alerts.lock().unwrap()[0].acknowledged = Some(AckView { by: "Kim".into(), at: 0, comment: String::new() });
    let change = shown(&mut live, &fake, (80, 24));
    assert!(change.contains("orders-db Healthy (was Unhealthy)") && change.contains("acknowledged by Kim"));
    let mut ended = fake.alerts.lock().unwrap().remove(0);
    ended.resolved_at = Some(crate::fake::NOW);
    fake.history.lock().unwrap().push(ended);
    assert_eq!(shown(&mut live, &fake, (80, 24)), "10:30:00Z alert OrdersDatabaseDown resolved after 5m\n");
}
