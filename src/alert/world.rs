//! A simulated world for alerts: nodes with agents, a lossy network, a leader with a journal, receivers that remember.
//!
//! Everything is driven by one list of steps, so a failing history is a short text. The world knows what really holds;
//! the promises at the end of a run are checked against that and against what the receivers heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use crate::alert::desk::{Desk, DeskConfig, Intent, SendFailure};
use crate::alert::episode::{Episode, EpisodeKey, alert_id};
use crate::alert::ledger::{Ledger, Received};
use crate::alert::life::{Outcome, RuleLife};
use crate::alert::report::{RuleState, assemble};
use crate::alert::testing::{plan, receiver, rule_in, words};
use crate::model::fleet_plan::{FleetPlan, FleetRule};
use crate::model::object::ObjectKey;
use crate::model::report::{Fingerprint, Report, Seconds, Truncated};
use crate::model::{Labels, Span};

/// Seconds between two evaluations of every rule, and between two turns of the world.
const TURN: Seconds = 10;
const NODES: [&str; 2] = ["n1", "n2"];
const RULES: [&str; 2] = ["disk", "load"];

/// What happens to a message between the journal's first and second word about it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// The leader dies after it decided and before anything is in the journal.
    BeforeIntent,
    /// … after the intent is in the journal and before it is sent.
    BeforeSend,
    /// … after it is sent and before the outcome is known to anybody.
    AfterSend,
    /// … after the outcome is known and before it is in the journal.
    BeforeOutcome,
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// What a rule's expression finds on a node begins or stops to hold.
    Flip(usize, usize),
    /// This many turns pass.
    Pass(u8),
    /// An agent restarts, with or without its last report.
    RestartAgent(usize, bool),
    /// An agent cannot judge its rules for this many turns.
    Warm(usize, u8),
    /// A node's reports are lost for this many turns.
    Lose(usize, u8),
    /// The newest report of a node arrives once more, or an old one arrives late.
    Echo(usize, bool),
    /// A node's next report has no room for its instances.
    Truncate(usize),
    /// The leader restarts between two turns.
    RestartLeader,
    /// The leader dies at this point of its next message.
    CutLeader(Cut),
    /// The receiver refuses for this many turns.
    Refuse(u8),
    /// A rule is deleted (and comes back with `Edit`); its slot goes to another one.
    Delete(usize),
    /// A rule is edited, or comes back.
    Edit(usize),
    /// A node goes away for good, or comes back empty.
    Remove(usize),
    Return(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES.len();
    let rule = 0..RULES.len();
    let cut =
        prop_oneof![Just(Cut::BeforeIntent), Just(Cut::BeforeSend), Just(Cut::AfterSend), Just(Cut::BeforeOutcome)];
    prop_oneof![
        8 => (node.clone(), rule.clone()).prop_map(|(node, rule)| Step::Flip(node, rule)),
        8 => (1u8..12).prop_map(Step::Pass),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, memory)| Step::RestartAgent(node, memory)),
        1 => (node.clone(), 1u8..6).prop_map(|(node, turns)| Step::Warm(node, turns)),
        2 => (node.clone(), 1u8..6).prop_map(|(node, turns)| Step::Lose(node, turns)),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, old)| Step::Echo(node, old)),
        1 => node.clone().prop_map(Step::Truncate),
        2 => Just(Step::RestartLeader),
        3 => cut.prop_map(Step::CutLeader),
        1 => (1u8..20).prop_map(Step::Refuse),
        1 => rule.clone().prop_map(Step::Delete),
        1 => rule.prop_map(Step::Edit),
        1 => node.clone().prop_map(Step::Remove),
        1 => node.prop_map(Step::Return),
    ]
}

/// One node with its agent.
struct Agent {
    alive: bool,
    /// What really holds, by rule.
    holds: [bool; 2],
    /// Since when it really holds, by rule.
    since: [Seconds; 2],
    lives: BTreeMap<u32, RuleLife>,
    plan: Arc<FleetPlan>,
    epoch: u64,
    seq: u64,
    warm: u8,
    lose: u8,
    truncate: bool,
    /// Reports that arrived, oldest first.
    arrived: Vec<Report>,
}

impl Agent {
    fn new(plan: Arc<FleetPlan>, epoch: u64) -> Self {
        Self {
            alive: true,
            holds: [false; 2],
            since: [0; 2],
            lives: BTreeMap::new(),
            plan,
            epoch,
            seq: 0,
            warm: 0,
            lose: 0,
            truncate: false,
            arrived: Vec::new(),
        }
    }

