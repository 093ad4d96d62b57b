//! `vitals get KIND [NAME]`: the columns that `kubectl get` shows for the same kind.

use std::io::Write;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Server;
use super::table::{Cell, Style, Table, Tone};
use super::{CliError, Output, print_value};
use crate::model::duration::age;
use crate::model::series::Millis;
use crate::model::view::{AlertView, CheckView, DashboardView, ReceiverView, RuleView, SilenceView};
use crate::model::{ObjectKey, Span};

/// What to get.
#[derive(Clone, Debug, Default)]
pub struct GetArgs {
    /// `healthchecks`, `vhc`, `HealthCheck`, …
    pub kind: String,
    /// `name` or `namespace/name`; all when none.
    pub name: Option<String>,
    /// How to print.
    pub output: Output,
}

/// A kind that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HealthCheck
    Checks,
    /// AlertRule
    Rules,
    /// Pending and firing alerts.
    Alerts,
    /// Dashboard
    Dashboards,
    /// AlertReceiver
    Receivers,
    /// Silence
    Silences,
}

/// Kind, and the words for it; the first is the one in URLs.
const KINDS: [(Kind, [&str; 4]); 6] = [
    (Kind::Checks, ["healthchecks", "healthcheck", "vhc", "checks"]),
    (Kind::Rules, ["alertrules", "alertrule", "valr", "rules"]),
    (Kind::Alerts, ["alerts", "alert", "alerts", "alert"]),
    (Kind::Dashboards, ["dashboards", "dashboard", "vdb", "dashboards"]),
    (Kind::Receivers, ["alertreceivers", "alertreceiver", "vrcv", "receivers"]),
    (Kind::Silences, ["silences", "silence", "vsil", "silences"]),
];

impl Kind {
    /// The kind of a word.
    ///
    /// # Errors
    /// No kind is called so.
    pub fn parse(word: &str) -> Result<Self, CliError> {
        let lower = word.to_ascii_lowercase();
        let found = KINDS.iter().find(|(_, words)| words.contains(&lower.as_str()));
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let all: Vec<&str> = KINDS.iter().map(|(_, words)| words[0]).collect();
            CliError::BadArgument(format!("there is no kind {word:?}; write one of {}", all.join(", ")))
        })
    }

    /// The word in URLs.
    #[must_use]
    pub fn plural(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, words)| words[0])
    }
}

#[derive(Deserialize)]
struct List {
    now: Millis,
    items: Vec<Value>,
}

/// Runs `vitals get`.
///
/// # Errors
/// No server, no such kind or name, or the output is gone.
pub async fn get(server: &Server, args: &GetArgs, style: Style, out: &mut dyn Write) -> Result<(), CliError> {
    let kind = Kind::parse(&args.kind)?;
    let path = format!("/api/v1/resources/{}", kind.plural());
    let answer = server.get(&path).await?;
    let odd = |error: serde_json::Error| CliError::NotVitals {
        url: format!("{}{path}", server.url()),
        why: format!("unexpected fields ({error})"),
    };
    let mut list: List = serde_json::from_value(answer).map_err(odd)?;
    if let Some(name) = &args.name {
        list.items.retain(|item| is_named(item, name));
        if list.items.is_empty() {
            return Err(CliError::BadArgument(format!(
                "there is no {} {name:?}; `vitals get {}` lists all",
                kind.plural().trim_end_matches('s'),
                kind.plural()
            )));
        }
    }
    if matches!(args.output, Output::Json | Output::Yaml) {
        let value = match (&args.name, list.items.len()) {
            (Some(_), 1) => list.items.swap_remove(0),
            _ => json!({ "items": list.items }),
        };
        return print_value(&value, args.output, out);
    }
    if list.items.is_empty() {
        writeln!(out, "No {} found.", kind.plural())?;
        return Ok(());
    }
    let wide = args.output == Output::Wide;
    let table = match kind {
        Kind::Checks => checks(&views(list.items).map_err(odd)?, list.now, wide),
        Kind::Rules => rules(&views(list.items).map_err(odd)?, list.now, wide),
        Kind::Alerts => alerts(&views(list.items).map_err(odd)?, list.now),
        Kind::Dashboards => dashboards(&views(list.items).map_err(odd)?, list.now, server.url()),
        Kind::Receivers => receivers(&views(list.items).map_err(odd)?),
        Kind::Silences => silences(&views(list.items).map_err(odd)?, list.now, wide),
    };
    table.write(style, out)?;
    Ok(())
}

fn views<T: DeserializeOwned>(items: Vec<Value>) -> Result<Vec<T>, serde_json::Error> {
    items.into_iter().map(serde_json::from_value).collect()
}

/// Whether an item bears a name: as its key, as an alert's name or id, or as its rule.
fn is_named(item: &Value, name: &str) -> bool {
    let fields = ["key", "name", "id", "rule"].into_iter().filter_map(|field| item.get(field).and_then(Value::as_str));
    let mut fields = fields.peekable();
    fields.any(|text| text == name || text.rsplit_once('/').is_some_and(|(_, bare)| bare == name))
}

/// Names, with their namespaces where there is more than one.
struct Names {
    several: bool,
}

impl Names {
    fn of<'a>(keys: impl Iterator<Item = &'a ObjectKey>) -> Self {
        let mut first = None;
        let mut several = false;
        for key in keys {
            several |= *first.get_or_insert(&key.namespace) != &key.namespace;
        }
        Self { several }
    }

    fn table(&self, headings: &[&'static str]) -> Table {
        let mut all: Vec<&'static str> = if self.several { vec!["NAMESPACE", "NAME"] } else { vec!["NAME"] };
        all.extend(headings);
        Table::new(&all)
    }

    fn row(&self, key: &ObjectKey, cells: Vec<Cell>) -> Vec<Cell> {
        let mut row: Vec<Cell> = if self.several { vec![Cell::from(&key.namespace)] } else { Vec::new() };
        row.push(Cell::from(&key.name));
        row.extend(cells);
        row
    }
}

