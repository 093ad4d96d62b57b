//! What the dialer prevents and what it survives.

use std::sync::Mutex;

use super::*;
use crate::model::check::BoxFuture;

/// A DNS server under the control of an attacker: each question gets the next answer.
pub(crate) struct Scripted(pub Mutex<Vec<Vec<&'static str>>>);

impl Scripted {
    pub(crate) fn new(answers: &[&[&'static str]]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.iter().rev().map(|answer| answer.to_vec()).collect())))
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NetError>> {
        let answer = self.0.lock().unwrap().pop();
        Box::pin(async move {
            let answer = answer.ok_or(NetError::NoSuchName { host: host.into() })?;
            Ok(answer.iter().map(|address| address.parse().unwrap()).collect())
        })
    }
}

/// A DNS server that never answers.
struct Silent;

impl Resolve for Silent {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NetError>> {
        Box::pin(std::future::pending())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn listener() -> (tokio::net::TcpListener, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn refused_port() -> u16 {
    listener().await.1
}

#[tokio::test]
async fn a_literal_address_is_connected_to_without_asking_anybody() {
    let (_listener, port) = listener().await;
    let dialer = Dialer::with_resolver(DialPolicy::local(), Scripted::new(&[]));
    let connection = dialer.connect("127.0.0.1", port, soon()).await.unwrap();
    assert_eq!(connection.address.port(), port);
    assert_eq!(connection.phases.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["connect"]);
}

#[tokio::test]
async fn dns_rebinding_finds_no_second_resolution_to_poison() {
    let (_listener, port) = listener().await;
    // The first answer is judged; the second would lead to the metadata service.
    let resolver = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let dialer = Dialer::with_resolver(DialPolicy::local(), resolver.clone());
    let connection = dialer.connect("rebind.example", port, soon()).await.unwrap();
    assert_eq!(connection.address, SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(resolver.0.lock().unwrap().len(), 1, "asked exactly once");
}

#[tokio::test]
async fn dns_rebinding_to_a_forbidden_address_is_refused() {
    for answer in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0"] {
        let dialer = Dialer::with_resolver(DialPolicy::default(), Scripted::new(&[&[answer]]));
        let error = dialer.connect("rebind.example", 80, soon()).await.unwrap_err();
        assert_eq!(error.reason(), "AddressDenied", "{answer}");
    }
}

#[tokio::test]
async fn a_forbidden_address_among_good_ones_is_never_tried() {
    let (listener, port) = listener().await;
    // 127.0.0.1 would answer, but only 127.0.0.2, where nobody listens, may be dialled.
    let policy = DialPolicy { deny: vec!["127.0.0.1/32".parse().unwrap()], ..DialPolicy::local() };
    let dialer = Dialer::with_resolver(policy, Scripted::new(&[&["127.0.0.1", "127.0.0.2"]]));
    let error = dialer.connect("mixed.example", port, soon()).await.unwrap_err();
    assert_eq!(error.reason(), "ConnectionRefused");
    let dialled = timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(dialled.is_err(), "the forbidden address was dialled");
}

#[tokio::test]
async fn a_decimal_address_never_reaches_the_resolver() {
    for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"] {
        let resolver = Scripted::new(&[&["127.0.0.1"]]);
        let dialer = Dialer::with_resolver(DialPolicy::local(), resolver.clone());
        let error = dialer.connect(host, 80, soon()).await.unwrap_err();
        assert!(matches!(error, NetError::Denied { refusal: Refusal::Spelling, .. }), "{host}: {error}");
        assert_eq!(resolver.0.lock().unwrap().len(), 1, "{host} was looked up");
    }
}

#[tokio::test]
async fn a_refused_first_address_does_not_hide_a_working_second_one() {
    let (_listener, port) = listener().await;
    let dialer = Dialer::with_resolver(DialPolicy::local(), Scripted::new(&[&["127.0.0.2", "127.0.0.1"]]));
    // Nobody listens on 127.0.0.2 of that port.
    assert_eq!(dialer.connect("two.example", port, soon()).await.unwrap().address.ip(), IpAddr::from([127, 0, 0, 1]));
}

#[tokio::test]
async fn a_closed_port_is_a_refused_connection_and_names_host_and_port() {
    let port = refused_port().await;
    let error = Dialer::new(DialPolicy::local()).connect("localhost", port, soon()).await.unwrap_err();
    assert_eq!(error.reason(), "ConnectionRefused");
    assert!(error.to_string().contains(&format!("localhost:{port}")), "{error}");
}

#[tokio::test]
async fn a_silent_dns_server_is_named_as_what_was_waited_for() {
    let dialer = Dialer::with_resolver(DialPolicy::local(), Arc::new(Silent));
    let error = dialer.connect("slow.example", 80, Instant::now() + Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error.reason(), "ResolveTimeout");
    assert!(error.to_string().contains("resolv.conf"), "{error}");
}

#[tokio::test]
async fn a_replaced_policy_holds_for_the_next_connection_of_every_clone() {
    let (_listener, port) = listener().await;
    let dialer = Dialer::new(DialPolicy::local());
    let clone = dialer.clone();
    dialer.set_policy(DialPolicy { deny: vec!["127.0.0.0/8".parse().unwrap()], ..DialPolicy::local() });
    assert_eq!(clone.connect("127.0.0.1", port, soon()).await.unwrap_err().reason(), "AddressDenied");
}
