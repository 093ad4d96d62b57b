//! The resources, typed: what files or an API server hold, ready to be compiled.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{
    AlertReceiverSpec, AlertRuleSpec, DashboardSpec, HealthCheckSpec, Kind, SilenceSpec, VitalsConfigSpec,
};
use crate::model::ObjectKey;
use crate::model::object::DEFAULT_NAMESPACE;
use crate::model::series::Millis;

/// One resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<T> {
    /// Namespace and name. A cluster-scoped resource has the empty namespace.
    pub key: ObjectKey,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// When it was created or first seen, if anybody knows.
    pub created_at: Option<Millis>,
    /// What it says.
    pub spec: T,
}

/// All resources of an installation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// HealthChecks.
    pub checks: BTreeMap<ObjectKey, Object<HealthCheckSpec>>,
    /// AlertRules.
    pub rules: BTreeMap<ObjectKey, Object<AlertRuleSpec>>,
    /// Dashboards.
    pub dashboards: BTreeMap<ObjectKey, Object<DashboardSpec>>,
    /// AlertReceivers.
    pub receivers: BTreeMap<ObjectKey, Object<AlertReceiverSpec>>,
    /// Silences.
    pub silences: BTreeMap<ObjectKey, Object<SilenceSpec>>,
    /// The VitalsConfig.
    pub config: Option<Object<VitalsConfigSpec>>,
}

impl Objects {
    /// Adds one resource from its JSON form; an earlier one of the same kind and key is replaced. AgentReports are not
    /// kept: nobody writes them but agents.
    ///
    /// # Errors
    /// The spec is not what its kind wants, in the words of the deserializer. Cannot happen after `api::validate` found
    /// nothing.
    pub fn insert(&mut self, kind: Kind, object: &Value) -> Result<ObjectKey, String> {
        let key = key_of(kind, object);
        match kind {
            Kind::HealthCheck => drop(self.checks.insert(key.clone(), typed(&key, object)?)),
            Kind::AlertRule => drop(self.rules.insert(key.clone(), typed(&key, object)?)),
            Kind::Dashboard => drop(self.dashboards.insert(key.clone(), typed(&key, object)?)),
            Kind::AlertReceiver => drop(self.receivers.insert(key.clone(), typed(&key, object)?)),
            Kind::Silence => drop(self.silences.insert(key.clone(), typed(&key, object)?)),
            Kind::VitalsConfig => self.config = Some(typed(&key, object)?),
            Kind::AgentReport => {}
        }
        Ok(key)
    }

    /// How many there are, the config included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.checks.len()
            + self.rules.len()
            + self.dashboards.len()
            + self.receivers.len()
            + self.silences.len()
            + usize::from(self.config.is_some())
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The key of a resource in its JSON form; the default namespace if it names none, the empty one if its kind has none.
#[must_use]
pub fn key_of(kind: Kind, object: &Value) -> ObjectKey {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let namespace = if kind.namespaced() { text("/metadata/namespace").unwrap_or(DEFAULT_NAMESPACE) } else { "" };
    ObjectKey::new(namespace, text("/metadata/name").unwrap_or_default())
}

fn typed<T: DeserializeOwned>(key: &ObjectKey, object: &Value) -> Result<Object<T>, String> {
    let texts = |path: &str| -> BTreeMap<String, String> {
        let map = object.pointer(path).and_then(Value::as_object);
        let pairs = map.into_iter().flatten();
        pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    };
    let created = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let created = created.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Ok(Object {
        key: key.clone(),
        labels: texts("/metadata/labels"),
        annotations: texts("/metadata/annotations"),
        created_at: created.map(jiff::Timestamp::as_millisecond),
        spec: T::deserialize(object.get("spec").unwrap_or(&Value::Null)).map_err(|error| error.to_string())?,
    })
}
