//! The live view of `vitals run`: a table that is redrawn in place on a terminal, one line per change elsewhere.

use std::collections::HashMap;
use std::io::{self, Write};

use jiff::Timestamp;

use super::get::{alerts, since};
use super::table::{Cell, Style, Table, Tone, clean, fitted};
use crate::model::duration::age;
use crate::model::ports::Views;
use crate::model::series::Millis;
use crate::model::severity::Severity;
use crate::model::view::{AlertView, CheckView, SystemView};
use crate::model::{Health, ObjectKey};

/// Fewest lines that the table of checks keeps when alerts need room too.
const LEAST_CHECKS: usize = 5;

/// How the view is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Redrawn in place.
    Terminal,
    /// One line per change.
    Lines,
}

/// The view; call [`Live::update`] whenever something changed, and every second on a terminal for the ages.
pub struct Live {
    screen: Screen,
    style: Style,
    url: String,
    /// Lines of the last drawing, to be drawn over.
    drawn: usize,
    /// What was said last about each check and alert.
    checks: HashMap<ObjectKey, Health>,
    alerts: HashMap<String, (String, bool)>,
}

impl Live {
    /// A view; `url` is where the page is.
    #[must_use]
    pub fn new(screen: Screen, style: Style, url: &str) -> Self {
        Self { screen, style, url: url.to_owned(), drawn: 0, checks: HashMap::new(), alerts: HashMap::new() }
    }

    /// Shows the state of now. `size` is columns and rows of the terminal.
    ///
    /// # Errors
    /// The output's own.
    pub fn update(&mut self, views: &dyn Views, size: (usize, usize), out: &mut dyn Write) -> io::Result<()> {
        match self.screen {
            Screen::Terminal => self.draw(views, size, out),
            Screen::Lines => self.tell(views, out),
        }
    }

    /// Leaves what is drawn where it is: what is printed next comes below it.
    pub fn leave(&mut self) {
        self.drawn = 0;
    }