/// How long ago, or `-`.
pub(super) fn since(at: Option<Millis>, now: Millis) -> String {
    at.map_or_else(String::new, |at| age(now.saturating_sub(at)))
}

/// HealthChecks. AGE stays `-`: a process without an API server does not know when a resource was made.
pub(super) fn checks(views: &[CheckView], now: Millis, wide: bool) -> Table {
    let names = Names::of(views.iter().map(|view| &view.key));
    let mut headings = vec!["TYPE", "HEALTH", "NODES", "REASON", "SINCE", "AGE"];
    if wide {
        headings.extend(["INTERVAL", "TARGET", "MESSAGE"]);
    }
    let mut table = names.table(&headings);
    for view in views {
        let (word, tone) =
            if view.suspended { ("Suspended", Tone::Faint) } else { (view.health.as_str(), Tone::of(view.health)) };
        let mut cells = vec![
            Cell::from(&view.kind),
            Cell::new(word, tone),
            Cell::from(&view.summary),
            Cell::from(&view.reason),
            Cell::from(since(view.since, now)),
            Cell::from(""),
        ];
        if wide {
            cells.extend([
                Cell::from(Span::millis(view.interval_ms).to_string()),
                Cell::from(&view.target),
                Cell::from(&view.message),
            ]);
        }
        table.row(names.row(&view.key, cells));
    }
    table
}

fn rules(views: &[RuleView], now: Millis, wide: bool) -> Table {
    let names = Names::of(views.iter().map(|view| &view.key));
    let mut headings = vec!["STATE", "SEVERITY", "FIRING", "SINCE", "AGE"];
    if wide {
        headings.extend(["EXPR", "FOR", "MESSAGE"]);
    }
    let mut table = names.table(&headings);
    for view in views {
        let tone = match view.state.as_str() {
            "Firing" => Tone::of_severity(&view.severity),
            "Pending" => Tone::Warn,
            "Unknown" | "Suspended" => Tone::Faint,
            _ => Tone::Good,
        };
        let mut cells = vec![
            Cell::new(&view.state, tone),
            Cell::from(&view.severity),
            Cell::from(&view.firing),
            Cell::from(since(view.since, now)),
            Cell::from(""),
        ];
        if wide {
            cells.extend([Cell::from(view.expr.trim()), Cell::from(&view.hold), Cell::from(&view.message)]);
        }
        table.row(names.row(&view.key, cells));
    }
    table
}

/// Alerts that are pending or firing.
pub(super) fn alerts(views: &[AlertView], now: Millis) -> Table {
    let mut table = Table::new(&["ALERT", "SEVERITY", "STATE", "NODE", "SINCE", "MESSAGE"]);
    for view in views {
        let state = match (&view.acknowledged, &view.silenced_by) {
            (Some(_), _) => "Acknowledged",
            (None, Some(_)) => "Silenced",
            (None, None) => view.state.as_str(),
        };
        let quiet = state != "Firing";
        let tone = if quiet { Tone::Usual } else { Tone::of_severity(&view.severity) };
        table.row(vec![
            Cell::from(&view.name),
            Cell::new(&view.severity, tone),
            Cell::new(state, tone),
            Cell::from(&view.node),
            Cell::from(since(view.fired_at.or(Some(view.active_at)), now)),
            Cell::from(&view.message),
        ]);
    }
    table
}

fn dashboards(views: &[DashboardView], now: Millis, url: &str) -> Table {
    let names = Names::of(views.iter().map(|view| &view.key));
    let mut table = names.table(&["READY", "PANELS", "URL", "AGE"]);
    for view in views {
        let cells = vec![
            Cell::from("True"),
            Cell::from(view.panels.len().to_string()),
            Cell::from(format!("{url}/dashboards/{}", view.id)),
            Cell::from(since(Some(view.created_at), now)),
        ];
        table.row(names.row(&view.key, cells));
    }
    table
}

fn receivers(views: &[ReceiverView]) -> Table {
    let names = Names::of(views.iter().map(|view| &view.key));
    let mut table = names.table(&["TYPE", "READY", "REASON", "AGE"]);
    for view in views {
        let (word, tone) = if view.ready { ("True", Tone::Good) } else { ("False", Tone::Bad) };
        let cells = vec![Cell::from(&view.kind), Cell::new(word, tone), Cell::from(&view.reason), Cell::from("")];
        table.row(names.row(&view.key, cells));
    }
    table
}

fn silences(views: &[SilenceView], now: Millis, wide: bool) -> Table {
    let names = Names::of(views.iter().map(|view| &view.key));
    let mut headings = vec!["STATE", "ENDS", "MATCHED", "AUTHOR", "AGE"];
    if wide {
        headings.push("COMMENT");
    }
    let mut table = names.table(&headings);
    for view in views {
        let ends = view.ends_at.map_or_else(String::new, |at| {
            if at > now { format!("in {}", age(at - now)) } else { format!("{} ago", age(now - at)) }
        });
        let mut cells = vec![
            Cell::from(&view.state),
            Cell::from(ends),
            Cell::from(view.matched.to_string()),
            Cell::from(&view.author),
            Cell::from(""),
        ];
        if wide {
            cells.push(Cell::from(&view.comment));
        }
        table.row(names.row(&view.key, cells));
    }
    table
}