    /// The slots of the agent's plan.
    fn slots(&self) -> Vec<(u32, u64, usize)> {
        let place = |name: &str| RULES.iter().position(|rule| *rule == name);
        let rules = self.plan.rules.iter();
        rules
            .filter_map(|(key, rule)| Some((rule.slot.as_ref()?.slot, rule.slot.as_ref()?.rev, place(&key.name)?)))
            .collect()
    }

    fn adopt(&mut self, plan: &Arc<FleetPlan>) {
        let old: BTreeMap<u32, usize> = self.slots().into_iter().map(|(slot, _, rule)| (slot, rule)).collect();
        self.plan = Arc::clone(plan);
        let mut lives = std::mem::take(&mut self.lives);
        for (slot, _, rule) in self.slots() {
            let mut life = lives.remove(&slot).filter(|_| old.get(&slot) == Some(&rule)).unwrap_or_default();
            life.replanned();
            self.lives.insert(slot, life);
        }
    }

    fn restart(&mut self, memory: bool) {
        self.epoch += 1;
        self.seq = 0;
        self.lives.clear();
        for (slot, rev, _) in self.slots() {
            let life = self.lives.entry(slot).or_default();
            if let Some(last) = self.arrived.last().filter(|_| memory) {
                life.restore(slot, rev, last);
            }
        }
    }

    /// Evaluates every rule and writes a report.
    fn turn(&mut self, now: Seconds) -> Report {
        for (slot, _, rule) in self.slots() {
            let Some((_, fleet_rule)) = self.plan.rules.iter().find(|(key, _)| &*key.name == RULES[rule]) else {
                continue;
            };
            let outcome = match (self.warm > 0, self.holds[rule]) {
                (true, _) => Outcome::Warming,
                (false, true) => Outcome::Samples(vec![(labels(rule), 1.0)]),
                (false, false) => Outcome::Samples(vec![]),
            };
            let life = self.lives.entry(slot).or_default();
            life.evaluate(&fleet_rule.rule, outcome, now * 1000);
        }
        self.warm = self.warm.saturating_sub(1);
        self.seq += 1;
        let head =
            Report { epoch: self.epoch, seq: self.seq, renew_time: now, plan_rev: self.plan.rev, ..Report::default() };
        let states = self.lives.iter().map(|(slot, life)| RuleState { slot: *slot, severity: "high", life });
        let mut report = assemble(head, states);
        if std::mem::take(&mut self.truncate) {
            let (pending, firing) = (report.pending.len() as u32, report.firing.len() as u32);
            report.truncated = Truncated { pending, firing, resolved: report.resolved.len() as u32 };
            (report.pending, report.firing, report.resolved) = (vec![], vec![], vec![]);
        }
        report
    }
}

fn labels(rule: usize) -> Labels {
    Labels::from_pairs([("what", RULES[rule])])
}

fn key(rule: usize) -> ObjectKey {
    ObjectKey::new("shop", RULES[rule])
}

fn id(node: usize, rule: usize) -> Fingerprint {
    alert_id(&key(rule), NODES[node], Fingerprint(labels(rule).fingerprint()))
}

/// What the receiver heard of one message.
#[derive(Clone, Debug)]
struct Heard {
    at: Seconds,
    key: String,
    /// Each alert's episode, and whether the message says that it ended.
    alerts: Vec<(Fingerprint, Seconds, bool)>,
}

struct World {
    now: Seconds,
    plan: Arc<FleetPlan>,
    slots: BTreeMap<usize, (u32, u64)>,
    agents: Vec<Agent>,
    ledger: Ledger,
    desk: Desk,
    journal: BTreeMap<String, Value>,
    heard: Vec<Heard>,
    refuse: u8,
    cut: Option<Cut>,
    /// Nodes whose newest report the leader has not read since it began.
    unread: BTreeSet<usize>,
}

/// Fires after 20 s, waits 10 s for company.
fn world_rule(slot: u32, rev: u64) -> FleetRule {
    let mut rule = rule_in(slot, rev, "Rule", TURN as u64);
    rule.rule.hold = Span::seconds(20);
    rule.notify.group_wait = Span::seconds(10);
    rule.notify.group_interval = Span::seconds(30);
    rule.notify.repeat_interval = Span::seconds(4 * 3600);
    rule.notify.group_by = vec!["node".into(), "what".into()];
    rule
}

