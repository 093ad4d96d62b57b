//! The plan: what the controller (or `run`) asks of every agent of one role, in one document.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::duration::Span;
use super::object::ObjectKey;
use super::spec::CheckSpec;

/// Version of the plan's shape; an agent refuses a higher major shape but reads unknown entries one by one.
pub const PLAN_VERSION: u32 = 1;
/// Largest encoded plan, in bytes.
pub const MAX_ENCODED: usize = 512 * 1024;
/// Largest decoded plan, in bytes: bounds what a hostile gzip body can unfold to.
const MAX_DECODED: u64 = 16 * 1024 * 1024;

/// Which agents a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One per node; also the one agent of `run`, which takes cluster-placed checks as well.
    Node,
    /// Runs cluster-placed checks.
    Prober,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Whom it is for.
    pub role: Role,
    /// The plan's own revision: above every earlier plan's, at least every entry's.
    pub rev: u64,
    /// What to do, ordered by slot.
    pub entries: Vec<Entry>,
}

/// One thing to do: a target of a check, or a rule. Its slot number is its place in every report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its place in a report's `states`; kept for life, reused only with a higher `rev`.
    pub slot: u32,
    /// The plan revision in which it last changed: max(last + 1, unix seconds).
    pub rev: u64,
    /// The resource it comes from.
    pub key: ObjectKey,
    /// Which of the check's `targets[]`, when it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What kind of thing.
    #[serde(flatten)]
    pub work: Work,
}

/// The payload of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Run a check.
    Check(Box<CheckPlan>),
    /// Evaluate a rule.
    Rule(Box<RulePlan>),
    /// Written by a newer controller; this agent reports `Unknown/UnsupportedByAgent` for it.
    Unsupported(String),
}

/// Everything an agent needs to run one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckPlan {
    /// Time between starts.
    pub interval: Span,
    /// Deadline of one run, retries included.
    pub timeout: Span,
    /// How often a failed run is repeated at once before it counts.
    #[serde(default)]
    pub retries: u32,
    /// Consecutive failures that make it Unhealthy (or Degraded).
    pub failure_threshold: u32,
    /// Consecutive successes that make it Healthy.
    pub success_threshold: u32,
    /// Limits applied to the verdict.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Value of label `vitals.dev/component-type`, empty when unset.
    #[serde(default)]
    pub component_type: String,
    /// Only agents whose node carries these labels run it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// What to do.
    pub spec: CheckSpec,
}

/// Limits that turn a run's figures into Degraded or Unhealthy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Thresholds {
    /// Beyond these it is Degraded.
    #[serde(default)]
    pub degraded: Limits,
    /// Beyond these it is Unhealthy.
    #[serde(default)]
    pub unhealthy: Limits,
    /// Over what time success and error rates are taken; default 5m, at least 4 runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
}

/// One set of limits; unset ones do not apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Longest acceptable run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_time: Option<Span>,
    /// Lowest acceptable share of successful runs, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<i32>,
    /// Highest acceptable share of failed runs, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<i32>,
    /// Highest acceptable processor use, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    /// Highest acceptable memory use, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<i32>,
    /// Highest acceptable disk use, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<i32>,
}

/// What a rule does when its expression fails or finds no series at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnTrouble {
    /// Keep the instances as they are.
    #[default]
    KeepLast,
    /// Treat as "nothing fires".
    #[serde(rename = "OK")]
    Ok,
    /// Fire one instance without labels.
    Alerting,
}

/// Everything an agent needs to evaluate one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RulePlan {
    /// The `alertname`, or the name of the recorded series.
    pub name: String,
    /// Whether it records a series instead of alerting.
    #[serde(default)]
    pub record: bool,
    /// PromQL.
    pub expr: String,
    /// How long it must hold before it fires.
    #[serde(default, rename = "for")]
    pub hold: Span,
    /// How long it keeps firing after it stopped holding.
    #[serde(default)]
    pub keep_firing_for: Span,
    /// Time between evaluations.
    pub interval: Span,
    /// Rules of one group are evaluated one after the other at the same time stamp; the group's name within the namespace.
    #[serde(default)]
    pub group: String,
    /// Order within the group.
    #[serde(default)]
    pub order: i32,
    /// The severity word; orders a report that must be cut.
    #[serde(default)]
    pub severity: String,
    /// Static labels: added to a recorded series; for alerts they are rendered at the desk and not sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Largest number of instances kept per evaluation; more are counted and announced by one summary alert.
    pub limit: u32,
    /// What an expression without any series means.
    #[serde(default)]
    pub no_data: OnTrouble,
    /// What a failing expression means.
    #[serde(default)]
    pub on_error: OnTrouble,
}

/// Why a plan could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not a gzip stream, or too large.
    #[error("the plan cannot be unpacked: {0}")]
    Unpack(std::io::Error),
    /// Not the shape of a plan.
    #[error("the plan cannot be read: {0}")]
    Shape(serde_json::Error),
    /// Made by a newer controller whose shape this agent does not know.
    #[error("the plan has version {0}, this agent reads up to {PLAN_VERSION}; update the agent")]
    Version(u32),
    /// Larger than [`MAX_ENCODED`].
    #[error("the plan is {0} bytes long, at most {MAX_ENCODED} are allowed")]
    TooLarge(usize),
}

