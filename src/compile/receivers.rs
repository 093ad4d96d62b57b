//! AlertReceivers: where messages go, and whose.

use std::collections::BTreeMap;

use super::{Complaints, Mode, Object, Objects, Refused, Settings};
use crate::api::{AlertReceiverSpec, Kind, LogLevel, WebhookFormat, WebhookReceiver};
use crate::model::fleet_plan::{Integration, Receiver};
use crate::model::spec::SecretKeyRef;
use crate::model::{Matcher, ObjectKey, Span};
use crate::template::Template;

/// Name of the built-in default receiver, in the operator's namespace.
const DEFAULT: &str = "default";
/// Name of the receiver that ALERT_WEBHOOK_URL makes, in the operator's namespace.
const WEBHOOK: &str = "alert-webhook";
/// How long a failing message is tried.
const RETRY_FOR: Span = Span::seconds(3600);

/// Compiles all receivers, the built-in ones included.
pub fn compile_all(
    objects: &Objects,
    settings: &Settings,
    refused: &mut Vec<Refused>,
) -> BTreeMap<ObjectKey, Receiver> {
    let mut out = BTreeMap::new();
    for (key, receiver) in &objects.receivers {
        let mut complaints = Complaints::new(Kind::AlertReceiver, key);
        complaints.add_not_yet(&receiver.spec);
        if complaints.list.is_empty()
            && let Some(compiled) = compile_one(receiver, settings, &mut complaints)
            && complaints.list.is_empty()
        {
            out.insert(key.clone(), compiled);
        }
        refused.append(&mut complaints.list);
    }
    match &settings.default_receiver {
        Some(named) if out.contains_key(named) => {
            for (key, receiver) in &mut out {
                receiver.default = key == named;
            }
        }
        Some(named) => {
            if let Some(config) = &objects.config {
                let mut complaints = Complaints::new(Kind::VitalsConfig, &config.key);
                let message = format!("there is no AlertReceiver {named}");
                complaints.add(
                    "spec.defaultReceiver",
                    "UnknownReceiver",
                    message,
                    "correct the name, or add the receiver",
                );
                refused.append(&mut complaints.list);
            }
        }
        None => {}
    }
    add_built_in(&mut out, settings);
    out
}

/// Alerts that nobody takes go to the log, and to ALERT_WEBHOOK_URL.
fn add_built_in(out: &mut BTreeMap<ObjectKey, Receiver>, settings: &Settings) {
    let built_in = |integration| Receiver {
        integration,
        severities: Vec::new(),
        matchers: Vec::new(),
        default: true,
        allowed_namespaces: Vec::new(),
        max_per_hour: 0,
        retry_for: RETRY_FOR,
        send_resolved: true,
    };
    if !out.values().any(|receiver| receiver.default) {
        let log = Integration::Log { level: LogLevel::default().as_str().into() };
        out.entry(ObjectKey::new(&settings.operator_namespace, DEFAULT)).or_insert_with(|| built_in(log));
    }
    if let Some(url) = &settings.alert_webhook_url {
        let webhook =
            Integration::Webhook { url: url.clone(), headers: Vec::new(), timeout: Span::seconds(10), template: None };
        out.insert(ObjectKey::new(&settings.operator_namespace, WEBHOOK), built_in(webhook));
    }
}

/// Whether rules of a namespace may name a receiver.
pub fn may_name(receiver: &Object<AlertReceiverSpec>, namespace: &str, settings: &Settings) -> bool {
    let own = &*receiver.key.namespace;
    let listed = receiver.spec.allowed_namespaces.iter().any(|allowed| allowed == namespace);
    let open = receiver.spec.allowed_namespaces.is_empty()
        && (own == settings.operator_namespace || settings.mode == Mode::Run);
    own == namespace || listed || open
}

fn compile_one(
    receiver: &Object<AlertReceiverSpec>,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) -> Option<Receiver> {
    let spec = &receiver.spec;
    let integration = if let Some(log) = &spec.log {
        Integration::Log { level: log.level.as_str().into() }
    } else if let Some(webhook) = &spec.webhook {
        webhook_of(&receiver.key, webhook, settings, complaints)?
    } else {
        complaints.add("spec", "NoIntegration", "there is no integration in it", "write one, such as `log: {}`");
        return None;
    };
    let wanted = spec.matches.clone().unwrap_or_default();
    let mut matchers: Vec<Matcher> = wanted.labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    for (index, matcher) in wanted.matchers.iter().enumerate() {
        match matcher.matcher() {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => {
                complaints.add(format!("spec.match.matchers[{index}]"), error.reason(), error.to_string(), "");
            }
        }
    }
    let own = &*receiver.key.namespace;
    Some(Receiver {
        integration,
        severities: wanted.severity.iter().map(|word| word.as_str().to_owned()).collect(),
        matchers,
        default: spec.default,
        // Outside the operator's namespace a receiver is shown the alerts of its own namespace only.
        allowed_namespaces: if settings.mode == Mode::Run || own == settings.operator_namespace {
            spec.allowed_namespaces.clone()
        } else {
            vec![own.to_owned()]
        },
        max_per_hour: spec.rate_limit.as_ref().and_then(|limit| u32::try_from(limit.per_hour).ok()).unwrap_or(0),
        retry_for: spec.retry.as_ref().map_or(RETRY_FOR, |retry| retry.max_age),
        send_resolved: spec.send_resolved,
    })
}

fn webhook_of(
    key: &ObjectKey,
    webhook: &WebhookReceiver,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) -> Option<Integration> {
    let url = match (&webhook.url, &webhook.url_from) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(from)) => secret(key, from, "spec.webhook.urlFrom".into(), settings, complaints),
        (None, None) => None,
    };
    let mut headers = Vec::new();
    for (index, header) in webhook.headers.iter().enumerate() {
        let value = match &header.secret_key_ref {
            Some(from) => {
                let path = format!("spec.webhook.headers[{index}].secretKeyRef");
                secret(key, from, path, settings, complaints)
            }
            None => header.value.clone(),
        };
        if !is_header_name(&header.name) {
            let message = format!("{:?} is not the name of a header", header.name);
            complaints.add(
                format!("spec.webhook.headers[{index}].name"),
                "BadHeader",
                message,
                "write letters, digits and -",
            );
        }
        if value.as_deref().is_some_and(|value| value.chars().any(char::is_control)) {
            let message = "the value holds control characters";
            complaints.add(
                format!("spec.webhook.headers[{index}]"),
                "BadHeader",
                message,
                "remove line ends and the like",
            );
        }
        headers.push((header.name.clone(), value.unwrap_or_default()));
    }
    let template = webhook.template.clone().filter(|_| webhook.format == WebhookFormat::Template);
    if let Some(text) = &template
        && let Err(error) = Template::parse_notification(text)
    {
        complaints.add("spec.webhook.template", error.reason(), error.to_string(), "");
    }
    Some(Integration::Webhook { url: url?, headers, timeout: webhook.timeout, template })
}

fn secret(
    key: &ObjectKey,
    from: &SecretKeyRef,
    path: String,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) -> Option<String> {
    let Some(secrets) = &settings.secrets else {
        complaints.add(path, "NotYetSupported", "there is nowhere to read Secrets from", "start with --secrets-dir");
        return None;
    };
    let found = secrets(&key.namespace, &from.name, &from.key);
    if found.is_none() {
        let message = format!("there is no key {:?} in Secret {}/{}", from.key, key.namespace, from.name);
        complaints.add(path, "SecretNotFound", message, "create it, or correct the name");
    }
    // A file written by an editor ends with a line end that nobody means.
    found.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
}

fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
