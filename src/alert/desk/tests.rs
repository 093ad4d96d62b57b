//! Tests of the desk's decisions. Times in seconds; the desk is asked once a second.

use super::*;
use crate::alert::testing::{episode, instance, plan, receiver, rule_in, words};
use crate::model::fleet_plan::{FleetRule, Inhibition, Receiver, Silence, SilenceTarget};
use crate::model::matcher::{MatchOp, Matcher};
use crate::model::{Span, notification::Notification};
use serde_json::Value;

/// A desk with a journal and the messages that went out.
struct Office {
    desk: Desk,
    plan: FleetPlan,
    now: Seconds,
    journal: BTreeMap<String, Value>,
    sent: Vec<(Seconds, Notification)>,
    frozen: BTreeSet<String>,
    /// How receivers answer.
    answer: fn(&Notification) -> Result<(), SendFailure>,
}

fn rule_key() -> ObjectKey {
    ObjectKey::new("shop", "disk")
}

fn ok(_: &Notification) -> Result<(), SendFailure> {
    Ok(())
}

fn refuse(retryable: bool) -> Result<(), SendFailure> {
    Err(SendFailure { retryable, retry_after: None, reason: "Refused".into(), message: "no".into() })
}

impl Office {
    fn new(rule: FleetRule, receivers: Vec<(&str, Receiver)>) -> Self {
        Self::with(plan(1, vec![("disk", rule)], receivers))
    }

    fn with(plan: FleetPlan) -> Self {
        let mut office = Self {
            desk: Desk::new(DeskConfig::default()),
            plan: plan.clone(),
            now: 1000,
            journal: BTreeMap::new(),
            sent: Vec::new(),
            frozen: BTreeSet::new(),
            answer: ok,
        };
        office.edit(plan);
        office
    }

    fn edit(&mut self, plan: FleetPlan) {
        self.plan = plan.clone();
        self.desk.set_plan(Arc::new(plan), &words());
    }

    fn fires(&mut self, disk: &str) -> Episode {
        self.fires_on(&rule_key(), "n1", disk)
    }

    fn fires_on(&mut self, rule: &ObjectKey, node: &str, disk: &str) -> Episode {
        let episode = episode(rule, node, disk, self.now);
        self.desk.note(Event::Fired(episode.clone()), &words());
        episode
    }

    fn ends(&mut self, episode: &Episode) {
        let event = Event::Ended { episode: episode.clone(), at: self.now, reason: EndReason::Resolved };
        self.desk.note(event, &words());
    }

    /// One second: decide, commit, send, note.
    fn tick(&mut self) {
        let now = self.now * 1000;
        self.desk.decide(now, &self.frozen, &words());
        self.commit();
        let due: Vec<Notification> = self.desk.due(now).iter().map(|intent| intent.notification.clone()).collect();
        for message in due {
            self.desk.begin(&message.idempotency_key);
            let answer = (self.answer)(&message);
            self.sent.push((self.now, message.clone()));
            self.desk.finish(&message.idempotency_key, answer, now);
        }
        self.commit();
        self.now += 1;
    }

    fn commit(&mut self) {
        for change in self.desk.take_changes() {
            match change.value {
                Some(value) => self.journal.insert(change.key, value),
                None => self.journal.remove(&change.key),
            };
        }
        let intents: Vec<String> = self.desk.intents().map(|intent| intent.key().to_owned()).collect();
        self.desk.made_durable(intents.iter().map(String::as_str));
    }

    fn runs(&mut self, seconds: Seconds) {
        for _ in 0..seconds {
            self.tick();
        }
    }

    /// What went out since the last call: second after the start, cause, and the disks, ended ones in brackets.
    fn heard(&mut self) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent);
        sent.iter().map(|(at, message)| format!("{} {} {}", at - 1000, message.cause, disks(message))).collect()
    }

    fn restart(&mut self) {
        let mut desk = Desk::new(DeskConfig::default());
        let bad = desk.restore(self.journal.iter().map(|(key, value)| (key.as_str(), value)));
        assert!(bad.is_empty(), "{bad:?}");
        desk.set_plan(Arc::new(self.plan.clone()), &words());
        self.desk = desk;
    }

    fn held(&self, episode: &Episode) -> Option<String> {
        let case = self.desk.cases().chain(self.desk.history()).find(|case| case.episode.key() == episode.key());
        case.unwrap().held.clone()
    }
}