impl World {
    fn new() -> Self {
        let slots = BTreeMap::from([(0, (0, 1)), (1, (1, 1))]);
        let plan = Arc::new(make_plan(1, &slots));
        let mut world = Self {
            now: 1000,
            plan: Arc::clone(&plan),
            slots,
            agents: NODES.iter().map(|_| Agent::new(Arc::clone(&plan), 1)).collect(),
            ledger: Ledger::new(None),
            desk: Desk::new(DeskConfig::default()),
            journal: BTreeMap::new(),
            heard: Vec::new(),
            refuse: 0,
            cut: None,
            unread: BTreeSet::new(),
        };
        world.replan();
        world
    }

    fn replan(&mut self) {
        let rev = self.plan.rev + 1;
        self.plan = Arc::new(make_plan(rev, &self.slots));
        self.ledger.set_plan(Arc::clone(&self.plan), self.now);
        self.note();
        self.desk.set_plan(Arc::clone(&self.plan), &words());
        for agent in self.agents.iter_mut().filter(|agent| agent.alive) {
            agent.adopt(&self.plan);
        }
    }

    fn note(&mut self) {
        for event in self.ledger.take_events() {
            self.desk.note(event, &words());
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Flip(node, rule) => {
                let agent = &mut self.agents[node];
                agent.holds[rule] = !agent.holds[rule];
                agent.since[rule] = self.now;
            }
            Step::Pass(turns) => (0..turns).for_each(|_| self.turn()),
            Step::RestartAgent(node, memory) => self.agents[node].restart(memory),
            Step::Warm(node, turns) => self.agents[node].warm = turns,
            Step::Lose(node, turns) => self.agents[node].lose = turns,
            Step::Echo(node, old) => {
                let arrived = &self.agents[node].arrived;
                let report = if old { arrived.first() } else { arrived.last() };
                if let Some(report) = report.cloned().filter(|_| self.agents[node].alive) {
                    // What the leader has not read since it began is news to it, not an echo.
                    if !self.unread.contains(&node) {
                        assert!(matches!(self.receive(node, &report), Received::NotNewer { .. }));
                    }
                }
            }
            Step::Truncate(node) => self.agents[node].truncate = true,
            Step::RestartLeader => self.restart_leader(),
            Step::CutLeader(cut) => self.cut = Some(cut),
            Step::Refuse(turns) => self.refuse = turns,
            Step::Delete(rule) => {
                if self.slots.remove(&rule).is_some() {
                    self.replan();
                }
            }
            Step::Edit(rule) => {
                // A rule that comes back takes the lowest free slot, which may have been another's.
                let free = (0..).find(|slot| !self.slots.values().any(|(used, _)| used == slot)).unwrap_or(9);
                let slot = self.slots.get(&rule).map_or(free, |(slot, _)| *slot);
                self.slots.insert(rule, (slot, self.plan.rev + 1));
                self.replan();
            }
            Step::Remove(node) => {
                self.agents[node].alive = false;
                self.agents[node].arrived.clear();
                self.ledger.remove_node(NODES[node], self.now);
                self.note();
            }
            Step::Return(node) => {
                if !self.agents[node].alive {
                    let epoch = self.agents[node].epoch + 1;
                    self.agents[node] = Agent::new(Arc::clone(&self.plan), epoch);
                    self.agents[node].restart(false);
                }
            }
        }
    }

    fn receive(&mut self, node: usize, report: &Report) -> Received {
        let received = self.ledger.receive(NODES[node], report, self.now);
        self.note();
        received
    }

    /// Time passes: agents evaluate and report, the leader thinks and sends.
    fn turn(&mut self) {
        self.now += TURN;
        for node in 0..self.agents.len() {
            if !self.agents[node].alive {
                continue;
            }
            let report = self.agents[node].turn(self.now);
            if self.agents[node].lose > 0 {
                self.agents[node].lose -= 1;
                continue;
            }
            self.receive(node, &report);
            self.unread.remove(&node);
            let agent = &mut self.agents[node];
            for (slot, life) in &mut agent.lives {
                life.written(*slot, &report);
            }
            agent.arrived.push(report);
        }
        self.refuse = self.refuse.saturating_sub(1);
        self.think();
    }

