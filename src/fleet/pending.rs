//! Changes on their way into the journal: collected, replaced by newer ones, and kept until a commit took them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::ports::Change;

/// Changes that no commit has taken yet, by document.
#[derive(Debug, Default)]
pub struct Pending {
    changes: BTreeMap<String, (u64, Option<Value>)>,
    next: u64,
}

/// What one commit is to take.
#[derive(Debug)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Change>,
    upto: u64,
}

impl Pending {
    /// Adds changes; a newer one of a document replaces the older.
    pub fn add(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.next += 1;
            self.changes.insert(change.key, (self.next, change.value));
        }
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// A copy of everything: a commit that is cut off in the middle leaves it all here.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let changes =
            self.changes.iter().map(|(key, (_, value))| Change { key: key.clone(), value: value.clone() }).collect();
        Batch { changes, upto: self.next }
    }

    /// A commit took this batch: what has not changed since is done.
    pub fn settle(&mut self, batch: &Batch) {
        self.changes.retain(|_, (number, _)| *number > batch.upto);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: i64) -> Change {
        Change { key: key.into(), value: Some(value.into()) }
    }

    #[test]
    fn a_change_made_during_a_commit_waits_for_the_next_one() {
        let mut pending = Pending::default();
        pending.add([change("a", 1), change("b", 1)]);
        let batch = pending.batch();
        pending.add([change("a", 2)]);
        pending.settle(&batch);
        assert_eq!(pending.batch().changes, [change("a", 2)]);
    }

    #[test]
    fn a_commit_that_never_returned_loses_nothing() {
        let mut pending = Pending::default();
        pending.add([change("a", 1)]);
        drop(pending.batch());
        assert!(!pending.is_empty());
    }
}
