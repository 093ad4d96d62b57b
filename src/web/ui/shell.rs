//! The frame of every page: head, header, footer, and the part that the script replaces.

use maud::{DOCTYPE, Markup, html};

use super::PageState;
use crate::model::ports::Views;

/// Every endpoint, by what it is for.
const ENDPOINTS: [(&str, &[(&str, &str)]); 5] = [
    (
        "Health",
        &[
            ("/health", "overall"),
            ("/health/detailed", "by component"),
            ("/health/checks", "checks"),
            ("/health/history", "history"),
            ("/health/live", "liveness"),
            ("/health/ready", "readiness"),
        ],
    ),
    ("Alerts", &[("/alerts", "firing"), ("/alerts?status=all", "all"), ("/alerts/history", "history")]),
    ("Metrics", &[("/metrics", "exposition"), ("/metrics/prometheus", "always text"), ("/dashboards", "dashboards")]),
    (
        "Prometheus API",
        &[
            ("/api/v1/query?query=node_load1", "query"),
            ("/api/v1/rules", "rules"),
            ("/api/v1/alerts", "alerts"),
            ("/api/v1/labels", "labels"),
        ],
    ),
    (
        "This process",
        &[
            ("/status", "status"),
            ("/info", "information"),
            ("/api/v1/resources/healthchecks", "resources"),
            ("/api/v1/events", "events"),
        ],
    ),
];

/// The whole page.
pub(super) fn whole(state: &PageState, body: &Markup, version: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (state.title) }
                link rel="icon" id="icon" type="image/svg+xml" href={ "/ui/icon-" (state.health.lower()) ".svg" };
                link rel="stylesheet" href={ "/ui/style.css?" (version) };
                noscript { meta http-equiv="refresh" content="30"; }
                script src={ "/ui/live.js?" (version) } defer {}
            }
            body {
                a.skip href="#live" { "Skip to the state" }
                header.top {
                    a.brand href="/" { "Vitals" }
                    span.place { (state.place) }
                    span.contact #contact role="status" {}
                }
                main #live { (fragment(state, body)) }
                footer {
                    nav aria-label="Endpoints" {
                        @for (group, links) in ENDPOINTS {
                            section {
                                h2 { (group) }
                                ul {
                                    @for (href, words) in links {
                                        li { a href=(href) { code { (href.split('?').next().unwrap_or(href)) } } " " span { (words) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The part that changes, with what the script needs to know about it.
pub(super) fn fragment(state: &PageState, body: &Markup) -> Markup {
    html! {
        div #state hidden data-title=(state.title) data-health=(state.health.lower()) data-now=(state.now) {}
        (body)
    }
}

/// A page that does not exist.
pub(super) fn missing(views: &dyn Views, what: &str) -> (PageState, Markup) {
    let system = views.system();
    let state = PageState {
        title: "Not found – Vitals".to_owned(),
        health: system.health,
        now: system.now,
        place: place(&system.node, &system.mode),
    };
    let body = html! {
        section.verdict.unknown {
            h1 { "Not here" }
            p { (what) }
            p { a href="/" { "Back to the overview" } }
        }
    };
    (state, body)
}

/// `node · mode`
pub(super) fn place(node: &str, mode: &str) -> String {
    if mode == "run" { node.to_owned() } else { format!("{node} · {mode}") }
}