    fn think(&mut self) {
        let now = self.now * 1000;
        let made = self.desk.decide(now, &|_| false, &words());
        let cut = self.cut.filter(|_| !made.is_empty());
        if cut == Some(Cut::BeforeIntent) {
            return self.die();
        }
        self.commit();
        self.desk.made_durable(made.iter().map(String::as_str));
        if cut == Some(Cut::BeforeSend) {
            return self.die();
        }
        let due: Vec<Intent> = self.desk.due(now).into_iter().cloned().collect();
        for intent in due {
            self.desk.begin(intent.key());
            let refused = self.refuse > 0;
            if !refused {
                self.heard.push(heard(&intent, self.now));
            }
            if cut == Some(Cut::AfterSend) {
                return self.die();
            }
            let failure =
                SendFailure { retryable: true, retry_after: None, reason: "No".into(), message: String::new() };
            self.desk.finish(intent.key(), if refused { Err(failure) } else { Ok(()) }, now);
            if cut == Some(Cut::BeforeOutcome) {
                return self.die();
            }
        }
        self.commit();
    }

    fn commit(&mut self) {
        for change in self.desk.take_changes() {
            match change.value {
                // Through text, as a file would.
                Some(value) => self.journal.insert(change.key, serde_json::from_str(&value.to_string()).unwrap()),
                None => self.journal.remove(&change.key),
            };
        }
    }

    fn die(&mut self) {
        self.cut = None;
        self.restart_leader();
    }

    /// A new leader begins with the journal and the newest report of every node.
    fn restart_leader(&mut self) {
        let mut desk = Desk::new(DeskConfig::default());
        assert!(desk.restore(self.journal.iter().map(|(key, value)| (key.as_str(), value))).is_empty());
        let mut ledger = Ledger::new(None);
        let ended: Vec<_> = desk.ended_episodes().collect();
        ledger.restore(desk.open_episodes().collect::<Vec<_>>(), ended);
        ledger.set_plan(Arc::clone(&self.plan), self.now);
        (self.desk, self.ledger) = (desk, ledger);
        self.note();
        self.desk.set_plan(Arc::clone(&self.plan), &words());
        let strangers: Vec<String> = self.ledger.nodes().map(str::to_owned).collect();
        for (node, name) in NODES.iter().enumerate() {
            if !self.agents[node].alive && strangers.iter().any(|stranger| stranger == name) {
                self.ledger.remove_node(name, self.now);
            }
        }
        self.note();
        self.unread = (0..NODES.len()).collect();
        for node in 0..NODES.len() {
            if let Some(report) = self.agents[node].arrived.last().cloned() {
                self.receive(node, &report);
                self.unread.remove(&node);
            }
        }
    }

    /// The episode of an alert that is open at the desk.
    fn open(&self, node: usize, rule: usize) -> Option<&Episode> {
        let mut cases = self.desk.cases().filter(|case| case.ended.is_none());
        cases.find(|case| case.episode.id == id(node, rule)).map(|case| &case.episode)
    }

    /// Lets everything calm down: the network works, nobody dies, receivers listen.
    fn settle(&mut self) {
        self.cut = None;
        self.refuse = 0;
        for agent in &mut self.agents {
            (agent.lose, agent.warm) = (0, 0);
        }
        // Longer than the longest back-off, and than two absences.
        (0..60).for_each(|_| self.turn());
    }
}

fn make_plan(rev: u64, slots: &BTreeMap<usize, (u32, u64)>) -> FleetPlan {
    let rules = slots.iter().map(|(rule, (slot, rev))| (RULES[*rule], world_rule(*slot, *rev))).collect();
    plan(rev, rules, vec![("ops", receiver())])
}

fn heard(intent: &Intent, at: Seconds) -> Heard {
    let alerts = intent.members.iter().map(|member| (member.case.id, member.case.fired_at, member.over)).collect();
    Heard { at, key: intent.key().to_owned(), alerts }
}

/// Nothing that holds is lost or resolved: it is open, and its receiver knows that it fires and was not told an end.
fn what_holds_is_known(world: &World) {
    for (node, agent) in world.agents.iter().enumerate().filter(|(_, agent)| agent.alive) {
        for rule in world.slots.keys() {
            let open = world.open(node, *rule);
            if !agent.holds[*rule] {
                assert!(open.is_none(), "{} on {} does not hold and is open", RULES[*rule], NODES[node]);
                continue;
            }
            let Some(episode) = open else { panic!("{} on {} holds and is lost", RULES[*rule], NODES[node]) };
            let of_it = |over: bool| {
                let all = world.heard.iter().flat_map(|heard| &heard.alerts);
                all.filter(|(id, at, ended)| (*id, *at, *ended) == (episode.id, episode.fired_at, over)).count()
            };
            assert!(of_it(false) > 0, "{} on {} holds and nobody was told", RULES[*rule], NODES[node]);
            assert_eq!(of_it(true), 0, "{} on {} holds and was called ended", RULES[*rule], NODES[node]);
        }
    }
}

