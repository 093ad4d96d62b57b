//! URLs as the HTTP client needs them: scheme, host, port, path; redirects resolved; secrets redacted.

use std::fmt;

use http::Uri;

use super::error::NetError;

/// Longest URL that is accepted, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// An absolute `http` or `https` URL without user, password and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    https: bool,
    host: String,
    port: u16,
    /// Path and query, beginning with `/`.
    target: String,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`NetError::BadUrl`] without repeating the URL, which may hold secrets.
    pub fn parse(text: &str) -> Result<Self, NetError> {
        let bad = |why: &str| NetError::BadUrl(format!("the URL {why}"));
        if text.len() > MAX_LENGTH {
            return Err(bad(&format!("is longer than {MAX_LENGTH} bytes")));
        }
        let without_fragment = text.split_once('#').map_or(text, |(before, _)| before);
        let uri: Uri = without_fragment.parse().map_err(|_| {
            bad("cannot be read; write http://host/path or https://host/path, with special characters as %XX and non-ASCII host names in punycode (xn--…)")
        })?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("holds a user or password; use basicAuth or bearer instead"));
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.len() > 253 {
            return Err(bad("names no usable host"));
        }
        let port = match authority.port() {
            Some(port) if port.as_u16() != 0 => port.as_u16(),
            Some(_) => return Err(bad("has port 0; write a port from 1 to 65535")),
            // `host:` and `host:99999` have no port that the parser knows.
            None if authority.as_str().ends_with(':') || has_unreadable_port(authority.as_str()) => {
                return Err(bad("has a port that is not a number from 1 to 65535"));
            }
            None if https => 443,
            None => 80,
        };
        let target = match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
            Some(target) if target.starts_with('/') => target.to_owned(),
            Some(target) => format!("/{target}"),
            None => "/".to_owned(),
        };
        Ok(Self { https, host: host.to_ascii_lowercase(), port, target })
    }

    /// Whether the scheme is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host without brackets, lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, the scheme's own if none is given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The value of the `Host` header.
    #[must_use]
    pub fn host_header(&self) -> String {
        let default = if self.https { 443 } else { 80 };
        match (self.host.contains(':'), self.port == default) {
            (false, true) => self.host.clone(),
            (false, false) => format!("{}:{}", self.host, self.port),
            (true, true) => format!("[{}]", self.host),
            (true, false) => format!("[{}]:{}", self.host, self.port),
        }
    }

    /// Whether both lead to the same scheme, host and port.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.https, self.port, &self.host) == (other.https, other.port, &other.host)
    }

    /// Where a `Location` header leads from here (RFC 3986 §5).
    ///
    /// # Errors
    /// [`NetError::BadUrl`].
    pub fn join(&self, location: &str) -> Result<Self, NetError> {
        let scheme = if self.https { "https" } else { "http" };
        let location = location.trim().split('#').next().unwrap_or_default();
        if has_scheme(location) {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        let target = if location.starts_with('/') {
            location.to_owned()
        } else if location.starts_with('?') {
            format!("{path}{location}")
        } else if location.is_empty() {
            query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
        } else {
            let directory = path.rfind('/').map_or("/", |at| &path[..=at]);
            format!("{directory}{location}")
        };
        Self::parse(&format!("{scheme}://{}{}", self.host_header(), without_dots(&target)))
    }
}

/// The URL as it may be logged: no path, no query.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host_header(), if self.target == "/" { "/" } else { "/…" })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL as it may be logged: scheme, host and port; whatever else it holds (user, path, query) is `…`.
///
/// Webhook URLs carry their secret in the path as often as in the query.
#[must_use]
pub fn redact(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "(unreadable URL)".to_owned(), |url| url.to_string())
}

fn has_unreadable_port(authority: &str) -> bool {
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    after_host.contains(':')
}

fn has_scheme(location: &str) -> bool {
    let Some((scheme, _)) = location.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Removes `.` and `..` segments of the path; a query stays as it is.
fn without_dots(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let mut out = format!("/{}", kept.join("/"));
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("https://Shop.Example:8443/health?full=1#top").unwrap();
        assert!(url.is_https());
        assert_eq!((url.host(), url.port(), url.target()), ("shop.example", 8443, "/health?full=1"));
        let url = Url::parse("http://[2001:db8::1]").unwrap();
        assert_eq!((url.host(), url.port(), url.target()), ("2001:db8::1", 80, "/"));
        assert_eq!(url.host_header(), "[2001:db8::1]");
        assert_eq!(Url::parse("http://a?x=1").unwrap().target(), "/?x=1");
    }

    #[test]
    fn an_unusable_url_is_refused_without_repeating_its_secrets() {
        for text in [
            "",
            "shop",
            "ftp://a/",
            "http://",
            "http://user:s3cret@a/",
            "http://a:0/",
            "http://a:99999/",
            "http://a:/",
            "http://a b/",
            "http://s3cret\u{fc}.de/",
            "/path",
            "http:///x",
        ] {
            let error = Url::parse(text).unwrap_err();
            assert_eq!(error.reason(), "BadUrl", "{text}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_logged_url_shows_neither_password_nor_path_nor_query() {
        assert_eq!(redact("https://hooks.example/services/T000/B000/s3cret"), "https://hooks.example/…");
        assert_eq!(redact("https://hooks.example:8443/?token=s3cret"), "https://hooks.example:8443/…");
        assert_eq!(redact("https://hooks.example"), "https://hooks.example/");
        assert_eq!(redact("https://user:s3cret@hooks.example/"), "(unreadable URL)");
    }

    #[test]
    fn a_location_is_resolved_as_browsers_do() {
        let base = Url::parse("http://a/b/c/d?q").unwrap();
        for (location, target) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d?y"),
            ("g?y", "/b/c/g?y"),
            ("", "/b/c/d?q"),
            (".", "/b/c/"),
            ("..", "/b/"),
            ("../g", "/b/g"),
            ("../../..", "/"),
            ("../../../g", "/g"),
        ] {
            assert_eq!(base.join(location).unwrap().target(), target, "{location}");
        }
        assert_eq!(base.join("//x:1/y").unwrap().host_header(), "x:1");
        assert!(base.join("https://x/").unwrap().is_https());
        assert!(base.join("file:///etc/passwd").is_err());
        assert!(base.join("javascript:alert(1)").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", location in ".{0,80}") {
            let _ = Url::parse(&text);
            let _ = redact(&text);
            if let Ok(url) = Url::parse("http://a/b").unwrap().join(&location) {
                prop_assert!(url.target().starts_with('/'));
            }
        }
    }
}
