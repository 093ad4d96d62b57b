//! `vitals ack` and `vitals check --server`: commands that do something at a running server.

use std::io::Write;

use serde_json::{Value, json};

use super::client::{Server, encoded};
use super::results::{self, Format};
use super::table::{Style, clean};
use super::{CliError, DEFAULT_SERVER};
use crate::model::view::{AlertView, CheckView};

/// Acknowledges an alert by its id, or by its name while only one such alert fires.
///
/// # Errors
/// No server, no such alert, or several of that name.
pub async fn acknowledge(
    server: &Server,
    alert: &str,
    by: &str,
    comment: &str,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let answer = server.get("/api/v1/resources/alerts").await?;
    let alerts: Vec<AlertView> = items(server, &answer)?;
    let id_of = |view: &&AlertView| view.id == alert || (view.name == alert && view.state == "Firing");
    let found: Vec<&AlertView> = alerts.iter().filter(id_of).collect();
    let chosen = match found.as_slice() {
        [one] => *one,
        [] => {
            let text = format!("no alert {alert:?} fires; `vitals get alerts` lists them");
            return Err(CliError::BadArgument(text));
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|view| view.id.as_str()).collect();
            let text = format!("{} alerts are named {alert:?}; give one of the ids {}", ids.len(), ids.join(", "));
            return Err(CliError::BadArgument(text));
        }
    };
    let path = format!("/alerts/{}/acknowledge", encoded(&chosen.id));
    server.post(&path, &json!({ "by": by, "comment": comment })).await?;
    writeln!(out, "{} is acknowledged by {}.", clean(&chosen.name), clean(by))?;
    Ok(())
}

/// Runs checks of a server now (all of them when no name is given shows their last results instead), prints them and
/// gives the exit code.
///
/// # Errors
/// No server or no such check.
pub async fn check(
    server: &Server,
    names: &[String],
    format: Format,
    style: Style,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    for name in names {
        let path = format!("/health/checks/{}/run", encoded(name));
        match server.post(&path, &json!({})).await {
            // Asked a moment ago: the result of then is as good.
            Ok(_) | Err(CliError::Refused { status: 429, .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let answer = server.get("/api/v1/resources/healthchecks").await?;
    let mut checks: Vec<CheckView> = items(server, &answer)?;
    if !names.is_empty() {
        checks.retain(|view| names.iter().any(|name| *name == *view.key.name || *name == view.key.to_string()));
    }
    results::write(&checks, answer["now"].as_i64().unwrap_or(0), format, style, out)?;
    Ok(results::exit_code(&checks))
}

fn items<T: serde::de::DeserializeOwned>(server: &Server, answer: &Value) -> Result<Vec<T>, CliError> {
    serde_json::from_value(answer["items"].clone()).map_err(|error| CliError::NotVitals {
        url: server.url().to_owned(),
        why: format!("unexpected fields ({error}); the default server is {DEFAULT_SERVER}"),
    })
}
