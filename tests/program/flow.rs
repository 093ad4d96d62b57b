//! From a broken target to one message, and back.

use crate::support::resources::{head, health_rule, http_check, no_defaults, notify_hook, rule, webhook};
use crate::support::{Conduct, Home, Running, Sink, Table, Target, eventually, holds};

/// The smallest world: one target, one check, one rule, one receiver.
struct Shop {
    target: Target,
    sink: Sink,
    home: Home,
}

impl Shop {
    fn new(hold: &str) -> Self {
        let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
        home.write("check.yaml", http_check("shop", &target.url()));
        home.write("rule.yaml", health_rule("shop-down", "shop", hold));
        home.write("hook.yaml", webhook("hook", &sink.url()));
        home.write("config.yaml", no_defaults());
        Self { target, sink, home }
    }

    /// Lets the check run a few more times: whatever would be repeated by mistake has been repeated then.
    fn let_some_runs_pass(&self) {
        let (before, wanted) = (self.target.asked(), 4);
        eventually("the check has run a few more times", || {
            let runs = self.target.asked() - before;
            holds(runs >= wanted, &runs)
        });
    }
}

fn state_of(rule: &str, vitals: &Running) -> String {
    Table::get("alertrules", &vitals.url).cell(rule, "STATE").unwrap_or_default()
}

fn await_state(rule: &str, state: &str, vitals: &Running) {
    eventually(&format!("{rule} is {state}"), || {
        let now = state_of(rule, vitals);
        if now == state { Ok(()) } else { Err(format!("{now:?}; {}", vitals.tail())) }
    });
}

#[test]
fn a_broken_target_is_told_once_and_its_mending_is_told_once() {
    let shop = Shop::new("4s");
    let vitals = shop.home.start();
    vitals.await_health("shop", "healthy");
    await_state("shop-down", "Inactive", &vitals);

    shop.target.break_it();
    vitals.await_health("shop", "unhealthy");
    await_state("shop-down", "Pending", &vitals);
    assert!(shop.sink.about("shop-down").is_empty(), "nobody is told while the alert is pending");
    await_state("shop-down", "Firing", &vitals);
    let told = shop.sink.await_messages("shop-down", "firing", 1);
    assert!(!told[0].key.is_empty(), "a message carries an idempotency key");
    shop.let_some_runs_pass();

    shop.target.mend_it();
    vitals.await_health("shop", "healthy");
    shop.sink.await_messages("shop-down", "resolved", 1);
    await_state("shop-down", "Inactive", &vitals);
    assert!(vitals.alert("shop-down").is_none(), "a resolved alert is not among the active ones");
    shop.let_some_runs_pass();

    let statuses: Vec<String> =
        shop.sink.about("shop-down").iter().map(|message| message.status().to_owned()).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    let history = vitals.json("/alerts/history");
    let past = history["alerts"].as_array().unwrap().iter().find(|alert| alert["name"] == "shop-down").unwrap();
    assert_eq!(past["status"], "resolved");
    assert_eq!(past["notifications"].as_array().map(Vec::len), Some(2), "{past}");
    vitals.terminate();
}

#[test]
fn a_message_has_the_shape_of_alertmanagers_webhook_and_a_little_more() {
    let shop = Shop::new("0s");
    let vitals = shop.home.start();
    shop.target.break_it();
    let message = shop.sink.await_messages("shop-down", "firing", 1).remove(0);
    for key in ["version", "groupKey", "status", "receiver", "groupLabels", "commonLabels", "commonAnnotations"] {
        assert!(message.body.get(key).is_some(), "{key} is missing in {}", message.body);
    }
    assert_eq!(message.body["version"], "4");
    assert!(message.body.get("externalURL").is_some() && message.body.get("truncatedAlerts").is_some());
    let alert = &message.alerts()[0];
    for key in ["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"] {
        assert!(alert.get(key).is_some(), "{key} is missing in {alert}");
    }
    assert_eq!(alert["annotations"]["summary"], "shop is down");
    assert_eq!(alert["labels"]["severity"], "high");
    for key in ["severity", "component", "message"] {
        assert!(message.body.get(key).or(alert.get(key)).is_some(), "{key} is missing in {}", message.body);
    }
    vitals.terminate();
}

#[test]
fn a_target_that_recovers_while_the_alert_is_pending_is_never_told() {
    let shop = Shop::new("30s");
    let vitals = shop.home.start();
    shop.target.break_it();
    await_state("shop-down", "Pending", &vitals);
    shop.target.mend_it();
    await_state("shop-down", "Inactive", &vitals);
    shop.let_some_runs_pass();
    assert!(shop.sink.about("shop-down").is_empty());
    vitals.terminate();
}

