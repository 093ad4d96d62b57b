//! Times as the API and people write them.

use jiff::Timestamp;

use crate::model::series::Millis;

/// RFC 3339 in UTC; fractions only where there are any.
pub(super) fn rfc3339(at: Millis) -> String {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// RFC 3339 or nothing.
pub(super) fn maybe(at: Option<Millis>) -> Option<String> {
    at.map(rfc3339)
}

/// Reads a time that a caller wrote: RFC 3339 or unix seconds.
pub(super) fn parse(text: &str) -> Option<Millis> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1000.0;
        // Beyond the year 9999 in both directions nothing is meant seriously.
        return (millis.abs() < 2.5e14).then_some(millis.round() as Millis);
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// `14:32:05` in UTC.
pub(super) fn clock(at: Millis) -> String {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%H:%M:%S").to_string()
}

/// How long ago, as kubectl prints it: `5s`, `2m`, `3h12m`, `4d3h`.
pub(super) fn age(since: Millis, now: Millis) -> String {
    crate::model::duration::age(now.saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_seconds_or_as_rfc_3339() {
        assert_eq!(parse("1705314600"), Some(1_705_314_600_000));
        assert_eq!(parse("1705314600.5"), Some(1_705_314_600_500));
        assert_eq!(parse("2024-01-15T10:30:00Z"), Some(1_705_314_600_000));
        assert_eq!(parse("2024-01-15T11:30:00+01:00"), Some(1_705_314_600_000));
        for bad in ["", "yesterday", "1e300", "NaN", "inf"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(rfc3339(1_705_314_600_000), "2024-01-15T10:30:00Z");
    }
}
