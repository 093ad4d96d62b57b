//! HealthChecks: what agents run, and how their results are rolled up.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::policy::{self, Rates};
use super::slots::Draft;
use super::{Compiled, Complaints, Object, Objects, Settings};
use crate::api::{
    CheckTarget, HealthCheckSpec, Kind, LABEL_COMPONENT_TYPE, LABEL_CRITICAL, LimitsSpec, PlacementType, ThresholdsSpec,
};
use crate::model::fleet_plan::{FleetCheck, Quorum};
use crate::model::plan::{CheckPlan, Limits, Thresholds, Work};
use crate::model::spec::CheckSpec;
use crate::model::{ObjectKey, Span};

/// Limits of a check that has none of its own (CONTRACT §3), percent.
const DISK_LIMIT: i32 = 85;
const MEMORY_LIMIT: i32 = 80;
const CPU_LIMIT: i32 = 75;

/// Compiles all checks into `out.fleet.checks`, and into drafts of what agents run.
pub fn compile_all(objects: &Objects, settings: &Settings, out: &mut Compiled) -> Vec<Draft> {
    let cycles = cycles(objects);
    let mut rates = Rates::new(settings);
    let mut drafts = Vec::new();
    for (key, check) in &objects.checks {
        let mut complaints = Complaints::new(Kind::HealthCheck, key);
        complaints.add_not_yet(&check.spec);
        if cycles.contains(key) {
            let message = "depends on itself, directly or through others";
            complaints.add("spec", "DependencyCycle", message, "break the circle of dependsOn and composite.checks");
        }
        let compiled = if complaints.list.is_empty() { compile_one(check, settings, &mut complaints) } else { None };
        let Some((mut fleet, work)) = compiled.filter(|_| complaints.list.is_empty()) else {
            out.refused.append(&mut complaints.list);
            continue;
        };
        if let Err((path, message, remedy)) = rates.admit(key, &work) {
            complaints.add(path, "TargetRateExceeded", message, remedy);
            out.refused.append(&mut complaints.list);
            continue;
        }
        keep_known(&mut fleet.depends_on, check, objects, &mut complaints);
        out.warnings.append(&mut complaints.list);
        if !fleet.suspended {
            drafts.extend(work.into_iter().map(|(target, plan)| {
                let work = Work::Check(Box::new(plan));
                Draft { key: key.clone(), target, work }
            }));
        }
        out.fleet.checks.insert(key.clone(), fleet);
    }
    drafts
}

type Compilation = (FleetCheck, Vec<(Option<String>, CheckPlan)>);

