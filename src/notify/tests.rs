//! Receivers against real servers on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::model::duration::Span;
use crate::model::labels::Labels;
use crate::model::notification::NotifiedAlert;
use crate::model::object::ObjectKey;
use crate::net::{DialPolicy, Dialer};

fn alert(node: &str, ends_at: Option<i64>) -> NotifiedAlert {
    NotifiedAlert {
        id: format!("fp-{node}"),
        name: "DiskFull".into(),
        severity: "critical".into(),
        labels: Labels::from_pairs([("alertname", "DiskFull"), ("node", node)]),
        annotations: BTreeMap::from([
            ("summary".to_owned(), format!("disk of {node} is full")),
            ("runbook".to_owned(), "r".to_owned()),
        ]),
        message: format!("disk of {node} is full"),
        component: "disk".into(),
        value: "97".into(),
        starts_at: 1_700_000_000_500,
        ends_at,
        generator_url: "http://vitals/why".into(),
    }
}

fn notification() -> Notification {
    Notification {
        idempotency_key: "key-1".into(),
        receiver: ObjectKey::new("shop", "team"),
        group_key: "{}:{alertname=\"DiskFull\"}".into(),
        group_labels: Labels::from_pairs([("alertname", "DiskFull")]),
        cause: "firing".into(),
        alerts: vec![alert("n1", None), alert("n2", Some(1_700_000_060_000))],
        truncated: 3,
        at: 1_700_000_061_000,
    }
}

fn sender() -> Sender {
    Sender::new(Client::new(Dialer::new(DialPolicy::local())), "http://vitals.example")
}

/// A receiver that answers every request the same and remembers head and body.
async fn receiver(answer: &'static str) -> (u16, Arc<Mutex<Vec<(String, String)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::<Mutex<Vec<(String, String)>>>::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            log.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, seen)
}