fn disks(message: &Notification) -> String {
    if message.cause == "suppressed" {
        return message.alerts[0].message.clone();
    }
    let named = message.alerts.iter().map(|alert| {
        let disk = alert.labels.get("disk").unwrap_or(&alert.name).to_owned();
        if alert.ends_at.is_some() { format!("[{disk}]") } else { disk }
    });
    named.collect::<Vec<_>>().join(",")
}

/// Waits 30 s, groups 5 min, repeats 1 h.
fn usual() -> FleetRule {
    let mut rule = rule_in(3, 1, "Disk", 60);
    rule.notify.repeat_interval = Span::seconds(3600);
    rule
}

#[test]
fn a_group_waits_for_company_and_is_told_once() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.fires("a");
    office.runs(10);
    office.fires("b");
    office.runs(600);
    assert_eq!(office.heard(), ["30 firing a,b"]);
}

#[test]
fn a_change_waits_for_the_groups_interval_and_the_end_is_told() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    let a = office.fires("a");
    office.runs(60);
    office.fires("b");
    office.runs(300);
    office.ends(&a);
    office.runs(600);
    assert_eq!(office.heard(), ["30 firing a", "330 changed b,a", "630 changed b,[a]"]);
}

#[test]
fn what_stands_is_repeated_on_time() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.fires("a");
    office.runs(2 * 3600 + 40);
    assert_eq!(office.heard(), ["30 firing a", "3630 repeat a", "7230 repeat a"]);
}

#[test]
fn a_dead_mans_switch_repeats_more_often_than_its_group_interval() {
    let mut rule = usual();
    rule.notify.repeat_interval = Span::seconds(60);
    let mut office = Office::new(rule, vec![("ops", receiver())]);
    office.fires("a");
    office.runs(160);
    assert_eq!(office.heard(), ["30 firing a", "90 repeat a", "150 repeat a"]);
}

#[test]
fn an_alert_that_ends_while_its_group_waits_is_in_the_history_with_the_reason() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    let a = office.fires("a");
    office.runs(10);
    office.ends(&a);
    office.runs(600);
    assert!(office.heard().is_empty());
    assert_eq!(office.held(&a).as_deref(), Some("ResolvedInGroupWait"));
}

#[test]
fn nobody_is_told_twice_after_a_restart_and_the_times_go_on() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    let a = office.fires("a");
    office.runs(60);
    office.restart();
    office.runs(3600);
    office.restart();
    office.ends(&a);
    office.runs(600);
    assert_eq!(office.heard(), ["30 firing a", "3630 repeat a", "3930 resolved [a]"]);
    assert_eq!(office.desk.resolved(), 1);
    assert!(!office.journal.keys().any(|key| key.contains("/alert/") || key.contains("/group/")));
}

#[test]
fn a_message_cut_off_before_its_outcome_is_sent_again_under_the_same_key() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.fires("a");
    office.runs(29);
    office.now += 1;
    let now = office.now * 1000;
    office.desk.decide(now, &BTreeSet::new(), &words());
    office.commit();
    let first = office.desk.due(now)[0].notification.clone();
    office.restart();
    office.runs(60);
    assert_eq!(office.sent.len(), 1);
    assert_eq!(office.sent[0].1, first);
}

#[test]
fn a_failing_receiver_is_tried_again_with_longer_and_longer_waits() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.answer = |_| refuse(true);
    office.fires("a");
    office.runs(61);
    let times: Vec<String> = office.heard().iter().map(|line| line.split_once(' ').unwrap().0.to_owned()).collect();
    assert_eq!(times, ["30", "31", "33", "37", "45"]);
    office.answer = ok;
    office.runs(60);
    assert_eq!(office.heard().len(), 1, "one of the attempts was taken, and then there is nothing more to say");
}

#[test]
fn what_a_receiver_refuses_for_good_is_said_again_after_the_groups_interval() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.answer = |_| refuse(false);
    office.fires("a");
    office.runs(600);
    assert_eq!(office.heard(), ["30 firing a", "330 firing a"]);
    office.answer = ok;
    office.runs(100);
    assert_eq!(office.heard(), ["630 firing a"]);
}

