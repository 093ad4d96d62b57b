//! TLS over a connection: whom to trust, which name to verify, and what a failed handshake means.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate;
use super::error::NetError;

/// How a peer is verified. Cheap to clone; the default trusts the machine's own authorities.
#[derive(Clone, Default)]
pub struct Tls {
    /// None: the machine's own roots, loaded when first needed.
    config: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
    /// For the message when trust fails.
    own_authority: bool,
}

impl Tls {
    /// Builds the settings of a check or receiver.
    ///
    /// # Errors
    /// [`NetError::TlsSettings`]: the PEM text holds no usable certificate, or the name is none.
    pub fn new(ca_pem: Option<&str>, insecure_skip_verify: bool, server_name: Option<&str>) -> Result<Self, NetError> {
        let server_name = match server_name {
            Some(name) => Some(ServerName::try_from(name.to_owned()).map_err(|_| {
                NetError::TlsSettings(format!("serverName {name:?} is neither a DNS name nor an address"))
            })?),
            None => None,
        };
        let config = if insecure_skip_verify {
            static ANY: OnceLock<Arc<ClientConfig>> = OnceLock::new();
            Some(match ANY.get() {
                Some(config) => Arc::clone(config),
                None => {
                    let config = accept_any()?;
                    Arc::clone(ANY.get_or_init(|| config))
                }
            })
        } else if let Some(pem) = ca_pem {
            Some(trusting(authorities(pem)?)?)
        } else {
            None
        };
        Ok(Self { config, server_name, own_authority: ca_pem.is_some() })
    }

    /// Makes the handshake.
    ///
    /// # Errors
    /// The certificate is expired, for another name or not trusted, or the other side does not speak TLS.
    pub(super) async fn wrap<S>(&self, stream: S, host: &str, port: u16) -> Result<TlsStream<S>, NetError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match &self.config {
            Some(config) => Arc::clone(config),
            None => system_roots().await?,
        };
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| NetError::TlsSettings(format!("{host:?} is neither a DNS name nor an address")))?,
        };
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| self.explain(host, port, &error))
    }

    fn explain(&self, host: &str, port: u16, error: &io::Error) -> NetError {
        let host = host.to_owned();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(why)) => match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    NetError::TlsExpired { host, port }
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    NetError::TlsNotYetValid { host, port }
                }
                CertificateError::NotValidForName => {
                    let expected = self.expected(&host);
                    NetError::TlsWrongHost { host, port, expected, presented: String::new() }
                }
                CertificateError::NotValidForNameContext { presented, .. } => {
                    let expected = self.expected(&host);
                    NetError::TlsWrongHost { host, port, expected, presented: names(presented) }
                }
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    let hint = if self.own_authority {
                        " (only the one of tls.caSecretKeyRef is trusted)"
                    } else {
                        no_roots()
                    };
                    NetError::TlsUntrusted { host, port, hint }
                }
                // A certificate that is its own authority and says so is refused as a server's.
                CertificateError::Other(_) => NetError::TlsUntrusted { host, port, hint: "" },
                other => NetError::TlsFailed { host, port, why: shorten(&other.to_string()) },
            },
            Some(other) => NetError::TlsFailed { host, port, why: shorten(&other.to_string()) },
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                NetError::TlsFailed { host, port, why: "the other side closed the connection".into() }
            }
            None => NetError::TlsFailed { host, port, why: error.kind().to_string() },
        }
    }

    fn expected(&self, host: &str) -> String {
        match &self.server_name {
            Some(name) => name.to_str().into_owned(),
            None => host.to_owned(),
        }
    }
}

/// When the peer's certificate ends, in unix seconds.
pub(super) fn peer_not_after<S>(stream: &TlsStream<S>) -> Option<i64> {
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    certificate::not_after(leaf)
}

fn names(presented: &[String]) -> String {
    match presented {
        [] => String::new(),
        list => {
            let more = if list.len() > 3 { ", …" } else { "" };
            format!(
                ", but for {}{more}",
                list[..list.len().min(3)].iter().map(|n| shorten(n)).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The configuration that trusts the machine's own authorities. Reading some 140 certificates takes
/// milliseconds and memory, so it happens on the first `https` only, off the event loop.
async fn system_roots() -> Result<Arc<ClientConfig>, NetError> {
    static ROOTS: tokio::sync::OnceCell<Arc<ClientConfig>> = tokio::sync::OnceCell::const_new();
    let load = || async {
        let loaded = tokio::task::spawn_blocking(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            NO_ROOTS.store(roots.is_empty(), std::sync::atomic::Ordering::Relaxed);
            trusting(roots)
        });
        loaded.await.unwrap_or_else(|_| Err(NetError::TlsSettings("the machine's certificates cannot be read".into())))
    };
    ROOTS.get_or_try_init(load).await.map(Arc::clone)
}

static NO_ROOTS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn no_roots() -> &'static str {
    if NO_ROOTS.load(std::sync::atomic::Ordering::Relaxed) {
        " (this machine has no authorities at all: install ca-certificates)"
    } else {
        ""
    }
}

fn authorities(pem: &str) -> Result<RootCertStore, NetError> {
    let bad =
        |why: String| NetError::TlsSettings(format!("the CA certificate: {why}; give PEM text with BEGIN CERTIFICATE"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad(shorten(&error.to_string())))?;
        roots.add(certificate).map_err(|error| bad(shorten(&error.to_string())))?;
    }
    if roots.is_empty() { Err(bad("there is none".into())) } else { Ok(roots) }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, NetError> {
    let failed = |why: String| NetError::TlsSettings(shorten(&why));
    let roots = Arc::new(roots);
    let verifier: Arc<dyn ServerCertVerifier> = if roots.is_empty() {
        // The builder refuses an empty store; a store that trusts nobody must fail at the handshake, with a reason.
        Arc::new(TrustNobody)
    } else {
        let built = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        built.map_err(|error| failed(error.to_string()))?
    };
    config(verifier)
}

fn accept_any() -> Result<Arc<ClientConfig>, NetError> {
    config(Arc::new(AcceptAny(provider())))
}

fn config(verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, NetError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| NetError::TlsSettings(shorten(&error.to_string())))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no certificate: one that was replaced or has expired would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// `insecureSkipVerify`: any certificate will do, but the peer must still hold its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A machine without any authority.
#[derive(Debug)]
struct TrustNobody;

impl ServerCertVerifier for TrustNobody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
