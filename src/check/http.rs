//! Check `http`: one request over a new connection, and assertions on the answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::http::header::{AUTHORIZATION, HOST};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::Regex;

use super::expect::{JsonPath, StatusRanges, json_text, regex};
use super::{CheckEnv, CheckError, Secrets};
use crate::model::check::{BoxFuture, Check};
use crate::model::health::Verdict;
use crate::model::object::ObjectKey;
use crate::model::spec::{HttpSpec, SecretKeyRef};
use crate::net::http::{Client, DEFAULT_BODY, Excess, MAX_REDIRECTS, Request, Response};
use crate::net::tls::Tls;
use crate::net::{NetError, Url};

/// One HTTP check, everything compiled that can be.
pub(super) struct HttpCheck {
    client: Client,
    namespace: String,
    secrets: Secrets,
    /// Complete but for what comes from Secrets.
    request: Request,
    from_secrets: Vec<(HeaderName, Secret)>,
    ca: Option<SecretKeyRef>,
    insecure: bool,
    server_name: Option<String>,
    /// The settings made from the CA text that was last seen.
    ca_seen: Mutex<Option<(String, Tls)>>,
    status: StatusRanges,
    body: Option<Regex>,
    json: Vec<(JsonPath, String, String)>,
    header: Option<(HeaderName, Wanted)>,
}

/// A header's value made from a Secret.
enum Secret {
    Plain(SecretKeyRef),
    Bearer(SecretKeyRef),
    Basic(String, SecretKeyRef),
}

/// What a header of the answer must be.
enum Wanted {
    Anything,
    Text(String),
    Secret(SecretKeyRef),
}

impl HttpCheck {
    pub(super) fn new(key: &ObjectKey, spec: &HttpSpec, env: &CheckEnv) -> Result<Self, CheckError> {
        let url = Url::parse(&spec.url).map_err(|error| CheckError::net("http.url", &error))?;
        let method = Method::from_bytes(spec.method.as_bytes())
            .map_err(|_| CheckError::field("http.method", "not an HTTP method; write GET or POST"))?;
        let mut headers = HeaderMap::new();
        let mut from_secrets = Vec::new();
        for (index, header) in spec.headers.iter().enumerate() {
            let field = format!("http.headers[{index}]");
            let name = name(&format!("{field}.name"), &header.name)?;
            match (&header.value, &header.secret_key_ref) {
                (_, Some(secret)) => from_secrets.push((name, Secret::Plain(secret.clone()))),
                (value, None) => {
                    let text = value.as_deref().unwrap_or_default();
                    let value = HeaderValue::from_str(text).map_err(|_| {
                        CheckError::field(format!("{field}.value"), "holds control characters or is not ASCII")
                    })?;
                    // `Host` is one per request; the others may repeat.
                    if name == HOST {
                        headers.remove(HOST);
                    }
                    headers.append(name, value);
                }
            }
        }
        if let Some(basic) = &spec.basic_auth {
            let secret = basic.password_secret_key_ref.clone();
            from_secrets.push((AUTHORIZATION, Secret::Basic(basic.username.clone(), secret)));
        }
        if let Some(secret) = &spec.bearer {
            from_secrets.push((AUTHORIZATION, Secret::Bearer(secret.clone())));
        }
        let tls = spec.tls.clone().unwrap_or_default();
        let ready = Tls::new(None, tls.insecure_skip_verify, tls.server_name.as_deref());
        let ready = ready.map_err(|error| CheckError::net("http.tls", &error))?;
        let json = spec.expect.json.iter().enumerate().map(|(index, assertion)| {
            let path = JsonPath::parse(&format!("http.expect.json[{index}].path"), &assertion.path)?;
            Ok((path, assertion.path.clone(), assertion.equals.clone()))
        });
        let json: Vec<_> = json.collect::<Result<_, CheckError>>()?;
        let body = spec.expect.body_matches.as_deref().map(|p| regex("http.expect.bodyMatches", p)).transpose()?;
        let header = spec.expect.header.as_ref().map(|header| {
            let wanted = match (&header.value, &header.secret_key_ref) {
                (_, Some(secret)) => Wanted::Secret(secret.clone()),
                (Some(text), None) if !text.is_empty() => Wanted::Text(text.clone()),
                _ => Wanted::Anything,
            };
            name("http.expect.header.name", &header.name).map(|name| (name, wanted))
        });
        Ok(Self {
            client: Client::new(env.dialer.clone()),
            namespace: key.namespace.to_string(),
            secrets: env.secrets.clone(),
            request: Request {
                method,
                url,
                headers,
                body: spec.body.clone().unwrap_or_default().into(),
                tls: ready,
                redirects: if spec.follow_redirects { MAX_REDIRECTS } else { 0 },
                body_limit: DEFAULT_BODY,
                excess: Excess::Cut,
                keep_body: body.is_some() || !json.is_empty(),
            },
            from_secrets,
            ca: tls.ca_secret_key_ref.filter(|_| !tls.insecure_skip_verify),
            insecure: tls.insecure_skip_verify,
            server_name: tls.server_name,
            ca_seen: Mutex::new(None),
            status: StatusRanges::parse("http.expect.status", &spec.expect.status)?,
            body,
            json,
            header: header.transpose()?,
        })
    }

    fn secret(&self, of: &SecretKeyRef) -> Result<String, Verdict> {
        (self.secrets)(&self.namespace, of).ok_or_else(|| {
            let message = format!(
                "key {:?} of Secret {:?} in namespace {:?} was not found; create it, or let this process read it",
                of.key, of.name, self.namespace
            );
            Verdict::unknown("SecretNotFound", message)
        })
    }

