//! Routing: which receivers hear of an alert.

use crate::model::Labels;
use crate::model::fleet_plan::{FleetPlan, FleetRule, Receiver};
use crate::model::object::ObjectKey;
use crate::model::severity::Severity;

/// The receivers of an alert: those that its rule names, else all that match, else the default ones; maybe none.
///
/// A receiver serves its own namespace. One in `operator_namespace` (any, when that is None, as in `run`) serves the
/// namespaces that it allows; one elsewhere serves a foreign rule only if it lists the rule's namespace and is named.
#[must_use]
pub fn receivers(
    plan: &FleetPlan,
    operator_namespace: Option<&str>,
    key: &ObjectKey,
    rule: &FleetRule,
    labels: &Labels,
    severity: &str,
) -> Vec<ObjectKey> {
    let namespace = key.namespace.as_ref();
    let sees = |name: &ObjectKey, receiver: &Receiver, named: bool| {
        let own = name.namespace.as_ref() == namespace;
        let listed = receiver.allowed_namespaces.iter().any(|allowed| allowed == namespace);
        let central = operator_namespace.is_none_or(|operator| operator == name.namespace.as_ref());
        own || (central && (receiver.allowed_namespaces.is_empty() || listed)) || (named && listed)
    };
    let takes = |receiver: &Receiver| {
        (receiver.severities.is_empty() || receiver.severities.iter().any(|word| same_severity(word, severity)))
            && receiver.matchers.iter().all(|matcher| matcher.matches(labels))
    };
    if !rule.notify.receivers.is_empty() {
        let named = rule.notify.receivers.iter();
        return named
            .filter(|name| plan.receivers.get(*name).is_some_and(|receiver| sees(name, receiver, true)))
            .cloned()
            .collect();
    }
    let fits = |name: &ObjectKey, receiver: &Receiver| sees(name, receiver, false) && takes(receiver);
    let chosen = |default: bool| -> Vec<ObjectKey> {
        let of_kind = plan.receivers.iter().filter(|(_, receiver)| receiver.default == default);
        of_kind.filter(|(name, receiver)| fits(name, receiver)).map(|(name, _)| name.clone()).collect()
    };
    let matching = chosen(false);
    if !matching.is_empty() {
        return matching;
    }
    let defaults = chosen(true);
    let own: Vec<ObjectKey> = defaults.iter().filter(|name| name.namespace.as_ref() == namespace).cloned().collect();
    if own.is_empty() { defaults } else { own }
}

/// Whether two severity words mean the same: `warning` is `medium`, other words only themselves.
fn same_severity(a: &str, b: &str) -> bool {
    let ranked = |word: &str| Severity::of(word) != Severity::Info || word.eq_ignore_ascii_case("info");
    a.eq_ignore_ascii_case(b) || (ranked(a) && ranked(b) && Severity::of(a) == Severity::of(b))
}
