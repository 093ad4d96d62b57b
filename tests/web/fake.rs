//! An installation that is not there: fixed, rich data behind the real ports, at 2024-01-15T10:30:00Z.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use vitals::model::check::BoxFuture;
use vitals::model::dashboard::{Panel, PanelKind, PanelQuery, PanelThresholds};
use vitals::model::ports::{CommandError, Commands, Exposition, Series, SeriesId, Views, next_generation};
use vitals::model::series::{Millis, Point};
use vitals::model::view::*;
use vitals::model::{Health, Labels, Matcher, ObjectKey};

pub const NOW: Millis = 1_705_314_600_000;
const MINUTE: Millis = 60_000;

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

/// What the tests may change.
#[derive(Default)]
pub struct Fake {
    pub checks: Mutex<Vec<CheckView>>,
    pub alerts: Mutex<Vec<AlertView>>,
    pub history: Mutex<Vec<AlertView>>,
    pub rules: Mutex<Vec<RuleView>>,
    pub runs: Mutex<Vec<RunView>>,
    pub dashboards: Mutex<Vec<DashboardView>>,
    pub receivers: Mutex<Vec<ReceiverView>>,
    pub refused: Mutex<Vec<RefusedView>>,
    pub dead: Mutex<Vec<String>>,
    pub series: Mutex<Vec<(Labels, Vec<Point>)>>,
    pub version: AtomicU64,
    pub ran: Mutex<Vec<String>>,
    pub refuse_run: Mutex<Option<CommandError>>,
}

pub fn check(name: &str, kind: &str, health: Health, message: &str, since_minutes: i64) -> CheckView {
    CheckView {
        key: key(name),
        kind: kind.into(),
        target: match kind {
            "http" => format!("https://{name}.example.org/health"),
            "tcp" => format!("{name}.example.org:5432"),
            "disk" => "/".into(),
            _ => "host".into(),
        },
        component_type: match kind {
            "http" => "api".into(),
            "tcp" => "database".into(),
            _ => String::new(),
        },
        critical: false,
        health,
        reason: match health {
            Health::Healthy => "Ok".into(),
            Health::Unhealthy => "ConnectionRefused".into(),
            Health::Degraded => "Slow".into(),
            Health::Unknown => "NotRunYet".into(),
        },
        message: message.into(),
        since: Some(NOW - since_minutes * MINUTE),
        last_check: (health != Health::Unknown).then_some(NOW - 5000),
        duration_ms: (health != Health::Unknown).then_some(150.5),
        interval_ms: 30_000,
        timeout_ms: 10_000,
        success_rate: (health != Health::Unknown).then_some(98.5),
        error_rate: (health != Health::Unknown).then_some(1.5),
        summary: "1/1".into(),
        suspended: false,
        phases: vec![("resolve".into(), 1.5), ("connect".into(), 20.25)],
        details: BTreeMap::from([("status_code".into(), 200.into())]),
        labels: BTreeMap::from([("team".into(), "shop".into())]),
        depends_on: Vec::new(),
    }
}

pub fn alert(id: &str, name: &str, severity: &str, state: &str, message: &str) -> AlertView {
    AlertView {
        id: id.into(),
        rule: key(&name.to_lowercase()),
        name: name.into(),
        severity: severity.into(),
        state: state.into(),
        message: message.into(),
        component: "shop-api".into(),
        labels: Labels::from_pairs([("instance", "web1:9100"), ("severity", severity)]),
        annotations: BTreeMap::from([("summary".into(), message.into())]),
        value: "93.2".into(),
        node: "web1".into(),
        active_at: NOW - 15 * MINUTE,
        fired_at: (state != "Pending").then_some(NOW - 5 * MINUTE),
        resolved_at: (state == "Resolved").then_some(NOW - MINUTE),
        resolved_reason: if state == "Resolved" { "Resolved".into() } else { String::new() },
        updated_at: NOW - 5 * MINUTE,
        acknowledged: None,
        silenced_by: None,
        notifications: vec![NotificationView {
            receiver: key("team"),
            status: "delivered".into(),
            at: NOW - 4 * MINUTE,
        }],
    }
}