    /// The request with everything that comes from Secrets as they are now.
    fn with_secrets(&self) -> Result<Request, Verdict> {
        let mut request = self.request.clone();
        for (name, secret) in &self.from_secrets {
            let (of, text) = match secret {
                Secret::Plain(of) => (of, self.secret(of)?),
                Secret::Bearer(of) => (of, format!("Bearer {}", self.secret(of)?.trim())),
                Secret::Basic(user, of) => {
                    let password = self.secret(of)?;
                    let password = password.strip_suffix('\n').unwrap_or(&password);
                    (of, format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
                }
            };
            let mut value = HeaderValue::from_str(text.trim_end_matches(['\r', '\n'])).map_err(|_| {
                let message =
                    format!("key {:?} of Secret {:?} holds characters that a header cannot carry", of.key, of.name);
                Verdict::unknown("SecretUnusable", message)
            })?;
            value.set_sensitive(true);
            request.headers.insert(name.clone(), value);
        }
        if let Some(ca) = &self.ca {
            request.tls = self.trusting(self.secret(ca)?)?;
        }
        Ok(request)
    }

    fn trusting(&self, pem: String) -> Result<Tls, Verdict> {
        let mut seen = self.ca_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tls)) = seen.as_ref().filter(|(known, _)| *known == pem) {
            return Ok(tls.clone());
        }
        let tls = Tls::new(Some(&pem), self.insecure, self.server_name.as_deref());
        let tls = tls.map_err(|error| Verdict::unknown(error.reason(), error.to_string()))?;
        *seen = Some((pem, tls.clone()));
        Ok(tls)
    }

    fn judge(&self, response: &Response) -> Verdict {
        let status = response.status.as_u16();
        if !self.status.contain(status) {
            return Verdict::unhealthy(
                "StatusMismatch",
                format!("answers {}, expected {}", response.status, self.status),
            );
        }
        if let Some(verdict) = self.header_objection(response) {
            return verdict;
        }
        if self.body.as_ref().is_some_and(|pattern| !pattern.is_match(&response.body)) {
            let first = if response.cut { "the first MiB of the body" } else { "the body" };
            return Verdict::unhealthy("BodyMismatch", format!("{first} does not match expect.bodyMatches"));
        }
        if let Some(verdict) = self.json_objection(response) {
            return verdict;
        }
        Verdict::healthy(format!("answers {}", response.status))
    }

    fn header_objection(&self, response: &Response) -> Option<Verdict> {
        let (name, wanted) = self.header.as_ref()?;
        let mut found = response.headers.get_all(name).iter().peekable();
        if found.peek().is_none() {
            return Some(Verdict::unhealthy("HeaderMismatch", format!("the answer has no header {name}")));
        }
        let matches = match wanted {
            Wanted::Anything => true,
            Wanted::Text(text) => found.any(|value| value.as_bytes() == text.as_bytes()),
            Wanted::Secret(of) => match self.secret(of) {
                Ok(text) => found.any(|value| value.as_bytes() == text.trim_end().as_bytes()),
                Err(verdict) => return Some(verdict),
            },
        };
        (!matches)
            .then(|| Verdict::unhealthy("HeaderMismatch", format!("header {name} does not have the expected value")))
    }

    fn json_objection(&self, response: &Response) -> Option<Verdict> {
        if self.json.is_empty() {
            return None;
        }
        if response.cut {
            let message = "the body is larger than 1 MiB, so its JSON cannot be judged; ask for a smaller document";
            return Some(Verdict::unhealthy("BodyTooLarge", message));
        }
        let Ok(document) = serde_json::from_slice::<serde_json::Value>(&response.body) else {
            return Some(Verdict::unhealthy("NotJson", "the body is not JSON"));
        };
        self.json.iter().find_map(|(path, text, equals)| match path.find(&document) {
            None => Some(Verdict::unhealthy("JsonMismatch", format!("the body has no {text}"))),
            Some(value) if json_text(value) != equals.as_str() => {
                Some(Verdict::unhealthy("JsonMismatch", format!("{text} is not {equals:?}")))
            }
            Some(_) => None,
        })
    }
}

impl Check for HttpCheck {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn run(&self, deadline: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(async move {
            let sent = if self.from_secrets.is_empty() && self.ca.is_none() {
                self.client.send(&self.request, deadline).await
            } else {
                match self.with_secrets() {
                    Ok(request) => self.client.send(&request, deadline).await,
                    Err(verdict) => return verdict,
                }
            };
            match sent {
                Ok(response) => describe(self.judge(&response), response),
                Err(error) => failure(&error),
            }
        })
    }
}

/// Adds phases and facts.
fn describe(mut verdict: Verdict, response: Response) -> Verdict {
    verdict.phases = response.phases;
    verdict = verdict
        .detail("statusCode", response.status.as_u16())
        .detail("address", response.address.to_string())
        .detail("bodyBytes", response.body_bytes);
    if response.cut {
        verdict = verdict.detail("bodyCut", true);
    }
    if response.hops > 0 {
        verdict = verdict.detail("redirects", response.hops);
    }
    if let Some(ends) = response.certificate_ends {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        verdict = verdict.detail("tlsDaysLeft", (ends - now).div_euclid(86_400));
    }
    verdict
}

/// What a failed exchange says of the target: nothing, if our own settings stood in the way.
pub(super) fn failure(error: &NetError) -> Verdict {
    if error.is_ours() {
        Verdict::unknown(error.reason(), error.to_string())
    } else {
        Verdict::unhealthy(error.reason(), error.to_string())
    }
}

fn name(field: &str, text: &str) -> Result<HeaderName, CheckError> {
    HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| CheckError::field(field, format!("{text:?} is not a header name; use letters, digits and -")))
}

#[cfg(test)]
mod tests;
