//! Dashboards as the page and `/dashboard/{id}` draw them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a panel shows its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PanelKind {
    /// One big number per query.
    Stat,
    /// A number between limits.
    Gauge,
    /// Lines over time.
    TimeSeries,
    /// Bars, one per series.
    Bar,
    /// A table of series and values.
    Table,
    /// The active alerts.
    AlertList,
    /// All checks by component and state.
    HealthMatrix,
}

/// One query of a panel: an expression or a metric's name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelQuery {
    /// PromQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub expr: Option<String>,
    /// The name of a metric, shown as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub metric: Option<String>,
    /// Name of the line; `{{label}}` is replaced by the label's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub legend: Option<String>,
}

/// Where a value turns yellow and red; below `warning` when `critical < warning`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelThresholds {
    /// A decimal in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub warning: Option<String>,
    /// A decimal in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub critical: Option<String>,
}

/// One panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Panel {
    /// Its heading; its id is the heading in lower case with underscores.
    #[schemars(length(min = 1, max = 128))]
    pub title: String,
    /// A sentence below the heading.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub description: String,
    /// How it shows its data.
    pub kind: PanelKind,
    /// What it shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub queries: Vec<PanelQuery>,
    /// The unit, `percent`, `bytes`, `seconds`, … or any text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub unit: String,
    /// Colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<PanelThresholds>,
    /// Columns of twelve.
    #[serde(default = "six")]
    #[schemars(range(min = 1, max = 12))]
    pub width: i32,
    /// Rows.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 24))]
    pub height: i32,
}

fn six() -> i32 {
    6
}

fn four() -> i32 {
    4
}

impl Panel {
    /// The heading as an identifier.
    #[must_use]
    pub fn id(&self) -> String {
        self.title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    }
}
