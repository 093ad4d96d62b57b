//! Parameters of a request, from the query string and from a form body: repeated names and all.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;

use super::error::WebError;
use super::time;
use crate::model::series::Millis;

/// Most parameters of one request.
const MAX_PARAMS: usize = 200;

/// Names and values, in order.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<Arc<S>> for Params {
    type Rejection = WebError;

    async fn from_request(request: Request, state: &Arc<S>) -> Result<Self, WebError> {
        let mut params = Self::default();
        params.read(request.uri().query().unwrap_or(""))?;
        let form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if form {
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|_| WebError::TooLarge(format!("the form is larger than {} bytes", super::MAX_BODY)))?;
            params.0.append(&mut Self::of_form(&body)?.0);
        }
        Ok(params)
    }
}

impl Params {
    /// The fields of a form's body.
    pub(super) fn of_form(body: &[u8]) -> Result<Self, WebError> {
        let text = std::str::from_utf8(body)
            .map_err(|_| WebError::BadRequest("the form is not UTF-8; encode it as UTF-8".into()))?;
        let mut params = Self::default();
        params.read(text)?;
        Ok(params)
    }

    fn read(&mut self, text: &str) -> Result<(), WebError> {
        for part in text.split('&').filter(|part| !part.is_empty()) {
            if self.0.len() == MAX_PARAMS {
                return Err(WebError::BadRequest(format!("more than {MAX_PARAMS} parameters")));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            self.0.push((decode(name)?, decode(value)?));
        }
        Ok(())
    }

    /// The first value of a name, if it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A value that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, WebError> {
        self.get(name).ok_or_else(|| WebError::BadRequest(format!("parameter {name} is missing; add ?{name}=…")))
    }

    /// A time, if given.
    pub(super) fn time(&self, name: &str) -> Result<Option<Millis>, WebError> {
        self.get(name)
            .map(|text| {
                time::parse(text).ok_or_else(|| {
                    WebError::BadRequest(format!(
                        "{name}={text} is not a time; write unix seconds or RFC 3339 such as 2024-01-15T10:30:00Z"
                    ))
                })
            })
            .transpose()
    }

    /// A count between 1 and `most`, or `usual`.
    pub(super) fn limit(&self, usual: usize, most: usize) -> Result<usize, WebError> {
        match self.get("limit") {
            None => Ok(usual),
            Some(text) => text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
                WebError::BadRequest(format!("limit={text} is not possible; write a number from 1 to {most}"))
            }),
        }
    }

    /// Whether a switch is on.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "yes"))
    }
}

/// `a+b%20c` → `a b c`.
fn decode(text: &str) -> Result<String, WebError> {
    let bad = || WebError::BadRequest("a parameter is not percent-encoded UTF-8; encode it".into());
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).ok_or_else(bad);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                out.push(u8::try_from(high * 16 + low).map_err(|_| bad())?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        let mut params = Params::default();
        params.read(text).unwrap();
        params
    }

    #[test]
    fn names_may_repeat_and_values_are_decoded() {
        let params = params("match[]=up&match%5B%5D=a%7Bb%3D%22c+d%22%7D&empty=&flag=true");
        assert_eq!(params.all("match[]"), ["up", "a{b=\"c d\"}"]);
        assert_eq!(params.get("empty"), None);
        assert!(params.flag("flag"));
    }

    #[test]
    fn broken_encodings_are_refused() {
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert!(Params::default().read(bad).is_err(), "{bad}");
        }
        assert!(Params::default().read(&"a=1&".repeat(300)).is_err());
        assert!(params("limit=0").limit(10, 100).is_err());
        assert_eq!(params("limit=7").limit(10, 100).unwrap(), 7);
    }
}