fn compile_one(
    check: &Object<HealthCheckSpec>,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) -> Option<Compilation> {
    let (key, spec) = (&check.key, &check.spec);
    let Some(kind) = kind_of(spec) else {
        complaints.add("spec", "NoCheck", "there is no check in it", "write one, such as `memory: {}`");
        return None;
    };
    let interval = spec.interval.unwrap_or(settings.check_interval);
    let timeout = spec.timeout.unwrap_or_else(|| settings.timeout(interval));
    if timeout > interval {
        let message = format!("{timeout} is longer than the interval in force, {interval}");
        complaints.add("spec.timeout", "TimeoutTooLong", message, "write a shorter timeout or a longer interval");
    }
    policy::check_kind(key, &kind, spec, settings, complaints);
    let thresholds = thresholds(&kind, spec.thresholds.as_ref(), complaints);
    let specs = with_targets(&kind, &spec.targets, complaints);
    let word = kind.kind();
    if let CheckSpec::Service(service) = &kind {
        if !settings.services.contains(&service.task) {
            let message = format!("no check is registered as {:?} in this program", service.task);
            complaints.add("spec.service.task", "NotYetSupported", message, "register it in code, or use another kind");
        }
    } else if let Some(try_check) = &settings.try_check {
        for (index, (_, spec)) in specs.iter().enumerate() {
            if let Err((field, reason, message)) = try_check(key, spec) {
                let path = if check.spec.targets.is_empty() {
                    format!("spec.{field}")
                } else {
                    format!("spec.targets[{index}].address")
                };
                complaints.add(path, reason, message, "");
            }
        }
    }
    let label = |name: &str| check.labels.get(name).cloned().unwrap_or_default();
    let composite = match &kind {
        CheckSpec::Composite(composite) => {
            let members: Vec<_> = composite.checks.iter().map(|name| ObjectKey::new(&key.namespace, name)).collect();
            let least = composite.min.and_then(|min| usize::try_from(min).ok()).unwrap_or(members.len());
            Some((members, least))
        }
        _ => None,
    };
    let target = match specs.as_slice() {
        [(_, one)] => one.target(),
        many if !spec.targets.is_empty() => format!("{} targets", many.len()),
        _ => kind.target(),
    };
    let component_type = label(LABEL_COMPONENT_TYPE);
    let fleet = FleetCheck {
        kind: word,
        target,
        slots: Vec::new(),
        interval,
        timeout,
        quorum: quorum(spec),
        depends_on: spec.depends_on.iter().map(|name| ObjectKey::new(&key.namespace, name)).collect(),
        composite,
        critical: label(LABEL_CRITICAL) == "true",
        component_type: component_type.clone(),
        suspended: spec.suspend,
        labels: check.labels.clone(),
    };
    let node_selector = node_selector(spec, settings);
    let plans = specs.into_iter().filter(|(_, spec)| !matches!(spec, CheckSpec::Composite(_))).map(|(target, spec)| {
        let plan = CheckPlan {
            interval,
            timeout,
            retries: u32::try_from(check.spec.retries).unwrap_or(0),
            failure_threshold: u32::try_from(check.spec.failure_threshold).unwrap_or(1).max(1),
            success_threshold: u32::try_from(check.spec.success_threshold).unwrap_or(1).max(1),
            thresholds: thresholds.clone(),
            component_type: component_type.clone(),
            node_selector: node_selector.clone(),
            spec,
        };
        (target, plan)
    });
    Some((fleet, plans.collect()))
}

/// The one check of a resource, if this version runs it.
fn kind_of(spec: &HealthCheckSpec) -> Option<CheckSpec> {
    let spec = spec.clone();
    None.or(spec.http.map(CheckSpec::Http))
        .or(spec.tcp.map(CheckSpec::Tcp))
        .or(spec.disk.map(CheckSpec::Disk))
        .or(spec.memory.map(CheckSpec::Memory))
        .or(spec.cpu.map(CheckSpec::Cpu))
        .or(spec.load.map(CheckSpec::Load))
        .or(spec.service.map(CheckSpec::Service))
        .or(spec.composite.map(CheckSpec::Composite))
}

/// One check for each target, or the check itself when it has none.
fn with_targets(
    kind: &CheckSpec,
    targets: &[CheckTarget],
    complaints: &mut Complaints<'_>,
) -> Vec<(Option<String>, CheckSpec)> {
    if targets.is_empty() {
        return vec![(None, kind.clone())];
    }
    let mut names = BTreeSet::new();
    let mut specs = Vec::with_capacity(targets.len());
    for (index, target) in targets.iter().enumerate() {
        let name = target.name.clone().unwrap_or_else(|| target.address.clone());
        if !names.insert(name.clone()) {
            let message = format!("another target is called {name:?}, too");
            complaints.add(
                format!("spec.targets[{index}]"),
                "Duplicate",
                message,
                "give each target a name of its own",
            );
        }
        match retarget(kind, &target.address) {
            Ok(spec) => specs.push((Some(name), spec)),
            Err((message, remedy)) => {
                complaints.add(format!("spec.targets[{index}].address"), "BadTarget", message, remedy);
            }
        }
    }
    specs
}