pub fn rule(name: &str, state: &str) -> RuleView {
    RuleView {
        key: key(name),
        state: state.into(),
        severity: "high".into(),
        firing: if state == "Firing" { "1/1".into() } else { "0/1".into() },
        since: Some(NOW - 5 * MINUTE),
        expr: "node_load1".into(),
        hold: "1m".into(),
        message: "load is high".into(),
        evaluated: "Ok".into(),
        record: false,
        interval_ms: 15_000,
        last_evaluation: Some(NOW - 2000),
        evaluation_ms: Some(0.25),
        receivers: vec![key("team")],
        labels: BTreeMap::from([("team".into(), "shop".into())]),
        annotations: BTreeMap::from([("summary".into(), "load is {{ $value }}".into())]),
    }
}

fn panel(title: &str, kind: PanelKind, width: i32, unit: &str, queries: &[(&str, Option<&str>)]) -> Panel {
    let query = |(metric, legend): &(&str, Option<&str>)| PanelQuery {
        expr: None,
        metric: Some((*metric).into()),
        legend: legend.map(Into::into),
    };
    Panel {
        title: title.into(),
        description: String::new(),
        kind,
        queries: queries.iter().map(query).collect(),
        unit: unit.into(),
        thresholds: None,
        width,
        height: 4,
    }
}

fn wave(name: &str, labels: &[(&str, &str)], base: f64, swing: f64) -> (Labels, Vec<Point>) {
    let labels = Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
    let points = (0..=240)
        .map(|step| {
            let at = NOW - (240 - step) * 15_000;
            Point { at, value: base + swing * (step as f64 / 14.0).sin() + swing * 0.3 * (step as f64 / 3.1).cos() }
        })
        .collect();
    (labels, points)
}

impl Fake {
    /// Something of everything.
    pub fn rich() -> Self {
        let fake = Self { version: AtomicU64::new(7), ..Self::default() };
        let mut checks = vec![
            check("cpu", "cpu", Health::Healthy, "12 % in use", 300),
            check("load", "load", Health::Healthy, "0.4 per core", 300),
            check("memory", "memory", Health::Healthy, "41 % in use", 300),
            check("orders-db", "tcp", Health::Unhealthy, "connection refused by 10.0.3.7:5432", 12),
            check("payments", "http", Health::Unknown, "it has not run yet", 1),
            check("root-disk", "disk", Health::Degraded, "87 % full, 5.1 GiB left", 95),
            check("search", "http", Health::Healthy, "200 in 41 ms", 5000),
            check("shop-api", "http", Health::Healthy, "200 in 150 ms", 4200),
            check("shop-web", "http", Health::Healthy, "200 in 87 ms", 4200),
        ];
        checks[3].critical = true;
        let mut suspended = check("old-ftp", "tcp", Health::Unknown, "suspended", 10_000);
        suspended.suspended = true;
        checks.push(suspended);
        let mut runs = Vec::new();
        for step in 0..40_i64 {
            for view in &checks {
                let bad = view.health != Health::Healthy && step > 33;
                runs.push(RunView {
                    at: NOW - (40 - step) * 30_000,
                    key: view.key.clone(),
                    health: if bad { view.health } else { Health::Healthy },
                    reason: if bad { view.reason.clone() } else { "Ok".into() },
                    message: view.message.clone(),
                    duration_ms: 150.5,
                });
            }
        }
        let mut acknowledged = alert("a2", "DiskAlmostFull", "medium", "Firing", "/ is 87 % full");
        acknowledged.acknowledged =
            Some(AckView { by: "Kim".into(), at: NOW - 3 * MINUTE, comment: "deleting old logs".into() });
        *fake.alerts.lock().unwrap() = vec![
            alert("a1", "OrdersDatabaseDown", "critical", "Firing", "orders-db refuses connections"),
            acknowledged,
            alert("a3", "CpuBusy", "low", "Pending", "CPU use is 93 % on web1"),
        ];
        *fake.history.lock().unwrap() =
            vec![alert("a0", "OrdersDatabaseDown", "high", "Resolved", "orders-db refused connections")];
        let mut silent = rule("lonely", "Inactive");
        silent.receivers.clear();
        *fake.rules.lock().unwrap() = vec![rule("ordersdatabasedown", "Firing"), silent];
        *fake.receivers.lock().unwrap() = vec![
            ReceiverView { key: key("log"), kind: "log".into(), ready: true, reason: "Ok".into(), queued: 0 },
            ReceiverView {
                key: key("team"),
                kind: "webhook".into(),
                ready: false,
                reason: "ConnectTimeout".into(),
                queued: 2,
            },
        ];
        *fake.refused.lock().unwrap() = vec![RefusedView {
            kind: "AlertRule".into(),
            object: "default/too-late".into(),
            at: "rules.yaml:41".into(),
            reason: "BadExpression".into(),
            message: "spec.expr, column 12: a closing parenthesis is missing".into(),
        }];
        let mut gauge = panel("System Health", PanelKind::Gauge, 3, "percent", &[("system_health_percentage", None)]);
        gauge.description = "Overall system health status".into();
        gauge.thresholds = Some(PanelThresholds { warning: Some("80".into()), critical: Some("60".into()) });
        let mut cpu = panel("CPU use", PanelKind::TimeSeries, 6, "percent", &[("cpu_usage", Some("{{core}}"))]);
        cpu.thresholds = Some(PanelThresholds { warning: Some("80".into()), critical: Some("95".into()) });
        *fake.dashboards.lock().unwrap() = vec![DashboardView {
            key: ObjectKey::new("default", "system-overview"),
            id: "system_overview".into(),
            title: "System Overview".into(),
            description: "High-level system health and performance metrics".into(),
            refresh_ms: 30_000,
            created_at: NOW - 30 * MINUTE,
            updated_at: NOW,
            panels: vec![
                cpu,
                gauge,
                panel("Load", PanelKind::Stat, 3, "", &[("node_load1", Some("1 min")), ("node_load5", Some("5 min"))]),
                panel("Received", PanelKind::Bar, 4, "bytes/s", &[("received", Some("{{device}}"))]),
                panel("Per core", PanelKind::Table, 4, "percent", &[("cpu_usage", None)]),
                panel("Nothing", PanelKind::TimeSeries, 4, "", &[("missing", None)]),
                panel("Checks", PanelKind::HealthMatrix, 12, "", &[]),
                panel("Firing", PanelKind::AlertList, 12, "", &[]),
            ],
        }];
        *fake.series.lock().unwrap() = vec![
            wave("cpu_usage", &[("core", "0")], 55.0, 30.0),
            wave("cpu_usage", &[("core", "1")], 32.0, 12.0),
            wave("node_load1", &[], 1.2, 0.6),
            wave("node_load5", &[], 0.9, 0.2),
            wave("received", &[("device", "eth0")], 3.2e6, 1e5),
            wave("received", &[("device", "wg0")], 2.1e5, 1e3),
            wave("system_health_percentage", &[], 100.0, 0.0),
        ];
        *fake.checks.lock().unwrap() = checks;
        *fake.runs.lock().unwrap() = runs;
        fake
    }
}