#[test]
fn a_receiver_that_fails_is_asked_again_with_the_same_key_until_it_accepts() {
    let shop = Shop::new("0s");
    shop.sink.conduct(Conduct::Refuse(503));
    let vitals = shop.home.start();
    shop.target.break_it();
    let tried = shop.sink.await_messages("shop-down", "firing", 2);
    shop.sink.conduct(Conduct::Accept);
    let accepted = eventually("it is accepted", || {
        let all = shop.sink.about("shop-down");
        all.iter().find(|message| message.conduct == Conduct::Accept).cloned().ok_or(all.len())
    });
    assert_eq!(tried[0].key, tried[1].key);
    assert_eq!(tried[0].key, accepted.key);
    shop.let_some_runs_pass();
    let after = shop.sink.about("shop-down").iter().filter(|message| message.conduct == Conduct::Accept).count();
    assert_eq!(after, 1, "an accepted message is not sent again");
    vitals.terminate();
}

#[test]
fn a_receiver_that_hangs_does_not_keep_the_others_waiting() {
    let shop = Shop::new("0s");
    let other = Sink::start();
    shop.home.write("other.yaml", webhook("other", &other.url()));
    shop.sink.conduct(Conduct::Hang);
    let vitals = shop.home.start();
    shop.target.break_it();
    shop.sink.await_messages("shop-down", "firing", 1);
    other.await_messages("shop-down", "firing", 1);
    shop.target.mend_it();
    other.await_messages("shop-down", "resolved", 1);
    vitals.terminate();
}

#[test]
fn an_expression_over_the_hosts_metrics_fires_with_labels_and_value_rendered() {
    let (sink, home) = (Sink::start(), Home::new());
    home.write("hook.yaml", webhook("hook", &sink.url()));
    let annotations = "annotations: {summary: \"memory of {{ $labels.job }} is {{ $value | humanize1024 }}B\"}";
    let body = format!("expr: node_memory_MemTotal_bytes > 0\nseverity: info\n{annotations}\n{}", notify_hook());
    home.write("rule.yaml", rule("has-memory", &body));
    let vitals = home.start();
    let message = sink.await_messages("has-memory", "firing", 1).remove(0);
    let summary = message.alerts()[0]["annotations"]["summary"].as_str().unwrap().to_owned();
    assert!(summary.starts_with("memory of node is ") && summary.ends_with("iB"), "{summary}");
    let labels = &message.alerts()[0]["labels"];
    assert!(labels.get("__name__").is_none(), "the metric's name is not part of an alert: {labels}");
    assert!(labels.get("node").is_some(), "{labels}");
    vitals.terminate();
}

#[test]
fn without_a_receiver_an_alert_goes_to_the_log() {
    let home = Home::with(&rule("has-memory", "expr: node_memory_MemTotal_bytes > 0\nnotify: {groupWait: 0s}"));
    let vitals = home.start();
    vitals.await_output("has-memory");
    vitals.await_alert("has-memory", "active");
    vitals.terminate();
}

#[test]
fn an_acknowledged_alert_stays_acknowledged_and_its_end_is_still_told() {
    let shop = Shop::new("0s");
    let vitals = shop.home.start();
    shop.target.break_it();
    let alert = vitals.await_alert("shop-down", "active");
    shop.sink.await_messages("shop-down", "firing", 1);
    let id = alert["id"].as_str().unwrap();
    let answer = vitals.post(&format!("/alerts/{id}/acknowledge"), "{\"comment\": \"I am on it\"}");
    assert_eq!(answer.status, 200, "{}", answer.body);
    vitals.await_alert("shop-down", "acknowledged");
    shop.let_some_runs_pass();
    assert_eq!(vitals.alert("shop-down").unwrap()["status"], "acknowledged");
    shop.target.mend_it();
    shop.sink.await_messages("shop-down", "resolved", 1);

    // The next episode is a new one: nobody has acknowledged it.
    shop.target.break_it();
    vitals.await_alert("shop-down", "active");
    let told = shop.sink.await_messages("shop-down", "firing", 2);
    assert_ne!(told[0].key, told[1].key, "two episodes are two messages");
    vitals.terminate();
}

#[test]
fn a_silenced_alert_is_shown_and_not_told() {
    let shop = Shop::new("0s");
    let silence = format!(
        "{}spec:\n  matchers: [{{name: alertname, value: shop-down, matchType: \"=\"}}]\n  \
         startsAt: \"2020-01-01T00:00:00Z\"\n  endsAt: \"2090-01-01T00:00:00Z\"\n  author: ada\n  comment: known\n",
        head("Silence", "known")
    );
    shop.home.write("silence.yaml", silence);
    shop.home.write("second.yaml", health_rule("shop-down-too", "shop", "0s"));
    let vitals = shop.home.start();
    shop.target.break_it();
    vitals.await_alert("shop-down", "active");
    shop.sink.await_messages("shop-down-too", "firing", 1);
    shop.let_some_runs_pass();
    assert!(shop.sink.about("shop-down").is_empty(), "{:#?}", shop.sink.about("shop-down"));
    vitals.terminate();
}