/// The check with another address.
///
/// - http: a URL replaces the check's; `/path` keeps its scheme and host; `host[:port]` keeps its scheme and path.
/// - tcp: `host:port` (IPv6 in brackets), `host` or `:port`.
/// - disk: a path.
fn retarget(kind: &CheckSpec, address: &str) -> Result<CheckSpec, (String, &'static str)> {
    let mut kind = kind.clone();
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err((format!("{address:?} holds blanks or control characters"), "remove them"));
    }
    match &mut kind {
        CheckSpec::Http(http) => {
            let remedy = "write a URL, a path beginning with /, or host:port";
            http.url = if address.starts_with("http://") || address.starts_with("https://") {
                address.to_owned()
            } else if address.contains("://") || address.contains('@') {
                return Err((format!("{address:?} is not an HTTP address"), remedy));
            } else {
                let (scheme, rest) = http.url.split_once("://").unwrap_or(("http", &http.url));
                let at = rest.find('/').unwrap_or(rest.len());
                if address.starts_with('/') {
                    format!("{scheme}://{}{address}", &rest[..at])
                } else if address.contains('/') {
                    return Err((format!("{address:?} is neither a host nor a path"), remedy));
                } else {
                    format!("{scheme}://{address}{}", &rest[at..])
                }
            };
            if http.url.split_once("://").is_none_or(|(_, rest)| rest.is_empty() || rest.starts_with('/')) {
                return Err((format!("{address:?} has no host"), remedy));
            }
        }
        CheckSpec::Tcp(tcp) => {
            let remedy = "write host:port, host or :port; an IPv6 address in brackets";
            let bad = || (format!("{address:?} is not host:port"), remedy);
            let (host, port) = if let Some(rest) = address.strip_prefix('[') {
                let (host, tail) = rest.split_once(']').ok_or_else(bad)?;
                (host, tail.strip_prefix(':'))
            } else {
                match address.rsplit_once(':') {
                    // More than one colon without brackets: an IPv6 address alone.
                    Some((head, _)) if head.contains(':') => (address, None),
                    Some((host, port)) => (host, Some(port)),
                    None => (address, None),
                }
            };
            if let Some(port) = port {
                tcp.port = port.parse().ok().filter(|port| (1..=65_535).contains(port)).ok_or_else(bad)?;
            }
            if !host.is_empty() {
                tcp.host = host.to_owned();
            }
        }
        CheckSpec::Disk(disk) => {
            if !address.starts_with('/') {
                return Err((format!("{address:?} is not an absolute path"), "write a path beginning with /"));
            }
            disk.path = address.to_owned();
        }
        other => {
            return Err((format!("a {} check has no address", other.kind()), "remove `targets`"));
        }
    }
    Ok(kind)
}

fn quorum(spec: &HealthCheckSpec) -> Quorum {
    let number = |value: i32| u32::try_from(value).unwrap_or(0);
    let percent = |text: &str| text.trim_end_matches('%').parse().unwrap_or(100);
    match (&spec.min_healthy, &spec.max_unhealthy) {
        (Some(IntOrString::Int(value)), _) => Quorum::MinHealthy(number(*value)),
        (Some(IntOrString::String(text)), _) => Quorum::MinHealthyPercent(percent(text)),
        (None, Some(IntOrString::Int(value))) => Quorum::MaxUnhealthy(number(*value)),
        (None, Some(IntOrString::String(text))) => Quorum::MaxUnhealthyPercent(percent(text)),
        (None, None) => Quorum::None,
    }
}

/// In `run` this machine is every node, so no label keeps a check away.
fn node_selector(spec: &HealthCheckSpec, settings: &Settings) -> BTreeMap<String, String> {
    let placement = spec.placement.as_ref().filter(|placement| placement.kind == PlacementType::Nodes);
    match (settings.mode, placement.and_then(|placement| placement.selector.as_ref())) {
        (super::Mode::Cluster, Some(selector)) => selector.match_labels.clone(),
        _ => BTreeMap::new(),
    }
}

