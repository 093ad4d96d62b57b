//! Tables, cleaning and results; what talks to a server is tested with a server in `tests/web`.

#![cfg(test)]

use proptest::prelude::*;

use super::get::Kind;
use super::results::{Format, exit_code, write};
use super::table::{Cell, Style, Table, Tone, clean, fitted};
use crate::model::view::CheckView;
use crate::model::{Health, ObjectKey};

fn check(name: &str, health: Health, message: &str) -> CheckView {
    CheckView {
        key: ObjectKey::parse(name),
        kind: "http".into(),
        target: "https://shop".into(),
        component_type: String::new(),
        critical: false,
        health,
        reason: "Ok".into(),
        message: message.into(),
        since: None,
        last_check: None,
        duration_ms: Some(12.0),
        interval_ms: 30_000,
        timeout_ms: 10_000,
        success_rate: None,
        error_rate: None,
        summary: "1/1".into(),
        suspended: false,
        phases: Vec::new(),
        details: std::collections::BTreeMap::new(),
        labels: std::collections::BTreeMap::new(),
        depends_on: Vec::new(),
    }
}

#[test]
fn columns_are_aligned_by_what_the_eye_sees() {
    let mut table = Table::new(&["NAME", "STATE"]);
    table.row(vec![Cell::from("日本"), Cell::new("ok", Tone::Good)]);
    table.row(vec![Cell::from("abc"), Cell::from("")]);
    assert_eq!(table.lines(Style::Plain, None), ["NAME   STATE", "日本   ok", "abc    -"]);
    assert_eq!(table.lines(Style::Plain, Some(9)), ["NAME   S…", "日本   ok", "abc    -"]);
    assert_eq!(table.lines(Style::Colored, None)[1], "日本   \x1b[32mok\x1b[0m");
}

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    assert_eq!(clean("a\x1b[2Jb\r\nc\u{202e}d\u{9b}1m"), "a\u{fffd}[2Jb  c\u{fffd}d\u{fffd}1m");
    assert_eq!(fitted("abcdef", 4), "abc…");
    assert_eq!(fitted("日本語", 4), "日…");
    assert_eq!(fitted("abc", 0), "");
}

#[test]
fn kinds_are_known_by_all_their_names() {
    for (word, kind) in [("vhc", Kind::Checks), ("AlertRule", Kind::Rules), ("SILENCES", Kind::Silences)] {
        assert_eq!(Kind::parse(word).unwrap(), kind);
    }
    assert!(Kind::parse("pods").unwrap_err().to_string().contains("healthchecks, alertrules"));
}

#[test]
fn the_exit_code_says_the_worst() {
    let of = |healths: &[Health]| -> u8 {
        exit_code(&healths.iter().map(|health| check("a", *health, "")).collect::<Vec<_>>())
    };
    assert_eq!(of(&[]), 0);
    assert_eq!(of(&[Health::Healthy]), 0);
    assert_eq!(of(&[Health::Healthy, Health::Degraded]), 3);
    assert_eq!(of(&[Health::Unknown]), 3);
    assert_eq!(of(&[Health::Degraded, Health::Unhealthy]), 1);
    let mut suspended = check("a", Health::Unhealthy, "");
    suspended.suspended = true;
    assert_eq!(exit_code(&[suspended]), 0);
}

#[test]
fn junit_is_well_formed_whatever_a_message_says() {
    let checks = [check("ns/a", Health::Healthy, ""), check("b", Health::Unhealthy, "<&>\"'\x1b]]>")];
    let mut out = Vec::new();
    write(&checks, 0, Format::Junit, Style::Plain, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"vitals\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.024\">\n\
         \x20 <testcase classname=\"ns.http\" name=\"a\" time=\"0.012\"/>\n\
         \x20 <testcase classname=\"default.http\" name=\"b\" time=\"0.012\"><failure type=\"Unhealthy\" message=\"Ok\">\
         &lt;&amp;&gt;&quot;&apos; ]]&gt;</failure></testcase>\n</testsuite>\n"
    );
}

proptest! {
    #[test]
    fn no_line_is_wider_than_asked(cells in proptest::collection::vec("\\PC{0,20}", 3), width in 1_usize..40) {
        use unicode_width::UnicodeWidthStr as _;
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(cells.iter().map(Cell::from).collect());
        for line in table.lines(Style::Plain, Some(width)) {
            prop_assert!(line.width() <= width, "{line:?}");
        }
    }
}