fn webhook(port: u16, template: Option<&str>) -> Integration {
    Integration::Webhook {
        url: format!("http://127.0.0.1:{port}/hook/s3cret?token=s3cret"),
        headers: vec![("Authorization".into(), "Bearer s3cret\n".into())],
        timeout: Span::seconds(20),
        template: template.map(Into::into),
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_webhook_gets_alertmanager_s_body_with_severity_component_and_message() {
    let (port, seen) = receiver(OK).await;
    sender().send(&webhook(port, None), &notification()).await.unwrap();
    let (head, body) = seen.lock().unwrap().pop().unwrap();
    assert!(head.starts_with("POST /hook/s3cret?token=s3cret HTTP/1.1\r\n"), "{head}");
    for header in
        ["idempotency-key: key-1\r\n", "authorization: Bearer s3cret\r\n", "content-type: application/json\r\n"]
    {
        assert!(head.contains(header), "{head}");
    }
    assert!(head.contains(concat!("user-agent: vitals/", env!("CARGO_PKG_VERSION"))), "{head}");
    let one = |node: &str, status: &str, ends: &str| {
        json!({
            "status": status,
            "labels": {"alertname": "DiskFull", "node": node},
            "annotations": {"runbook": "r", "summary": format!("disk of {node} is full")},
            "startsAt": "2023-11-14T22:13:20.500Z",
            "endsAt": ends,
            "generatorURL": "http://vitals/why",
            "fingerprint": format!("fp-{node}"),
            "severity": "critical",
            "component": "disk",
            "message": format!("disk of {node} is full"),
            "value": "97",
        })
    };
    let expected = json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"DiskFull\"}",
        "truncatedAlerts": 3,
        "status": "firing",
        "receiver": "shop/team",
        "groupLabels": {"alertname": "DiskFull"},
        "commonLabels": {"alertname": "DiskFull"},
        "commonAnnotations": {"runbook": "r"},
        "externalURL": "http://vitals.example",
        "alerts": [one("n1", "firing", "0001-01-01T00:00:00Z"), one("n2", "resolved", "2023-11-14T22:14:20.000Z")],
        "severity": "critical",
        "component": "disk",
        "message": "disk of n1 is full (and 4 more)",
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn a_template_makes_the_whole_body() {
    let (port, seen) = receiver(OK).await;
    let json = r#"{"text": "{{ .Status }}: {{ range .Alerts.Firing }}{{ .Labels.node }} {{ .Severity }} {{ .Message }}{{ end }}"}"#;
    sender().send(&webhook(port, Some(json)), &notification()).await.unwrap();
    let (head, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(body, r#"{"text": "firing: n1 critical disk of n1 is full"}"#);
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    sender()
        .send(&webhook(port, Some("{{ .CommonLabels.alertname }} on {{ len .Alerts }}")), &notification())
        .await
        .unwrap();
    let (head, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(body, "DiskFull on 2");
    assert!(head.contains("content-type: text/plain"), "{head}");
}

#[tokio::test]
async fn a_template_that_cannot_be_used_is_final_and_nothing_is_sent() {
    let (port, seen) = receiver(OK).await;
    let error = sender().send(&webhook(port, Some("{{ .Nonsense ")), &notification()).await.unwrap_err();
    assert_eq!((error.reason(), error.retryable()), ("TemplateSyntax", false));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_decides_whether_another_attempt_may_help() {
    for (answer, reason, retryable, wait) in [
        ("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", "ReceiverRefused", false, None),
        ("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "NotAuthorized", false, None),
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "ReceiverRefused", false, None),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "ReceiverRefused", false, None),
        ("HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n", "ReceiverRefused", true, None),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", "TooManyRequests", true, Some(7)),
        (
            "HTTP/1.1 503 Later\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n",
            "ReceiverFailed",
            true,
            Some(3600),
        ),
        (
            "HTTP/1.1 503 Later\r\nRetry-After: Thu, 31 Dec 2099 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
            "ReceiverFailed",
            true,
            Some(3600),
        ),
        (
            "HTTP/1.1 503 Later\r\nRetry-After: Fri, 01 Jan 1999 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
            "ReceiverFailed",
            true,
            Some(0),
        ),
        ("HTTP/1.1 500 Oh\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", "ReceiverFailed", true, None),
        ("garbage\r\n\r\n", "BadResponse", true, None),
        ("", "ConnectionClosed", true, None),
    ] {
        let (port, _) = receiver(answer).await;
        let error = sender().send(&webhook(port, None), &notification()).await.unwrap_err();
        let got = (error.reason(), error.retryable(), error.retry_after().map(|wait| wait.as_secs()));
        assert_eq!(got, (reason, retryable, wait), "{answer}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_or_silent_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Integration::Webhook {
        url: format!("http://127.0.0.1:{port}/"),
        headers: Vec::new(),
        timeout: Span::millis(50),
        template: None,
    };
    let error = sender().send(&silent, &notification()).await.unwrap_err();
    assert_eq!((error.reason(), error.retryable()), ("ResponseTimeout", true));
    drop(listener);
    let error = sender().send(&webhook(port, None), &notification()).await.unwrap_err();
    assert_eq!((error.reason(), error.retryable()), ("ConnectionRefused", true));
}

#[tokio::test]
async fn a_webhook_cannot_be_pointed_at_the_metadata_service() {
    let mut integration = webhook(1, None);
    if let Integration::Webhook { url, .. } = &mut integration {
        *url = "http://169.254.169.254/latest".into();
    }
    let error = sender().send(&integration, &notification()).await.unwrap_err();
    assert_eq!((error.reason(), error.retryable()), ("AddressDenied", false));
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    for (name, value) in [("a b", "x"), ("X-Key", "s3c\nret")] {
        let mut integration = webhook(1, None);
        if let Integration::Webhook { headers, .. } = &mut integration {
            *headers = vec![(name.into(), value.into())];
        }
        let error = sender().send(&integration, &notification()).await.unwrap_err();
        assert_eq!((error.reason(), error.retryable()), ("InvalidHeader", false));
        assert!(error.to_string().contains(name) && !error.to_string().contains("s3c"), "{error}");
    }
}

/// A log that a test can read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_gets_one_line_per_alert_at_the_asked_level() {
    for (level, word) in [("error", "ERROR"), ("warn", "WARN"), ("info", "INFO"), ("nonsense", "WARN")] {
        let page = Page::default();
        let writer = page.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || log::write(level, &notification()));
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "two alerts and the rest: {text}");
        assert!(
            lines[0].contains(word) && lines[0].contains("disk of n1 is full") && lines[0].contains("firing"),
            "{text}"
        );
        assert!(lines[1].contains("resolved") && lines[2].contains("3 more"), "{text}");
    }
}

#[test]
fn an_empty_notification_and_an_impossible_time_are_no_panic() {
    let empty = Notification { alerts: Vec::new(), ..notification() };
    assert_eq!(body::alertmanager(&empty, "")["message"], "");
    let mut odd = notification();
    odd.alerts[0].starts_at = i64::MAX;
    assert_eq!(body::alertmanager(&odd, "")["alerts"][0]["startsAt"], "0001-01-01T00:00:00Z");
}
