//! The shipped rules and dashboards: ordinary resources that come with the program.

use serde_json::Value;

use super::{Objects, Settings};
use crate::api::Kind;

const RULES: &str = include_str!("rules.yaml");
const DASHBOARDS: &str = include_str!("dashboards.yaml");

/// The objects and those of the shipped ones that are on; a user's object of the same kind and key wins.
pub fn with_defaults(objects: &Objects, settings: &Settings) -> Objects {
    let mut all = Objects::default();
    if settings.default_rules {
        add(&mut all, Kind::AlertRule, RULES);
    }
    if settings.default_dashboards {
        add(&mut all, Kind::Dashboard, DASHBOARDS);
    }
    let own = objects.clone();
    all.rules.extend(own.rules);
    all.dashboards.extend(own.dashboards);
    Objects { rules: all.rules, dashboards: all.dashboards, ..own }
}

/// A test proves that every document is a sound resource, so nothing is dropped here.
fn add(all: &mut Objects, kind: Kind, text: &str) {
    for document in documents(text) {
        let _ = all.insert(kind, &document);
    }
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::validate;

    #[test]
    fn every_shipped_resource_is_sound() {
        for (kind, text, count) in [(Kind::AlertRule, RULES, 5), (Kind::Dashboard, DASHBOARDS, 2)] {
            let documents = documents(text);
            assert_eq!(documents.len(), count);
            for document in documents {
                assert_eq!(document["kind"], kind.as_str());
                assert_eq!(document["metadata"]["namespace"], super::super::OPERATOR_NAMESPACE);
                assert_eq!(document["metadata"]["labels"]["vitals.dev/set"], "default");
                assert_eq!(validate(kind, &document), [], "{document}");
            }
        }
        let all = with_defaults(&Objects::default(), &Settings::default());
        assert_eq!((all.rules.len(), all.dashboards.len()), (5, 2));
    }
}
