//! `/metrics` as scrapers read it, and as promtool judges it.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::resources::{check, health_rule, http_check};
use crate::support::{Home, Running, Target, eventually};

fn running() -> (Target, Home, Running) {
    let target = Target::start();
    target.break_it();
    let home = Home::with(
        &[http_check("shop", &target.url()), check("load", "load: {}"), health_rule("shop-down", "shop", "0s")]
            .concat(),
    );
    let vitals = home.start();
    vitals.await_alert("shop-down", "active");
    (target, home, vitals)
}

#[test]
fn metrics_are_the_text_format_with_families_whole_and_described_once() {
    let (_target, _home, vitals) = running();
    for path in ["/metrics", "/metrics/prometheus"] {
        let answer = vitals.get(path);
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain") && kind.contains("version=0.0.4"), "{kind}");
        assert!(answer.body.ends_with('\n'));
        let (mut typed, mut series) = (BTreeSet::new(), BTreeSet::new());
        let mut family = String::new();
        for line in answer.body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap().to_owned();
                assert!(typed.insert(family.clone()), "{family} is described twice");
            } else if !line.starts_with('#') {
                let (name, _) = line.rsplit_once(' ').unwrap();
                assert!(name.starts_with(family.as_str()), "{line} stands below {family}");
                assert!(series.insert(name.to_owned()), "{name} is there twice");
                assert!(
                    !name.contains("instance=") && !name.contains("job="),
                    "identity belongs to the scraper: {name}"
                );
            }
        }
    }
    vitals.terminate();
}

#[test]
fn the_hosts_and_our_own_families_are_there() {
    let (_target, _home, vitals) = running();
    let wanted = [
        "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}",
        "node_memory_MemTotal_bytes ",
        "node_load1 ",
        "node_boot_time_seconds ",
        "node_uname_info{",
        "node_scrape_collector_success{collector=\"cpu\"} 1",
        "system_health_status ",
        "system_health_percentage ",
        "component_health_status{component=\"shop\"} 0",
        "component_health_response_time_ms{component=\"shop\"}",
        "component_health_success_rate{component=\"shop\"}",
        "component_health_error_rate{component=\"shop\"}",
        "vitals_check_runs_total{",
        "vitals_rule_evaluations_total",
        "vitals_alerts{",
        "vitals_notifications_total",
        "vitals_system_health_score ",
        "vitals_uptime_seconds ",
        "vitals_scrape_duration_seconds",
        "vitals_series ",
        "vitals_store_bytes ",
        "vitals_panics_total",
        "ALERTS{",
    ];
    eventually("all families are there", || {
        let text = vitals.get("/metrics").body;
        let missing: Vec<&str> = wanted.into_iter().filter(|line| !text.contains(line)).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    });
    vitals.terminate();
}

#[test]
fn the_series_of_a_check_go_with_their_check() {
    let (_target, home, vitals) = running();
    eventually("the check's series are there", || {
        let text = vitals.get("/metrics").body;
        if text.contains("name=\"shop\"") { Ok(()) } else { Err(text.len()) }
    });
    home.write("all.yaml", check("load", "load: {}"));
    eventually("they are gone", || {
        let text = vitals.get("/metrics").body;
        let left: Vec<String> = text.lines().filter(|line| line.contains("\"shop\"")).map(str::to_owned).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    vitals.terminate();
}

/// Names that node_exporter or the documents force on us although promtool dislikes them.
const ALLOWED: &str = include_str!("promtool-allow.txt");

#[test]
fn promtool_finds_nothing_but_the_names_that_others_force() {
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        assert!(std::env::var_os("CI").is_none(), "promtool is missing; scripts/peers/prometheus.sh installs it");
        println!("skipped: promtool is missing; scripts/peers/prometheus.sh installs it");
        return;
    };
    let (_target, _home, vitals) = running();
    let metrics = vitals.get("/metrics").body;
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let rules: Vec<(&str, &str)> = ALLOWED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let allowed = |complaint: &str| {
        rules.iter().any(|(name, text)| {
            let (first, rest) = complaint.split_once(' ').unwrap_or((complaint, ""));
            let fits = name.strip_suffix('*').map_or(first == *name, |start| first.starts_with(start));
            fits && rest == *text
        })
    };
    let unexpected: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty() && !allowed(line)).collect();
    assert!(unexpected.is_empty(), "promtool complains:\n{}", unexpected.join("\n"));
    vitals.terminate();
}
