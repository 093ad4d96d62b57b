//! What `run` shows: the fleet's word on each check and rule, with what this machine's agent knows of its own runs.

use std::sync::Arc;

use crate::fleet::SystemInput;
use crate::local::installation::Installation;
use crate::model::check::BoxFuture;
use crate::model::object::ObjectKey;
use crate::model::ports::{CommandError, Commands, Series, Views};
use crate::model::series::Millis;
use crate::model::view::{
    AlertView, CheckView, DashboardView, ProbeView, ReceiverView, RuleView, RunView, SilenceView, SystemView,
};
use crate::runtime::clock;

impl Installation {
    /// Fills in what the agent knows of a check's last run: of its worst target, when it has several.
    fn with_last_run(&self, mut view: CheckView) -> CheckView {
        let slots = self.check_slots(&view.key);
        let known = slots.iter().filter_map(|slot| self.agent.check_slot(*slot));
        // The target that looks like the whole check does; else the first.
        let Some(last) = known.max_by_key(|slot| (slot.health == view.health, slot.last_check)) else { return view };
        last.fill(&mut view);
        view
    }

    /// The slots of a check: one per target; none of a composite or suspended one.
    fn check_slots(&self, key: &ObjectKey) -> Vec<u32> {
        let in_force = self.in_force();
        in_force.fleet.checks.get(key).map_or_else(Vec::new, |check| check.slots.iter().map(|s| s.slot).collect())
    }

    fn rule_slot(&self, key: &ObjectKey) -> Option<u32> {
        self.in_force().fleet.rules.get(key)?.slot.as_ref().map(|slot| slot.slot)
    }

    fn with_last_evaluation(&self, mut view: RuleView) -> RuleView {
        if let Some(rule) = self.rule_slot(&view.key).and_then(|slot| self.agent.rule_slot(slot)) {
            view.last_evaluation = rule.last_evaluation;
            view.evaluation_ms = Some(rule.evaluation_ms);
            view.evaluated = rule.evaluated;
            if !rule.error.is_empty() {
                view.message = rule.error;
            }
        }
        view
    }
}

impl Installation {
    /// All metrics of now, as text.
    #[must_use]
    pub fn metrics_text(&self) -> Vec<u8> {
        self.agent.text(&self.fleet.frame())
    }

    /// The answer of `/info`: what this process is and runs. Holds no secret.
    #[must_use]
    pub fn info(&self) -> serde_json::Value {
        let what = sysinfo::RefreshKind::nothing()
            .with_memory(sysinfo::MemoryRefreshKind::everything())
            .with_cpu(sysinfo::CpuRefreshKind::nothing());
        let system = sysinfo::System::new_with_specifics(what).ok();
        let cpus = system.as_ref().map(sysinfo::System::cpus);
        let brand = cpus.and_then(|cpus| cpus.first()).map(|cpu| cpu.brand().to_owned());
        let total = |read: fn(&sysinfo::System) -> u64| system.as_ref().map(read);
        serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build": { "target": std::env::consts::ARCH, "debug": cfg!(debug_assertions) },
            "hostname": self.node,
            "os": sysinfo::System::long_os_version().ok(),
            "kernel": sysinfo::System::kernel_version().ok(),
            "arch": std::env::consts::ARCH,
            "cpu": { "brand": brand, "logical": cpus.map(<[_]>::len) },
            "memory": { "total": total(sysinfo::System::total_memory), "swap_total": total(sysinfo::System::total_swap) },
            "collectors": self.collectors,
            "checks": crate::model::spec::CheckSpec::KINDS,
            "config": { "mode": "run", "plan_revision": self.agent.plan_revision() },
        })
    }
}

impl Views for Installation {
    fn system(&self) -> SystemView {
        let summary = self.fleet.summary();
        let system: &SystemInput = &summary.system;
        SystemView {
            health: system.health(),
            health_percentage: system.percentage(),
            score: system.score(),
            total: system.checks.total() as usize,
            healthy: system.checks.healthy as usize,
            mode: "run".into(),
            node: self.node.clone(),
            started_at: self.started_at,
            now: clock::now_millis(),
            plan_revision: self.agent.plan_revision(),
            agents: summary.agents,
            resolved_alerts: summary.resolved_alerts,
            refused: self.in_force().refused.clone(),
        }
    }

    fn checks(&self) -> Vec<CheckView> {
        self.fleet.checks().into_iter().map(|view| self.with_last_run(view)).collect()
    }

    fn runs(&self, check: Option<&ObjectKey>, from: Millis, to: Millis, limit: usize) -> Vec<RunView> {
        self.agent.runs(check, from, to, limit)
    }

    fn rules(&self) -> Vec<RuleView> {
        self.fleet.rules().into_iter().map(|view| self.with_last_evaluation(view)).collect()
    }

    fn alerts(&self) -> Vec<AlertView> {
        self.fleet.alerts()
    }

    fn alert_history(&self, from: Millis, to: Millis, limit: usize) -> Vec<AlertView> {
        self.fleet.alert_history(from, to, limit)
    }

    fn receivers(&self) -> Vec<ReceiverView> {
        self.fleet.receivers()
    }

    fn silences(&self) -> Vec<SilenceView> {
        self.fleet.silences()
    }

    fn dashboards(&self) -> Vec<DashboardView> {
        self.in_force().dashboards.clone()
    }

    fn live(&self) -> ProbeView {
        self.agent.live()
    }

    fn ready(&self) -> ProbeView {
        self.agent.ready()
    }

    fn series(&self) -> Arc<dyn Series> {
        self.store.clone()
    }

    fn version(&self) -> u64 {
        self.agent.version() + self.fleet.changed() + self.in_force().readings
    }
}

impl Commands for Installation {
    fn run_check(&self, key: &ObjectKey) -> BoxFuture<'_, Result<CheckView, CommandError>> {
        let key = key.clone();
        Box::pin(async move {
            let slots = self.check_slots(&key);
            for slot in &slots {
                self.agent.run_now(*slot).await.map_err(|why| match why.reason() {
                    "TooOften" => CommandError::TooOften(format!("check {key} ran less than a second ago")),
                    _ => CommandError::Conflict(format!("check {key}: {why}")),
                })?;
            }
            let view = self.fleet.checks().into_iter().find(|view| view.key == key);
            match view {
                Some(view) => Ok(self.with_last_run(view)),
                None => Err(CommandError::NotFound(format!("check {key}"))),
            }
        })
    }

    fn acknowledge(&self, id: &str, by: &str, comment: &str) -> BoxFuture<'_, Result<AlertView, CommandError>> {
        let (id, by, comment) = (id.to_owned(), by.to_owned(), comment.to_owned());
        Box::pin(async move { self.fleet.acknowledge(&id, &by, &comment).await })
    }
}
