//! Opens the fleet of one installation: its journal, its words, its way out.

use std::sync::Arc;

use anyhow::Context as _;

use super::doors::Courier;
use crate::alert::language::GoTemplates;
use crate::alert::render::Renderer;
use crate::fleet::{Engine as _, Fleet, FleetConfig, FleetPorts, StoreEngine, SystemClock};
use crate::local::journal::FileJournal;
use crate::local::one_node::OneNode;
use crate::model::Labels;
use crate::net::Dialer;
use crate::net::http::Client;
use crate::notify::Sender;
use crate::runtime::clock;
use crate::runtime::durable::StateDir;
use crate::store::Store;

/// Opens the fleet where its journal ends.
///
/// # Errors
/// The journal cannot be used.
pub async fn open(
    state: &StateDir,
    store: &Arc<Store>,
    node: &str,
    dialer: &Dialer,
    base_url: &str,
) -> anyhow::Result<Arc<Fleet>> {
    let path = state.file("journal");
    let (journal, opened) = FileJournal::open(&path).with_context(|| format!("{} cannot be used", path.display()))?;
    if let Some(kept) = opened.kept {
        tracing::warn!(
            "{}: lines {:?} cannot be read; the others are in force, the file is kept as {}",
            path.display(),
            opened.unreadable,
            kept.display()
        );
    }
    let asked = Arc::clone(store);
    let ask = move |expr: &str| {
        let found = StoreEngine::new(Arc::clone(&asked)).evaluate(expr, clock::now_millis())?;
        Ok(found.unwrap_or_default())
    };
    let config = FleetConfig { base_url: base_url.to_owned(), ..FleetConfig::default() };
    let ports = FleetPorts {
        journal: Arc::new(journal),
        cluster: Arc::new(OneNode::new(node, clock::now_millis())),
        deliver: Arc::new(Courier(Sender::new(Client::new(dialer.clone()), base_url))),
        clock: Arc::new(SystemClock::default()),
        engine: Box::new(StoreEngine::new(Arc::clone(store))),
        words: Box::new(Renderer::new(GoTemplates::new(base_url, Labels::empty(), Some(Arc::new(ask))))),
    };
    Ok(Fleet::open(config, ports).await?)
}
