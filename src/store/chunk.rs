//! Compresses the points of a series: times as changes of their distance, values in whichever of four codings is
//! smallest. Every bit of every value survives.
//!
//! | coding | for | cost |
//! |---|---|---|
//! | constant | values that never change | nothing |
//! | steps | decimals with few digits, by their difference | few bits |
//! | steps of steps | counters that grow evenly, by the change of their difference | few bits |
//! | xor | everything else, as Gorilla: only the bits that differ from the value before | 1 bit to 9 bytes |

use super::bits::{BitReader, BitWriter, put_varint, take_bytes, take_u64, take_varint, unzigzag, zigzag};
use crate::model::series::{Millis, Point};

const CONSTANT: u8 = 0;
const XOR: u8 = 1;
const STEPS: u8 = 2;
const STEPS_OF_STEPS: u8 = 3;
/// Set when the distances between times differ.
const UNEVEN: u8 = 4;

/// Decimal places that are tried.
const SCALES: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// Largest integer below which every integer is a double.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;
/// Most points that a chunk may claim to have: bounds what a hostile snapshot makes us allocate.
pub(super) const MAX_POINTS: usize = 65_535;

/// Compressed points.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Time of the first point.
    pub from: Millis,
    /// Time of the last point.
    pub to: Millis,
    /// How many there are.
    pub count: u16,
    pub data: Box<[u8]>,
}

impl Chunk {
    /// Compresses points in order of time; none when there is none.
    pub fn encode(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let count = u16::try_from(points.len()).ok()?;
        let data = encode(points).into_boxed_slice();
        Some(Self { from: first.at, to: last.at, count, data })
    }

    /// Appends all points; false (and nothing appended) when the data are damaged.
    pub fn decode(&self, out: &mut Vec<Point>) -> bool {
        let before = out.len();
        let good = decode(&self.data, usize::from(self.count), out).is_some();
        if !good {
            out.truncate(before);
        }
        good
    }

    /// Appends the points of a time range.
    pub fn decode_between(&self, from: Millis, to: Millis, out: &mut Vec<Point>) {
        let before = out.len();
        if !self.decode(out) || (from <= self.from && self.to <= to) {
            return;
        }
        let added = out.get(before..).unwrap_or_default();
        let begin = added.partition_point(|point| point.at < from);
        let end = added.partition_point(|point| point.at <= to);
        out.truncate(before + end.max(begin));
        out.drain(before..before + begin);
    }

    /// Bytes in memory, the allocator's share included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + 16
    }
}

fn encode(points: &[Point]) -> Vec<u8> {
    let changes = time_changes(points);
    let uneven = changes.iter().any(|change| *change != 0);
    let values = plan_values(points);
    let mut out = Vec::with_capacity(64);
    out.push(values.mode() | if uneven { UNEVEN } else { 0 });
    let first = points.first().copied().unwrap_or(Point { at: 0, value: 0.0 });
    put_varint(&mut out, zigzag(first.at));
    if let Some(second) = points.get(1) {
        put_varint(&mut out, second.at.wrapping_sub(first.at) as u64);
    }
    let time_widths = uneven.then(|| Widths::best(&changes));
    if let Some(widths) = time_widths {
        out.extend(widths.0);
    }
    match &values {
        Values::Constant(value) | Values::Xor(value) => out.extend(value.to_le_bytes()),
        Values::Whole { scale, shift, first, second, widths, .. } => {
            out.extend([*scale, *shift]);
            put_varint(&mut out, zigzag(*first));
            if let Some(step) = second {
                put_varint(&mut out, zigzag(*step));
            }
            out.extend(widths.0);
        }
    }
    let mut bits = BitWriter::after(out);
    if let Some(widths) = time_widths {
        changes.iter().for_each(|change| widths.put(*change, &mut bits));
    }
    match &values {
        Values::Constant(_) => {}
        Values::Xor(_) => put_xor(points, &mut bits),
        Values::Whole { rest, widths, .. } => rest.iter().for_each(|step| widths.put(*step, &mut bits)),
    }
    bits.finish()
}

