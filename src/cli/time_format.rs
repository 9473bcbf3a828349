//! Formats and parses times and durations. Times are in UTC, so that they can be compared with the daemon's
//! logs from any time zone.

use thiserror::Error;

const DAY_MS: i64 = 86_400_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `2026-01-31 09:05:07Z` for milliseconds since the epoch.
#[must_use]
pub fn moment(ms: i64) -> String {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let second = ms.rem_euclid(DAY_MS) / 1_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// `09:05:07.123` (UTC) for milliseconds since the epoch.
#[must_use]
pub fn time_of_day(ms: i64) -> String {
    let ms = ms.rem_euclid(DAY_MS);
    let second = ms / 1_000;
    format!("{:02}:{:02}:{:02}.{:03}", second / 3_600, second / 60 % 60, second % 60, ms % 1_000)
}

/// A rough duration: `3 s`, `4 min`, `5 h`, `6 d`.
#[must_use]
pub fn rough(ms: i64) -> String {
    let seconds = ms.saturating_abs() / 1_000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The text is not a duration.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a duration is a whole number and a unit: 90s, 15m, 12h, 30d or 4w")]
pub struct DurationError;

/// Parses `90s`, `15m`, `12h`, `30d`, `4w` to milliseconds.
///
/// # Errors
/// [`DurationError`] for anything else, including zero.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at(at);
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        _ => return Err(DurationError),
    };
    let number: i64 = number.parse().map_err(|_| DurationError)?;
    number.checked_mul(unit_ms).filter(|ms| (1..=1_000 * 366 * DAY_MS).contains(ms)).ok_or(DurationError)
}

/// Parses an HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7), to milliseconds since the epoch.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.strip_suffix(" GMT")?.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)?;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let sane = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !sane {
        return None;
    }
    let days = days_from_civil(year, i64::try_from(month).ok()? + 1, day);
    Some(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000)
}

/// Converts days since the epoch to year, month and day (proleptic Gregorian calendar). Algorithm: Howard
/// Hinnant, "chrono-compatible low-level date algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil`], from the same source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::time_format::*;

    #[test]
    fn timestamps_are_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00Z");
        assert_eq!(moment(1_709_210_096_789), "2024-02-29 12:34:56Z");
        assert_eq!(moment(-1), "1969-12-31 23:59:59Z");
        assert_eq!(time_of_day(1_709_210_096_789), "12:34:56.789");
    }

    #[test]
    fn http_dates_are_parsed() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        for text in [
            "",
            "yesterday",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 9223372036854775807 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn durations_require_unit() {
        assert_eq!(parse_duration_ms("90s"), Ok(90_000));
        assert_eq!(parse_duration_ms("30d"), Ok(30 * DAY_MS));
        for text in ["", "30", "d", "0d", "-1d", "1.5h", "1 h", "99999999999999w", "1y"] {
            assert_eq!(parse_duration_ms(text), Err(DurationError), "{text}");
        }
    }

    #[test]
    fn rough_durations_are_short() {
        let texts = [5_000, 119_000, 300_000, 7_200_000, 864_000_000].map(rough);
        assert_eq!(texts, ["5 s", "119 s", "5 min", "2 h", "10 d"]);
    }

    proptest! {
        #[test]
        fn day_and_date_conversions_are_inverse(days in -1_000_000_i64..1_000_000) {
            let (year, month, day) = civil(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
