//! Text functions of templates: words, hosts and durations as Prometheus's functions treat them.

/// Go's `strings.Title`: the first letter of every word in upper case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        if separates(before) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        before = c;
    }
    out
}

fn separates(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_alphanumeric() && c != '_' } else { c.is_whitespace() }
}

/// Go's `net.SplitHostPort`: host and port of `host:port` and `[::1]:port`; none when it is neither.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// `example.org:9100` → `example.org`; anything else stays.
pub(super) fn strip_port(text: &str) -> &str {
    split_host_port(text).map_or(text, |(host, _)| host)
}

/// `web1.example.org:9100` → `web1:9100`; addresses stay.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let short = host.split('.').next().unwrap_or(host);
    if port.is_empty() { short.to_owned() } else { format!("{short}:{port}") }
}

/// Prometheus's durations, `1d12h`, in seconds.
pub(super) fn parse_duration(text: &str) -> Result<f64, String> {
    let bad = || format!("{text:?} is not a duration; write one such as \"1h30m\" (units y, w, d, h, m, s, ms)");
    if text == "0" {
        return Ok(0.0);
    }
    let units: [(&str, u64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest.is_empty() {
        return Err(bad());
    }
    let mut millis: u64 = 0;
    // Units come in this order, each at most once.
    let mut from = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let at = units[from..].iter().position(|(unit, _)| *unit == &rest[..letters]).ok_or_else(bad)? + from;
        rest = &rest[letters..];
        millis = number.checked_mul(units[at].1).and_then(|part| millis.checked_add(part)).ok_or_else(bad)?;
        from = at + 1;
    }
    Ok(sign * millis as f64 / 1000.0)
}