#[test]
fn one_dead_receiver_does_not_keep_the_other_waiting() {
    let mut office = Office::new(usual(), vec![("dead", receiver()), ("ops", receiver())]);
    office.answer = |message| if &*message.receiver.name == "dead" { refuse(true) } else { Ok(()) };
    let a = office.fires("a");
    office.runs(60);
    office.ends(&a);
    office.runs(600);
    let to_ops = office.sent.iter().filter(|(_, message)| &*message.receiver.name == "ops").count();
    assert_eq!(to_ops, 2);
}

#[test]
fn an_acknowledgement_stops_repeats_but_not_the_end_and_dies_with_its_episode() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    let a = office.fires("a");
    office.runs(60);
    let ack = AckView { by: "eve".into(), at: 0, comment: "on it".into() };
    office.desk.acknowledge(a.id, ack.clone()).unwrap();
    office.runs(3 * 3600);
    office.restart();
    office.runs(3600);
    office.ends(&a);
    office.runs(60);
    assert_eq!(office.desk.acknowledge(a.id, ack).unwrap_err(), AckError::NotFiring);
    office.fires("a");
    office.runs(400);
    let heard: Vec<String> = office.heard().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(heard, ["firing a", "resolved [a]", "firing a"]);
}

#[test]
fn a_silenced_alert_is_told_when_the_silence_ends() {
    let mut silenced = plan(1, vec![("disk", usual())], vec![("ops", receiver())]);
    let silence = Silence {
        covers: SilenceTarget::Matchers(vec![Matcher::equal("disk", "a")]),
        starts_at: 0,
        ends_at: Some(1_200_000),
        namespace: Some("shop".into()),
        author: "eve".into(),
        comment: String::new(),
    };
    silenced.silences.insert(ObjectKey::new("shop", "quiet"), silence);
    let mut office = Office::with(silenced);
    let a = office.fires("a");
    office.fires("b");
    office.runs(100);
    assert_eq!(office.held(&a).as_deref(), Some("Silenced"));
    office.runs(400);
    assert_eq!(office.heard(), ["30 firing b", "330 changed a,b"]);
}

#[test]
fn an_inhibited_alert_is_told_once_its_inhibitor_is_gone() {
    let mut quiet = usual();
    quiet.inhibited_by =
        vec![Inhibition { matchers: vec![Matcher::equal("alertname", "NodeDown")], equal: vec!["node".into()] }];
    quiet.notify.group_by = vec!["alertname".into(), "node".into()];
    let down = rule_in(4, 1, "NodeDown", 60);
    let mut office = Office::with(plan(1, vec![("disk", quiet), ("down", down)], vec![("ops", receiver())]));
    let cause = office.fires_on(&ObjectKey::new("shop", "down"), "n1", "x");
    let a = office.fires("a");
    office.fires_on(&rule_key(), "n2", "b");
    office.runs(100);
    assert_eq!(office.held(&a).as_deref(), Some("Inhibited"));
    assert_eq!(office.heard().len(), 2, "the cause, and the other node's disk");
    office.ends(&cause);
    office.runs(300);
    assert!(office.heard().iter().any(|line| line.ends_with("firing a")));
}

#[test]
fn an_alert_does_not_inhibit_itself() {
    let mut rule = usual();
    rule.inhibited_by = vec![Inhibition { matchers: vec![Matcher::equal("alertname", "Disk")], equal: vec![] }];
    let mut office = Office::new(rule, vec![("ops", receiver())]);
    office.fires("a");
    office.runs(100);
    assert_eq!(office.heard(), ["30 firing a"]);
}

#[test]
fn too_few_nodes_are_nobodys_business() {
    let mut rule = usual();
    rule.min_nodes = 2;
    let mut office = Office::new(rule, vec![("ops", receiver())]);
    let a = office.fires("a");
    office.runs(1);
    office.fires("b");
    office.runs(99);
    assert_eq!(office.held(&a).as_deref(), Some("MinNodes"));
    office.fires_on(&rule_key(), "n2", "c");
    office.runs(100);
    assert_eq!(office.heard(), ["130 firing a,b,c"]);
}

