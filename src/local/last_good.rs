//! The last good version of each resource: a bad edit is shown as a problem and changes nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::api::Kind;
use crate::compile::Objects;
use crate::local::files::Loaded;
use crate::model::object::ObjectKey;

/// What was in force before, with the files that it came from.
#[derive(Debug, Default)]
pub struct LastGood {
    objects: Objects,
    places: Vec<(Kind, ObjectKey, PathBuf)>,
}

impl LastGood {
    /// The newly loaded resources, with the earlier version of each one that is now broken: named by a problem, or in
    /// a file that could not be read at all. What was removed stays removed.
    #[must_use]
    pub fn complete(&self, loaded: &Loaded) -> Objects {
        let broken_files: BTreeSet<&PathBuf> = loaded
            .problems
            .iter()
            .filter(|problem| problem.object.is_none() && problem.file.is_file())
            .map(|problem| &problem.file)
            .collect();
        let broken: BTreeSet<&(Kind, ObjectKey)> =
            loaded.problems.iter().filter_map(|problem| problem.object.as_ref()).collect();
        let mut objects = loaded.objects.clone();
        for (kind, key, file) in &self.places {
            if broken_files.contains(file) || broken.contains(&(*kind, key.clone())) {
                copy(*kind, key, &self.objects, &mut objects);
            }
        }
        objects
    }

    /// Puts the earlier version of one resource in place of a version that the compiler refused. False when there is
    /// none, or it is the same.
    #[must_use]
    pub fn restore(&self, kind: Kind, key: &ObjectKey, into: &mut Objects) -> bool {
        copy(kind, key, &self.objects, into)
    }

    /// Remembers what is in force now.
    pub fn remember(&mut self, objects: Objects, loaded: &Loaded) {
        let mut places = Vec::new();
        let mut note = |kind: Kind, key: &ObjectKey| {
            let found = loaded.locate(kind, key, "").map(|(file, _)| file.to_owned());
            // A version that was kept has no place in the new files: it stays where it was.
            let before = || self.places.iter().find(|(k, n, _)| *k == kind && n == key).map(|(_, _, f)| f.clone());
            if let Some(file) = found.or_else(before) {
                places.push((kind, key.clone(), file));
            }
        };
        objects.checks.keys().for_each(|key| note(Kind::HealthCheck, key));
        objects.rules.keys().for_each(|key| note(Kind::AlertRule, key));
        objects.dashboards.keys().for_each(|key| note(Kind::Dashboard, key));
        objects.receivers.keys().for_each(|key| note(Kind::AlertReceiver, key));
        objects.silences.keys().for_each(|key| note(Kind::Silence, key));
        objects.config.iter().for_each(|config| note(Kind::VitalsConfig, &config.key));
        self.objects = objects;
        self.places = places;
    }
}

/// Copies one resource unless the target has it already in the same version.
fn copy(kind: Kind, key: &ObjectKey, from: &Objects, to: &mut Objects) -> bool {
    macro_rules! copy_in {
        ($map:ident) => {
            match from.$map.get(key) {
                Some(object) if to.$map.get(key) != Some(object) => {
                    to.$map.insert(key.clone(), object.clone());
                    true
                }
                _ => false,
            }
        };
    }
    match kind {
        Kind::HealthCheck => copy_in!(checks),
        Kind::AlertRule => copy_in!(rules),
        Kind::Dashboard => copy_in!(dashboards),
        Kind::AlertReceiver => copy_in!(receivers),
        Kind::Silence => copy_in!(silences),
        Kind::VitalsConfig => {
            let changed = from.config.is_some() && to.config != from.config;
            if changed {
                to.config.clone_from(&from.config);
            }
            changed
        }
        Kind::AgentReport => false,
    }
}
