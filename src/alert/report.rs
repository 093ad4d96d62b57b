//! The alert part of a report: every rule's instances, most urgent first, cut to the size that a report may have.

use crate::alert::life::RuleLife;
use crate::model::report::{
    Ended, Instance, MAX_BYTES, MAX_NOT_EVALUATED, NotEvaluated, Report, RuleCount, Seconds, SlotReason,
};
use crate::model::severity::Severity;

/// Longest instance that keeps its place in the order, in bytes of JSON: a longer one must not push out many others.
const WIDE: usize = MAX_BYTES / 8;
/// Room for the reasons of checks, in bytes of JSON.
const ROOM_FOR_REASONS: usize = MAX_BYTES / 4;
/// Room for counts per rule, in bytes of JSON.
const ROOM_FOR_COUNTS: usize = MAX_BYTES / 8;
/// Room for the names and brackets around the lists, in bytes of JSON.
const ROOM_FOR_NAMES: usize = 512;

/// One rule and what lives of it.
#[derive(Clone, Copy, Debug)]
pub struct RuleState<'a> {
    /// Its slot.
    pub slot: u32,
    /// The plan's severity word.
    pub severity: &'a str,
    /// Its instances.
    pub life: &'a RuleLife,
}

/// Where a line stands: wide ones last, then by severity, age and fingerprint.
type Place = (bool, std::cmp::Reverse<Severity>, Seconds, u64);

/// One line of a list and its size.
struct Line<T> {
    place: Place,
    bytes: usize,
    what: T,
}

/// Adds the rules to a report that already holds everything else (order, plan, states, reasons), within
/// [`MAX_BYTES`]: pending instances are left out first, then firing ones from the tail, resolved ones last.
#[must_use]
pub fn assemble<'a>(mut report: Report, rules: impl IntoIterator<Item = RuleState<'a>>) -> Report {
    let (mut pending, mut firing, mut resolved) = (Vec::new(), Vec::new(), Vec::new());
    let mut counts: Vec<(Severity, RuleCount)> = Vec::new();
    report.not_evaluated.clear();
    report.more_not_evaluated = false;
    for RuleState { slot, severity, life } in rules {
        let severity = Severity::of(severity);
        if let Some(reason) = life.not_evaluated() {
            if report.not_evaluated.len() < MAX_NOT_EVALUATED {
                report.not_evaluated.push(NotEvaluated { slot, reason: reason.to_owned() });
            } else {
                report.more_not_evaluated = true;
            }
        }
        let (waiting, fires) = life.counts();
        if waiting + fires + life.dropped() > 0 {
            counts.push((severity, RuleCount { slot, pending: waiting, firing: fires, dropped: life.dropped() }));
        }
        pending.extend(life.pending(slot).map(|instance| line_of_instance(severity, instance)));
        firing.extend(life.firing(slot).map(|instance| line_of_instance(severity, instance)));
        resolved.extend(life.ended(slot).map(|ended| line_of_ended(severity, ended)));
    }
    cut_reasons(&mut report.reasons);
    report.rules = cut_counts(counts);
    (report.pending, report.firing, report.resolved) = (Vec::new(), Vec::new(), Vec::new());
    let mut room = MAX_BYTES.saturating_sub(json_len(&report) + ROOM_FOR_NAMES);
    (report.resolved, report.truncated.resolved) = fill(resolved, &mut room);
    (report.firing, report.truncated.firing) = fill(firing, &mut room);
    (report.pending, report.truncated.pending) = fill(pending, &mut room);
    report
}

fn line_of_instance(severity: Severity, instance: Instance) -> Line<Instance> {
    let bytes = json_len(&instance) + 1;
    Line { place: place(severity, &instance, bytes), bytes, what: instance }
}

fn line_of_ended(severity: Severity, ended: Ended) -> Line<Ended> {
    let bytes = json_len(&ended) + 1;
    Line { place: place(severity, &ended.instance, bytes), bytes, what: ended }
}

fn place(severity: Severity, instance: &Instance, bytes: usize) -> Place {
    (bytes > WIDE, std::cmp::Reverse(severity), instance.active_at, instance.fp.0)
}

/// The lines that fit, in order, and how many do not.
fn fill<T>(mut lines: Vec<Line<T>>, room: &mut usize) -> (Vec<T>, u32) {
    lines.sort_by_key(|line| line.place);
    let mut left_out = 0;
    let mut kept = Vec::with_capacity(lines.len());
    for line in lines {
        if line.bytes <= *room {
            *room -= line.bytes;
            kept.push(line.what);
        } else {
            left_out += 1;
            // A shorter line further down must not overtake: the order is what the reader relies on.
            if !line.place.0 {
                *room = 0;
            }
        }
    }
    (kept, left_out)
}

fn cut_reasons(reasons: &mut Vec<SlotReason>) {
    let mut room = ROOM_FOR_REASONS;
    reasons.retain(|reason| {
        let bytes = json_len(reason) + 1;
        let fits = bytes <= room;
        room = if fits { room - bytes } else { 0 };
        fits
    });
}

fn cut_counts(mut counts: Vec<(Severity, RuleCount)>) -> Vec<RuleCount> {
    let mut room = ROOM_FOR_COUNTS;
    if counts.len() * 16 > room {
        counts.sort_by_key(|(severity, count)| (std::cmp::Reverse(*severity), count.slot));
    }
    let counts = counts.into_iter().map(|(_, count)| count);
    counts
        .take_while(|count| {
            let bytes = json_len(count) + 1;
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .collect()
}

fn json_len(value: &impl serde::Serialize) -> usize {
    let mut count = Count(0);
    // Counting cannot fail, and what cannot be written takes no room.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
