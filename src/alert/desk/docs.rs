//! The desk's documents in the journal: one per case, group, intent, limit and cooldown; only changed ones are written.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::case::Case;
use super::intent::Attempt;
use super::limit::{Limit, LimitKey};
use super::{Desk, Intent};
use crate::alert::episode::{Episode, EpisodeKey};
use crate::model::labels::Fnv;
use crate::model::ports::Change;
use crate::model::report::{Fingerprint, Seconds};

/// The document with the count of ended episodes.
const COUNT: &str = "default/desk/resolved";

/// One document. The first part is its namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doc {
    Alert(String, EpisodeKey),
    History(String, EpisodeKey),
    Group(String, u64),
    Intent(String, String),
    Limit(LimitKey),
    Cooldown(String, Fingerprint),
    Count,
}

impl Doc {
    pub(super) fn alert(key: EpisodeKey, case: &Case) -> Self {
        Self::Alert(case.episode.rule.namespace.to_string(), key)
    }

    pub(super) fn history(case: &Case) -> Self {
        Self::History(case.episode.rule.namespace.to_string(), case.episode.key())
    }

    fn key(&self) -> String {
        match self {
            Self::Alert(namespace, key) => format!("{namespace}/alert/{key}"),
            Self::History(namespace, key) => format!("{namespace}/history/{key}"),
            Self::Group(namespace, id) => format!("{namespace}/group/{id:016x}"),
            Self::Intent(namespace, key) => format!("{namespace}/intent/{key}"),
            Self::Limit(limit) => {
                let rule = limit.rule.as_ref().map_or(String::new(), ToString::to_string);
                format!("{}/limit/{:016x}", limit.receiver.namespace, Fnv::of(&[&limit.receiver.to_string(), &rule]))
            }
            Self::Cooldown(namespace, id) => format!("{namespace}/cooldown/{id}"),
            Self::Count => COUNT.to_owned(),
        }
    }
}

/// A document that this version cannot read; the others are unharmed.
#[derive(Debug, thiserror::Error)]
#[error("the journal's document {key} cannot be read ({why}); it is left out")]
pub struct DocumentError {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// A limit with its name, which the document's key does not tell.
#[derive(serde::Serialize, serde::Deserialize)]
struct LimitDoc {
    key: LimitKey,
    limit: Limit,
}

impl Desk {
    /// What changed since the last call, for the journal.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|doc| Change { key: doc.key(), value: self.value(&doc) }).collect()
    }

    /// Whether there is anything for the journal.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn value(&self, doc: &Doc) -> Option<Value> {
        match doc {
            Doc::Alert(_, key) => self.cases.get(key).and_then(json),
            // Newest first: what changed lately stands at the end.
            Doc::History(_, key) => self.history.iter().rev().find(|case| case.episode.key() == *key).and_then(json),
            Doc::Group(_, id) => self.groups.get(id).and_then(json),
            Doc::Intent(_, key) => self.intents.get(key).and_then(json),
            Doc::Limit(key) => {
                let limit = self.limits.get(key)?.clone();
                json(&LimitDoc { key: key.clone(), limit })
            }
            Doc::Cooldown(_, id) => self.cooldowns.get(id).and_then(json),
            Doc::Count => Some(Value::from(self.resolved)),
        }
    }

    /// Takes over the documents of an earlier process. Returns those that could not be read.
    pub fn restore<'a>(&mut self, documents: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Vec<DocumentError> {
        let mut bad = Vec::new();
        for (key, value) in documents {
            let mut parts = key.splitn(3, '/');
            let (Some(_), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next()) else { continue };
            if let Err(why) = self.restore_one(kind, name, value) {
                bad.push(DocumentError { key: key.to_owned(), why });
            }
        }
        let mut history: Vec<Case> = std::mem::take(&mut self.history).into();
        history.sort_by_key(|case| (case.ended.map_or(0, |ending| ending.at), case.episode.key()));
        self.history = history.into();
        bad
    }

    fn restore_one(&mut self, kind: &str, name: &str, value: &Value) -> Result<(), String> {
        match kind {
            "alert" => {
                let case: Case = read(value)?;
                self.cases.insert(case.episode.key(), case);
            }
            "history" => self.history.push_back(read(value)?),
            "group" => {
                let id = u64::from_str_radix(name, 16).map_err(|why| why.to_string())?;
                self.groups.insert(id, read(value)?);
            }
            "intent" => {
                let mut intent: Intent = read(value)?;
                intent.attempt = Attempt { durable: true, ..Attempt::default() };
                self.intents.insert(intent.key().to_owned(), intent);
            }
            "limit" => {
                let doc: LimitDoc = read(value)?;
                self.limits.insert(doc.key, doc.limit);
            }
            "cooldown" => {
                let id: Fingerprint = name.parse().map_err(|why: std::num::ParseIntError| why.to_string())?;
                self.cooldowns.insert(id, read(value)?);
            }
            "desk" => self.resolved = read(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The episodes that were open, for the ledger.
    pub fn open_episodes(&self) -> impl Iterator<Item = Episode> + '_ {
        self.cases.values().filter(|case| case.ended.is_none()).map(|case| case.episode.clone())
    }

    /// The episodes that ended, for the ledger.
    pub fn ended_episodes(&self) -> impl Iterator<Item = (Episode, Seconds)> + '_ {
        let ended = self.cases.values().chain(&self.history);
        ended.filter_map(|case| case.ended.map(|ending| (case.episode.clone(), ending.at)))
    }
}

fn json(value: &impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|why| why.to_string())
}
