//! The HTTP client against real servers on loopback, friendly and hostile ones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::policy::DialPolicy;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn shortly() -> Instant {
    Instant::now() + Duration::from_millis(150)
}

fn client() -> Client {
    Client::new(Dialer::new(DialPolicy::local()))
}

fn get(port: u16, path: &str) -> Request {
    Request::get(Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap())
}

/// What a test server was sent, request by request.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server that reads the head of each request and then does what `serve` says.
async fn server<F, R>(serve: F) -> (u16, Seen)
where
    F: Fn(TcpStream, String) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Seen = Arc::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8(head).unwrap();
            log.lock().unwrap().push(head.clone());
            tokio::spawn(serve(stream, head));
        }
    });
    (port, seen)
}

/// A server that answers every request with these bytes and closes.
async fn canned(answer: impl Into<Vec<u8>>) -> (u16, Seen) {
    let answer = Arc::new(answer.into());
    server(move |mut stream, _| {
        let answer = Arc::clone(&answer);
        async move {
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_comes_with_status_headers_body_address_and_phases() {
    let (port, seen) = canned("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello").await;
    let response = client().send(&get(port, "/health?full=1"), soon()).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.headers["x-a"], "b");
    assert_eq!(&response.body[..], b"hello");
    assert_eq!(response.address.port(), port);
    assert!(!response.cut && response.certificate_ends.is_none());
    let names: Vec<_> = response.phases.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["connect", "first_byte", "transfer"]);
    let head = seen.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /health?full=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")) && head.contains("user-agent: vitals/"), "{head}");
}

#[tokio::test]
async fn a_chunked_body_in_many_pieces_is_put_together() {
    let (port, _) =
        canned("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n1\r\nf\r\n0\r\n\r\n").await;
    assert_eq!(&client().send(&get(port, "/"), soon()).await.unwrap().body[..], b"abcdef");
}

#[tokio::test]
async fn a_body_that_is_only_counted_is_not_kept() {
    let (port, _) = canned("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    let response = client().send(&Request { keep_body: false, ..get(port, "/") }, soon()).await.unwrap();
    assert_eq!((response.body.len(), response.body_bytes), (0, 5));
}

/// Sends as much as the client takes, up to 1 GB.
async fn flood(mut stream: TcpStream) {
    let block = vec![b'x'; 64 * 1024];
    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await.is_err() {
        return;
    }
    for _ in 0..1024 * 16 {
        if stream.write_all(&block).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_gigabyte_body_is_cut_at_a_mebibyte() {
    let (port, _) = server(|stream, _| flood(stream)).await;
    let response = client().send(&get(port, "/"), soon()).await.unwrap();
    assert!(response.cut);
    assert_eq!((response.body.len(), response.body_bytes), (DEFAULT_BODY, DEFAULT_BODY as u64));
}

#[tokio::test]
async fn a_caller_that_needs_the_whole_body_is_told_that_it_is_too_large() {
    let (port, _) = server(|stream, _| flood(stream)).await;
    let error = client().send(&Request { excess: Excess::Fail, ..get(port, "/") }, soon()).await.unwrap_err();
    assert_eq!(error.reason(), "BodyTooLarge");
}

#[tokio::test]
async fn endless_headers_end_at_the_limit() {
    let (port, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream
            .write_all(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    let error = client().send(&get(port, "/"), soon()).await.unwrap_err();
    assert_eq!(error.reason(), "BadResponse", "{error}");
    let (port, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Endless: ").await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    })
    .await;
    let error = client().send(&get(port, "/"), soon()).await.unwrap_err();
    assert_eq!(error.reason(), "BadResponse", "{error}");
}

#[tokio::test]
async fn a_server_that_dribbles_its_head_runs_into_the_deadline() {
    let (port, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        loop {
            if stream.write_all(b"X: y\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = client().send(&get(port, "/"), shortly()).await.unwrap_err();
    assert_eq!(error.reason(), "ResponseTimeout");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn a_server_that_stalls_in_the_body_is_told_apart_from_one_that_never_answers() {
    let (port, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel").await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(client().send(&get(port, "/"), shortly()).await.unwrap_err().reason(), "TransferTimeout");
    let (port, _) = server(|stream, _| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(client().send(&get(port, "/"), shortly()).await.unwrap_err().reason(), "ResponseTimeout");
}

#[tokio::test]
async fn a_connection_closed_too_early_is_named() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel"] {
        let (port, _) = canned(answer).await;
        let error = client().send(&get(port, "/"), soon()).await.unwrap_err();
        assert_eq!(error.reason(), "ConnectionClosed", "{answer:?}: {error}");
    }
    let cut_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab";
    let (port, _) = canned(cut_chunk).await;
    assert_eq!(client().send(&get(port, "/"), soon()).await.unwrap_err().reason(), "ConnectionClosed");
}

#[tokio::test]
async fn garbage_is_a_bad_response_and_never_a_panic() {
    for garbage in [
        &b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"HTTP/1.1 99999 Wat\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let (port, _) = canned(garbage).await;
        let error = client().send(&get(port, "/"), soon()).await.unwrap_err();
        assert!(matches!(error.reason(), "BadResponse" | "ConnectionClosed"), "{garbage:?}: {error}");
    }
}

#[tokio::test]
async fn endless_interim_answers_run_into_the_deadline() {
    let (port, _) = server(|mut stream, _| async move {
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(client().send(&get(port, "/"), shortly()).await.unwrap_err().reason(), "ResponseTimeout");
}

fn redirect_to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_following_was_asked_for() {
    let (port, _) = canned(redirect_to("/next")).await;
    assert_eq!(client().send(&get(port, "/"), soon()).await.unwrap().status, 302);
}

#[tokio::test]
async fn redirects_are_followed_to_the_answer() {
    let (port, seen) = server(|mut stream, head| async move {
        let answer = if head.starts_with("GET /a ") {
            redirect_to("b?x=1")
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let response = client().send(&Request { redirects: 5, ..get(port, "/a") }, soon()).await.unwrap();
    assert_eq!((&response.body[..], response.hops), (&b"ok"[..], 1));
    assert!(seen.lock().unwrap()[1].starts_with("GET /b?x=1 "));
}

#[tokio::test]
async fn a_redirect_loop_ends_after_five_hops() {
    let (port, seen) = canned(redirect_to("/again")).await;
    let error = client().send(&Request { redirects: 200, ..get(port, "/") }, soon()).await.unwrap_err();
    assert_eq!(error.reason(), "TooManyRedirects");
    assert_eq!(seen.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn a_redirect_to_the_metadata_service_is_refused_without_a_connection() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "//169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
    ] {
        let (port, _) = canned(redirect_to(location)).await;
        let error = client().send(&Request { redirects: 5, ..get(port, "/") }, soon()).await.unwrap_err();
        assert_eq!(error.reason(), "RedirectRefused", "{location}: {error}");
        assert!(!error.is_ours());
    }
}

#[tokio::test]
async fn a_post_becomes_a_get_after_302_and_303_but_stays_a_post_after_307() {
    for (status, method) in [("302", "GET"), ("303", "GET"), ("307", "POST"), ("308", "POST")] {
        let (port, seen) = server(move |mut stream, head| async move {
            let answer = if head.contains(" /first ") {
                format!("HTTP/1.1 {status} X\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n")
            } else {
                "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let request =
            Request { method: Method::POST, redirects: 1, body: Bytes::from_static(b"x"), ..get(port, "/first") };
        client().send(&request, soon()).await.unwrap();
        let second = seen.lock().unwrap()[1].clone();
        assert!(second.starts_with(&format!("{method} /second ")), "{status}: {second}");
    }
}

#[tokio::test]
async fn secrets_do_not_follow_a_redirect_to_another_host() {
    let (other, seen_other) = canned("HTTP/1.1 204 No Content\r\n\r\n").await;
    let (port, _) = canned(redirect_to(&format!("http://127.0.0.1:{other}/"))).await;
    let mut request = Request { redirects: 1, ..get(port, "/") };
    let mut key = HeaderValue::from_static("s3cret");
    key.set_sensitive(true);
    request.headers.insert("x-api-key", key);
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
    request.headers.insert("x-plain", HeaderValue::from_static("kept"));
    client().send(&request, soon()).await.unwrap();
    let head = seen_other.lock().unwrap()[0].clone();
    assert!(head.contains("x-plain: kept") && !head.contains("s3cret"), "{head}");
}

/// A TLS server with this certificate that answers `ok`.
async fn tls_server(names: &[&str], until: i32) -> (u16, String) {
    let mut params = rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca_params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_params(&ca_params, &ca_key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (port, ca.pem())
}

fn https(port: u16, tls: Tls) -> Request {
    Request { tls, ..Request::get(Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap()) }
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_accepted_and_its_end_is_reported() {
    let (port, ca) = tls_server(&["127.0.0.1"], 2040).await;
    let response = client().send(&https(port, Tls::new(Some(&ca), false, None).unwrap()), soon()).await.unwrap();
    let end: jiff::Timestamp = "2040-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(response.certificate_ends, Some(end.as_second()));
    assert!(response.phases.iter().any(|(name, _)| *name == "tls"));
}

#[tokio::test]
async fn a_bad_certificate_is_told_apart_by_what_is_bad_about_it() {
    let (port, ca) = tls_server(&["127.0.0.1"], 2020).await;
    let trusting = Tls::new(Some(&ca), false, None).unwrap();
    assert_eq!(client().send(&https(port, trusting), soon()).await.unwrap_err().reason(), "CertificateExpired");

    let (port, ca) = tls_server(&["other.example"], 2040).await;
    let trusting = Tls::new(Some(&ca), false, None).unwrap();
    let error = client().send(&https(port, trusting), soon()).await.unwrap_err();
    assert_eq!(error.reason(), "CertificateWrongHost");
    assert!(error.to_string().contains("other.example"), "{error}");
    let named = Tls::new(Some(&ca), false, Some("other.example")).unwrap();
    assert_eq!(client().send(&https(port, named), soon()).await.unwrap().status, 200);

    let error = client().send(&https(port, Tls::default()), soon()).await.unwrap_err();
    assert_eq!(error.reason(), "CertificateUntrusted", "{error}");
    let (_, stranger) = tls_server(&["127.0.0.1"], 2040).await;
    let error = client().send(&https(port, Tls::new(Some(&stranger), false, None).unwrap()), soon()).await.unwrap_err();
    assert_eq!(error.reason(), "CertificateUntrusted", "{error}");
}

#[tokio::test]
async fn insecure_skip_verify_accepts_even_an_expired_certificate_of_a_stranger() {
    let (port, _) = tls_server(&["other.example"], 2020).await;
    assert_eq!(client().send(&https(port, Tls::new(None, true, None).unwrap()), soon()).await.unwrap().status, 200);
}

#[tokio::test]
async fn https_to_a_plain_port_says_so() {
    let (port, _) = canned("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = client().send(&https(port, Tls::default()), shortly()).await.unwrap_err();
    assert!(matches!(error.reason(), "TlsFailed" | "TlsTimeout"), "{error}");
}

#[tokio::test]
async fn a_peer_that_is_silent_in_the_handshake_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = client().send(&https(port, Tls::new(None, true, None).unwrap()), shortly()).await.unwrap_err();
    assert_eq!(error.reason(), "TlsTimeout", "{error}");
}

#[tokio::test]
async fn an_ipv6_address_in_brackets_is_reached() {
    // Some build machines have no IPv6 at all.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(String::from_utf8_lossy(&buffer[..read]).contains(&format!("host: [::1]:{port}\r\n")));
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    let request = Request::get(Url::parse(&format!("http://[::1]:{port}/")).unwrap());
    assert_eq!(client().send(&request, soon()).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let request = Request { redirects: 5, ..https(1, Tls::default()) };
    let error =
        redirect(&request, StatusCode::FOUND, &HeaderValue::from_static("http://127.0.0.1/"), 0, 5).err().unwrap();
    assert_eq!(error.reason(), "RedirectRefused");
    assert!(error.to_string().contains("https to http"));
}

#[test]
fn a_ca_text_without_a_certificate_is_refused() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n"] {
        assert_eq!(Tls::new(Some(text), false, None).err().unwrap().reason(), "TlsSettingsInvalid", "{text}");
    }
    assert!(Tls::new(None, false, Some("not a name")).is_err());
}
