//! Quantiles and fractions of classic histograms: series with an `le` label.

/// One bucket: how many observations were at most `bound`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub bound: f64,
    pub count: f64,
}

/// Differences of counts below this share are rounding, not observations.
const TOLERANCE: f64 = 1e-12;

/// The φ-quantile, interpolated within its bucket; buckets may come in any order. Also whether falling counts had to
/// be raised.
pub(super) fn quantile(phi: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if phi.is_nan() {
        return (f64::NAN, false);
    }
    if phi < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if phi > 1.0 {
        return (f64::INFINITY, false);
    }
    match prepare(buckets) {
        Some(fixed) if buckets.len() >= 2 => (interpolate(phi, buckets), fixed),
        _ => (f64::NAN, false),
    }
}

fn interpolate(phi: f64, buckets: &[Bucket]) -> f64 {
    let (Some(last), Some(second_last)) = (buckets.last(), buckets.get(buckets.len() - 2)) else { return f64::NAN };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let mut rank = phi * last.count;
    let at = buckets
        .iter()
        .take(buckets.len() - 1)
        .take_while(|bucket| bucket.count < rank || bucket.count.is_nan())
        .count();
    if at == buckets.len() - 1 {
        return second_last.bound;
    }
    let Some(bucket) = buckets.get(at) else { return f64::NAN };
    if at == 0 && bucket.bound <= 0.0 {
        return bucket.bound;
    }
    let (mut start, mut count) = (0.0, bucket.count);
    if let Some(before) = at.checked_sub(1).and_then(|before| buckets.get(before)) {
        start = before.bound;
        count -= before.count;
        rank -= before.count;
    }
    start + (bucket.bound - start) * (rank / count)
}

/// The share of observations between two values.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if prepare(buckets).is_none() {
        return f64::NAN;
    }
    let total = buckets.last().map_or(0.0, |bucket| bucket.count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, total) - rank_of(lower, buckets, total)) / total
}

/// How many observations were at most `value`, interpolated.
fn rank_of(value: f64, buckets: &[Bucket], total: f64) -> f64 {
    let mut rank: f64 = 0.0;
    // The lowest bucket begins at zero if it ends above it, else it has no beginning.
    let mut start = if buckets.first().is_some_and(|bucket| bucket.bound > 0.0) { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if start >= value {
            return rank.min(total);
        }
        if bucket.bound > value {
            let inside = if start == f64::NEG_INFINITY {
                bucket.count
            } else if bucket.bound == f64::INFINITY {
                rank
            } else {
                rank + (bucket.count - rank) * (value - start) / (bucket.bound - start)
            };
            return inside.min(total);
        }
        start = bucket.bound;
        rank = bucket.count;
    }
    total
}

/// Sorts, merges equal bounds and makes counts rise (and says whether they did not); none when the highest bound is not
/// +Inf.
fn prepare(buckets: &mut Vec<Bucket>) -> Option<bool> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last().is_none_or(|bucket| bucket.bound != f64::INFINITY) {
        return None;
    }
    buckets.dedup_by(|later, earlier| {
        let same = later.bound == earlier.bound;
        if same {
            earlier.count += later.count;
        }
        same
    });
    let mut fixed = false;
    let mut previous = buckets.first().map_or(0.0, |bucket| bucket.count);
    for bucket in buckets.iter_mut().skip(1) {
        if almost_equal(bucket.count, previous) {
            bucket.count = previous;
        } else if bucket.count < previous {
            bucket.count = previous;
            fixed = true;
        } else {
            previous = bucket.count;
        }
    }
    Some(fixed)
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