fn thresholds(kind: &CheckSpec, spec: Option<&ThresholdsSpec>, complaints: &mut Complaints<'_>) -> Thresholds {
    let spec = spec.cloned().unwrap_or_default();
    let limits = |limits: Option<&LimitsSpec>| {
        limits.map_or_else(Limits::default, |limits| Limits {
            response_time: limits.response_time,
            success_rate: limits.success_rate,
            error_rate: limits.error_rate,
            cpu: limits.cpu,
            memory: limits.memory,
            disk: limits.disk,
        })
    };
    let mut out = Thresholds {
        degraded: limits(spec.degraded.as_ref()),
        unhealthy: limits(spec.unhealthy.as_ref()),
        window: spec.window,
    };
    for (step, limits) in [("degraded", &out.degraded), ("unhealthy", &out.unhealthy)] {
        for (name, set) in [("cpu", limits.cpu), ("memory", limits.memory), ("disk", limits.disk)] {
            if set.is_some() && kind.kind() != name {
                let message = format!("a {} check measures no {name} use", kind.kind());
                let remedy = format!("remove it, or write a {name} check");
                complaints.add(format!("spec.thresholds.{step}.{name}"), "LimitNotApplicable", message, remedy);
            }
        }
        let any = limits.response_time.is_some() || limits.success_rate.is_some() || limits.error_rate.is_some();
        if any && matches!(kind, CheckSpec::Composite(_)) {
            let message = "a composite check has no runs of its own to measure";
            complaints.add(
                format!("spec.thresholds.{step}"),
                "LimitNotApplicable",
                message,
                "set limits at its members",
            );
        }
    }
    // A user who set one step has said what he wants of both.
    let default = |degraded: Option<i32>, unhealthy: Option<i32>, limit: i32| {
        if degraded.is_none() && unhealthy.is_none() { Some(limit) } else { unhealthy }
    };
    match kind {
        CheckSpec::Disk(_) => out.unhealthy.disk = default(out.degraded.disk, out.unhealthy.disk, DISK_LIMIT),
        CheckSpec::Memory(_) => out.unhealthy.memory = default(out.degraded.memory, out.unhealthy.memory, MEMORY_LIMIT),
        CheckSpec::Cpu(_) => out.unhealthy.cpu = default(out.degraded.cpu, out.unhealthy.cpu, CPU_LIMIT),
        _ => {}
    }
    out
}

/// Drops dependencies that do not exist and says so: the check goes on without them. A member of a composite check that does
/// not exist stays and counts as Unknown.
fn keep_known(
    list: &mut Vec<ObjectKey>,
    check: &Object<HealthCheckSpec>,
    objects: &Objects,
    complaints: &mut Complaints<'_>,
) {
    let remedy = "correct the name, or add the check; names are of the same namespace";
    for (index, name) in check.spec.depends_on.iter().enumerate() {
        if !objects.checks.contains_key(&ObjectKey::new(&check.key.namespace, name)) {
            let message = format!("there is no HealthCheck {}/{name}", check.key.namespace);
            complaints.add(format!("spec.dependsOn[{index}]"), "UnknownCheck", message, remedy);
        }
    }
    list.retain(|key| objects.checks.contains_key(key));
    for (index, name) in check.spec.composite.iter().flat_map(|composite| composite.checks.iter().enumerate()) {
        if !objects.checks.contains_key(&ObjectKey::new(&check.key.namespace, name)) {
            let message = format!("there is no HealthCheck {}/{name}; it counts as Unknown", check.key.namespace);
            complaints.add(format!("spec.composite.checks[{index}]"), "UnknownCheck", message, remedy);
        }
    }
}

