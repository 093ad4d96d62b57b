//! What keeps an alert from being told: silences, acknowledgements, other alerts, too few nodes, a cooldown.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::case::Case;
use crate::alert::episode::EpisodeKey;
use crate::model::fleet_plan::{FleetPlan, Inhibition, Silence, SilenceTarget};
use crate::model::labels::Fnv;
use crate::model::object::ObjectKey;
use crate::model::report::Fingerprint;
use crate::model::series::Millis;

/// Whether a silence is in force.
#[must_use]
pub fn is_active(silence: &Silence, now: Millis) -> bool {
    silence.starts_at <= now && silence.ends_at.is_none_or(|end| now < end)
}

/// Whether a silence is about an alert, in force or not.
#[must_use]
pub fn covers(silence: &Silence, case: &Case) -> bool {
    if silence.namespace.as_deref().is_some_and(|namespace| namespace != case.episode.rule.namespace.as_ref()) {
        return false;
    }
    match &silence.covers {
        SilenceTarget::Matchers(matchers) => matchers.iter().all(|matcher| matcher.matches(&case.wording.labels)),
        SilenceTarget::Episode { id, fired_at } => {
            case.episode.fired_at == *fired_at && id.parse::<Fingerprint>().is_ok_and(|id| id == case.episode.id)
        }
    }
}

/// Where one condition's sources fire: for each set of `equal` values how many there are, and one of them.
type Sources = HashMap<u64, (usize, EpisodeKey)>;

/// Everything that keeps alerts from being told at one moment.
pub(super) struct Mutes<'a> {
    plan: &'a FleetPlan,
    active: Vec<(&'a ObjectKey, &'a Silence)>,
    /// Changes when another set of silences is in force.
    pub(super) silence_epoch: u64,
    inhibitions: HashMap<(&'a ObjectKey, usize), Sources>,
    firing_nodes: HashMap<&'a ObjectKey, HashSet<String>>,
}

impl<'a> Mutes<'a> {
    pub(super) fn new(plan: &'a FleetPlan, plan_epoch: u64, cases: &BTreeMap<EpisodeKey, Case>, now: Millis) -> Self {
        let active: Vec<_> = plan.silences.iter().filter(|(_, silence)| is_active(silence, now)).collect();
        let mut epoch = Fnv::default();
        epoch.part(&plan_epoch.to_string());
        for (key, _) in &active {
            epoch.part(&key.to_string());
        }
        // 0 means "never looked", so that a new case is always looked at.
        let silence_epoch = epoch.finish().max(1);
        let mut mutes = Self { plan, active, silence_epoch, inhibitions: HashMap::new(), firing_nodes: HashMap::new() };
        mutes.look_around(cases);
        mutes
    }

    /// Collects once what the inhibited and the node-counting rules need to know of all other alerts.
    fn look_around(&mut self, cases: &BTreeMap<EpisodeKey, Case>) {
        let firing = || cases.iter().filter(|(_, case)| case.ended.is_none());
        for (_, case) in firing() {
            let Some((key, rule)) = self.plan.rules.get_key_value(&case.episode.rule) else { continue };
            if rule.min_nodes > 1 {
                let nodes = self.firing_nodes.entry(key).or_default();
                if !nodes.contains(&case.episode.node) {
                    nodes.insert(case.episode.node.clone());
                }
            }
            for (index, inhibition) in rule.inhibited_by.iter().enumerate() {
                self.inhibitions.entry((key, index)).or_insert_with(|| sources(inhibition, firing()));
            }
        }
    }

    /// The silence that covers a case now; remembered in the case while the set of silences stays the same.
    pub(super) fn silence(&self, case: &mut Case) {
        if case.silence_epoch != self.silence_epoch {
            case.silence_epoch = self.silence_epoch;
            let mut covering = self.active.iter().filter(|(_, silence)| covers(silence, case));
            case.silenced_by = covering.next().map(|(key, _)| (*key).clone());
        }
    }

    /// Why a firing case must not be told now, if so.
    pub(super) fn hold(&self, case: &Case, cooldown: Option<(i64, Millis)>, now: Millis) -> Option<&'static str> {
        let (key, rule) = self.plan.rules.get_key_value(&case.episode.rule)?;
        if case.ack.is_some() {
            return Some("Acknowledged");
        }
        if let Some(silence) = case.silenced_by.as_ref().and_then(|key| self.plan.silences.get(key)) {
            let is_ack = silence.ends_at.is_none() && matches!(silence.covers, SilenceTarget::Episode { .. });
            return Some(if is_ack { "Acknowledged" } else { "Silenced" });
        }
        let inhibited = rule.inhibited_by.iter().enumerate().any(|(index, inhibition)| {
            let here = self.inhibitions.get(&(key, index)).and_then(|sources| sources.get(&place(inhibition, case)));
            // An alert does not inhibit itself.
            here.is_some_and(|(count, one)| *count > 1 || *one != case.episode.key())
        });
        if inhibited {
            return Some("Inhibited");
        }
        // Once somebody was told, fewer nodes are good news, not silence.
        let enough = self.firing_nodes.get(key).map_or(1, HashSet::len) >= rule.min_nodes as usize;
        if !enough && !case.was_notified() {
            return Some("MinNodes");
        }
        let cooling = cooldown.is_some_and(|(fired_at, at)| {
            fired_at != case.episode.fired_at && now < at.saturating_add(rule.notify.cooldown.as_millis_i64())
        });
        cooling.then_some("Cooldown")
    }
}

fn sources<'c>(inhibition: &Inhibition, firing: impl Iterator<Item = (&'c EpisodeKey, &'c Case)>) -> Sources {
    let mut sources = Sources::new();
    for (key, case) in firing {
        if inhibition.matchers.iter().all(|matcher| matcher.matches(&case.wording.labels)) {
            sources.entry(place(inhibition, case)).or_insert((0, *key)).0 += 1;
        }
    }
    sources
}

/// The values that must be equal on both sides, as one number.
fn place(inhibition: &Inhibition, case: &Case) -> u64 {
    let mut values = Fnv::default();
    for name in &inhibition.equal {
        values.part(case.wording.labels.get(name).unwrap_or(""));
    }
    values.finish()
}
