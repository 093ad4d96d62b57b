//! What an installation stands on: this machine's name, the store and the dial policy that settings ask for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compile::Settings;
use crate::model::Labels;
use crate::net::DialPolicy;
use crate::store::{Store, StoreConfig};

/// This machine's name.
#[must_use]
pub fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The labels of every series: job, instance, node, and those of the settings.
#[must_use]
pub fn identity(settings: &Settings, node: &str) -> Labels {
    let own = [("job", settings.job.as_str()), ("instance", node), ("node", node)];
    let extra = settings.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::from_pairs(own.into_iter().chain(extra))
}

/// An empty store with the identity and the limits that settings ask for.
#[must_use]
pub fn store(settings: &Settings, node: &str) -> Arc<Store> {
    Arc::new(Store::new(StoreConfig {
        identity: identity(settings, node),
        selected_retention: settings.retention,
        max_bytes: usize::try_from(settings.max_memory).unwrap_or(usize::MAX),
        ..StoreConfig::default()
    }))
}

/// The dial policy that settings ask for; loopback is open, since who starts this owns the machine.
///
/// # Errors
/// A network that cannot be read.
pub fn dial_policy(settings: &Settings) -> anyhow::Result<DialPolicy> {
    let parse = |list: &[String]| list.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>();
    let (allow, deny) = (parse(&settings.allow_networks)?, parse(&settings.deny_networks)?);
    Ok(DialPolicy { allow, deny, ..DialPolicy::local() })
}

/// One directory per set of paths, so that two installations never share state by accident.
#[must_use]
pub fn default_state_dir(paths: &[PathBuf]) -> PathBuf {
    let named: Vec<String> = paths
        .iter()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string())
        .collect();
    let parts: Vec<&str> = named.iter().map(String::as_str).collect();
    let home = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")));
    let name = format!("run-{:016x}", crate::model::labels::Fnv::of(&parts));
    home.unwrap_or_else(std::env::temp_dir).join("vitals").join(name)
}