fn decode(data: &[u8], count: usize, out: &mut Vec<Point>) -> Option<()> {
    let mut rest = data;
    let (mode, after) = rest.split_first()?;
    rest = after;
    let first = unzigzag(take_varint(&mut rest)?);
    let gap = if count > 1 { take_varint(&mut rest)? as i64 } else { 0 };
    let time_widths = if mode & UNEVEN != 0 { Some(Widths::take(&mut rest)?) } else { None };
    let coding = mode & 3;
    let start = out.len();
    let mut header = WholeHeader::default();
    let mut constant = 0;
    match coding {
        CONSTANT | XOR => constant = take_u64(&mut rest)?,
        _ => header = WholeHeader::take(&mut rest, coding == STEPS_OF_STEPS && count > 1)?,
    }
    let mut bits = BitReader::new(rest);
    out.reserve(count);
    let (mut at, mut gap) = (first, gap);
    for index in 0..count {
        if index > 1
            && let Some(widths) = time_widths
        {
            gap = gap.wrapping_add(widths.get(&mut bits));
        }
        if index > 0 {
            at = at.wrapping_add(gap);
        }
        out.push(Point { at, value: 0.0 });
    }
    let points = out.get_mut(start..)?;
    match coding {
        CONSTANT => points.iter_mut().for_each(|point| point.value = f64::from_bits(constant)),
        XOR => get_xor(constant, points, &mut bits),
        STEPS => {
            let mut whole = header.first;
            for (index, point) in points.iter_mut().enumerate() {
                if index > 0 {
                    whole = whole.wrapping_add(header.widths.get(&mut bits));
                }
                point.value = header.value(whole);
            }
        }
        _ => {
            let (mut whole, mut step) = (header.first, header.second);
            for (index, point) in points.iter_mut().enumerate() {
                if index > 1 {
                    step = step.wrapping_add(header.widths.get(&mut bits));
                }
                if index > 0 {
                    whole = whole.wrapping_add(step);
                }
                point.value = header.value(whole);
            }
        }
    }
    (!bits.is_overrun()).then_some(())
}

/// From the third point on: by how much the distance to the point before changed.
fn time_changes(points: &[Point]) -> Vec<i64> {
    points
        .windows(3)
        .map(|three| match three {
            [a, b, c] => c.at.wrapping_sub(b.at).wrapping_sub(b.at.wrapping_sub(a.at)),
            _ => 0,
        })
        .collect()
}

/// How the values of a chunk are coded.
enum Values {
    Constant(u64),
    Xor(u64),
    /// As integers: `value = (first + …) << shift / 10^scale`.
    Whole {
        scale: u8,
        shift: u8,
        first: i64,
        second: Option<i64>,
        rest: Vec<i64>,
        widths: Widths,
    },
}

impl Values {
    fn mode(&self) -> u8 {
        match self {
            Self::Constant(_) => CONSTANT,
            Self::Xor(_) => XOR,
            Self::Whole { second: None, .. } => STEPS,
            Self::Whole { .. } => STEPS_OF_STEPS,
        }
    }
}

fn plan_values(points: &[Point]) -> Values {
    let first = points.first().map_or(0, |point| point.value.to_bits());
    if points.iter().all(|point| point.value.to_bits() == first) {
        return Values::Constant(first);
    }
    let Some((scale, mut whole)) = as_integers(points) else { return Values::Xor(first) };
    // Bytes are counted in pages, times in whole seconds: trailing zeros that all share are left out.
    let shift = whole.iter().fold(0, |bits, value| bits | *value).trailing_zeros().min(63);
    whole.iter_mut().for_each(|value| *value >>= shift);
    let steps: Vec<i64> = whole.windows(2).map(difference).collect();
    let changes: Vec<i64> = steps.windows(2).map(difference).collect();
    let (step_widths, change_widths) = (Widths::best(&steps), Widths::best(&changes));
    let first_whole = whole.first().copied().unwrap_or(0);
    let whole =
        |second, rest, widths| Values::Whole { scale, shift: shift as u8, first: first_whole, second, rest, widths };
    let (step_cost, change_cost) = (step_widths.cost(&steps), change_widths.cost(&changes));
    let best = step_cost.min(change_cost);
    // Only where integers cost much is the other coding worth a try.
    if best > 20 * points.len() && xor_cost(points) < best {
        return Values::Xor(first);
    }
    if step_cost <= change_cost {
        whole(None, steps, step_widths)
    } else {
        let second = steps.first().copied();
        whole(second, changes, change_widths)
    }
}

fn difference(pair: &[i64]) -> i64 {
    match pair {
        [a, b] => b.wrapping_sub(*a),
        _ => 0,
    }
}