impl PlanError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unpack(_) => "PlanUnpackFailed",
            Self::Shape(_) => "PlanUnreadable",
            Self::Version(_) => "PlanTooNew",
            Self::TooLarge(_) => "PlanFull",
        }
    }
}

impl Plan {
    /// A plan with nothing to do.
    #[must_use]
    pub fn empty(role: Role) -> Self {
        Self { version: PLAN_VERSION, role, rev: 0, entries: Vec::new() }
    }

    /// The entry in a slot.
    #[must_use]
    pub fn slot(&self, slot: u32) -> Option<&Entry> {
        self.entries.binary_search_by_key(&slot, |entry| entry.slot).ok().map(|at| &self.entries[at])
    }

    /// One past the highest slot in use: the length of a report's `states`.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.entries.last().map_or(0, |entry| entry.slot + 1)
    }

    /// Encodes as gzip JSON.
    ///
    /// # Errors
    /// The result would be larger than [`MAX_ENCODED`].
    pub fn encode(&self) -> Result<Vec<u8>, PlanError> {
        let json = serde_json::to_vec(self).map_err(PlanError::Shape)?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&json).map_err(PlanError::Unpack)?;
        let bytes = gzip.finish().map_err(PlanError::Unpack)?;
        if bytes.len() > MAX_ENCODED { Err(PlanError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    /// Decodes gzip JSON; an entry that is not understood becomes [`Work::Unsupported`], the others stay.
    ///
    /// # Errors
    /// Not gzip, not a plan, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        if bytes.len() > MAX_ENCODED {
            return Err(PlanError::TooLarge(bytes.len()));
        }
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(bytes).take(MAX_DECODED).read_to_end(&mut json).map_err(PlanError::Unpack)?;
        let raw: RawPlan = serde_json::from_slice(&json).map_err(PlanError::Shape)?;
        if raw.version > PLAN_VERSION {
            return Err(PlanError::Version(raw.version));
        }
        let mut entries: Vec<Entry> = raw.entries.into_iter().filter_map(read_entry).collect();
        entries.sort_by_key(|entry| entry.slot);
        Ok(Self { version: raw.version, role: raw.role, rev: raw.rev, entries })
    }
}

#[derive(Deserialize)]
struct RawPlan {
    version: u32,
    role: Role,
    rev: u64,
    entries: Vec<serde_json::Value>,
}

/// The part of an entry that every version has; without it there is no slot to report on.
#[derive(Deserialize)]
struct EntryHead {
    slot: u32,
    rev: u64,
    key: ObjectKey,
    #[serde(default)]
    target: Option<String>,
}

fn read_entry(value: serde_json::Value) -> Option<Entry> {
    match serde_json::from_value::<Entry>(value.clone()) {
        Ok(entry) => Some(entry),
        Err(why) => {
            let head: EntryHead = serde_json::from_value(value).ok()?;
            let work = Work::Unsupported(why.to_string());
            Some(Entry { slot: head.slot, rev: head.rev, key: head.key, target: head.target, work })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::MemorySpec;

    fn check(slot: u32) -> Entry {
        Entry {
            slot,
            rev: 7,
            key: ObjectKey::new("default", "memory"),
            target: None,
            work: Work::Check(Box::new(CheckPlan {
                interval: Span::seconds(30),
                timeout: Span::seconds(10),
                retries: 0,
                failure_threshold: 3,
                success_threshold: 2,
                thresholds: Thresholds::default(),
                component_type: String::new(),
                node_selector: BTreeMap::new(),
                spec: CheckSpec::Memory(MemorySpec {}),
            })),
        }
    }

    fn gzip(json: &str) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(json.as_bytes()).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn a_plan_reads_back_as_written() {
        let plan = Plan { version: 1, role: Role::Node, rev: 7, entries: vec![check(0), check(3)] };
        assert_eq!(Plan::decode(&plan.encode().unwrap()).unwrap(), plan);
        assert_eq!(plan.slots(), 4);
        assert!(plan.slot(3).is_some() && plan.slot(1).is_none());
    }

    #[test]
    fn an_entry_of_an_unknown_kind_does_not_hurt_its_neighbours() {
        let mut json =
            serde_json::to_value(Plan { version: 1, role: Role::Node, rev: 7, entries: vec![check(0), check(1)] })
                .unwrap();
        json["entries"][0]["check"]["spec"] = serde_json::json!({ "teleport": {} });
        let plan = Plan::decode(&gzip(&json.to_string())).unwrap();
        assert!(matches!(&plan.entries[0].work, Work::Unsupported(why) if why.contains("teleport")));
        assert!(matches!(plan.entries[1].work, Work::Check(_)));
    }

    #[test]
    fn a_plan_of_a_newer_shape_is_refused_with_the_remedy() {
        let bytes = gzip(r#"{"version":9,"role":"node","rev":1,"entries":[]}"#);
        let error = Plan::decode(&bytes).unwrap_err();
        assert_eq!(error.reason(), "PlanTooNew");
        assert!(error.to_string().contains("update the agent"));
    }
}
