//! Hours in which no message leaves, by the local time of a time zone.
//!
//! A moment is quiet when its local time is at or after `from` and before `to`. Local times that occur twice
//! after the clock is set back are quiet both times.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::domain::clock::Millis;

/// Why quiet hours are invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidQuietHours {
    /// The text is not `HH:MM`.
    #[error("must be a time of day such as \"22:00\"")]
    Time,
    /// There is no time zone of this name.
    #[error("must be the name of a time zone such as \"Europe/Berlin\" or \"UTC\"")]
    Zone,
    /// Both times are the same.
    #[error("must not begin and end at the same time")]
    Empty,
}

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(Time);

impl FromStr for TimeOfDay {
    type Err = InvalidQuietHours;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<i8>().ok().filter(|_| digits)
        };
        let (hour, minute) = text.split_once(':').ok_or(InvalidQuietHours::Time)?;
        let (hour, minute) = number(hour).zip(number(minute)).ok_or(InvalidQuietHours::Time)?;
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| InvalidQuietHours::Time)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// A time zone by its IANA name, with its daylight saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl FromStr for Zone {
    type Err = InvalidQuietHours;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        TimeZone::get(name).map(Self).map_err(|_| InvalidQuietHours::Zone)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The hours of each day in which no message leaves, independent of its priority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    #[serde(serialize_with = "as_text")]
    from: TimeOfDay,
    #[serde(serialize_with = "as_text")]
    to: TimeOfDay,
    time_zone: Zone,
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Maximum number of clock changes and window ends that are searched for a moment that is not quiet.
/// Far fewer are needed: such a moment follows each `to`, unless the clock is set back at that time.
const MAX_SEARCH_STEPS: usize = 16;

impl QuietHours {
    /// From one time of day to another, across midnight if `to` is earlier.
    ///
    /// # Errors
    /// When they are the same.
    pub fn new(from: TimeOfDay, to: TimeOfDay, time_zone: Zone) -> Result<Self, InvalidQuietHours> {
        if from == to { Err(InvalidQuietHours::Empty) } else { Ok(Self { from, to, time_zone }) }
    }

    /// The first moment from `now` on that is not quiet.
    #[must_use]
    pub fn free_at(&self, now: Millis) -> Millis {
        let Ok(mut at) = Timestamp::from_millisecond(now.0) else { return now };
        for _ in 0..MAX_SEARCH_STEPS {
            if !self.covers(at) {
                break;
            }
            match self.next_change(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        // Zones change at whole seconds today, but a fraction of one must not let a message leave early.
        let exact = Timestamp::from_millisecond(at.as_millisecond()).is_ok_and(|whole| whole >= at);
        Millis(at.as_millisecond()).plus(i64::from(!exact)).max(now)
    }

    /// Whether the local time at this moment is in the quiet hours.
    #[must_use]
    pub fn is_quiet(&self, at: Millis) -> bool {
        Timestamp::from_millisecond(at.0).is_ok_and(|at| self.covers(at))
    }

    fn covers(&self, at: Timestamp) -> bool {
        let clock = self.time_zone.0.to_datetime(at).time();
        let (from, to) = (self.from.0, self.to.0);
        if from < to { (from..to).contains(&clock) } else { clock >= from || clock < to }
    }

    /// The next moment when the local time is `to`, or an earlier change of the clock.
    fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = &self.time_zone.0;
        let today = zone.to_datetime(at).date();
        let days = [Some(today), today.tomorrow().ok()];
        let ends = days.into_iter().flatten().filter_map(|day| {
            let end = zone.to_ambiguous_timestamp(day.to_datetime(self.to.0));
            // Both occurrences count when the local time occurs twice.
            let both = [end.earlier().ok(), end.later().ok()];
            both.into_iter().flatten().filter(|end| *end > at).min()
        });
        let change = zone.following(at).next().map(|transition| transition.timestamp());
        ends.chain(change).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;

    fn quiet(from: &str, to: &str, zone: &str) -> QuietHours {
        QuietHours::new(from.parse().unwrap(), to.parse().unwrap(), zone.parse().unwrap()).unwrap()
    }

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn quiet_hours_end_in_local_time() {
        let berlin = quiet("22:00", "07:00", "Europe/Berlin");
        for (now, free) in [
            ("2026-01-10T20:59:59Z", "2026-01-10T20:59:59Z"),
            ("2026-01-10T21:00:00Z", "2026-01-11T06:00:00Z"),
            ("2026-01-11T05:59:59.999Z", "2026-01-11T06:00:00Z"),
            ("2026-01-11T06:00:00Z", "2026-01-11T06:00:00Z"),
            ("2026-07-10T20:00:00Z", "2026-07-11T05:00:00Z"),
        ] {
            assert_eq!(berlin.free_at(at(now)), at(free), "{now}");
        }
    }

    #[test]
    fn quiet_hours_follow_daylight_saving() {
        let berlin = quiet("22:00", "07:00", "Europe/Berlin");
        assert_eq!(berlin.free_at(at("2026-03-28T21:00:00Z")), at("2026-03-29T05:00:00Z"));
        assert_eq!(berlin.free_at(at("2026-10-24T20:00:00Z")), at("2026-10-25T06:00:00Z"));
    }

    #[test]
    fn quiet_end_in_clock_gap_is_the_jump() {
        let berlin = quiet("22:00", "02:30", "Europe/Berlin");
        assert_eq!(berlin.free_at(at("2026-03-28T23:00:00Z")), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn repeated_local_hours_are_both_quiet() {
        let berlin = quiet("02:00", "03:00", "Europe/Berlin");
        assert_eq!(berlin.free_at(at("2026-10-25T00:00:00Z")), at("2026-10-25T02:00:00Z"));
    }

    #[test]
    fn invalid_time_or_zone_is_rejected() {
        for text in ["24:00", "7:00", "07:60", "0700", "07:0a", "+7:00", ""] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(InvalidQuietHours::Time), "{text}");
        }
        for name in ["", "Mars/Olympus", "+02:00", "Europe/../UTC"] {
            assert_eq!(name.parse::<Zone>().err(), Some(InvalidQuietHours::Zone), "{name}");
        }
        let noon: TimeOfDay = "12:00".parse().unwrap();
        assert!(QuietHours::new(noon, noon, "UTC".parse().unwrap()).is_err());
    }

    #[test]
    fn quiet_hours_round_trip() {
        let written = serde_json::to_value(quiet("22:05", "07:00", "europe/berlin")).unwrap();
        assert_eq!(
            written,
            serde_json::json!({ "from": "22:05", "to": "07:00", "timeZone": "Europe/Berlin" })
        );
    }

    proptest! {
        /// Compares with a search minute by minute, in time zones with unusual changes.
        #[test]
        fn next_free_time_is_first_free_minute(
            zone in prop::sample::select(vec![
                "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
                "Africa/Casablanca", "UTC",
            ]),
            (from, to) in (0_u32..96, 0_u32..96).prop_filter("not empty", |(from, to)| from != to),
            hours in 0_i64..(366 * 24), minutes in 0_i64..60,
        ) {
            let text = |quarter: u32| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
            let hours_of = quiet(&text(from), &text(to), zone);
            let now = at("2026-01-01T00:00:00Z").plus(hours * HOUR + minutes * MINUTE);
            let minute = |n: i64| Timestamp::from_millisecond(now.plus(n * MINUTE).0).unwrap();
            let first = (0..3 * 24 * 60).find(|n| !hours_of.covers(minute(*n))).unwrap();
            prop_assert_eq!(hours_of.free_at(now), now.plus(first * MINUTE));
        }
    }
}
