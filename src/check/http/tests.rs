//! Check `http` against real servers on loopback.

use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::check::testing::env;
use crate::model::Health;

/// A server that answers everything with the same text and remembers the heads.
async fn server(answer: &str) -> (u16, Arc<StdMutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (answer, seen) = (answer.to_owned(), Arc::<StdMutex<Vec<String>>>::default());
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 8192];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            log.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, seen)
}

fn json_answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nX-Role: primary\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn spec(port: u16, more: serde_json::Value) -> HttpSpec {
    let mut value = serde_json::json!({ "url": format!("http://127.0.0.1:{port}/health") });
    for (name, field) in more.as_object().unwrap() {
        value[name] = field.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn made(spec: &HttpSpec) -> Result<HttpCheck, CheckError> {
    HttpCheck::new(&ObjectKey::new("shop", "health"), spec, &env())
}

async fn run(port: u16, more: serde_json::Value) -> Verdict {
    made(&spec(port, more)).unwrap().run(Instant::now() + Duration::from_secs(20)).await
}

#[tokio::test]
async fn a_good_answer_is_healthy_with_phases_and_facts() {
    let (port, _) = server(&json_answer("hello")).await;
    let verdict = run(port, serde_json::json!({})).await;
    assert_eq!((verdict.health, verdict.reason), (Health::Healthy, "Ok"));
    assert_eq!(verdict.message, "answers 200 OK");
    assert_eq!(verdict.phases.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["connect", "first_byte", "transfer"]);
    assert_eq!(verdict.details["statusCode"], 200);
    assert_eq!(verdict.details["bodyBytes"], 5);
    assert_eq!(verdict.details["address"], format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn each_assertion_fails_with_its_own_reason() {
    let (port, _) = server(&json_answer(r#"{"status":"DOWN","n":[1,true]}"#)).await;
    for (expect, reason) in [
        (serde_json::json!({"status": ["201", "300-399"]}), "StatusMismatch"),
        (serde_json::json!({"bodyMatches": "status\":\"UP"}), "BodyMismatch"),
        (serde_json::json!({"json": [{"path": "$.status", "equals": "UP"}]}), "JsonMismatch"),
        (serde_json::json!({"json": [{"path": "$.n[2]", "equals": "1"}]}), "JsonMismatch"),
        (serde_json::json!({"header": {"name": "x-role", "value": "replica"}}), "HeaderMismatch"),
        (serde_json::json!({"header": {"name": "x-absent"}}), "HeaderMismatch"),
        (
            serde_json::json!({"status": ["200"], "bodyMatches": "DOWN", "header": {"name": "X-Role", "value": "primary"},
            "json": [{"path": "$.n[0]", "equals": "1"}, {"path": "$.n[1]", "equals": "true"}]}),
            "Ok",
        ),
    ] {
        let verdict = run(port, serde_json::json!({ "expect": expect })).await;
        assert_eq!(verdict.reason, reason, "{expect}");
        assert!(!verdict.message.contains("DOWN"), "the message quotes the body: {}", verdict.message);
    }
    let (port, _) = server(&json_answer("<html>")).await;
    let verdict = run(port, serde_json::json!({"expect": {"json": [{"path": "$", "equals": ""}]}})).await;
    assert_eq!(verdict.reason, "NotJson");
}

#[tokio::test]
async fn secrets_travel_in_headers_and_nowhere_else() {
    let (port, seen) = server(&json_answer("")).await;
    let reference = serde_json::json!({"name": "token", "key": "value"});
    for (more, header) in [
        (serde_json::json!({"bearer": reference}), "authorization: Bearer s3cret\r\n"),
        (
            serde_json::json!({"basicAuth": {"username": "u", "passwordSecretKeyRef": reference}}),
            "authorization: Basic dTpzM2NyZXQ=\r\n",
        ),
        (serde_json::json!({"headers": [{"name": "X-Key", "secretKeyRef": reference}]}), "x-key: s3cret\r\n"),
        (serde_json::json!({"headers": [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}]}), "x-a: 2\r\n"),
        (serde_json::json!({"headers": [{"name": "Host", "value": "shop.example"}]}), "host: shop.example\r\n"),
    ] {
        let verdict = run(port, more.clone()).await;
        assert_eq!(verdict.health, Health::Healthy, "{more}");
        let head = seen.lock().unwrap().pop().unwrap();
        assert!(head.contains(header), "{head}");
        assert_eq!(head.matches("host: ").count(), 1, "{head}");
        assert!(!format!("{verdict:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_header_from_a_secret_does_not_follow_a_redirect_to_another_host() {
    let (other, seen) = server(&json_answer("")).await;
    let location = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n");
    let (port, _) = server(&location).await;
    let header = serde_json::json!([{"name": "X-Key", "secretKeyRef": {"name": "token", "key": "value"}}]);
    let verdict = run(port, serde_json::json!({"headers": header, "followRedirects": true})).await;
    assert_eq!((verdict.health, &verdict.details["redirects"]), (Health::Healthy, &serde_json::json!(1)));
    let head = seen.lock().unwrap().pop().unwrap();
    assert!(!head.contains("s3cret"), "{head}");
}

#[tokio::test]
async fn a_missing_secret_makes_the_check_unknown_and_names_it() {
    let (port, seen) = server(&json_answer("")).await;
    let verdict = run(port, serde_json::json!({"bearer": {"name": "absent", "key": "k"}})).await;
    assert_eq!((verdict.health, verdict.reason), (Health::Unknown, "SecretNotFound"));
    assert!(verdict.message.contains("absent"));
    let verdict = run(port, serde_json::json!({"bearer": {"name": "token", "key": "newline"}})).await;
    assert_eq!((verdict.health, verdict.reason), (Health::Unknown, "SecretUnusable"));
    assert!(seen.lock().unwrap().is_empty(), "nothing was sent without it");
}

#[tokio::test]
async fn a_body_too_large_for_json_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await;
            while stream.write_all(&[b'1'; 65536]).await.is_ok() {}
        }
    });
    let verdict = run(port, serde_json::json!({"expect": {"json": [{"path": "$", "equals": ""}]}})).await;
    assert_eq!(verdict.reason, "BodyTooLarge");
    assert_eq!(verdict.details["bodyCut"], true);
}

#[test]
fn a_bad_field_is_refused_by_its_path() {
    for (more, path) in [
        (serde_json::json!({"url": "http://a:0/"}), "http.url: "),
        (serde_json::json!({"method": "G T"}), "http.method: "),
        (serde_json::json!({"headers": [{"name": "a b"}]}), "http.headers[0].name: "),
        (serde_json::json!({"headers": [{"name": "a", "value": "x\ny"}]}), "http.headers[0].value: "),
        (serde_json::json!({"expect": {"status": ["2xx"]}}), "http.expect.status: "),
        (serde_json::json!({"expect": {"bodyMatches": "("}}), "http.expect.bodyMatches: "),
        (serde_json::json!({"expect": {"json": [{"path": "a", "equals": ""}]}}), "http.expect.json[0].path: "),
        (serde_json::json!({"tls": {"serverName": "a b"}}), "http.tls: "),
    ] {
        let error = made(&spec(1, more)).err().unwrap();
        assert!(error.to_string().starts_with(path), "{error}");
        assert_eq!(error.reason(), "InvalidCheck");
    }
}
