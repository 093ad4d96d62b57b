//! Turns unix time into fields of the UTC calendar, for `hour()`, `day_of_week()` and their like.

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) struct Civil {
    pub year: i64,
    /// From 1.
    pub month: u8,
    /// Of the month, from 1.
    pub day: u8,
    /// Sunday is 0.
    pub weekday: u8,
    /// From 1.
    pub day_of_year: u16,
    pub days_in_month: u8,
    pub hour: u8,
    pub minute: u8,
}

/// Beyond this many seconds from 1970 the fields are those of the limit: a hostile value must not overflow.
const LIMIT: f64 = 1e14;

/// The calendar at a unix time in seconds; fractions are cut.
pub(in crate::promql) fn civil(seconds: f64) -> Civil {
    let seconds = seconds.clamp(-LIMIT, LIMIT) as i64;
    let days = seconds.div_euclid(86_400);
    let second_of_day = seconds.rem_euclid(86_400);
    // Days are counted in eras of 400 years that begin on the 1st of March, so that leap days fall to the end.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_march_year + 2) / 153;
    let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths: [u8; 12] = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: u16 = lengths.iter().take(month as usize - 1).map(|length| u16::from(*length)).sum();
    Civil {
        year,
        month: month as u8,
        day: day as u8,
        weekday: (days + 4).rem_euclid(7) as u8,
        day_of_year: before + day as u16,
        days_in_month: lengths.get(month as usize - 1).copied().unwrap_or(31),
        hour: (second_of_day / 3600) as u8,
        minute: (second_of_day / 60 % 60) as u8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_field_agrees_with_a_calendar_library(seconds in -60_000_000_000_i64..200_000_000_000) {
            let stamp = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let ours = civil(seconds as f64);
            prop_assert_eq!(ours.year, i64::from(stamp.year()));
            prop_assert_eq!(ours.month as i8, stamp.month());
            prop_assert_eq!(ours.day as i8, stamp.day());
            prop_assert_eq!(ours.weekday as i8, stamp.weekday().to_sunday_zero_offset());
            prop_assert_eq!(ours.day_of_year as i16, stamp.day_of_year());
            prop_assert_eq!(ours.days_in_month as i8, stamp.days_in_month());
            prop_assert_eq!(ours.hour as i8, stamp.hour());
            prop_assert_eq!(ours.minute as i8, stamp.minute());
        }

        #[test]
        fn no_number_is_too_strange(bits: u64) {
            civil(f64::from_bits(bits));
        }
    }
}
