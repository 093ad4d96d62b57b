//! A small HTTP/1.1 client for checks and receivers: one new connection per exchange, everything bounded.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::dial::Dialer;
use super::error::NetError;
use super::phases::{Phase, Phases};
use super::tls::{self, Tls};
use super::url::Url;

/// How many bytes of a body are read unless the caller says otherwise.
pub const DEFAULT_BODY: usize = 1024 * 1024;
/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most headers of an answer.
const MAX_HEADERS: usize = 128;
/// Most redirects that are followed.
pub const MAX_REDIRECTS: u8 = 5;
/// Who we are.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("vitals/", env!("CARGO_PKG_VERSION")));
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What to do when a body is larger than wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Stop reading; the answer says so.
    Cut,
    /// Fail with `BodyTooLarge`.
    Fail,
}

/// A request.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers beyond `Host`, `User-Agent` and `Connection`. Values marked sensitive never follow a redirect to
    /// another host.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How the peer is verified.
    pub tls: Tls,
    /// How many redirects to follow; at most [`MAX_REDIRECTS`].
    pub redirects: u8,
    /// How many bytes of the body to read.
    pub body_limit: usize,
    /// What to do with a larger one.
    pub excess: Excess,
    /// Whether to keep the body or only to count it.
    pub keep_body: bool,
}

impl Request {
    /// A GET without extras.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            tls: Tls::default(),
            redirects: 0,
            body_limit: DEFAULT_BODY,
            excess: Excess::Cut,
            keep_body: true,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was kept.
    pub body: Bytes,
    /// How many bytes of the body were read.
    pub body_bytes: u64,
    /// Whether there was more.
    pub cut: bool,
    /// The address that answered.
    pub address: SocketAddr,
    /// When the peer's certificate ends, unix seconds; None without TLS.
    pub certificate_ends: Option<i64>,
    /// How many redirects were followed.
    pub hops: u8,
    /// Milliseconds per phase, summed over redirects.
    pub phases: Vec<(&'static str, f64)>,
}

/// What one hop gave: an answer, or the next place.
enum Step {
    Done(Box<Response>),
    Next(Box<Request>),
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    dialer: Dialer,
}

impl Client {
    /// Over this dialer.
    #[must_use]
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }

    /// Sends a request and reads the answer, redirects included, before the deadline.
    ///
    /// # Errors
    /// Whatever stood in the way; [`NetError::Timeout`] names the phase that the deadline fell into.
    pub async fn send(&self, request: &Request, deadline: Instant) -> Result<Response, NetError> {
        let mut phases = Phases::start(Phase::Resolve);
        let mut place = (request.url.host().to_owned(), request.url.port());
        let outcome = timeout_at(deadline.into(), self.follow(request, deadline, &mut phases, &mut place)).await;
        match outcome {
            Ok(Ok(mut response)) => {
                response.phases = phases.finish();
                Ok(response)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NetError::timeout(&place.0, place.1, phases.current())),
        }
    }

