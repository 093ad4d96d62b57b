//! The cluster of `run`: one node, this machine, always ready.

use std::collections::BTreeMap;

use crate::model::ports::{ClusterView, NodeState};
use crate::model::series::Millis;

/// This machine as the only node.
#[derive(Debug)]
pub struct OneNode {
    name: String,
    since: Millis,
}

impl OneNode {
    /// A node of this name, there since then.
    #[must_use]
    pub fn new(name: &str, since: Millis) -> Self {
        Self { name: name.to_owned(), since }
    }
}

impl ClusterView for OneNode {
    fn nodes(&self) -> Vec<NodeState> {
        vec![NodeState {
            name: self.name.clone(),
            node_ready: true,
            agent_ready: true,
            agent_since: self.since,
            created_at: self.since,
            labels: BTreeMap::from([("kubernetes.io/hostname".to_owned(), self.name.clone())]),
        }]
    }
}
