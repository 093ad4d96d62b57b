//! The terminal: views, tables and the client of a running server.
//!
//! Every function writes to the `Write` it is given and never to a stream of its own; [`table::Style`] says whether that
//! is a terminal with colours. Text from outside (names, messages, labels) is cleaned of control characters first: a
//! check's message must not be able to steer the reader's terminal.

pub mod act;
pub mod client;
pub mod get;
pub mod live;
pub mod query;
pub mod results;
pub mod table;
pub mod terminal;
pub mod why;

#[cfg(test)]
mod tests;

use std::str::FromStr;

/// Where a server is looked for unless `--server` says otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Why a command of the terminal did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nobody answers there.
    #[error("no Vitals answers at {url}; start one with `vitals run examples/quickstart` or pass --server URL ({why})")]
    NoServer {
        /// Where.
        url: String,
        /// What the network said.
        why: String,
    },
    /// `--server` is not a URL.
    #[error("--server {url}: {why}")]
    BadServer {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server refused, and said why.
    #[error("{detail}")]
    Refused {
        /// The status code.
        status: u16,
        /// Its words.
        detail: String,
    },
    /// Something answers, but no Vitals of our kind.
    #[error("{url} does not answer as Vitals does: {why}; is --server right?")]
    NotVitals {
        /// What was asked.
        url: String,
        /// What is odd.
        why: String,
    },
    /// An argument that cannot be.
    #[error("{0}")]
    BadArgument(String),
    /// The output is gone or full.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoServer { .. } => "NoServer",
            Self::BadServer { .. } => "BadServer",
            Self::Refused { .. } => "Refused",
            Self::NotVitals { .. } => "NotVitals",
            Self::BadArgument(_) => "BadArgument",
            Self::Output(_) => "OutputFailed",
        }
    }
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Aligned columns.
    #[default]
    Table,
    /// Aligned columns, all of them.
    Wide,
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            other => Err(format!("{other:?} is not an output; write table, wide, json or yaml")),
        }
    }
}

/// Prints a value as JSON or YAML.
fn print_value(value: &serde_json::Value, output: Output, out: &mut dyn std::io::Write) -> Result<(), CliError> {
    if output == Output::Yaml {
        let text = serde_saphyr::to_string(value)
            .map_err(|error| CliError::BadArgument(format!("this cannot be written as YAML ({error}); use -o json")))?;
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    serde_json::to_writer_pretty(&mut *out, value).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}
