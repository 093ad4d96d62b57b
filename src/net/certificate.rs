//! The end of a certificate's validity, read from its DER bytes (RFC 5280 §4.1).

/// `notAfter` in unix seconds; None if the bytes are not a certificate.
pub(super) fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, 0x30)?;
    let (tbs, _) = element(certificate, 0x30)?;
    // [0] version (optional), serial number, signature algorithm, issuer, then validity.
    let mut rest = match element(tbs, 0xa0) {
        Some((_, rest)) => rest,
        None => tbs,
    };
    for tag in [0x02, 0x30, 0x30] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, 0x30)?;
    let (_, after_begin) = time(validity)?;
    Some(time(after_begin)?.0)
}

/// The content of the element with this tag at the start, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    if found != tag {
        return None;
    }
    let (&first, mut rest) = rest.split_first()?;
    let length = match first {
        short @ 0..=0x7f => usize::from(short),
        long @ 0x81..=0x84 => {
            let (digits, after) = rest.split_at_checked(usize::from(long & 0x7f))?;
            rest = after;
            digits.iter().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit))
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (`YYYYMMDDHHMMSSZ`), and what follows it.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest, year_digits) = match element(bytes, 0x17) {
        Some((text, rest)) => (text, rest, 2),
        None => element(bytes, 0x18).map(|(text, rest)| (text, rest, 4))?,
    };
    if text.len() != year_digits + 11 || text.last() != Some(&b'Z') {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i16> {
        let digits = text.get(from..to)?;
        digits.iter().try_fold(0i16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
    };
    let year = match (year_digits, number(0, year_digits)?) {
        (2, year) if year < 50 => 2000 + year,
        (2, year) => 1900 + year,
        (_, year) => year,
    };
    let two = |index: usize| number(year_digits + 2 * index, year_digits + 2 * index + 2)?.try_into().ok();
    let date = jiff::civil::DateTime::new(year, two(0)?, two(1)?, two(2)?, two(3)?, two(4)?, 0).ok()?;
    Some((date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_notations_of_time() {
        for (year, text) in [(2031, "2031-03-01T00:00:00Z"), (2077, "2077-03-01T00:00:00Z")] {
            let expected: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(not_after(&certificate(year)), Some(expected.as_second()));
        }
    }

    #[test]
    fn a_certificate_cut_anywhere_is_no_certificate_and_no_panic() {
        let der = certificate(2031);
        for length in 0..der.len() {
            let _ = not_after(&der[..length]);
        }
        assert_eq!(not_after(&der[..40]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = not_after(&bytes);
        }
    }
}
