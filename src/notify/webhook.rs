//! Receiver `webhook`: one POST.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::body;
use super::error::NotifyError;
use crate::model::notification::Notification;
use crate::net::Url;
use crate::net::http::{Client, Request, Response};
use crate::template::Template;

/// The key by which a receiver can drop what it has seen.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How much of the receiver's answer is read; nobody looks at it.
const MAX_ANSWER: usize = 4 * 1024;
/// Longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Where and how to post.
pub(super) struct Target<'a> {
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    pub timeout: Duration,
    pub template: Option<&'a str>,
}

/// Posts once.
pub(super) async fn post(
    client: &Client,
    target: &Target<'_>,
    notification: &Notification,
    external_url: &str,
) -> Result<(), NotifyError> {
    let url = Url::parse(target.url)?;
    let (body, kind) = match target.template {
        None => (body::alertmanager(notification, external_url).to_string(), "application/json"),
        Some(text) => {
            let body =
                Template::parse_notification(text)?.render_json(&body::template_data(notification, external_url))?;
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
            (body, if is_json { "application/json" } else { "text/plain; charset=utf-8" })
        }
    };
    let mut headers = HeaderMap::with_capacity(target.headers.len() + 2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(IDEMPOTENCY_KEY, value("Idempotency-Key", &notification.idempotency_key)?);
    for (name, text) in target.headers {
        let bad = || NotifyError::Header { name: name.clone() };
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value(name, text)?);
    }
    let request = Request {
        method: Method::POST,
        headers,
        body: Bytes::from(body),
        body_limit: MAX_ANSWER,
        keep_body: false,
        ..Request::get(url)
    };
    let response = client.send(&request, Instant::now() + target.timeout).await?;
    if response.status.is_success() {
        return Ok(());
    }
    Err(NotifyError::Status {
        url: request.url.to_string(),
        status: response.status.as_u16(),
        retry_after: retry_after(&response, SystemTime::now()),
    })
}

/// A header's value, kept out of anything that prints headers.
fn value(name: &str, text: &str) -> Result<HeaderValue, NotifyError> {
    let mut value = HeaderValue::from_str(text.trim_end_matches(['\r', '\n']))
        .map_err(|_| NotifyError::Header { name: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Seconds, or a date (RFC 9110 §10.2.3), bounded.
pub(super) fn retry_after(response: &Response, now: SystemTime) -> Option<Duration> {
    let text = response.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(&text.replace("GMT", "+0000")).ok()?.timestamp();
            SystemTime::from(at).duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}