    fn draw(&mut self, views: &dyn Views, (columns, rows): (usize, usize), out: &mut dyn Write) -> io::Result<()> {
        let lines = self.lines(views, columns, rows.saturating_sub(1));
        // One write for the whole picture: no flicker.
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}F", self.drawn));
        }
        for line in &lines {
            text.push_str(line);
            // Clears what an earlier, longer line left.
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        self.drawn = lines.len();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Header, checks worst first, alerts: never more lines than there are rows.
    fn lines(&self, views: &dyn Views, columns: usize, rows: usize) -> Vec<String> {
        let system = views.system();
        let mut current = views.alerts();
        current.sort_by(|a, b| Severity::urgent_first(&a.severity, &b.severity));
        let mut checks = views.checks();
        checks.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key)));

        let mut lines = vec![self.header(&system, &current, columns)];
        for refused in system.refused.iter().take(3) {
            let text = format!("! {} {} at {}: {}", refused.kind, refused.object, refused.at, refused.message);
            lines.push(self.style.paint(Tone::Warn, &fitted(&clean(&text), columns)).into_owned());
        }
        lines.push(String::new());
        let room = rows.saturating_sub(lines.len());
        let wanted = if current.is_empty() { 0 } else { current.len() + 2 };
        let for_alerts = wanted.min(room.saturating_sub(LEAST_CHECKS + 1));
        let table = check_table(&checks, system.now).lines(self.style, Some(columns));
        lines.extend(cut(table, room - for_alerts, "checks", self.style));
        if for_alerts > 2 {
            lines.push(String::new());
            let table = alerts(&current, system.now).lines(self.style, Some(columns));
            lines.extend(cut(table, for_alerts - 1, "alerts", self.style));
        }
        lines.truncate(rows);
        lines
    }

    fn header(&self, system: &SystemView, alerts: &[AlertView], columns: usize) -> String {
        let firing = alerts.iter().filter(|alert| alert.state == "Firing").count();
        let word = self.style.paint(Tone::of(system.health), system.health.as_str());
        let rest = format!(
            "  {}/{} checks healthy, {firing} {} firing  up {}  {}",
            system.healthy,
            system.total,
            if firing == 1 { "alert" } else { "alerts" },
            age(system.now - system.started_at),
            self.url
        );
        let room = columns.saturating_sub(system.health.as_str().len());
        format!("{word}{}", fitted(&clean(&rest), room))
    }

    /// One line per change since the last call.
    fn tell(&mut self, views: &dyn Views, out: &mut dyn Write) -> io::Result<()> {
        let now = views.system().now;
        let checks = views.checks();
        for check in checks.iter().filter(|check| !check.suspended) {
            let before = self.checks.insert(check.key.clone(), check.health);
            let first_and_unknown = before.is_none() && check.health == Health::Unknown;
            if before == Some(check.health) || first_and_unknown {
                continue;
            }
            let was = before.map_or_else(String::new, |health| format!(" (was {health})"));
            let word = self.style.paint(Tone::of(check.health), check.health.as_str());
            let (key, message) = (check.key.to_string(), clean(&check.message));
            writeln!(out, "{} check {} {word}{was}: {message}", stamp(now), clean(&key))?;
        }
        self.checks.retain(|key, _| checks.iter().any(|check| check.key == *key));
        let current = views.alerts();
        for alert in &current {
            let state = (alert.state.clone(), alert.acknowledged.is_some());
            if self.alerts.get(&alert.id) == Some(&state) {
                continue;
            }
            let word = match &alert.acknowledged {
                Some(ack) => format!("acknowledged by {}", clean(&ack.by)),
                None => alert.state.to_lowercase(),
            };
            self.alerts.insert(alert.id.clone(), state);
            let severity = self.style.paint(Tone::of_severity(&alert.severity), &alert.severity).into_owned();
            let (name, message) = (clean(&alert.name), clean(&alert.message));
            writeln!(out, "{} alert {name} {word} ({severity}): {message}", stamp(now))?;
        }
        let gone: Vec<String> =
            self.alerts.keys().filter(|id| !current.iter().any(|alert| alert.id == **id)).cloned().collect();
        let ended = if gone.is_empty() { Vec::new() } else { views.alert_history(0, now, 1000) };
        for id in gone {
            let fired = self.alerts.remove(&id).is_some_and(|(state, _)| state == "Firing");
            // Newest last: the last entry of this id is the one that just ended. A pending alert leaves no entry.
            if let (true, Some(alert)) = (fired, ended.iter().rev().find(|alert| alert.id == id)) {
                let lasted = since(alert.fired_at, alert.resolved_at.unwrap_or(now));
                writeln!(out, "{} alert {} resolved after {lasted}", stamp(now), clean(&alert.name))?;
            }
        }
        out.flush()
    }
}

/// Worst first, suspended last.
fn rank(check: &CheckView) -> u8 {
    match check.health {
        _ if check.suspended => 4,
        Health::Unhealthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Healthy => 3,
    }
}

fn check_table(checks: &[CheckView], now: Millis) -> Table {
    let mut table = Table::new(&["CHECK", "TYPE", "HEALTH", "SINCE", "TOOK", "MESSAGE"]);
    for check in checks {
        let (word, tone) =
            if check.suspended { ("Suspended", Tone::Faint) } else { (check.health.as_str(), Tone::of(check.health)) };
        table.row(vec![
            Cell::from(&check.key.name),
            Cell::from(&check.kind),
            Cell::new(word, tone),
            Cell::from(since(check.since, now)),
            Cell::from(check.duration_ms.map_or_else(String::new, |ms| format!("{ms:.1} ms"))),
            Cell::from(&check.message),
        ]);
    }
    table
}

/// The first lines that fit; the last one says how many do not.
fn cut(mut lines: Vec<String>, room: usize, what: &str, style: Style) -> Vec<String> {
    if lines.len() <= room {
        return lines;
    }
    let kept = room.saturating_sub(1);
    let hidden = lines.len() - kept.max(1);
    lines.truncate(kept);
    if room > 1 {
        lines.push(style.paint(Tone::Faint, &format!("… and {hidden} more {what}")).into_owned());
    }
    lines
}

/// `10:30:00Z`
fn stamp(now: Millis) -> String {
    Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%H:%M:%SZ").to_string()
}
