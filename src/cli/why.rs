//! `vitals why NAME`: what is known about one check or rule, and what to do next.

use std::io::Write;

use serde::Deserialize;
use serde_json::Value;

use super::CliError;
use super::client::{Server, encoded};
use super::get::since;
use super::query::series_text;
use super::table::{Style, Tone, clean};
use super::{Output, print_value};
use crate::model::series::Millis;
use crate::model::view::{AlertView, CheckView, ReceiverView, RuleView, RunView};
use crate::model::{Health, ObjectKey, Span};

#[derive(Deserialize)]
struct Why {
    now: Millis,
    check: Option<CheckWhy>,
    rule: Option<RuleWhy>,
}

#[derive(Deserialize)]
struct CheckWhy {
    check: CheckView,
    runs: Vec<RunView>,
    failing_phase: Option<String>,
    depends_on: Vec<CheckView>,
    missing_dependencies: Vec<ObjectKey>,
    alerts: Vec<AlertView>,
    next: Vec<String>,
}

#[derive(Deserialize)]
struct RuleWhy {
    rule: RuleView,
    alerts: Vec<AlertView>,
    #[serde(default)]
    checks: Vec<CheckView>,
    receivers: Vec<ReceiverView>,
    values: Vec<Value>,
    values_total: usize,
    query_error: Option<String>,
    next: Vec<String>,
}

/// Runs `vitals why`.
///
/// # Errors
/// No server, no such check or rule, or the output is gone.
pub async fn why(
    server: &Server,
    name: &str,
    output: Output,
    style: Style,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    // The key's slash stays one: the path has a segment for each half.
    let key: Vec<String> = name.split('/').map(encoded).collect();
    let path = format!("/api/v1/why/{}", key.join("/"));
    let answer = server.get(&path).await?;
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(&answer, output, out);
    }
    let why: Why = serde_json::from_value(answer).map_err(|error| CliError::NotVitals {
        url: format!("{}{path}", server.url()),
        why: format!("unexpected fields ({error})"),
    })?;
    let mut page = Page { style, now: why.now, out };
    let both = why.check.is_some() && why.rule.is_some();
    if let Some(check) = &why.check {
        page.check(check)?;
    }
    if both {
        writeln!(page.out)?;
    }
    if let Some(rule) = &why.rule {
        page.rule(rule)?;
    }
    Ok(())
}

struct Page<'a> {
    style: Style,
    now: Millis,
    out: &'a mut dyn Write,
}

