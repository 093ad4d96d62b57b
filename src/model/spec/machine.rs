//! Checks of processes, units, logs, files and GPUs of the machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duration::Span;

/// How many processes of one name run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessSpec {
    /// The process's name as `/proc/PID/comm` has it.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Unhealthy with fewer; default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100_000))]
    pub min: i32,
    /// Unhealthy with more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max: Option<i32>,
}

fn one() -> i32 {
    1
}

/// A systemd unit that must be active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemdSpec {
    /// The unit's name with its suffix, such as `kubelet.service`.
    #[schemars(length(min = 3, max = 256), regex(pattern = r"^[A-Za-z0-9:_.@\\-]+\.[a-z]+$"))]
    pub unit: String,
}

/// Lines of the kernel's log that must not appear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelLogSpec {
    /// `OOMKilling`, `FilesystemError`, `IOError`, `XID`, or a regular expression.
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 1024)))]
    pub patterns: Vec<String>,
    /// How long a line counts; default 5m.
    #[serde(default = "five_minutes")]
    pub window: Span,
}

fn five_minutes() -> Span {
    Span::seconds(300)
}

/// What a file's content is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Baseline {
    /// The SHA-256 hash of the first reading.
    #[serde(rename = "sha256")]
    Sha256,
}

/// Files: that they exist, are fresh, small enough, unchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSpec {
    /// Absolute paths; `*`, `?` and `**` select several.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 4096), regex(pattern = "^/")))]
    pub paths: Vec<String>,
    /// Whether a file must exist (true) or must not (false).
    #[serde(default = "yes")]
    pub exists: bool,
    /// Unhealthy when the newest change is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// Unhealthy when a file is larger: bytes, or a number with `Ki`, `Mi`, `Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24), regex(pattern = "^[0-9]+(Ki|Mi|Gi|Ti)?$"))]
    pub max_size: Option<String>,
    /// Unhealthy when the content differs from what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Count changes as they happen, between the runs too.
    #[serde(default)]
    pub watch: bool,
}

fn yes() -> bool {
    true
}

/// The GPUs of the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuSpec {
    /// Unhealthy above this temperature, degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 150))]
    pub max_temperature: Option<i32>,
    /// Unhealthy with more uncorrected ECC errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_ecc: Option<i64>,
    /// Unhealthy after an XID error.
    #[serde(default)]
    pub no_xid: bool,
    /// Unhealthy with fewer devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1024))]
    pub min_count: Option<i32>,
}
