//! Compression, for callers that ask for it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Whether an `Accept-Encoding` header asks for gzip: named, or `*`, and not with `q=0`.
#[must_use]
pub fn is_accepted(accept_encoding: &str) -> bool {
    let mut any = false;
    for part in accept_encoding.split(',') {
        let mut pieces = part.split(';').map(str::trim);
        let coding = pieces.next().unwrap_or_default();
        let quality = pieces.find_map(|piece| piece.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if coding.eq_ignore_ascii_case("gzip") {
            return quality > 0.0;
        }
        any |= coding == "*" && quality > 0.0;
    }
    any
}

/// The body, compressed as fast as possible: level 6 would cost more than the collection and save a seventh.
///
/// # Errors
/// None in practice: it writes into memory.
pub fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn only_those_who_ask_get_it() {
        for accepted in ["gzip", "deflate, GZIP;q=0.5", "*", "br;q=1.0, gzip;q=0.8, *;q=0.1"] {
            assert!(is_accepted(accepted), "{accepted}");
        }
        for refused in ["", "identity", "gzip;q=0", "gzip; q=0.0, *", "br", "*;q=0"] {
            assert!(!is_accepted(refused), "{refused}");
        }
    }

    #[test]
    fn a_compressed_body_reads_back() {
        let body = b"node_load1 0.21\n".repeat(100);
        let compressed = compress(&body).unwrap();
        assert!(compressed.len() < body.len() / 4);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, body);
    }
}
