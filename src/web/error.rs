//! What can go wrong with a request, and how it is told: problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::ports::CommandError;

/// Why a request was not answered, or the server could not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// A bare name that several resources bear.
    #[error("{0}")]
    Ambiguous(String),
    /// The request says something that cannot be.
    #[error("{0}")]
    BadRequest(String),
    /// Who asks is not known.
    #[error("{0}")]
    NoCaller(String),
    /// The request comes from where it must not come from.
    #[error("{0}")]
    Forbidden(String),
    /// Another method is needed.
    #[error("{0}")]
    WrongMethod(String),
    /// The body is too large.
    #[error("{0}")]
    TooLarge(String),
    /// Not possible in this state.
    #[error("{0}")]
    Conflict(String),
    /// Asked too often.
    #[error("{0}")]
    TooOften(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
    /// Not now.
    #[error("{0}")]
    Unavailable(String),
    /// The process could not do it.
    #[error("{0}")]
    Failed(String),
    /// The server cannot listen or accept.
    #[error("{0}")]
    Listen(String),
}

impl WebError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFound",
            Self::Ambiguous(_) => "Ambiguous",
            Self::BadRequest(_) => "BadRequest",
            Self::NoCaller(_) => "NoCaller",
            Self::Forbidden(_) => "Forbidden",
            Self::WrongMethod(_) => "WrongMethod",
            Self::TooLarge(_) => "TooLarge",
            Self::Conflict(_) => "Conflict",
            Self::TooOften(_) => "TooOften",
            Self::TimedOut(_) => "TimedOut",
            Self::Unavailable(_) => "Unavailable",
            Self::Failed(_) => "Failed",
            Self::Listen(_) => "ListenFailed",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Ambiguous(_) | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NoCaller(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) | Self::Listen(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<CommandError> for WebError {
    fn from(error: CommandError) -> Self {
        let text = error.to_string();
        match error {
            CommandError::NotFound(_) => Self::NotFound(text),
            CommandError::TooOften(_) => Self::TooOften(text),
            CommandError::Conflict(_) => Self::Conflict(text),
            CommandError::Failed(_) => Self::Failed(text),
        }
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "reason": self.reason(),
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::TooOften(_) | Self::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::NoCaller(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vitals\""));
            }
            _ => {}
        }
        response
    }
}

/// The answer for a path that no route has.
pub(super) async fn no_such_path(uri: Uri) -> WebError {
    let path: String = uri.path().chars().take(200).collect();
    WebError::NotFound(format!("there is nothing at {path}; the page at / lists every endpoint"))
}