    async fn follow(
        &self,
        first: &Request,
        deadline: Instant,
        phases: &mut Phases,
        place: &mut (String, u16),
    ) -> Result<Response, NetError> {
        let limit = first.redirects.min(MAX_REDIRECTS);
        let mut moved: Option<Box<Request>> = None;
        let mut hops = 0;
        loop {
            let request = moved.as_deref().unwrap_or(first);
            let step = self.hop(request, hops, limit, deadline, phases).await;
            match step {
                Ok(Step::Done(response)) => return Ok(*response),
                Ok(Step::Next(next)) => {
                    hops += 1;
                    *place = (next.url.host().to_owned(), next.url.port());
                    moved = Some(next);
                    phases.enter(Phase::Resolve);
                }
                // That a redirect leads to a forbidden place is the target's doing, not our settings'.
                Err(error) if hops > 0 && error.is_ours() => {
                    let (host, port) = (first.url.host().to_owned(), first.url.port());
                    return Err(NetError::RedirectRefused { host, port, why: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One request on one new connection.
    async fn hop(
        &self,
        request: &Request,
        hops: u8,
        limit: u8,
        deadline: Instant,
        phases: &mut Phases,
    ) -> Result<Step, NetError> {
        let (host, port) = (request.url.host(), request.url.port());
        let (stream, address) = self.dialer.connect_within(host, port, deadline, phases).await?;
        let wire = encode(request);
        if request.url.is_https() {
            phases.enter(Phase::Tls);
            let stream = request.tls.wrap(stream, host, port).await?;
            let ends = tls::peer_not_after(&stream);
            phases.enter(Phase::FirstByte);
            exchange(stream, wire, request, (hops, limit), (address, ends), phases).await
        } else {
            phases.enter(Phase::FirstByte);
            exchange(stream, wire, request, (hops, limit), (address, None), phases).await
        }
    }
}

/// The request as hyper sends it.
fn encode(request: &Request) -> http::Request<Full<Bytes>> {
    let mut wire = http::Request::new(Full::new(request.body.clone()));
    *wire.method_mut() = request.method.clone();
    // The parts of a `Url` were read by the same parser: they read back.
    *wire.uri_mut() = request.url.target().parse().unwrap_or_default();
    let headers = wire.headers_mut();
    headers.reserve(request.headers.len() + 3);
    headers.insert(HOST, HeaderValue::from_str(&request.url.host_header()).unwrap_or(HeaderValue::from_static("")));
    headers.insert(USER_AGENT, AGENT);
    headers.insert(CONNECTION, CLOSE);
    for (name, value) in &request.headers {
        headers.insert(name, value.clone());
    }
    wire
}

/// Sends, reads head and body. The connection is driven by this very future: dropping it at a deadline leaves
/// nothing behind.
async fn exchange<S>(
    stream: S,
    wire: http::Request<Full<Bytes>>,
    request: &Request,
    (hops, limit): (u8, u8),
    (address, certificate_ends): (SocketAddr, Option<i64>),
    phases: &mut Phases,
) -> Result<Step, NetError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| explain(request, &error);
    let mut builder = http1::Builder::new();
    builder.max_header_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut connection = pin!(connection);
    let answer = drive(connection.as_mut(), pin!(sender.send_request(wire))).await.map_err(failed)?;
    let (head, mut incoming) = answer.into_parts();
    phases.enter(Phase::Transfer);
    let location = head.headers.get(LOCATION).filter(|_| limit > 0 && head.status.is_redirection());
    if let Some(location) = location {
        return redirect(request, head.status, location, hops, limit).map(|next| Step::Next(Box::new(next)));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut body_bytes: usize = 0;
    let mut cut = false;
    while let Some(frame) = drive(connection.as_mut(), pin!(incoming.frame())).await {
        let Ok(mut data) = frame.map_err(failed)?.into_data() else { continue };
        let room = request.body_limit - body_bytes;
        if data.len() > room {
            if request.excess == Excess::Fail {
                let (host, port) = (request.url.host().to_owned(), request.url.port());
                return Err(NetError::BodyTooLarge { host, port, limit: request.body_limit });
            }
            data.truncate(room);
            cut = true;
        }
        body_bytes += data.len();
        if request.keep_body {
            match (&first, rest.is_empty()) {
                (None, _) => first = Some(data),
                (Some(begin), true) => {
                    rest.extend_from_slice(begin);
                    rest.extend_from_slice(&data);
                }
                (Some(_), false) => rest.extend_from_slice(&data),
            }
        }
        if cut {
            break;
        }
    }
    let body = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    Ok(Step::Done(Box::new(Response {
        status: head.status,
        headers: head.headers,
        body,
        body_bytes: body_bytes as u64,
        cut,
        address,
        certificate_ends,
        hops,
        phases: Vec::new(),
    })))
}

/// Waits for `wanted` while driving the connection that must produce it.
async fn drive<C, W>(mut connection: Pin<&mut C>, mut wanted: Pin<&mut W>) -> W::Output
where
    C: Future<Output = hyper::Result<()>>,
    W: Future,
{
    let mut open = true;
    poll_fn(|cx| {
        if let Poll::Ready(done) = wanted.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if open {
            // The connection's own error reaches us through `wanted`.
            open = connection.as_mut().poll(cx).is_pending();
            // It may just have produced what we wait for: look before going to sleep.
            return wanted.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

/// The request that a redirect asks for.
fn redirect(
    request: &Request,
    status: StatusCode,
    location: &HeaderValue,
    hops: u8,
    limit: u8,
) -> Result<Request, NetError> {
    let (host, port) = (request.url.host().to_owned(), request.url.port());
    if hops >= limit {
        return Err(NetError::TooManyRedirects { host, port, limit });
    }
    let refused = |why: String| NetError::RedirectRefused { host: host.clone(), port, why };
    let location = location.to_str().map_err(|_| refused("its Location is not ASCII".into()))?;
    let url = request.url.join(location).map_err(|error| refused(error.to_string()))?;
    if request.url.is_https() && !url.is_https() {
        return Err(refused("it leads from https to http".into()));
    }
    let mut next = request.clone();
    if !request.url.same_origin(&url) {
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            next.headers.remove(name);
        }
        next.headers =
            next.headers.into_iter().scan(None, carry_name).filter(|(_, value)| !value.is_sensitive()).collect();
        // Also asked for by name, a header `Host` belongs to the first host only.
        next.headers.remove(HOST);
    }
    let becomes_get = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = Bytes::new();
        next.headers.remove(CONTENT_TYPE);
        next.headers.remove(CONTENT_LENGTH);
    }
    next.url = url;
    Ok(next)
}

/// A consumed `HeaderMap` gives a name only with its first value.
fn carry_name(
    last: &mut Option<http::HeaderName>,
    (name, value): (Option<http::HeaderName>, HeaderValue),
) -> Option<(http::HeaderName, HeaderValue)> {
    if name.is_some() {
        *last = name;
    }
    last.clone().map(|name| (name, value))
}

fn explain(request: &Request, error: &hyper::Error) -> NetError {
    let (host, port) = (request.url.host().to_owned(), request.url.port());
    if error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || is_io(error)
        || error.is_body_write_aborted()
    {
        return NetError::Closed { host, port };
    }
    let why = if error.is_parse_too_large() {
        format!("its head is larger than {MAX_HEAD} bytes or {MAX_HEADERS} headers")
    } else if error.is_parse() {
        "it is not HTTP/1.1; check the port and whether it wants https".to_owned()
    } else {
        // hyper's own sentences; they quote nothing of the answer.
        error.to_string()
    };
    NetError::BadResponse { host, port, why }
}

fn is_io(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io.kind() != std::io::ErrorKind::InvalidData && io.kind() != std::io::ErrorKind::InvalidInput;
        }
        source = inner.source();
    }
    false
}

#[cfg(test)]
mod tests;