impl Page<'_> {
    fn field(&mut self, name: &str, text: &str) -> Result<(), CliError> {
        if !text.is_empty() {
            writeln!(self.out, "{:<14}{}", name, clean(text.trim()))?;
        }
        Ok(())
    }

    fn heading(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.out, "\n{}", self.style.paint(Tone::Strong, text))?;
        Ok(())
    }

    fn next(&mut self, steps: &[String]) -> Result<(), CliError> {
        if steps.is_empty() {
            return Ok(());
        }
        self.heading("What to do next")?;
        for (at, step) in steps.iter().enumerate() {
            writeln!(self.out, "  {}. {}", at + 1, clean(step))?;
        }
        Ok(())
    }

    fn alerts(&mut self, alerts: &[AlertView]) -> Result<(), CliError> {
        if alerts.is_empty() {
            return Ok(());
        }
        self.heading("Alerts")?;
        for line in super::get::alerts(alerts, self.now).lines(self.style, None) {
            writeln!(self.out, "  {line}")?;
        }
        for alert in alerts {
            if let Some(ack) = &alert.acknowledged {
                let (name, by) = (clean(&alert.name), clean(&ack.by));
                writeln!(self.out, "  {name} was acknowledged by {by}: {}", clean(&ack.comment))?;
            }
        }
        Ok(())
    }

    fn checks_behind(&mut self, checks: &[CheckView]) -> Result<(), CliError> {
        if checks.is_empty() {
            return Ok(());
        }
        self.heading("Checks behind it")?;
        for check in checks {
            let health = self.style.paint(Tone::of(check.health), check.health.as_str());
            writeln!(self.out, "  {}  {health}  {}", clean(&check.key.to_string()), clean(&check.message))?;
        }
        Ok(())
    }

    fn state(&mut self, word: &str, tone: Tone, at: Option<Millis>, reason: &str) -> Result<(), CliError> {
        let since = since(at, self.now);
        let since = if since.is_empty() { String::new() } else { format!(" since {since}") };
        let reason = if reason.is_empty() { String::new() } else { format!(": {}", clean(reason)) };
        writeln!(self.out, "{}{since}{reason}", self.style.paint(tone, word))?;
        Ok(())
    }

    fn check(&mut self, why: &CheckWhy) -> Result<(), CliError> {
        let check = &why.check;
        writeln!(self.out, "HealthCheck {}", self.style.paint(Tone::Strong, &clean(&check.key.to_string())))?;
        if check.suspended {
            self.state("Suspended", Tone::Faint, None, "")?;
        } else {
            self.state(check.health.as_str(), Tone::of(check.health), check.since, &check.reason)?;
        }
        self.field("Message", &check.message)?;
        self.field("Checks", &format!("{} {}", check.kind, check.target))?;
        let timing = format!("every {}, timeout {}", Span::millis(check.interval_ms), Span::millis(check.timeout_ms));
        self.field("Runs", &timing)?;
        if !check.summary.is_empty() && check.summary != "1/1" {
            self.field("Healthy on", &check.summary)?;
        }
        if let Some(rate) = check.success_rate {
            self.field("Success rate", &format!("{rate:.1} %"))?;
        }
        let phases: Vec<String> = check.phases.iter().map(|(name, ms)| format!("{name} {ms:.1} ms")).collect();
        self.field("Phases", &phases.join(", "))?;
        self.field("Fails in", why.failing_phase.as_deref().unwrap_or(""))?;
        if !check.details.is_empty() {
            let details: Vec<String> = check.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
            self.field("Details", &details.join(", "))?;
        }
        if !why.depends_on.is_empty() || !why.missing_dependencies.is_empty() {
            self.heading("Depends on")?;
            for other in &why.depends_on {
                let word = self.style.paint(Tone::of(other.health), other.health.as_str());
                writeln!(self.out, "  {}  {word}  {}", clean(&other.key.to_string()), clean(&other.message))?;
            }
            for key in &why.missing_dependencies {
                let word = self.style.paint(Tone::Bad, "does not exist");
                writeln!(self.out, "  {}  {word}", clean(&key.to_string()))?;
            }
        }
        if !why.runs.is_empty() {
            self.heading("Last runs")?;
            for run in why.runs.iter().rev() {
                self.run(run)?;
            }
        }
        self.alerts(&why.alerts)?;
        self.next(&why.next)
    }

    fn run(&mut self, run: &RunView) -> Result<(), CliError> {
        let ago = format!("{} ago", since(Some(run.at), self.now));
        let word = format!("{:<9}", run.health.as_str());
        let tone = if run.health == Health::Healthy { Tone::Faint } else { Tone::of(run.health) };
        let word = self.style.paint(tone, &word);
        let took = format!("{:.1} ms", run.duration_ms);
        writeln!(self.out, "  {ago:<10}{word}  {took:>10}  {}", clean(&run.message))?;
        Ok(())
    }

    fn rule(&mut self, why: &RuleWhy) -> Result<(), CliError> {
        let rule = &why.rule;
        writeln!(self.out, "AlertRule {}", self.style.paint(Tone::Strong, &clean(&rule.key.to_string())))?;
        let tone = match rule.state.as_str() {
            "Firing" => Tone::of_severity(&rule.severity),
            "Pending" => Tone::Warn,
            "Inactive" => Tone::Good,
            _ => Tone::Faint,
        };
        self.state(&clean(&rule.state), tone, rule.since, "")?;
        self.field("Message", &rule.message)?;
        self.field("Severity", &rule.severity)?;
        self.field("Firing on", &rule.firing)?;
        self.field("Expression", &rule.expr)?;
        self.field("For", &rule.hold)?;
        let last = since(rule.last_evaluation, self.now);
        let last = if last.is_empty() { "not yet evaluated".to_owned() } else { format!("last {last} ago") };
        let took = rule.evaluation_ms.map_or_else(String::new, |ms| format!(" in {ms:.2} ms"));
        let every = Span::millis(rule.interval_ms);
        self.field("Evaluated", &format!("every {every}, {last}{took}: {}", rule.evaluated))?;
        if let Some(problem) = &why.query_error {
            self.field("Value now", problem)?;
        } else if why.values.is_empty() {
            self.field("Value now", "none: the expression holds for nothing")?;
        }
        for (at, sample) in why.values.iter().enumerate() {
            let text = format!("{}  {}", sample["value"].as_str().unwrap_or(""), series_text(&sample["labels"]));
            self.field(if at == 0 { "Value now" } else { "" }, &text)?;
        }
        if why.values_total > why.values.len() {
            self.field("", &format!("and {} more", why.values_total - why.values.len()))?;
        }
        if !rule.record {
            self.heading("Told to")?;
            if rule.receivers.is_empty() {
                writeln!(self.out, "  {}", self.style.paint(Tone::Warn, "nobody"))?;
            }
            for key in &rule.receivers {
                let known = why.receivers.iter().find(|receiver| receiver.key == *key);
                let (word, tone) = match known {
                    Some(receiver) if receiver.ready => ("ready".to_owned(), Tone::Good),
                    Some(receiver) => (format!("not ready ({})", clean(&receiver.reason)), Tone::Bad),
                    None => ("does not exist".to_owned(), Tone::Bad),
                };
                let kind = known.map_or("", |receiver| receiver.kind.as_str());
                let key = key.to_string();
                writeln!(self.out, "  {}  {}  {}", clean(&key), clean(kind), self.style.paint(tone, &word))?;
            }
        }
        self.alerts(&why.alerts)?;
        self.checks_behind(&why.checks)?;
        self.next(&why.next)
    }
}
