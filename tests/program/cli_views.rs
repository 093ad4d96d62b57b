//! Commands that ask a running program: `get`, `why`, `query`, `ack`.

use crate::support::resources::{check, health_rule, http_check, no_defaults, webhook};
use crate::support::table::get;
use crate::support::{Home, Running, Sink, Table, Target, eventually, vitals};

struct Site {
    target: Target,
    _sink: Sink,
    _home: Home,
    running: Running,
}

/// One broken and one good check, an alert about the broken one, a receiver.
fn site() -> Site {
    let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
    target.break_it();
    home.write(
        "checks.yaml",
        [http_check("shop", &target.url()), check("load", "load: {perCore: \"10000\"}")].concat(),
    );
    home.write("rule.yaml", health_rule("shop-down", "shop", "0s"));
    home.write("hook.yaml", webhook("hook", &sink.url()));
    home.write("config.yaml", no_defaults());
    let running = home.start();
    running.await_health("shop", "unhealthy");
    running.await_health("load", "healthy");
    running.await_alert("shop-down", "active");
    sink.await_messages("shop-down", "firing", 1);
    Site { target, _sink: sink, _home: home, running }
}

/// The headings in this order, whatever stands between them.
#[track_caller]
fn has_columns(table: &Table, wanted: &[&str]) {
    let mut columns = table.columns.iter();
    for heading in wanted {
        assert!(columns.any(|column| column == heading), "{heading} is missing or misplaced in {:?}", table.columns);
    }
}

#[test]
fn get_healthchecks_shows_one_line_a_check() {
    let site = site();
    let table = Table::get("healthchecks", &site.running.url);
    has_columns(&table, &["NAME", "TYPE", "HEALTH", "NODES", "REASON", "SINCE", "AGE"]);
    assert_eq!(table.cell("shop", "HEALTH").as_deref(), Some("Unhealthy"));
    assert_eq!(table.cell("shop", "TYPE").as_deref(), Some("http"));
    assert_eq!(table.cell("load", "NODES").as_deref(), Some("1/1"));
    assert_eq!(table.cell("shop", "NODES").as_deref(), Some("0/1"));
    let wide = Table::parse(&get(&["healthchecks", "-o", "wide"], &site.running.url).expect_code(0).stdout);
    has_columns(&wide, &["NAME", "HEALTH", "INTERVAL", "TARGET", "MESSAGE"]);
    assert_eq!(wide.cell("shop", "INTERVAL").as_deref(), Some("1s"));
    assert!(wide.cell("shop", "MESSAGE").unwrap().contains("503"));
    for word in ["healthcheck", "vhc"] {
        assert!(Table::get(word, &site.running.url).cell("shop", "HEALTH").is_some(), "{word}");
    }
    site.running.terminate();
}

#[test]
fn get_alertrules_and_alerts_show_who_fires() {
    let site = site();
    let rules = Table::get("alertrules", &site.running.url);
    has_columns(&rules, &["NAME", "STATE", "SEVERITY", "FIRING", "SINCE", "AGE"]);
    assert_eq!(rules.cell("shop-down", "STATE").as_deref(), Some("Firing"));
    assert_eq!(rules.cell("shop-down", "SEVERITY").as_deref(), Some("high"));
    let alerts = get(&["alerts"], &site.running.url).expect_code(0);
    assert!(alerts.stdout.contains("shop-down") && alerts.stdout.contains("high"), "{}", alerts.stdout);
    let receivers = get(&["alertreceivers"], &site.running.url).expect_code(0);
    assert!(receivers.stdout.contains("hook") && receivers.stdout.contains("webhook"), "{}", receivers.stdout);
    site.running.terminate();
}

#[test]
fn get_one_object_and_get_for_machines() {
    let site = site();
    let one = get(&["healthchecks", "shop"], &site.running.url).expect_code(0).stdout;
    assert!(one.contains("shop") && !one.contains("load"), "{one}");
    let json = get(&["healthchecks", "-o", "json"], &site.running.url).expect_code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.to_string().contains("shop"), "{json}");
    let yaml = get(&["healthchecks", "shop", "-o", "yaml"], &site.running.url).expect_code(0).stdout;
    assert!(yaml.contains(": ") && yaml.contains("shop") && !yaml.trim_start().starts_with('{'), "{yaml}");
    get(&["healthchecks", "nothing"], &site.running.url).expect_failure().expect_words(&["nothing"]);
    get(&["unicorns"], &site.running.url).expect_code(2).expect_words(&["unicorns", "healthchecks"]);
    get(&["healthchecks", "-o", "xml"], &site.running.url).expect_code(2);
    site.running.terminate();
}

#[test]
fn why_tells_what_is_wrong_since_when_and_who_was_told() {
    let site = site();
    let check = vitals(["why", "shop", "--server", &site.running.url]).expect_code(0).stdout;
    for word in ["Unhealthy", "503", "shop-down", &site.target.url()] {
        assert!(check.contains(word), "{word} is missing in:\n{check}");
    }
    let rule = eventually("the message is noted", || {
        let rule = vitals(["why", "shop-down", "--server", &site.running.url]).expect_code(0).stdout;
        if rule.contains("hook") { Ok(rule) } else { Err(rule) }
    });
    assert!(rule.contains("Firing"), "{rule}");
    vitals(["why", "nothing", "--server", &site.running.url]).expect_failure().expect_words(&["nothing"]);
    site.running.terminate();
}

#[test]
fn query_answers_like_prometheus() {
    let site = site();
    let url = &site.running.url;
    let number = |expr: &str| -> Option<f64> {
        let done = vitals(["query", expr, "--server", url]).expect_code(0);
        done.stdout.split_whitespace().rev().find_map(|word| word.parse().ok())
    };
    assert_eq!(number("1 + 2 * 3"), Some(7.0));
    eventually("there are samples of the host", || {
        number("node_memory_MemTotal_bytes").filter(|n| *n > 1e6).ok_or("none")
    });
    assert_eq!(number("count(node_memory_MemTotal_bytes)"), Some(1.0));
    let series = vitals(["query", "node_load1", "--server", url]).expect_code(0).stdout;
    assert!(series.contains("job=\"node\"") && series.contains("instance=\""), "{series}");
    vitals(["query", "rate(node_cpu_seconds_total[1m])", "--server", url]).expect_code(0);
    vitals(["query", "no_such_metric", "--server", url]).expect_code(0);
    site.running.terminate();
}

#[test]
fn ack_needs_an_alert_that_is_there() {
    let site = site();
    let url = &site.running.url;
    let alert = site.running.await_alert("shop-down", "active");
    vitals(["ack", "0000000000000000", "--comment", "x", "--server", url]).expect_failure();
    let id = alert["id"].as_str().unwrap();
    vitals(["ack", id, "--comment", "on it", "--server", url]).expect_code(0);
    site.running.await_alert("shop-down", "acknowledged");
    let why = vitals(["why", "shop-down", "--server", url]).expect_code(0).stdout;
    assert!(why.contains("on it"), "{why}");
    site.running.terminate();
}

#[test]
fn without_a_server_the_address_and_the_remedy_are_named() {
    let nobody = "http://127.0.0.1:9";
    for args in [vec!["get", "healthchecks"], vec!["why", "x"], vec!["query", "1"], vec!["ack", "x", "--comment", "y"]]
    {
        vitals(args.iter().copied().chain(["--server", nobody])).expect_failure().expect_words(&[nobody, "vitals run"]);
    }
}
