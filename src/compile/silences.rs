//! Silences: which alerts, from when to when.

use std::collections::BTreeMap;

use super::{Complaints, Mode, Object, Objects, Refused, Settings};
use crate::api::{Kind, SilenceSpec, SilenceUntil};
use crate::model::ObjectKey;
use crate::model::fleet_plan::{Silence, SilenceTarget};
use crate::model::series::Millis;

/// Compiles all silences. `now_s` is in unix seconds.
pub fn compile_all(
    objects: &Objects,
    settings: &Settings,
    now_s: i64,
    refused: &mut Vec<Refused>,
) -> BTreeMap<ObjectKey, Silence> {
    let mut out = BTreeMap::new();
    for (key, silence) in &objects.silences {
        let mut complaints = Complaints::new(Kind::Silence, key);
        complaints.add_not_yet(&silence.spec);
        if complaints.list.is_empty()
            && let Some(compiled) = compile_one(silence, settings, now_s, &mut complaints)
            && complaints.list.is_empty()
        {
            out.insert(key.clone(), compiled);
        }
        refused.append(&mut complaints.list);
    }
    out
}

fn compile_one(
    silence: &Object<SilenceSpec>,
    settings: &Settings,
    now_s: i64,
    complaints: &mut Complaints<'_>,
) -> Option<Silence> {
    let spec = &silence.spec;
    let covers = if let Some(alert) = &spec.alert_ref {
        SilenceTarget::Episode { id: alert.fingerprint.clone(), fired_at: alert.episode }
    } else {
        let mut matchers = Vec::new();
        for (index, matcher) in spec.matchers.iter().flatten().enumerate() {
            match matcher.matcher() {
                Ok(matcher) => matchers.push(matcher),
                Err(error) => complaints.add(format!("spec.matchers[{index}]"), error.reason(), error.to_string(), ""),
            }
        }
        if matchers.iter().all(crate::model::Matcher::matches_empty) {
            let message = "at least one matcher must not match an empty value, or the silence would cover everything";
            complaints.add("spec.matchers", "MatchesEverything", message, "");
        }
        SilenceTarget::Matchers(matchers)
    };
    let written = spec.starts_at.as_ref().map(|time| time.0.as_millisecond());
    let starts_at = match (written.or(silence.created_at), &spec.duration) {
        (Some(at), _) => at,
        // From a file nobody knows when it was written, and each reload would begin the time anew.
        (None, Some(_)) => {
            let now = jiff::Timestamp::from_second(now_s).unwrap_or_default();
            let message = "a duration needs a beginning";
            complaints.add("spec.startsAt", "Required", message, format!("add `startsAt: {now}`, or write endsAt"));
            return None;
        }
        (None, None) => 0,
    };
    let ends_at: Option<Millis> = match (&spec.ends_at, spec.duration, spec.until) {
        (_, _, Some(SilenceUntil::Resolved)) => None,
        (Some(end), ..) => Some(end.0.as_millisecond()),
        (None, Some(duration), None) => Some(starts_at.saturating_add(duration.as_millis_i64())),
        // The CEL rules want one of the three; without any it is over at once, which hides nothing.
        (None, None, None) => Some(starts_at),
    };
    let everywhere = &*silence.key.namespace == settings.operator_namespace || settings.mode == Mode::Run;
    Some(Silence {
        covers,
        starts_at,
        ends_at,
        namespace: (!everywhere).then(|| silence.key.namespace.to_string()),
        author: spec.author.clone().unwrap_or_default(),
        comment: spec.comment.clone(),
    })
}
