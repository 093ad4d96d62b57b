//! Why a connection or an exchange failed: one enum, finite reasons, sentences that say what to do.

use std::net::IpAddr;

use super::phases::Phase;
use super::policy::Refusal;

/// Why something over the network did not work. Never holds a secret: no user, password, path or query of a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The URL cannot be used.
    #[error("{0}")]
    BadUrl(String),
    /// The dial policy forbids every address of the host.
    #[error("{host}:{port}: {refusal}")]
    Denied {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// Which rule forbids it.
        refusal: Refusal,
    },
    /// The name has no address.
    #[error("{host}: the name does not exist; check its spelling, and that the DNS server knows it")]
    NoSuchName {
        /// As asked for.
        host: String,
    },
    /// The name could not be looked up.
    #[error("{host}: the name could not be looked up ({why}); check that the DNS servers of /etc/resolv.conf answer")]
    ResolveFailed {
        /// As asked for.
        host: String,
        /// The resolver's words.
        why: String,
    },
    /// Nobody listens.
    #[error("{host}:{port}: connection refused; check that the service runs and listens on this port")]
    ConnectRefused {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
    },
    /// There is no way to the address, or the connection broke while it was made.
    #[error("{host}:{port}: cannot connect ({why}); check routes and firewalls")]
    ConnectFailed {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// The system's words.
        why: String,
    },
    /// The time was up; says in which phase.
    #[error("{host}:{port}: no {} in time; {}", phase.awaited(), phase.remedy())]
    Timeout {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// What was waited for.
        phase: Phase,
    },
    /// The certificate's time is over.
    #[error("{host}:{port}: the TLS certificate has expired; renew it")]
    TlsExpired {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
    },
    /// The certificate's time has not come.
    #[error("{host}:{port}: the TLS certificate is not valid yet; check the clocks of both sides")]
    TlsNotYetValid {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
    },
    /// The certificate is somebody else's.
    #[error(
        "{host}:{port}: the TLS certificate is not for {expected}{presented}; set tls.serverName or fix the certificate"
    )]
    TlsWrongHost {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// The name that was verified.
        expected: String,
        /// ` but for …`, or empty.
        presented: String,
    },
    /// Nobody we trust signed the certificate.
    #[error(
        "{host}:{port}: the TLS certificate is not signed by a trusted authority{hint}; name the authority in tls.caSecretKeyRef"
    )]
    TlsUntrusted {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// What is special about our own trust, or empty.
        hint: &'static str,
    },
    /// The TLS handshake failed otherwise.
    #[error("{host}:{port}: the TLS handshake failed ({why}); check that the port speaks TLS 1.2 or 1.3")]
    TlsFailed {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// What went wrong.
        why: String,
    },
    /// Our own TLS settings cannot be used.
    #[error("the TLS settings cannot be used: {0}")]
    TlsSettings(String),
    /// The other side closed before the answer was complete.
    #[error("{host}:{port}: the connection was closed before the answer was complete")]
    Closed {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
    },
    /// The answer is not HTTP/1.1, or its head is too large.
    #[error("{host}:{port}: the answer is not usable HTTP ({why})")]
    BadResponse {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// What is wrong with it.
        why: String,
    },
    /// The body is larger than the caller takes.
    #[error("{host}:{port}: the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// The limit, in bytes.
        limit: usize,
    },
    /// More redirects than allowed.
    #[error("{host}:{port}: more than {limit} redirects; check for a loop")]
    TooManyRedirects {
        /// The host of the last answer.
        host: String,
        /// Its port.
        port: u16,
        /// How many were allowed.
        limit: u8,
    },
    /// A redirect leads where we do not follow.
    #[error("{host}:{port}: the redirect is not followed: {why}")]
    RedirectRefused {
        /// The host of the redirecting answer.
        host: String,
        /// Its port.
        port: u16,
        /// Why not.
        why: String,
    },
}

impl NetError {
    /// A finite name of the cause: fit for a condition, a label and a metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadUrl(_) => "BadUrl",
            Self::Denied { .. } => "AddressDenied",
            Self::NoSuchName { .. } => "NoSuchName",
            Self::ResolveFailed { .. } => "ResolveFailed",
            Self::ConnectRefused { .. } => "ConnectionRefused",
            Self::ConnectFailed { .. } => "ConnectFailed",
            Self::Timeout { phase, .. } => phase.timeout_reason(),
            Self::TlsExpired { .. } => "CertificateExpired",
            Self::TlsNotYetValid { .. } => "CertificateNotYetValid",
            Self::TlsWrongHost { .. } => "CertificateWrongHost",
            Self::TlsUntrusted { .. } => "CertificateUntrusted",
            Self::TlsFailed { .. } => "TlsFailed",
            Self::TlsSettings(_) => "TlsSettingsInvalid",
            Self::Closed { .. } => "ConnectionClosed",
            Self::BadResponse { .. } => "BadResponse",
            Self::BodyTooLarge { .. } => "BodyTooLarge",
            Self::TooManyRedirects { .. } => "TooManyRedirects",
            Self::RedirectRefused { .. } => "RedirectRefused",
        }
    }

    /// Whether it is our own settings or policy that stand in the way: then the target cannot be judged.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::BadUrl(_) | Self::Denied { .. } | Self::TlsSettings(_))
    }

    pub(super) fn denied(host: &str, port: u16, refusal: Refusal) -> Self {
        Self::Denied { host: host.into(), port, refusal }
    }

    pub(super) fn timeout(host: &str, port: u16, phase: Phase) -> Self {
        Self::Timeout { host: host.into(), port, phase }
    }

    /// What an error of connect(2) to one address means.
    pub(super) fn connect(host: &str, port: u16, address: IpAddr, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::ConnectionRefused {
            Self::ConnectRefused { host: host.into(), port }
        } else {
            // The system's own words name no address; with several addresses it matters which one failed.
            Self::ConnectFailed { host: host.into(), port, why: format!("{address}: {}", error.kind()) }
        }
    }
}
