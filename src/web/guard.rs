//! What stands before every handler: who may ask, from where, for how long; and what every answer carries.

use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use super::error::WebError;
use super::{Access, Shared, WebOptions};

/// Answers from this size on are compressed for who can read it, in bytes.
const COMPRESS_FROM: usize = 1024;
/// Only what the server itself delivers may load, run or embed; nothing may embed the page.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Metrics about the server itself.
pub(super) struct OwnMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    /// Open connections; kept by [`super::serve()`].
    pub connections: IntGauge,
}

impl OwnMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let own = Self::new().unwrap_or_else(|error| {
            // The names are literals; only a changed line of this file can bring us here.
            tracing::error!(%error, "the web server counts nothing");
            std::process::abort()
        });
        for metric in [
            Box::new(own.requests.clone()) as Box<dyn prometheus::core::Collector>,
            Box::new(own.duration.clone()),
            Box::new(own.connections.clone()),
        ] {
            if let Err(error) = registry.register(metric) {
                tracing::warn!(%error, "a metric of the web server is not exposed");
            }
        }
        own
    }

    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            requests: IntCounterVec::new(
                Opts::new("vitals_requests_total", "HTTP requests answered, by route and status code."),
                &["route", "code"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("vitals_request_duration_seconds", "How long HTTP requests took, by route.")
                    .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
                &["route"],
            )?,
            connections: IntGauge::new("vitals_active_connections", "Open connections to the HTTP server.")?,
        })
    }
}

/// The one middleware.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let route = matched.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let gzip = accepts_gzip(request.headers());
    let answered = match admit(&shared.options, &request) {
        Ok(()) => match tokio::time::timeout(shared.options.timeout, next.run(request)).await {
            Ok(response) => worded(response),
            Err(_) => WebError::TimedOut(format!(
                "no answer within {} s; ask for less, or look at /health/live",
                shared.options.timeout.as_secs()
            ))
            .into_response(),
        },
        Err(refusal) => refusal.into_response(),
    };
    let mut response = if gzip { compressed(answered).await } else { answered };
    secure(response.headers_mut());
    shared.own.requests.with_label_values(&[route.as_str(), response.status().as_str()]).inc();
    shared.own.duration.with_label_values(&[route.as_str()]).observe(started.elapsed().as_secs_f64());
    response
}

fn admit(options: &WebOptions, request: &Request) -> Result<(), WebError> {
    let headers = request.headers();
    let path = request.uri().path();
    if options.access == Access::OpenOnly {
        return match path {
            "/health" | "/health/live" | "/health/ready" => Ok(()),
            _ => Err(WebError::NoCaller(
                "this address is not loopback, so all but /health, /health/live and /health/ready needs a caller that \
                 is known; bind to 127.0.0.1"
                    .into(),
            )),
        };
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    if let Some(host) = host
        && !is_ours(options, name_of(host))
    {
        // A page on a foreign name that resolves to this machine (DNS rebinding) ends here.
        return Err(WebError::Forbidden(format!(
            "{:?} is not a name of this server; use http://{}/",
            host.chars().take(100).collect::<String>(),
            options.bind
        )));
    }
    // Running a check is an effect, although it is asked for with GET.
    let effect = !matches!(*request.method(), Method::GET | Method::HEAD) || path.starts_with("/health/checks/");
    if effect && foreign(headers, host) {
        return Err(WebError::Forbidden(
            "the request comes from a page of another origin; open this server's own page".into(),
        ));
    }
    Ok(())
}

/// Whether a browser says that another site's page asks.
fn foreign(headers: &HeaderMap, host: Option<&str>) -> bool {
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or("");
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    Some(authority) != host
}

/// The host of `host:port`.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or("");
    }
    host.split(':').next().unwrap_or("")
}

fn is_ours(options: &WebOptions, name: &str) -> bool {
    let name = name.trim_end_matches('.');
    if name.eq_ignore_ascii_case("localhost") || options.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return true;
    }
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == options.bind.ip() || mapped_loopback(address),
        Err(_) => false,
    }
}

fn mapped_loopback(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()) || v6 == Ipv6Addr::LOCALHOST)
}

/// Refusals that the router and its extractors make in plain text become problem details.
fn worded(response: Response) -> Response {
    let status = response.status();
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/plain")));
    if !(status.is_client_error() && plain) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let error = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            let methods = allow.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("GET");
            WebError::WrongMethod(format!("this path answers to {methods} only"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            WebError::TooLarge(format!("the body is larger than {} bytes", super::MAX_BODY))
        }
        StatusCode::NOT_FOUND => {
            WebError::NotFound("there is no such thing; the page at / lists every endpoint".into())
        }
        _ => {
            WebError::BadRequest("the path or body cannot be read; encode it as UTF-8, percent-encoded in paths".into())
        }
    };
    let mut response = error.into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    accepted.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let name = words.next().unwrap_or("");
        (name == "gzip" || name == "*")
            && !words.any(|word| word.replace(' ', "").starts_with("q=0") && !word.contains("0."))
    })
}

/// Compresses a whole answer; streams and small ones pass.
async fn compressed(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let fits =
        ["text/", "application/json", "application/problem", "image/svg"].iter().any(|start| kind.starts_with(start))
            && !kind.starts_with("text/event-stream");
    if !fits || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let whole = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return WebError::Failed("the answer broke off".into()).into_response(),
    };
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if whole.len() < COMPRESS_FROM {
        return Response::from_parts(parts, Body::from(whole));
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(whole.len() / 4), flate2::Compression::fast());
    match encoder.write_all(&whole).and_then(|()| encoder.finish()) {
        Ok(packed) => {
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(packed))
        }
        Err(_) => Response::from_parts(parts, Body::from(whole)),
    }
}

fn secure(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
