//! `/`: whether all is well, and if not what is broken, where and since when; then all checks, worst first.

use std::collections::HashMap;

use maud::{Markup, html};

use super::PageState;
use super::chart::STRIP;
use super::rows::{alert, check, since};
use super::shell::place;
use crate::model::ObjectKey;
use crate::model::health::Health;
use crate::model::ports::Views;
use crate::model::severity::Severity;
use crate::model::view::{AlertView, CheckView, ReceiverView, RunView, SystemView};
use crate::web::time::clock;

/// Groups of more healthy checks than this start closed.
const OPEN_UP_TO: usize = 40;
/// Checks of one health that the page lists; the API has all.
const LISTED: usize = 300;
/// Broken things that the first lines name.
const NAMED: usize = 3;
/// Runs that are read for all strips together.
const MAX_RUNS: usize = 20_000;

/// The order of the groups.
const WORST_FIRST: [Health; 4] = [Health::Unhealthy, Health::Degraded, Health::Unknown, Health::Healthy];

/// The page's state and body.
pub(super) fn render(views: &dyn Views) -> (PageState, Markup) {
    let system = views.system();
    let checks = views.checks();
    let alerts = views.alerts();
    let receivers = views.receivers();
    let runs = recent_runs(views, checks.len(), system.now);
    let verdict = Verdict::of(&system, &checks, &alerts);
    let state = PageState {
        title: format!("{} – Vitals", verdict.headline.trim_end_matches('.')),
        health: verdict.health,
        now: system.now,
        place: place(&system.node, &system.mode),
    };
    let body = html! {
        (verdict.markup(&system, &receivers))
        (alerts_section(&alerts, system.now))
        (refused_section(&system))
        (checks_section(&checks, &runs, system.now))
        (dashboards_section(views))
    };
    (state, body)
}

fn recent_runs(views: &dyn Views, checks: usize, now: i64) -> HashMap<ObjectKey, Vec<RunView>> {
    let mut by_check: HashMap<ObjectKey, Vec<RunView>> = HashMap::new();
    // Checks run at different paces: read some more than would do if all ran equally often.
    for run in views.runs(None, 0, now, (checks * STRIP * 3).min(MAX_RUNS)).into_iter().rev() {
        let list = by_check.entry(run.key.clone()).or_default();
        if list.len() < STRIP {
            list.push(run);
        }
    }
    for list in by_check.values_mut() {
        list.reverse();
    }
    by_check
}

/// The answer to "is all well?".
struct Verdict<'a> {
    health: Health,
    headline: String,
    broken: Vec<&'a CheckView>,
    urgent: Vec<&'a AlertView>,
    more: usize,
}

impl<'a> Verdict<'a> {
    fn of(system: &SystemView, checks: &'a [CheckView], alerts: &'a [AlertView]) -> Self {
        let of = |health: Health| checks.iter().filter(move |check| !check.suspended && check.health == health);
        let mut broken: Vec<&CheckView> = of(Health::Unhealthy).chain(of(Health::Degraded)).collect();
        if broken.is_empty() {
            broken = of(Health::Unknown).collect();
        }
        let mut urgent: Vec<&AlertView> =
            alerts.iter().filter(|alert| alert.state == "Firing" && alert.silenced_by.is_none()).collect();
        urgent.sort_by(|a, b| Severity::urgent_first(&a.severity, &b.severity));
        let headline = headline(system, checks, &urgent);
        // A firing alert is not "all is well", whatever the checks say.
        let health = match system.health {
            Health::Healthy if !urgent.is_empty() => Health::Degraded,
            other => other,
        };
        let named = broken.len().min(NAMED) + urgent.len().min(NAMED);
        let more = broken.len() + urgent.len() - named;
        broken.truncate(NAMED);
        urgent.truncate(NAMED);
        Self { health, headline, broken, urgent, more }
    }

    fn markup(&self, system: &SystemView, receivers: &[ReceiverView]) -> Markup {
        let deaf: Vec<&ReceiverView> = receivers.iter().filter(|receiver| !receiver.ready).collect();
        html! {
            section.verdict.{ (self.health.lower()) } aria-labelledby="verdict" {
                h1 #verdict { (self.headline) }
                @if !self.broken.is_empty() || !self.urgent.is_empty() {
                    ul.broken {
                        @for check in &self.broken {
                            li {
                                strong { (check.key.name) } " " span.word.{ (check.health.lower()) } { (check.health.lower()) }
                                @if !check.target.is_empty() { span.muted { " at " (check.target) } }
                                ": " (check.message)
                                span.muted { " · since " (since(check.since, system.now)) }
                            }
                        }
                        @for alert in &self.urgent {
                            li {
                                strong { (alert.name) } " " span.word.{ (Severity::of(&alert.severity).as_str()) } { (alert.severity) " alert" }
                                ": " (alert.message)
                                span.muted { " · since " (since(alert.fired_at, system.now)) }
                                @if let Some(ack) = &alert.acknowledged { span.muted { " · " (ack.by) " is on it" } }
                            }
                        }
                        @if self.more > 0 { li.muted { "and " (self.more) " more below" } }
                    }
                }
                @for receiver in deaf {
                    p.deaf { "Messages to " strong { (receiver.key) } " do not get through (" (receiver.reason) ")" @if receiver.queued > 0 { ", " (receiver.queued) " wait" } "." }
                }
                p.numbers {
                    span { strong { (system.healthy) } " of " strong { (system.total) } " checks healthy" }
                    span { strong { (format!("{:.0} %", system.health_percentage)) } " health" }
                    @if system.agents.1 > 1 { span { strong { (system.agents.0) } " of " strong { (system.agents.1) } " agents ready" } }
                    span { "up " (since(Some(system.started_at), system.now)) }
                    span { "seen " time datetime=(crate::web::time::rfc3339(system.now)) { (clock(system.now)) } " UTC" }
                }
            }
        }
    }
}

