//! `vitals query EXPR`: PromQL on a running server.

use std::io::Write;

use serde_json::Value;

use super::client::{Server, encoded};
use super::table::{Cell, Style, Table, Tone, clean};
use super::{CliError, Output, print_value};
use crate::model::Labels;

/// Runs `vitals query`.
///
/// # Errors
/// No server, an expression that the server refuses, or the output is gone.
pub async fn query(
    server: &Server,
    expr: &str,
    output: Output,
    style: Style,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let path = format!("/api/v1/query?query={}", encoded(expr));
    let answer = server.get(&path).await?;
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(&answer["data"], output, out);
    }
    for kind in ["warnings", "infos"] {
        for note in answer[kind].as_array().into_iter().flatten().filter_map(Value::as_str) {
            writeln!(out, "{}", style.paint(Tone::Warn, &format!("note: {}", clean(note))))?;
        }
    }
    let result = &answer["data"]["result"];
    match answer["data"]["resultType"].as_str() {
        Some("scalar" | "string") => writeln!(out, "{}", clean(result[1].as_str().unwrap_or("")))?,
        Some("vector") => samples(result, "value", style, out)?,
        Some("matrix") => samples(result, "values", style, out)?,
        _ => {
            let why = "the answer has no resultType".to_owned();
            return Err(CliError::NotVitals { url: server.url().to_owned(), why });
        }
    }
    Ok(())
}

fn samples(result: &Value, field: &str, style: Style, out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::new(if field == "value" { &["SERIES", "VALUE"] } else { &["SERIES", "VALUE", "AT"] });
    for sample in result.as_array().into_iter().flatten() {
        let series = series_text(&sample["metric"]);
        if field == "value" {
            table.row(vec![Cell::from(&series), Cell::new(sample["value"][1].as_str().unwrap_or(""), Tone::Strong)]);
            continue;
        }
        for pair in sample["values"].as_array().into_iter().flatten() {
            let value = Cell::new(pair[1].as_str().unwrap_or(""), Tone::Strong);
            table.row(vec![Cell::from(&series), value, Cell::from(pair[0].to_string())]);
        }
    }
    if table.is_empty() {
        writeln!(out, "No series: nothing matches, or nothing was recorded in the last 5 minutes.")?;
        return Ok(());
    }
    table.write(style, out)?;
    Ok(())
}

/// `up{job="node"}`
pub(super) fn series_text(metric: &Value) -> String {
    let pairs = metric.as_object().into_iter().flatten();
    Labels::from_pairs(pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or("")))).to_string()
}
