//! Writes all history into one byte string and reads it back: versioned, checksummed, and read with suspicion.

use super::bits::{put_varint, take_bytes, take_u64, take_varint, unzigzag, zigzag};
use super::chunk::{Chunk, MAX_POINTS};
use super::error::StoreError;
use super::inner::Inner;
use crate::model::labels::Labels;
use crate::model::series::Point;

const MAGIC: &[u8; 4] = b"vhst";
/// Raised whenever an older program could not read what a newer one writes.
const VERSION: u8 = 1;
/// Magic, version and checksum.
const HEADER: usize = 4 + 1 + 8;

/// One series of a snapshot.
pub(super) struct SavedSeries {
    pub source: String,
    pub labels: Labels,
    pub chunks: Vec<Chunk>,
    /// Its newest point is a staleness marker.
    pub ended: bool,
}

/// Everything in one byte string.
pub(super) fn write(inner: &Inner) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.push(VERSION);
    out.extend([0; 8]);
    for (entry, source) in inner.series() {
        let (chunks, head) = entry.parts();
        out.push(1 + u8::from(entry.is_ended()));
        put_text(&mut out, source);
        put_varint(&mut out, entry.labels.len() as u64);
        for (name, value) in entry.labels.iter() {
            put_text(&mut out, name);
            put_text(&mut out, value);
        }
        let head = Chunk::encode(head);
        put_varint(&mut out, (chunks.len() + usize::from(head.is_some())) as u64);
        for chunk in chunks.iter().chain(&head) {
            put_varint(&mut out, u64::from(chunk.count));
            put_varint(&mut out, zigzag(chunk.from));
            put_varint(&mut out, zigzag(chunk.to));
            put_varint(&mut out, chunk.data.len() as u64);
            out.extend(chunk.data.iter());
        }
    }
    out.push(0);
    let checksum = checksum(out.get(HEADER..).unwrap_or_default());
    if let Some(place) = out.get_mut(5..HEADER) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    out
}

/// Reads all series, or says why not.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<SavedSeries>, StoreError> {
    let mut rest = bytes;
    if take_bytes(&mut rest, 4) != Some(MAGIC) {
        return Err(StoreError::NotASnapshot);
    }
    match take_bytes(&mut rest, 1) {
        Some([VERSION]) => {}
        Some([found, ..]) => return Err(StoreError::OtherVersion { found: *found, known: VERSION }),
        _ => return Err(StoreError::NotASnapshot),
    }
    let written = take_u64(&mut rest).ok_or(StoreError::Damaged("it is cut off"))?;
    if checksum(rest) != written {
        return Err(StoreError::Damaged("its checksum does not match"));
    }
    let mut out = Vec::new();
    loop {
        match take_bytes(&mut rest, 1) {
            Some([0]) => return Ok(out),
            Some([kind @ 1..=2]) => {
                let series =
                    take_series(&mut rest, *kind == 2).ok_or(StoreError::Damaged("a series cannot be read"))?;
                out.push(series);
            }
            _ => return Err(StoreError::Damaged("it does not end where it should")),
        }
    }
}

fn take_series(rest: &mut &[u8], ended: bool) -> Option<SavedSeries> {
    let source = take_text(rest)?;
    let pairs = take_varint(rest)?;
    let mut labels = Vec::new();
    for _ in 0..pairs {
        labels.push((take_text(rest)?, take_text(rest)?));
    }
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut points: Vec<Point> = Vec::new();
    for _ in 0..take_varint(rest)? {
        let count = take_varint(rest)?;
        let (from, to) = (unzigzag(take_varint(rest)?), unzigzag(take_varint(rest)?));
        let length = usize::try_from(take_varint(rest)?).ok()?;
        let data = take_bytes(rest, length)?.into();
        if count == 0 || count as usize > MAX_POINTS {
            return None;
        }
        let chunk = Chunk { from, to, count: count as u16, data };
        // What queries rely on must hold: readable, rising, and where it says it is.
        points.clear();
        let whole = chunk.decode(&mut points)
            && points.is_sorted_by(|a, b| a.at < b.at)
            && points.first().is_some_and(|point| point.at == from)
            && points.last().is_some_and(|point| point.at == to)
            && chunks.last().is_none_or(|before| before.to < from);
        if !whole {
            return None;
        }
        chunks.push(chunk);
    }
    Some(SavedSeries { source, labels: Labels::from_pairs(labels), chunks, ended })
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_varint(rest)?).ok()?;
    String::from_utf8(take_bytes(rest, length)?.to_vec()).ok()
}

/// Finds accidents, not attackers: eight bytes at a time.
fn checksum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut state = bytes.len() as u64 ^ 0xcbf2_9ce4_8422_2325;
    let mut add = |word: u64| state = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    for word in &mut words {
        let mut buffer = [0; 8];
        buffer.copy_from_slice(word);
        add(u64::from_le_bytes(buffer));
    }
    words.remainder().iter().for_each(|byte| add(u64::from(*byte)));
    state
}
