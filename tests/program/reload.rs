//! Files change while the program runs.

use crate::support::resources::{check, health_rule, http_check, no_defaults, webhook};
use crate::support::{Home, Running, Sink, Target, eventually};

fn names(vitals: &Running) -> Vec<String> {
    let checks = vitals.json("/health/checks");
    let mut names: Vec<String> =
        checks["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn await_names(vitals: &Running, wanted: &[&str]) {
    eventually(&format!("the checks are {wanted:?}"), || {
        let now = names(vitals);
        if now == wanted { Ok(()) } else { Err(format!("{now:?}; {}", vitals.tail())) }
    });
}

#[test]
fn checks_come_change_and_go_with_their_files() {
    let (first, second) = (Target::start(), Target::start());
    let home = Home::with(&http_check("first", &first.url()));
    let vitals = home.start();
    vitals.await_health("first", "healthy");

    home.write("more.yaml", http_check("second", &second.url()));
    await_names(&vitals, &["first", "second"]);
    vitals.await_health("second", "healthy");

    second.break_it();
    home.write("all.yaml", http_check("first", &second.url()));
    vitals.await_health("first", "unhealthy");

    home.remove("more.yaml");
    await_names(&vitals, &["first"]);
    vitals.terminate();
}

#[test]
fn a_bad_edit_keeps_the_last_good_version_and_is_shown() {
    let target = Target::start();
    let good = http_check("shop", &target.url());
    let home = Home::with(&good);
    let vitals = home.start();
    vitals.await_health("shop", "healthy");

    home.write("all.yaml", good.replace("http:", "htpp:"));
    vitals.await_output("htpp");
    let before = target.asked();
    eventually("the old version still runs", || {
        let runs = target.asked() - before;
        if runs > 2 { Ok(()) } else { Err(runs) }
    });
    target.break_it();
    vitals.await_health("shop", "unhealthy");

    home.write("all.yaml", &good);
    target.mend_it();
    vitals.await_health("shop", "healthy");
    vitals.terminate();
}

#[test]
fn a_file_that_is_no_longer_yaml_keeps_its_checks_and_leaves_the_others_alone() {
    let (shop, other) = (Target::start(), Target::start());
    let home = Home::with(&http_check("shop", &shop.url()));
    home.write("other.yaml", http_check("other", &other.url()));
    let vitals = home.start();
    vitals.await_health("shop", "healthy");
    vitals.await_health("other", "healthy");
    home.write("all.yaml", "spec: [unclosed\n  - : :");
    vitals.await_output("all.yaml");
    other.break_it();
    vitals.await_health("other", "unhealthy");
    assert_eq!(names(&vitals), ["other", "shop"]);
    vitals.terminate();
}

#[test]
fn an_edit_of_one_file_does_not_disturb_the_alerts_of_another() {
    let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
    home.write("config.yaml", no_defaults());
    home.write("shop.yaml", [http_check("shop", &target.url()), health_rule("shop-down", "shop", "0s")].concat());
    home.write("hook.yaml", webhook("hook", &sink.url()));
    let vitals = home.start();
    target.break_it();
    let alert = vitals.await_alert("shop-down", "active");
    sink.await_messages("shop-down", "firing", 1);

    home.write("more.yaml", check("load", "load: {perCore: \"10000\"}"));
    vitals.await_health("load", "healthy");
    let after = vitals.alert("shop-down").unwrap();
    assert_eq!(after["id"], alert["id"]);
    assert_eq!(after["created_at"], alert["created_at"]);
    target.mend_it();
    sink.await_messages("shop-down", "resolved", 1);
    assert_eq!(sink.about("shop-down").len(), 2, "{:#?}", sink.about("shop-down"));
    vitals.terminate();
}

#[test]
fn a_deleted_rule_takes_its_alert_with_it_and_says_so_once() {
    let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
    home.write("check.yaml", http_check("shop", &target.url()));
    home.write("rule.yaml", health_rule("shop-down", "shop", "0s"));
    home.write("hook.yaml", webhook("hook", &sink.url()));
    let vitals = home.start();
    target.break_it();
    sink.await_messages("shop-down", "firing", 1);
    home.remove("rule.yaml");
    eventually("the alert is gone", || match vitals.alert("shop-down") {
        None => Ok(()),
        Some(alert) => Err(alert),
    });
    vitals.terminate();
    let resolved = sink.of("shop-down", "resolved");
    assert!(resolved.len() <= 1, "{resolved:#?}");
}