/// Checks that lie on a circle of `dependsOn` and `composite.checks`: what remains when everything that leads nowhere is
/// taken away, from both ends.
fn cycles(objects: &Objects) -> BTreeSet<ObjectKey> {
    let mut edges: BTreeMap<ObjectKey, BTreeSet<ObjectKey>> = BTreeMap::new();
    for (key, check) in &objects.checks {
        let members = check.spec.composite.iter().flat_map(|composite| &composite.checks);
        let names = check.spec.depends_on.iter().chain(members);
        let keys =
            names.map(|name| ObjectKey::new(&key.namespace, name)).filter(|key| objects.checks.contains_key(key));
        edges.insert(key.clone(), keys.collect());
    }
    peel(&mut edges);
    let mut reversed: BTreeMap<ObjectKey, BTreeSet<ObjectKey>> =
        edges.keys().map(|key| (key.clone(), BTreeSet::new())).collect();
    for (from, to) in edges.iter().flat_map(|(from, targets)| targets.iter().map(move |to| (from, to))) {
        if let Some(list) = reversed.get_mut(to) {
            list.insert(from.clone());
        }
    }
    peel(&mut reversed);
    reversed.into_keys().collect()
}

/// Removes nodes without edges until every one left has some. Each edge is looked at once.
fn peel(edges: &mut BTreeMap<ObjectKey, BTreeSet<ObjectKey>>) {
    let mut pointed_at_by: BTreeMap<ObjectKey, Vec<ObjectKey>> = BTreeMap::new();
    for (from, targets) in edges.iter() {
        for to in targets {
            pointed_at_by.entry(to.clone()).or_default().push(from.clone());
        }
    }
    let mut ends: Vec<ObjectKey> = edges.iter().filter(|(_, to)| to.is_empty()).map(|(key, _)| key.clone()).collect();
    while let Some(end) = ends.pop() {
        edges.remove(&end);
        for from in pointed_at_by.remove(&end).unwrap_or_default() {
            if let Some(targets) = edges.get_mut(&from)
                && targets.remove(&end)
                && targets.is_empty()
            {
                ends.push(from);
            }
        }
    }
}

/// Runs a second that a check makes.
pub fn runs_per_second(plan: &CheckPlan) -> f64 {
    f64::from(plan.retries + 1) / plan.interval.max(Span::millis(1)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn retargeted(kind: serde_json::Value, address: &str) -> Result<String, String> {
        let spec: HealthCheckSpec = serde_json::from_value(kind).unwrap();
        retarget(&kind_of(&spec).unwrap(), address).map(|spec| spec.target()).map_err(|(message, _)| message)
    }

    #[test]
    fn an_http_target_is_a_url_a_path_or_a_host() {
        let to = |address| retargeted(json!({ "http": { "url": "https://a:1/health" } }), address);
        assert_eq!(to("http://b/x").unwrap(), "http://b/x");
        assert_eq!(to("/ready?x=1").unwrap(), "https://a:1/ready?x=1");
        assert_eq!(to("b:2").unwrap(), "https://b:2/health");
        assert_eq!(to("[::1]:2").unwrap(), "https://[::1]:2/health");
        for bad in ["ftp://b", "user@b", "b/c", "a b", "http://", "https:///x"] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tcp_target_is_a_host_a_port_or_both() {
        let to = |address| retargeted(json!({ "tcp": { "host": "a", "port": 1 } }), address);
        assert_eq!(to("b:2").unwrap(), "b:2");
        assert_eq!(to("b").unwrap(), "b:1");
        assert_eq!(to(":3").unwrap(), "a:3");
        assert_eq!(to("[::1]:4").unwrap(), "::1:4");
        assert_eq!(to("fe80::1").unwrap(), "fe80::1:1");
        for bad in ["b:0", "b:70000", "b:x", "[::1", "[::1]:"] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_disk_target_is_a_path_and_a_memory_check_has_none() {
        assert_eq!(retargeted(json!({ "disk": {} }), "/var").unwrap(), "/var");
        assert!(retargeted(json!({ "disk": {} }), "var").is_err());
        assert!(retargeted(json!({ "memory": {} }), "/var").unwrap_err().contains("has no address"));
    }
}
