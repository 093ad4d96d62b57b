//! Results of checks, as `vitals check` prints them: a table, JSON or JUnit's XML; and its exit code.

use std::io::{self, Write};
use std::str::FromStr;

use serde_json::{Value, json};

use super::get;
use super::table::Style;
use crate::model::Health;
use crate::model::series::Millis;
use crate::model::view::CheckView;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns with messages.
    #[default]
    Table,
    /// The list of `/health/checks`.
    Json,
    /// For build servers.
    Junit,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "junit" => Ok(Self::Junit),
            other => Err(format!("{other:?} is not an output; write table, json or junit")),
        }
    }
}

/// 0 when all are healthy, 1 when one is unhealthy, else 3. Suspended checks do not count.
#[must_use]
pub fn exit_code(checks: &[CheckView]) -> u8 {
    let of = |health: Health| checks.iter().any(|check| !check.suspended && check.health == health);
    match () {
        () if of(Health::Unhealthy) => 1,
        () if of(Health::Degraded) || of(Health::Unknown) => 3,
        () => 0,
    }
}

/// Prints results.
///
/// # Errors
/// The output's own.
pub fn write(checks: &[CheckView], now: Millis, format: Format, style: Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table if checks.is_empty() => writeln!(out, "No check."),
        Format::Table => get::checks(checks, now, true).write(style, out),
        Format::Json => {
            let list: Vec<Value> = checks.iter().map(result_json).collect();
            serde_json::to_writer_pretty(&mut *out, &json!({ "total": list.len(), "checks": list }))?;
            writeln!(out)
        }
        Format::Junit => junit(checks, out),
    }
}

fn result_json(check: &CheckView) -> Value {
    json!({
        "name": &*check.key.name,
        "namespace": &*check.key.namespace,
        "type": check.kind,
        "target": check.target,
        "status": check.health.lower(),
        "reason": check.reason,
        "message": check.message,
        "duration_ms": check.duration_ms,
        "details": check.details,
    })
}

/// Unhealthy is a failure, Degraded and Unknown are failures of their own type, suspended is skipped.
fn junit(checks: &[CheckView], out: &mut dyn Write) -> io::Result<()> {
    let failed = |check: &&CheckView| !check.suspended && check.health != Health::Healthy;
    let failures = checks.iter().filter(failed).count();
    let skipped = checks.iter().filter(|check| check.suspended).count();
    let seconds = |check: &CheckView| check.duration_ms.unwrap_or(0.0) / 1000.0;
    let time: f64 = checks.iter().map(seconds).sum();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuite name=\"vitals\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{time:.3}\">",
        checks.len()
    )?;
    for check in checks {
        let head = format!(
            "  <testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\"",
            xml(&check.key.namespace),
            xml(&check.kind),
            xml(&check.key.name),
            seconds(check)
        );
        if check.suspended {
            writeln!(out, "{head}><skipped/></testcase>")?;
        } else if check.health == Health::Healthy {
            writeln!(out, "{head}/>")?;
        } else {
            let (kind, reason, message) = (check.health.as_str(), xml(&check.reason), xml(&check.message));
            writeln!(out, "{head}><failure type=\"{kind}\" message=\"{reason}\">{message}</failure></testcase>")?;
        }
    }
    writeln!(out, "</testsuite>")
}

/// XML forbids most control characters even when escaped: they become blanks.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
