//! Who may ask for what: trusted namespaces, request rates, Secrets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::checks::runs_per_second;
use super::{Complaints, Mode, Object, Refused, Settings};
use crate::api::{HealthCheckSpec, Kind, PlacementType, VitalsConfigSpec};
use crate::model::ObjectKey;
use crate::model::plan::CheckPlan;
use crate::model::spec::CheckSpec;

/// What a namespace that is not trusted is told.
pub fn trust_remedy(namespace: &str, settings: &Settings) -> String {
    match settings.mode {
        Mode::Run => format!("add {namespace} to spec.trustedNamespaces of the VitalsConfig"),
        Mode::Cluster => {
            format!("ask an administrator for `kubectl label namespace {namespace} vitals.dev/trusted=true`")
        }
    }
}

/// Refuses a kind of check that its namespace may not ask for, and Secrets that nobody can look up.
pub fn check_kind(
    key: &ObjectKey,
    kind: &CheckSpec,
    spec: &HealthCheckSpec,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) {
    let host = matches!(kind, CheckSpec::Disk(_) | CheckSpec::Memory(_) | CheckSpec::Cpu(_) | CheckSpec::Load(_));
    if host && !settings.trusts(&key.namespace) {
        let message = format!(
            "{} checks look into the machine; namespace {} is not trusted with that",
            kind.kind(),
            key.namespace
        );
        complaints.add(format!("spec.{}", kind.kind()), "NotTrusted", message, trust_remedy(&key.namespace, settings));
    }
    let in_cluster = spec.placement.as_ref().is_some_and(|placement| placement.kind == PlacementType::Cluster);
    if host && in_cluster && settings.mode == Mode::Cluster {
        let message = format!("a {} check belongs to a node", kind.kind());
        complaints.add("spec.placement.type", "WrongPlacement", message, "write EveryNode or Nodes, or leave it out");
    }
    if settings.secrets.is_none() && settings.mode == Mode::Run {
        for path in secret_paths(kind) {
            complaints.add(
                path,
                "NotYetSupported",
                "there is nowhere to read Secrets from",
                "start with --secrets-dir",
            );
        }
    }
}

fn secret_paths(kind: &CheckSpec) -> Vec<String> {
    let CheckSpec::Http(http) = kind else { return Vec::new() };
    let mut paths = Vec::new();
    for (index, header) in http.headers.iter().enumerate() {
        if header.secret_key_ref.is_some() {
            paths.push(format!("spec.http.headers[{index}].secretKeyRef"));
        }
    }
    if http.basic_auth.is_some() {
        paths.push("spec.http.basicAuth.passwordSecretKeyRef".into());
    }
    if http.bearer.is_some() {
        paths.push("spec.http.bearer".into());
    }
    if http.tls.as_ref().is_some_and(|tls| tls.ca_secret_key_ref.is_some()) {
        paths.push("spec.http.tls.caSecretKeyRef".into());
    }
    if http.expect.header.as_ref().is_some_and(|header| header.secret_key_ref.is_some()) {
        paths.push("spec.http.expect.header.secretKeyRef".into());
    }
    paths
}

/// What a config says that is not served, or cannot be.
pub fn check_config(config: &Object<VitalsConfigSpec>) -> Vec<Refused> {
    let mut complaints = Complaints::new(Kind::VitalsConfig, &config.key);
    complaints.add_not_yet(&config.spec);
    let network = config.spec.network_policy.clone().unwrap_or_default();
    for (name, list) in [("deny", &network.deny), ("allow", &network.allow)] {
        for (index, text) in list.iter().enumerate().filter(|(_, text)| !is_network(text)) {
            let message = format!("{text:?} is not a network");
            let path = format!("spec.networkPolicy.{name}[{index}]");
            complaints.add(
                path,
                "BadNetwork",
                message,
                "write an address or a network, such as 10.0.0.0/8 or fd00::/8",
            );
        }
    }
    complaints.list
}

fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

/// Requests a second, by target and by namespace: a check must not become a weapon.
pub struct Rates {
    target_limit: Option<f64>,
    namespace_limit: Option<f64>,
    targets: BTreeMap<String, f64>,
    namespaces: BTreeMap<String, f64>,
}

impl Rates {
    /// Nothing asked yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            target_limit: settings.target_rate.map(f64::from),
            namespace_limit: settings.namespace_rate.map(f64::from),
            targets: BTreeMap::new(),
            namespaces: BTreeMap::new(),
        }
    }

    /// Counts a check in, or says (path, message, remedy) why it would be too much; then it is not counted.
    pub fn admit(
        &mut self,
        key: &ObjectKey,
        work: &[(Option<String>, CheckPlan)],
    ) -> Result<(), (&'static str, String, &'static str)> {
        let mut targets: BTreeMap<String, f64> = BTreeMap::new();
        for (_, plan) in work {
            if let Some(target) = authority(&plan.spec) {
                *targets.entry(target).or_default() += runs_per_second(plan);
            }
        }
        let remedy = "use a longer interval, fewer retries or fewer checks";
        for (target, rate) in &targets {
            let sum = rate + self.targets.get(target).copied().unwrap_or_default();
            if let Some(limit) = self.target_limit.filter(|limit| sum > *limit) {
                let message =
                    format!("all checks together would ask {target} {sum:.1} times a second; {limit} are allowed");
                return Err(("spec.interval", message, remedy));
            }
        }
        let sum = targets.values().sum::<f64>() + self.namespaces.get(&*key.namespace).copied().unwrap_or_default();
        if let Some(limit) = self.namespace_limit.filter(|limit| sum > *limit) {
            let message = format!(
                "the checks of namespace {} would ask {sum:.1} times a second; {limit} are allowed",
                key.namespace
            );
            return Err(("spec.interval", message, remedy));
        }
        self.namespaces.insert(key.namespace.to_string(), sum);
        for (target, rate) in targets {
            *self.targets.entry(target).or_default() += rate;
        }
        Ok(())
    }
}

/// Host and port that a check asks, as written.
fn authority(spec: &CheckSpec) -> Option<String> {
    match spec {
        CheckSpec::Http(http) => {
            let (scheme, rest) = http.url.split_once("://")?;
            let host = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
            let has_port =
                host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
            Some(if has_port { host } else { format!("{host}:{}", if scheme == "https" { 443 } else { 80 }) })
        }
        CheckSpec::Tcp(tcp) => Some(format!("{}:{}", tcp.host.to_ascii_lowercase(), tcp.port)),
        _ => None,
    }
}