/// Each message of an episode came once; again only as the same message, and repeats only when they were due.
fn nobody_was_paged_twice(world: &World) {
    let mut first: BTreeMap<(Fingerprint, Seconds, bool), (&str, Seconds)> = BTreeMap::new();
    for heard in &world.heard {
        for alert in &heard.alerts {
            if let Some((key, at)) = first.insert(*alert, (&heard.key, heard.at)) {
                let repeat_is_due = !alert.2 && heard.at - at >= 4 * 3600;
                assert!(
                    key == heard.key || repeat_is_due,
                    "{alert:?} at {at} as {key} and at {} as {}",
                    heard.at,
                    heard.key
                );
            }
        }
    }
}

/// An end is told only of what was told to fire, and after it.
fn ends_follow_beginnings(world: &World) {
    let mut known: BTreeSet<EpisodeKey> = BTreeSet::new();
    for heard in &world.heard {
        for (id, fired_at, over) in &heard.alerts {
            let key = EpisodeKey { id: *id, fired_at: *fired_at };
            if *over {
                assert!(known.contains(&key), "{key} ended before it began");
            } else {
                known.insert(key);
            }
        }
    }
}

/// Whoever was told that something fires is told that it ended, and what nobody was told has a reason.
fn every_episode_is_accounted_for(world: &World) {
    for case in world.desk.history() {
        let told = |over: bool| {
            let mut all = world.heard.iter().flat_map(|heard| &heard.alerts);
            all.any(|alert| *alert == (case.episode.id, case.episode.fired_at, over))
        };
        if told(false) {
            assert!(told(true), "{} was told to fire and never to end", case.episode.key());
        } else {
            assert!(case.held.is_some(), "{} was never told, and nobody knows why", case.episode.key());
        }
    }
    assert!(world.desk.cases().all(|case| case.ended.is_none()), "an end is still waiting");
    assert_eq!(world.desk.intents().count(), 0);
}

fn check(steps: Vec<Step>) {
    let mut world = World::new();
    for step in steps {
        world.run(step);
    }
    world.settle();
    what_holds_is_known(&world);
    nobody_was_paged_twice(&world);
    ends_follow_beginnings(&world);
    every_episode_is_accounted_for(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 4000, ..ProptestConfig::default() })]
    #[test]
    fn no_history_loses_an_alert_or_resolves_one_that_holds_or_pages_twice(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        check(steps);
    }

    #[test]
    fn while_an_alert_holds_its_episode_never_ends_whatever_else_goes_wrong(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        world.agents[0].holds[0] = true;
        (0..10).for_each(|_| world.turn());
        let fired_at = world.open(0, 0).map(|episode| episode.fired_at);
        prop_assert!(fired_at.is_some());
        for step in steps {
            let ends_it = matches!(step, Step::Flip(0, 0) | Step::Delete(0) | Step::Remove(0));
            if !ends_it {
                world.run(step);
                prop_assert_eq!(world.open(0, 0).map(|episode| episode.fired_at), fired_at);
            }
        }
    }
}

#[test]
fn a_crash_at_every_point_of_a_message_repeats_at_most_the_same_message() {
    for (cut, most) in [(Cut::BeforeIntent, 1), (Cut::BeforeSend, 1), (Cut::AfterSend, 2), (Cut::BeforeOutcome, 2)] {
        let mut world = World::new();
        world.run(Step::CutLeader(cut));
        world.run(Step::Flip(0, 0));
        world.run(Step::Pass(20));
        assert!(world.cut.is_none(), "the cut was made");
        let keys: BTreeSet<&str> = world.heard.iter().map(|heard| heard.key.as_str()).collect();
        assert_eq!((keys.len(), world.heard.len()), (1, most), "{cut:?}");
        world.run(Step::CutLeader(cut));
        world.run(Step::Flip(0, 0));
        world.run(Step::Pass(20));
        let keys: BTreeSet<&str> = world.heard.iter().map(|heard| heard.key.as_str()).collect();
        assert_eq!((keys.len(), world.heard.len()), (2, 2 * most), "{cut:?}");
    }
}
