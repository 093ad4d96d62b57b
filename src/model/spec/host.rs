//! Checks of the machine itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Space of one file system; judged by `thresholds.*.disk` (percent used, default unhealthy above 85).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskSpec {
    /// Any path on the file system.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 4096), regex(pattern = "^/"))]
    pub path: String,
}

fn root() -> String {
    "/".into()
}

/// Memory in use; judged by `thresholds.*.memory` (percent, default unhealthy above 80).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemorySpec {}

/// Processor time in use since the last run; judged by `thresholds.*.cpu` (percent, default unhealthy above 75).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuSpec {}

/// Five-minute load average divided by the number of processors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadSpec {
    /// Unhealthy above this load per processor; a decimal in quotes, such as "2" or "1.5".
    #[serde(default = "two")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub per_core: String,
    /// Degraded above this load per processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub degraded_per_core: Option<String>,
}

fn two() -> String {
    "2".into()
}