struct Snapshot(u64, Vec<(Labels, Vec<Point>)>);

impl Series for Snapshot {
    fn generation(&self) -> u64 {
        self.0
    }

    fn find(&self, matchers: &[Matcher], out: &mut Vec<SeriesId>) {
        let hits = self.1.iter().enumerate().filter(|(_, (labels, _))| matchers.iter().all(|m| m.matches(labels)));
        out.extend(hits.map(|(at, _)| SeriesId(at as u32)));
    }

    fn labels(&self, id: SeriesId) -> Labels {
        self.1[id.0 as usize].0.clone()
    }

    fn points(&self, id: SeriesId, from: Millis, to: Millis, out: &mut Vec<Point>) {
        out.extend(self.1[id.0 as usize].1.iter().filter(|point| (from..=to).contains(&point.at)));
    }

    fn latest(&self, id: SeriesId, from: Millis, to: Millis) -> Option<Point> {
        self.1[id.0 as usize].1.iter().rev().find(|point| (from..=to).contains(&point.at)).copied()
    }
}

impl Views for Fake {
    fn system(&self) -> SystemView {
        let checks = self.checks.lock().unwrap();
        let judged: Vec<&CheckView> = checks.iter().filter(|check| !check.suspended).collect();
        let healthy = judged.iter().filter(|check| check.health == Health::Healthy).count();
        let percentage = if judged.is_empty() { 100.0 } else { 100.0 * healthy as f64 / judged.len() as f64 };
        let health = match () {
            () if judged.iter().any(|check| check.critical && check.health == Health::Unhealthy) => Health::Unhealthy,
            () if percentage < 100.0 => Health::Degraded,
            () => Health::Healthy,
        };
        SystemView {
            health,
            health_percentage: percentage,
            score: percentage,
            total: judged.len(),
            healthy,
            mode: "run".into(),
            node: "web1".into(),
            started_at: NOW - 300 * MINUTE,
            now: NOW,
            plan_revision: 42,
            agents: (1, 1),
            resolved_alerts: 5,
            refused: self.refused.lock().unwrap().clone(),
        }
    }