#[test]
fn a_cooldown_spaces_the_episodes_of_one_alert_but_loses_none_that_lasts() {
    let mut rule = usual();
    rule.notify.cooldown = Span::seconds(1000);
    rule.notify.group_wait = Span::default();
    rule.notify.group_interval = Span::seconds(1);
    let mut office = Office::new(rule, vec![("ops", receiver())]);
    let first = office.fires("a");
    office.runs(10);
    office.ends(&first);
    office.runs(10);
    let short = office.fires("a");
    office.runs(10);
    office.ends(&short);
    office.runs(10);
    assert_eq!(office.held(&short).as_deref(), Some("Cooldown"));
    office.restart();
    office.fires("a");
    office.fires("b");
    office.runs(1200);
    assert_eq!(office.heard(), ["0 firing a", "10 resolved [a]", "40 firing b", "1000 changed a,b"]);
}

#[test]
fn an_hours_limit_holds_messages_back_says_so_once_and_lets_ends_through() {
    let mut rule = usual();
    rule.notify.max_per_hour = 2;
    rule.notify.group_by = vec!["disk".into()];
    rule.notify.group_wait = Span::default();
    rule.notify.group_interval = Span::seconds(1);
    let mut office = Office::new(rule, vec![("ops", receiver())]);
    let a = office.fires("a");
    for disk in ["b", "c", "d"] {
        office.runs(10);
        office.fires(disk);
    }
    office.runs(10);
    office.ends(&a);
    office.commit();
    office.restart();
    office.runs(100);
    let suppressed = "20 suppressed 1 alerts suppressed: rule shop/disk has used up its maxPerHour";
    assert_eq!(office.heard(), ["0 firing a", "10 firing b", suppressed, "40 resolved [a]"]);
    office.runs(3600);
    let later = office.heard();
    assert_eq!(later[..2], ["3600 firing c", "3610 firing d"], "news goes before repeats, older news first");
}

#[test]
fn frozen_alerts_are_not_repeated() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.fires("a");
    office.runs(60);
    office.frozen.insert("n1".into());
    office.runs(3 * 3600);
    assert_eq!(office.heard(), ["30 firing a"]);
    office.frozen.clear();
    office.runs(2);
    assert_eq!(office.heard().len(), 1);
}

#[test]
fn alerts_without_a_receiver_are_held_and_told_as_soon_as_there_is_one() {
    let mut office = Office::new(usual(), vec![]);
    let a = office.fires("a");
    office.runs(100);
    assert_eq!(office.held(&a).as_deref(), Some("NoReceiver"));
    assert!(office.desk.receivers_of(&rule_key()).is_empty());
    office.edit(plan(2, vec![("disk", usual())], vec![("ops", receiver())]));
    office.runs(100);
    assert_eq!(office.heard(), ["130 firing a"]);
}

#[test]
fn editing_the_plan_while_it_fires_tells_nobody_twice() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    let a = office.fires("a");
    office.runs(60);
    let mut other = usual();
    other.notify.group_by = vec!["node".into()];
    other.rule.severity = "critical".into();
    other.labels.insert("team".into(), "db".into());
    office.edit(plan(2, vec![("disk", other)], vec![("ops", receiver())]));
    office.runs(600);
    assert_eq!(office.heard(), ["30 firing a"]);
    office.edit(plan(3, vec![], vec![("ops", receiver())]));
    office.desk.note(Event::Ended { episode: a, at: office.now, reason: EndReason::RuleDeleted }, &words());
    office.runs(600);
    let heard = office.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].ends_with("resolved [a]"));
}

#[test]
fn an_alert_that_ends_while_its_message_is_on_its_way_is_still_closed_at_the_receiver() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.answer = |_| refuse(true);
    let a = office.fires("a");
    office.runs(40);
    office.ends(&a);
    office.commit();
    office.restart();
    office.answer = ok;
    office.runs(600);
    let heard = office.heard();
    assert_eq!(heard.last().unwrap().split_once(' ').unwrap().1, "resolved [a]");
}

