//! Why a notification was not taken, and whether to try again.

use std::time::Duration;

use crate::net::NetError;
use crate::template::TemplateError;

/// Why a notification was not taken. Never holds a secret: of a URL only scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// It did not get there.
    #[error("the receiver was not reached: {0}")]
    Net(#[from] NetError),
    /// The receiver answered something else than 2xx.
    #[error("{url} answers {status}{}", advice(*.status))]
    Status {
        /// Where, without path and query.
        url: String,
        /// The answer's status code.
        status: u16,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The template of the body cannot be used.
    #[error("webhook.{0}")]
    Template(#[from] TemplateError),
    /// A header cannot be sent.
    #[error("webhook.headers: {name:?} cannot be sent; names are letters, digits and -, values one line of ASCII")]
    Header {
        /// Its name.
        name: String,
    },
}

impl NotifyError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Net(error) => error.reason(),
            Self::Status { status: 429, .. } => "TooManyRequests",
            Self::Status { status: 500.., .. } => "ReceiverFailed",
            Self::Status { status: 401 | 403, .. } => "NotAuthorized",
            Self::Status { .. } => "ReceiverRefused",
            Self::Template(error) => error.reason(),
            Self::Header { .. } => "InvalidHeader",
        }
    }

    /// Whether the same message may be taken later without anybody changing anything here.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Net(error) => !error.is_ours(),
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Template(_) | Self::Header { .. } => false,
        }
    }

    /// How long the receiver asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => ", a redirect, which is not followed; write the final URL",
        401 | 403 => "; check the receiver's credentials",
        404 | 410 => "; check the receiver's URL",
        413 => ": the message is too large for it; group by more labels",
        429 => ": it is asked too often; group by fewer labels or set maxPerHour",
        500.. => "; it failed itself and is tried again",
        _ => ": it does not accept this body; check its URL and format",
    }
}