    fn checks(&self) -> Vec<CheckView> {
        self.checks.lock().unwrap().clone()
    }

    fn runs(&self, check: Option<&ObjectKey>, from: Millis, to: Millis, limit: usize) -> Vec<RunView> {
        let runs = self.runs.lock().unwrap();
        let mut found: Vec<RunView> = runs
            .iter()
            .filter(|run| check.is_none_or(|key| run.key == *key) && (from..=to).contains(&run.at))
            .cloned()
            .collect();
        found.drain(..found.len().saturating_sub(limit));
        found
    }

    fn rules(&self) -> Vec<RuleView> {
        self.rules.lock().unwrap().clone()
    }

    fn alerts(&self) -> Vec<AlertView> {
        self.alerts.lock().unwrap().clone()
    }

    fn alert_history(&self, from: Millis, to: Millis, limit: usize) -> Vec<AlertView> {
        let history = self.history.lock().unwrap();
        let mut found: Vec<AlertView> = history
            .iter()
            .filter(|alert| alert.resolved_at.is_some_and(|at| (from..=to).contains(&at)))
            .cloned()
            .collect();
        found.drain(..found.len().saturating_sub(limit));
        found
    }

    fn receivers(&self) -> Vec<ReceiverView> {
        self.receivers.lock().unwrap().clone()
    }

    fn silences(&self) -> Vec<SilenceView> {
        vec![SilenceView {
            key: key("night"),
            state: "Active".into(),
            ends_at: Some(NOW + 60 * MINUTE),
            matched: 1,
            author: "Kim".into(),
            comment: "maintenance".into(),
        }]
    }

    fn dashboards(&self) -> Vec<DashboardView> {
        self.dashboards.lock().unwrap().clone()
    }

    fn live(&self) -> ProbeView {
        let problems = self.dead.lock().unwrap().clone();
        ProbeView { ok: problems.is_empty(), problems }
    }

    fn ready(&self) -> ProbeView {
        self.live()
    }

    fn series(&self) -> Arc<dyn Series> {
        Arc::new(Snapshot(next_generation(), self.series.lock().unwrap().clone()))
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}

impl Commands for Fake {
    fn run_check(&self, key: &ObjectKey) -> BoxFuture<'_, Result<CheckView, CommandError>> {
        let key = key.clone();
        Box::pin(async move {
            if let Some(refusal) = self.refuse_run.lock().unwrap().clone() {
                return Err(refusal);
            }
            self.ran.lock().unwrap().push(key.to_string());
            let checks = self.checks.lock().unwrap();
            let found = checks.iter().find(|check| check.key == key).cloned();
            found.ok_or_else(|| CommandError::NotFound(format!("check {key}")))
        })
    }

    fn acknowledge(&self, id: &str, by: &str, comment: &str) -> BoxFuture<'_, Result<AlertView, CommandError>> {
        let (id, by, comment) = (id.to_owned(), by.to_owned(), comment.to_owned());
        Box::pin(async move {
            let mut alerts = self.alerts.lock().unwrap();
            let Some(alert) = alerts.iter_mut().find(|alert| alert.id == id) else {
                return Err(CommandError::NotFound(format!("alert {id}")));
            };
            alert.acknowledged = Some(AckView { by, at: NOW, comment });
            self.version.fetch_add(1, Ordering::SeqCst);
            Ok(alert.clone())
        })
    }
}

impl Exposition for Fake {
    fn text(&self) -> BoxFuture<'_, Vec<u8>> {
        let mut text = "# HELP up Says hello.\n# TYPE up gauge\nup{job=\"a\"} 1\n".to_owned();
        for at in 0..200 {
            text.push_str(&format!("filler{{at=\"{at}\"}} {at}\n"));
        }
        Box::pin(async move { text.into_bytes() })
    }
}