/// The values times the smallest power of ten that makes all of them integers, if reading them back gives every bit.
fn as_integers(points: &[Point]) -> Option<(u8, Vec<i64>)> {
    SCALES.iter().enumerate().find_map(|(index, scale)| {
        let whole = |point: &Point| {
            let scaled = (point.value * scale).round();
            let exact = scaled.abs() < MAX_WHOLE && (scaled / scale).to_bits() == point.value.to_bits();
            exact.then_some(scaled as i64)
        };
        // The last point is the likeliest to need more digits than the first: a cheap way to fail early.
        points.last().and_then(whole)?;
        let integers: Option<Vec<i64>> = points.iter().map(whole).collect();
        integers.map(|integers| (index as u8, integers))
    })
}

/// What precedes the bits of integer codings.
#[derive(Default)]
struct WholeHeader {
    scale: f64,
    shift: u8,
    first: i64,
    second: i64,
    widths: Widths,
}

impl WholeHeader {
    fn take(bytes: &mut &[u8], with_second: bool) -> Option<Self> {
        let [scale, shift] = *take_bytes(bytes, 2)? else { return None };
        let scale = *SCALES.get(usize::from(scale))?;
        let first = unzigzag(take_varint(bytes)?);
        let second = if with_second { unzigzag(take_varint(bytes)?) } else { 0 };
        let widths = Widths::take(bytes)?;
        (shift < 64).then_some(Self { scale, shift, first, second, widths })
    }

    #[inline]
    fn value(&self, whole: i64) -> f64 {
        (whole << self.shift) as f64 / self.scale
    }
}

/// A prefix code for small numbers: `0` = zero, `10`, `110`, `111` = that many bits follow.
#[derive(Clone, Copy, Debug, Default)]
struct Widths([u8; 3]);

impl Widths {
    /// The widths that make these numbers shortest.
    fn best(numbers: &[i64]) -> Self {
        let lengths = lengths(numbers);
        let present: Vec<u8> =
            (1..=64_u8).filter(|width| lengths.get(usize::from(*width)).is_some_and(|n| *n > 0)).collect();
        let largest = present.last().copied().unwrap_or(1);
        let mut best = (usize::MAX, Self([largest; 3]));
        for (index, small) in present.iter().enumerate() {
            for middle in present.iter().skip(index) {
                let widths = Self([*small, *middle, largest]);
                let cost = widths.cost_of(&lengths);
                if cost < best.0 {
                    best = (cost, widths);
                }
            }
        }
        best.1
    }

    fn cost(self, numbers: &[i64]) -> usize {
        self.cost_of(&lengths(numbers))
    }

    fn cost_of(self, lengths: &[usize; 65]) -> usize {
        lengths
            .iter()
            .enumerate()
            .map(|(length, count)| count * if length == 0 { 1 } else { self.class(length as u32).2 as usize })
            .sum()
    }

    /// Prefix, its length and value, and the total bits for a number of this length.
    fn class(self, length: u32) -> (u64, u32, u32) {
        let [small, middle, large] = self.0.map(u32::from);
        if length <= small {
            (0b10, 2, 2 + small)
        } else if length <= middle {
            (0b110, 3, 3 + middle)
        } else {
            (0b111, 3, 3 + large)
        }
    }

    fn put(self, number: i64, bits: &mut BitWriter) {
        let number = zigzag(number);
        if number == 0 {
            return bits.put(0, 1);
        }
        let (prefix, prefix_width, total) = self.class(64 - number.leading_zeros());
        bits.put(prefix, prefix_width);
        bits.put(number, total - prefix_width);
    }

    #[inline]
    fn get(self, bits: &mut BitReader<'_>) -> i64 {
        let width = match bits.ones(3) {
            0 => return 0,
            class => self.0.get(class as usize - 1).copied().unwrap_or(0),
        };
        unzigzag(bits.get(u32::from(width)))
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let widths: [u8; 3] = take_bytes(bytes, 3)?.try_into().ok()?;
        widths.iter().all(|width| *width <= 64).then_some(Self(widths))
    }
}

/// How many numbers have each length in bits.
fn lengths(numbers: &[i64]) -> [usize; 65] {
    let mut lengths = [0; 65];
    for number in numbers {
        if let Some(count) = lengths.get_mut(64 - zigzag(*number).leading_zeros() as usize) {
            *count += 1;
        }
    }
    lengths
}

/// The part of a XOR that is written: how many zeros lead and how many bits follow.
#[derive(Clone, Copy, Default)]
struct Window {
    leading: u32,
    width: u32,
}