#[test]
fn a_storm_becomes_one_message_that_counts_what_it_does_not_show() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    for n in 0..500 {
        office.fires(&format!("d{n}"));
    }
    office.runs(600);
    assert_eq!(office.sent.len(), 1);
    assert_eq!((office.sent[0].1.alerts.len(), office.sent[0].1.truncated), (100, 400));
}

#[test]
fn receivers_are_chosen_by_name_then_by_match_then_by_default() {
    let severe = Receiver { severities: vec!["critical".into()], ..receiver() };
    let team = Receiver {
        matchers: vec![Matcher::new("team", MatchOp::Regex, "db|web").unwrap()],
        severities: vec!["medium".into()],
        ..receiver()
    };
    let fallback = Receiver { default: true, ..receiver() };
    let mut rules = plan(1, vec![("disk", usual())], vec![("severe", severe), ("team", team), ("rest", fallback)]);
    let labels = |team: &str| Labels::from_pairs([("team", team)]);
    let chosen = |plan: &FleetPlan, severity: &str, team: &str| -> Vec<String> {
        let rule = &plan.rules[&rule_key()];
        let found = route(plan, None, &rule_key(), rule, &labels(team), severity);
        found.iter().map(|key| key.name.to_string()).collect()
    };
    assert_eq!(chosen(&rules, "critical", "db"), ["severe"]);
    assert_eq!(chosen(&rules, "warning", "db"), ["team"], "warning is medium");
    assert_eq!(chosen(&rules, "low", "db"), ["rest"]);
    rules.rules.get_mut(&rule_key()).unwrap().notify.receivers = vec![ObjectKey::new("shop", "team")];
    assert_eq!(chosen(&rules, "critical", "hr"), ["team"]);
}

#[test]
fn a_receiver_serves_its_own_namespace_and_the_operators_serve_those_that_they_allow() {
    let mut all = plan(1, vec![("disk", usual())], vec![]);
    let foreign = |allowed: &[&str]| Receiver {
        allowed_namespaces: allowed.iter().map(|name| (*name).to_owned()).collect(),
        ..receiver()
    };
    all.receivers.insert(ObjectKey::new("other", "theirs"), receiver());
    all.receivers.insert(ObjectKey::new("ops", "for-all"), foreign(&[]));
    all.receivers.insert(ObjectKey::new("ops", "for-shop"), foreign(&["shop"]));
    all.receivers.insert(ObjectKey::new("ops", "for-bank"), foreign(&["bank"]));
    let rule = &all.rules[&rule_key()];
    let found = route(&all, Some("ops"), &rule_key(), rule, &Labels::empty(), "high");
    assert_eq!(found, [ObjectKey::new("ops", "for-all"), ObjectKey::new("ops", "for-shop")]);
}

#[test]
fn an_episode_nobody_heard_of_is_in_the_history() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    let missed = Episode::from_report(&rule_key(), "n1", &instance(3, "a", 900), (1, 1));
    office.desk.note(Event::Missed { episode: missed.clone(), at: 950 }, &words());
    office.runs(60);
    assert_eq!(office.held(&missed).as_deref(), Some("EndedUnreported"));
    assert!(office.heard().is_empty());
}

#[test]
fn the_history_is_bounded_in_memory_and_in_the_journal() {
    let mut office = Office::new(usual(), vec![]);
    office.desk.config.history = 5;
    for n in 0..20 {
        let episode = office.fires(&format!("d{n}"));
        office.ends(&episode);
        office.runs(2);
    }
    assert_eq!(office.desk.history().count(), 5);
    assert_eq!(office.journal.keys().filter(|key| key.contains("/history/")).count(), 5);
    assert_eq!(office.desk.resolved(), 20);
}

#[test]
fn a_document_that_cannot_be_read_is_named_and_the_others_are_taken() {
    let mut office = Office::new(usual(), vec![("ops", receiver())]);
    office.fires("a");
    office.runs(60);
    office.journal.insert("shop/alert/broken.1".into(), Value::from("rubbish"));
    let mut desk = Desk::new(DeskConfig::default());
    let bad = desk.restore(office.journal.iter().map(|(key, value)| (key.as_str(), value)));
    assert_eq!(bad.len(), 1);
    assert!(bad[0].to_string().contains("shop/alert/broken.1"));
    assert_eq!(desk.cases().count(), 1);
}
