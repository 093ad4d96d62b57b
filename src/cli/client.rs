//! The client of a running server: JSON over HTTP.

use std::time::{Duration, Instant};

use http::{HeaderValue, Method, header};
use serde_json::Value;

use super::CliError;
use crate::net::http::{Client, Excess, Request};
use crate::net::{DialPolicy, Dialer, NetError, Url};

/// How long an answer may take: a check that is run on request may need its whole timeout.
const DEADLINE: Duration = Duration::from_secs(60);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A server that commands ask.
pub struct Server {
    base: String,
    client: Client,
}

impl Server {
    /// A server at a URL such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// Not a URL.
    pub fn new(url: &str) -> Result<Self, CliError> {
        let base = url.trim_end_matches('/').to_owned();
        Url::parse(&base).map_err(|error| CliError::BadServer { url: base.clone(), why: error.to_string() })?;
        Ok(Self { base, client: Client::new(Dialer::new(DialPolicy::local())) })
    }

    /// The server's URL, without a closing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// Nobody answers, it is no Vitals, or it refuses.
    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.send(Method::GET, path, None).await
    }

    /// Sends JSON to a path.
    ///
    /// # Errors
    /// As [`Server::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let whole = format!("{}{path}", self.base);
        let url =
            Url::parse(&whole).map_err(|error| CliError::BadServer { url: whole.clone(), why: error.to_string() })?;
        let mut request = Request::get(url);
        request.method = method;
        request.body_limit = MAX_ANSWER;
        request.excess = Excess::Fail;
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(body) = body {
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = body.to_string().into();
        }
        let answer = self.client.send(&request, Instant::now() + DEADLINE).await.map_err(|error| self.failed(error))?;
        let odd = |why: String| CliError::NotVitals { url: whole.clone(), why };
        let value: Result<Value, _> = serde_json::from_slice(&answer.body);
        let status = answer.status;
        match value {
            Ok(value) if status.is_success() => Ok(value),
            Ok(value) => {
                // Problem details, or an error of the Prometheus API.
                let words = value.get("detail").or_else(|| value.get("error")).and_then(Value::as_str);
                let detail = words.ok_or_else(|| odd(format!("status {status}")))?;
                Err(CliError::Refused { status: status.as_u16(), detail: super::table::clean(detail).into_owned() })
            }
            Err(_) => Err(odd(format!("status {status}, and the body is not JSON"))),
        }
    }

    fn failed(&self, error: NetError) -> CliError {
        match error {
            NetError::Denied { .. } | NetError::BadUrl(_) => {
                CliError::BadServer { url: self.base.clone(), why: error.to_string() }
            }
            NetError::BadResponse { .. } | NetError::BodyTooLarge { .. } => {
                CliError::NotVitals { url: self.base.clone(), why: error.to_string() }
            }
            other => CliError::NoServer { url: self.base.clone(), why: other.to_string() },
        }
    }
}

/// A text as part of a path or query: everything but letters, digits and `-._~` is percent-encoded.
#[must_use]
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