fn put_xor(points: &[Point], bits: &mut BitWriter) {
    let mut window = Window::default();
    for pair in points.windows(2) {
        let [a, b] = pair else { continue };
        let xor = a.value.to_bits() ^ b.value.to_bits();
        if xor == 0 {
            bits.put(0, 1);
            continue;
        }
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        let fits = window.width > 0 && leading >= window.leading && trailing >= 64 - window.leading - window.width;
        if fits {
            bits.put(0b10, 2);
        } else {
            window = Window { leading, width: 64 - leading - trailing };
            bits.put(0b11, 2);
            bits.put(u64::from(leading), 5);
            bits.put(u64::from(window.width - 1), 6);
        }
        bits.put(xor >> (64 - window.leading - window.width), window.width);
    }
}

fn get_xor(first: u64, points: &mut [Point], bits: &mut BitReader<'_>) {
    let mut window = Window::default();
    let mut value = first;
    for (index, point) in points.iter_mut().enumerate() {
        if index > 0 {
            let class = bits.ones(2);
            if class == 2 {
                window.leading = bits.get(5) as u32;
                window.width = bits.get(6) as u32 + 1;
            }
            if class > 0 {
                let shift = 64_u32.saturating_sub(window.leading + window.width);
                // Only damaged data ask for a shift that is too wide.
                value ^= bits.get(window.width).checked_shl(shift).unwrap_or(0);
            }
        }
        point.value = f64::from_bits(value);
    }
}

fn xor_cost(points: &[Point]) -> usize {
    let mut bits = BitWriter::default();
    put_xor(points, &mut bits);
    bits.finish().len() * 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::series::stale_nan;

    fn round_trip(points: &[Point]) -> usize {
        let chunk = Chunk::encode(points).unwrap();
        let mut out = Vec::new();
        assert!(chunk.decode(&mut out));
        assert_eq!(out.len(), points.len());
        for (a, b) in out.iter().zip(points) {
            assert_eq!((a.at, a.value.to_bits()), (b.at, b.value.to_bits()));
        }
        chunk.data.len()
    }

    fn every(step: i64, values: impl IntoIterator<Item = f64>) -> Vec<Point> {
        values
            .into_iter()
            .enumerate()
            .map(|(i, value)| Point { at: 1_700_000_000_000 + step * i as i64, value })
            .collect()
    }

    proptest! {
        #[test]
        fn every_bit_pattern_and_any_rising_times_survive(
            values in prop::collection::vec(any::<u64>(), 1..80),
            first in any::<i64>(),
            gaps in prop::collection::vec(prop_oneof![1_i64..5, 1_i64..1_000_000, any::<i64>()], 80),
        ) {
            let mut at = first;
            let points: Vec<Point> = values.iter().zip(gaps).map(|(bits, gap)| {
                at = at.saturating_add(gap.saturating_abs());
                Point { at, value: f64::from_bits(*bits) }
            }).collect();
            round_trip(&points);
        }

        #[test]
        fn decimals_survive(digits in prop::collection::vec(-10_000_000_i64..10_000_000, 1..80), scale in 0_usize..7) {
            round_trip(&every(15_000, digits.iter().map(|d| *d as f64 / SCALES[scale])));
        }

        #[test]
        fn a_range_of_a_chunk_is_what_a_filter_leaves(count in 1_usize..100, from in -5_i64..110, to in -5_i64..110) {
            let points: Vec<Point> = (0..count).map(|i| Point { at: i as i64, value: i as f64 }).collect();
            let chunk = Chunk::encode(&points).unwrap();
            let mut out = Vec::new();
            chunk.decode_between(from, to, &mut out);
            let expected: Vec<Point> = points.into_iter().filter(|p| from <= p.at && p.at <= to).collect();
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count: u16) {
            let chunk = Chunk { from: 0, to: 0, count, data: bytes.into() };
            chunk.decode(&mut Vec::new());
        }
    }

    #[test]
    fn usual_series_cost_little() {
        // An idle gauge costs its header alone, an even counter a bit a point, a noisy one little more than its noise.
        assert!(round_trip(&every(15_000, (0..256).map(|_| 42.0))) < 24);
        assert!(round_trip(&every(15_000, (0..256).map(|i| f64::from(i) * 1500.0))) < 64);
        let noisy = every(15_000, (0..256).map(|i| (f64::from(i) * 1493.0 + f64::from(i * 7919 % 13)) / 100.0));
        assert!(round_trip(&noisy) < 256 * 9 / 8);
    }

    #[test]
    fn special_values_keep_their_bits() {
        let odd = [0.0, -0.0, f64::NAN, stale_nan(), f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324];
        round_trip(&every(1, odd));
    }
}
