//! What each kind of check says of a world that is scripted.

use std::time::Duration;

use crate::support::resources::{check, http_check, tcp_check};
use crate::support::{Home, Target, TcpTarget, eventually};

#[test]
fn a_tcp_port_that_is_shut_and_opened_again_is_followed() {
    let mut port = TcpTarget::start();
    let home = Home::with(&tcp_check("door", port.port()));
    let vitals = home.start();
    vitals.await_health("door", "healthy");
    port.shut();
    vitals.await_health("door", "unhealthy");
    port.open();
    vitals.await_health("door", "healthy");
    vitals.terminate();
}

#[test]
fn an_answer_slower_than_its_limit_is_degraded() {
    let target = Target::start();
    target.delay(Duration::from_millis(120));
    let body = format!("http: {{url: \"{}\"}}\nthresholds: {{degraded: {{responseTime: 50ms}}}}", target.url());
    let home = Home::with(&check("slow", &body));
    let vitals = home.start();
    vitals.await_health("slow", "degraded");
    vitals.terminate();
}

#[test]
fn an_answer_that_never_comes_is_unhealthy_and_the_other_checks_go_on() {
    let (hanging, fine) = (Target::start(), Target::start());
    hanging.delay(Duration::from_secs(20));
    let home = Home::with(&format!("{}{}", http_check("hangs", &hanging.url()), http_check("fine", &fine.url())));
    let vitals = home.start();
    vitals.await_health("hangs", "unhealthy");
    let before = fine.asked();
    eventually("the other check runs on", || if fine.asked() > before + 2 { Ok(()) } else { Err(fine.asked()) });
    assert_eq!(vitals.health("fine"), "healthy");
    vitals.terminate();
}

#[test]
fn assertions_on_status_body_and_json_decide() {
    let target = Target::start();
    target.say("{\"status\": \"UP\", \"parts\": [{\"name\": \"db\"}]}");
    let url = target.url();
    let http = |name: &str, expect: &str| check(name, &format!("http: {{url: \"{url}\", expect: {{{expect}}}}}"));
    let home = Home::with(
        &[
            http("status-fits", "status: [\"200-204\"]"),
            http("status-differs", "status: [\"404\"]"),
            http("body-fits", "bodyMatches: \"\\\"UP\\\"\""),
            http("body-differs", "bodyMatches: \"DOWN\""),
            http("json-fits", "json: [{path: $.status, equals: UP}, {path: \"$.parts[0].name\", equals: db}]"),
            http("json-differs", "json: [{path: $.status, equals: DOWN}]"),
        ]
        .concat(),
    );
    let vitals = home.start();
    for name in ["status", "body", "json"] {
        vitals.await_health(&format!("{name}-fits"), "healthy");
        vitals.await_health(&format!("{name}-differs"), "unhealthy");
    }
    vitals.terminate();
}

#[test]
fn the_machine_itself_is_checked() {
    let all = |name: &str, limit: &str| check(name, &format!("{name}: {{}}\nthresholds: {{unhealthy: {{{limit}}}}}"));
    let home = Home::with(
        &[
            all("memory", "memory: 100"),
            all("cpu", "cpu: 100"),
            check("disk", "disk: {path: /}\nthresholds: {unhealthy: {disk: 100}}"),
            check("load", "load: {perCore: \"10000\"}"),
            check("no-such-path", "disk: {path: /no/such/path}"),
        ]
        .concat(),
    );
    let vitals = home.start();
    for name in ["memory", "cpu", "disk", "load"] {
        vitals.await_health(name, "healthy");
    }
    eventually("a missing path is not healthy", || {
        let health = vitals.health("no-such-path");
        if health == "unhealthy" || health == "unknown" { Ok(()) } else { Err(health) }
    });
    vitals.terminate();
}

#[test]
fn a_composite_holds_while_enough_of_its_members_do() {
    let (a, b) = (Target::start(), Target::start());
    let composite = check("site", "composite: {checks: [a, b], min: 1}");
    let strict = check("both", "composite: {checks: [a, b]}");
    let home = Home::with(&[http_check("a", &a.url()), http_check("b", &b.url()), composite, strict].concat());
    let vitals = home.start();
    vitals.await_health("site", "healthy");
    vitals.await_health("both", "healthy");
    a.break_it();
    vitals.await_health("both", "unhealthy");
    assert_ne!(vitals.health("site"), "unhealthy", "one of two is enough");
    b.break_it();
    vitals.await_health("site", "unhealthy");
    vitals.terminate();
}

#[test]
fn a_check_whose_dependency_failed_is_unknown() {
    let (database, shop) = (Target::start(), Target::start());
    let dependent = check("shop", &format!("http: {{url: \"{}\"}}\ndependsOn: [database]", shop.url()));
    let home = Home::with(&[http_check("database", &database.url()), dependent].concat());
    let vitals = home.start();
    vitals.await_health("shop", "healthy");
    database.break_it();
    vitals.await_health("shop", "unknown");
    database.mend_it();
    vitals.await_health("shop", "healthy");
    vitals.terminate();
}

#[test]
fn the_failure_threshold_is_counted_in_runs() {
    let target = Target::start();
    let body = format!("http: {{url: \"{}\"}}\nfailureThreshold: 4", target.url());
    let text = check("patient", &body).replace("  failureThreshold: 1\n", "");
    let home = Home::with(&text);
    let vitals = home.start();
    vitals.await_health("patient", "healthy");
    target.break_it();
    let before = target.asked();
    vitals.await_health("patient", "unhealthy");
    assert!(target.asked() - before >= 4, "it took {} runs", target.asked() - before);
    vitals.terminate();
}

#[test]
fn a_suspended_check_is_not_run_and_does_not_count() {
    let target = Target::start();
    let body = format!("http: {{url: \"{}\"}}\nsuspend: true", target.url());
    let home = Home::with(&format!("{}{}", check("asleep", &body), check("load", "load: {perCore: \"10000\"}")));
    let vitals = home.start();
    vitals.await_health("load", "healthy");
    assert_eq!(target.asked(), 0);
    let health = vitals.json("/health");
    assert_eq!(health["total_components"], 1);
    assert_eq!(health["health_percentage"], 100.0);
    vitals.terminate();
}
