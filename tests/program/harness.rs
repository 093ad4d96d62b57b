//! The tests' own tools, tried without the program: a test that fails must not be the tools' fault.

use std::net::TcpStream;

use crate::support::ask::request;
use crate::support::{Conduct, Sink, Table, Target, TcpTarget, eventually};

#[test]
fn a_target_breaks_and_mends_on_command() {
    let target = Target::start();
    let url = target.url();
    let (at, path) = url.rsplit_once('/').unwrap();
    let ask = || request("GET", at, &format!("/{path}"), &[], "").unwrap();
    assert_eq!((ask().status, ask().body.as_str()), (200, "ok"));
    target.break_it();
    assert_eq!(ask().status, 503);
    target.mend_it();
    target.say("fine");
    assert_eq!((ask().status, ask().body.as_str()), (200, "fine"));
    assert_eq!(target.asked(), 5);
}

#[test]
fn a_tcp_target_refuses_while_it_is_shut() {
    let mut target = TcpTarget::start();
    assert!(TcpStream::connect(("127.0.0.1", target.port())).is_ok());
    target.shut();
    assert!(TcpStream::connect(("127.0.0.1", target.port())).is_err());
    target.open();
    assert!(TcpStream::connect(("127.0.0.1", target.port())).is_ok());
}

#[test]
fn a_sink_remembers_what_it_accepts_refuses_and_leaves_hanging() {
    let sink = Sink::start();
    let url = sink.url();
    let at = url.strip_suffix("/hook").unwrap().to_owned();
    let body = r#"{"status":"firing","alerts":[{"labels":{"alertname":"a"},"startsAt":"2026-01-01T00:00:00Z"}]}"#;
    let send = |key: &str| request("POST", &at, "/hook", &[&format!("Idempotency-Key: {key}")], body);
    assert_eq!(send("1").unwrap().status, 200);
    sink.conduct(Conduct::Refuse(503));
    assert_eq!(send("2").unwrap().status, 503);
    sink.conduct(Conduct::Hang);
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| send("3"));
        let told = sink.await_messages("a", "firing", 3);
        let keys: Vec<&str> = told.iter().map(|message| message.key.as_str()).collect();
        assert_eq!(keys, ["1", "2", "3"]);
        assert_eq!(told[2].conduct, Conduct::Hang);
        assert_eq!(told[0].starts_at(), "2026-01-01T00:00:00Z");
        sink.conduct(Conduct::Accept);
        let answer = hanging.join().unwrap();
        assert_eq!(answer.unwrap().status, 0, "one that hung is closed without an answer");
    });
    assert!(sink.of("a", "resolved").is_empty() && sink.about("b").is_empty());
}

#[test]
fn tables_are_read_by_their_headings() {
    let text = "NAMESPACE  NAME   HEALTH     LAST SEEN  MESSAGE\n\
                default    shop   Unhealthy  2m ago     answers 503 of late\n\
                default    load   Healthy               \n";
    let table = Table::parse(text);
    assert_eq!(table.columns, ["NAMESPACE", "NAME", "HEALTH", "LAST SEEN", "MESSAGE"]);
    assert_eq!(table.cell("shop", "HEALTH").as_deref(), Some("Unhealthy"));
    assert_eq!(table.cell("shop", "MESSAGE").as_deref(), Some("answers 503 of late"));
    assert_eq!(table.cell("load", "LAST SEEN").as_deref(), Some(""));
    assert_eq!(table.cell("none", "HEALTH"), None);
}

#[test]
fn waiting_ends_as_soon_as_it_holds() {
    let mut left = 3;
    let answer = eventually("it holds", || {
        left -= 1;
        if left == 0 { Ok("yes") } else { Err(left) }
    });
    assert_eq!(answer, "yes");
}