fn headline(system: &SystemView, checks: &[CheckView], urgent: &[&AlertView]) -> String {
    let count = |health: Health| checks.iter().filter(|check| !check.suspended && check.health == health).count();
    let (bad, weak, dark) = (count(Health::Unhealthy), count(Health::Degraded), count(Health::Unknown));
    let named = |health: Health, word: &str| {
        let first = checks.iter().find(|check| !check.suspended && check.health == health);
        first.map_or_else(String::new, |check| format!("{} {word}", check.key.name))
    };
    let alerts = match urgent.len() {
        0 => String::new(),
        1 => ", 1 alert fires".to_owned(),
        n => format!(", {n} alerts fire"),
    };
    match (bad, weak, dark) {
        (1, _, _) => named(Health::Unhealthy, "is unhealthy") + &alerts + ".",
        (n @ 2.., _, _) => format!("{n} of {} checks are unhealthy{alerts}.", system.total),
        (0, 1, _) => named(Health::Degraded, "is degraded") + &alerts + ".",
        (0, n @ 2.., _) => format!("{n} of {} checks are degraded{alerts}.", system.total),
        _ if !urgent.is_empty() => match urgent {
            [one] => format!("The alert {} fires.", one.name),
            more => format!("{} alerts fire.", more.len()),
        },
        (0, 0, 1) => named(Health::Unknown, "cannot be judged") + ".",
        (0, 0, n @ 2..) if n == system.total => "Nothing is known yet.".to_owned(),
        (0, 0, n @ 2..) => format!("{n} of {} checks cannot be judged.", system.total),
        _ if system.total == 0 => "Nothing is checked yet.".to_owned(),
        _ => "All is well.".to_owned(),
    }
}

fn alerts_section(alerts: &[AlertView], now: i64) -> Markup {
    let firing = alerts.iter().filter(|alert| alert.state == "Firing").count();
    let pending = alerts.len() - firing;
    html! {
        section.block #alerts aria-labelledby="alerts-title" {
            h2 #alerts-title {
                "Alerts "
                span.count { @if firing == 0 { "none fires" } @else { (firing) " firing" } @if pending > 0 { ", " (pending) " pending" } }
            }
            @if !alerts.is_empty() {
                ul.rows { @for view in alerts { (alert(view, now)) } }
            }
        }
    }
}

fn refused_section(system: &SystemView) -> Markup {
    html! {
        @if !system.refused.is_empty() {
            section.block aria-labelledby="refused-title" {
                h2 #refused-title { "Not in force " span.count { (system.refused.len()) } }
                ul.refused {
                    @for refused in &system.refused {
                        li {
                            strong { (refused.kind) " " (refused.object) }
                            @if !refused.at.is_empty() { " " code { (refused.at) } }
                            p { (refused.message) " " span.muted { "(" (refused.reason) ")" } }
                        }
                    }
                }
            }
        }
    }
}

fn checks_section(checks: &[CheckView], runs: &HashMap<ObjectKey, Vec<RunView>>, now: i64) -> Markup {
    let group = |health: Health| -> Vec<&CheckView> {
        checks.iter().filter(|check| !check.suspended && check.health == health).collect()
    };
    let suspended: Vec<&CheckView> = checks.iter().filter(|check| check.suspended).collect();
    let of = |view: &CheckView| runs.get(&view.key).map_or(&[][..], Vec::as_slice);
    html! {
        section.block aria-labelledby="checks-title" {
            h2 #checks-title { "Checks " span.count { (checks.len()) } }
            @if checks.is_empty() {
                p.empty { "Add a HealthCheck to a file that " code { "vitals run" } " reads, and it appears here." }
            }
            @for health in WORST_FIRST {
                @let list = group(health);
                @if !list.is_empty() {
                    details.group id={ "group-" (health.lower()) } open[health != Health::Healthy || list.len() <= OPEN_UP_TO] {
                        summary { h3 { (health.as_str()) " " span.count { (list.len()) } } }
                        ul.rows { @for view in list.iter().take(LISTED) { (check(view, of(view), now)) } }
                        @if list.len() > LISTED {
                            p.empty { "and " (list.len() - LISTED) " more in " a href="/health/checks" { "/health/checks" } }
                        }
                    }
                }
            }
            @if !suspended.is_empty() {
                details.group id="group-suspended" {
                    summary { h3 { "Suspended " span.count { (suspended.len()) } } }
                    ul.rows { @for view in suspended { (check(view, of(view), now)) } }
                }
            }
        }
    }
}

fn dashboards_section(views: &dyn Views) -> Markup {
    let dashboards = views.dashboards();
    html! {
        @if !dashboards.is_empty() {
            section.block aria-labelledby="dashboards-title" {
                h2 #dashboards-title { "Dashboards" }
                ul.cards {
                    @for view in dashboards {
                        li { a href={ "/dashboards/" (view.id) } { strong { (view.title) } span { (view.description) } } }
                    }
                }
            }
        }
    }
}
