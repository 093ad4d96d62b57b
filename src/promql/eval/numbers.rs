//! Sums that lose no small numbers beside large ones, means that do not overflow, and quantiles.

/// A compensated (Kahan–Neumaier) sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds one number.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - total) + value;
        } else {
            self.lost += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// The sum.
    pub fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.raw() }
    }

    /// The sum, for use in further arithmetic.
    pub fn raw(self) -> f64 {
        self.sum + self.lost
    }

    fn scaled(self, by: f64) -> Self {
        Self { sum: self.sum * by, lost: self.lost * by }
    }
}

/// A mean: the plain sum divided, or, once that overflows, corrected value by value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    /// The sum, or the mean itself once `incremental`.
    state: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    /// Adds one number.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            // Assigned, not added: an infinite first value must not switch modes by itself.
            self.state = Sum { sum: value, lost: 0.0 };
            return;
        }
        if !self.incremental {
            let mut next = self.state;
            next.add(value);
            if !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.state = Sum { sum: self.state.sum / before, lost: self.state.lost / before };
        }
        self.state = self.state.scaled((self.count - 1.0) / self.count);
        self.state.add(value / self.count);
    }

    /// The mean of what was added.
    pub fn result(self) -> f64 {
        if self.incremental { self.state.raw() } else { self.state.sum / self.count + self.state.lost / self.count }
    }
}

/// The φ-quantile, interpolated; sorts the values, NaN first.
pub(super) fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let rank = phi * (values.len() - 1) as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    let at = |index: f64| values.get(index as usize).or(values.last()).copied().unwrap_or(f64::NAN);
    at(lower) * (1.0 - weight) + at(lower + 1.0) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_survive_beside_large_ones_that_cancel() {
        let mut sum = Sum::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn a_quantile_sorts_nan_first() {
        let mut values = [2.0, f64::NAN, 1.0];
        assert!(quantile(0.0, &mut values).is_nan());
        assert_eq!(quantile(1.0, &mut values), 2.0);
    }
}
