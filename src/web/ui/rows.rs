//! Rows of checks and alerts, as the overview and dashboards show them.

use maud::{Markup, html};

use super::chart::strip;
use super::number::duration;
use crate::model::Health;
use crate::model::series::Millis;
use crate::model::severity::Severity;
use crate::model::view::{AlertView, CheckView, RunView};
use crate::web::health::component_type;
use crate::web::time::{age, rfc3339};

/// A state as shape and word: readable without colour.
pub(super) fn pill(health: Health) -> Markup {
    let shape = match health {
        Health::Healthy => "●",
        Health::Degraded => "▲",
        Health::Unhealthy => "■",
        Health::Unknown => "?",
    };
    html! { span.pill.{ (health.lower()) } { span aria-hidden="true" { (shape) } " " (health.as_str()) } }
}

/// How long ago, which the script keeps counting.
pub(super) fn since(at: Option<Millis>, now: Millis) -> Markup {
    html! {
        @match at {
            Some(at) => time datetime=(rfc3339(at)) title=(rfc3339(at)) data-at=(at) { (age(at, now)) }
            None => "–"
        }
    }
}

/// One check.
pub(super) fn check(view: &CheckView, runs: &[RunView], now: Millis) -> Markup {
    html! {
        li.row.{ (view.health.lower()) } {
            div.state { (pill(view.health)) }
            div.what {
                h4 {
                    a href={ "/health/checks/" (view.key) "?cached=true" } { (view.key.name) }
                    @if view.critical { " " span.flag.red { "critical" } }
                }
                p.sub { (component_type(view)) @if !view.target.is_empty() { " · " (view.target) } }
            }
            div.message {
                @if view.message.is_empty() { (view.reason) } @else { (view.message) }
                @if view.summary != "1/1" && !view.summary.is_empty() { " " span.muted { "(" (view.summary) ")" } }
            }
            dl.facts {
                div { dt { "since" } dd { (since(view.since, now)) } }
                div { dt { "took" } dd { (view.duration_ms.map_or_else(|| "–".to_owned(), duration)) } }
            }
            div.runs { (strip(runs)) }
        }
    }
}

/// One alert that fires or is about to.
pub(super) fn alert(view: &AlertView, now: Millis) -> Markup {
    let severity = Severity::of(&view.severity).as_str();
    let field = |name: &str| format!("{name}-{}", view.id);
    let pending = view.state == "Pending";
    html! {
        li.row.alert.{ (if pending { "pending" } else { severity }) } {
            div.state { span.pill.{ (if pending { "pending" } else { severity }) } { (view.severity) } }
            div.what {
                h4 { (view.name) }
                p.sub {
                    @if pending { "pending · " }
                    (view.rule) @if !view.node.is_empty() { " · " (view.node) }
                }
            }
            div.message {
                (view.message)
                @if let Some(url) = view.annotations.get("runbook_url").filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
                    " " a href=(url) rel="noreferrer" { "Runbook" }
                }
            }
            dl.facts {
                div { dt { "since" } dd { (since(view.fired_at.or(Some(view.active_at)), now)) } }
                @if !view.value.is_empty() { div { dt { "value" } dd { (view.value) } } }
            }
            div.runs {
                @if let Some(ack) = &view.acknowledged {
                    p.ack { "✓ " (ack.by) " is on it, " (since(Some(ack.at), now)) @if !ack.comment.is_empty() { ": " (ack.comment) } }
                } @else if let Some(silence) = &view.silenced_by {
                    p.ack { "Silenced by " (silence) }
                } @else if !pending {
                    details.ack id=(field("ack")) {
                        summary { "Acknowledge" }
                        form method="post" action={ "/alerts/" (view.id) "/acknowledge" } data-ack {
                            label for=(field("by")) { "Your name" }
                            input id=(field("by")) name="by" maxlength="100" autocomplete="name" required;
                            label for=(field("comment")) { "Note" }
                            input id=(field("comment")) name="comment" maxlength="500" autocomplete="off";
                            button type="submit" { "I am on it" }
                        }
                    }
                }
            }
        }
    }
}
