//! The time zone of a text export: phones write local times without a zone.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use thiserror::Error;

use crate::domain::clock::Millis;

/// A UTC offset, or a zone of the IANA database, which is compiled in.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

/// A text is not a time zone.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a time zone is UTC, an offset such as +02:00, or a name such as Europe/Berlin")]
pub struct ZoneError;

impl Zone {
    /// Coordinated Universal Time (UTC).
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The local time of an instant; the start of 1970 for instants outside the calendar.
    #[must_use]
    pub fn local(&self, at: Millis) -> DateTime {
        let timestamp = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        Zoned::new(timestamp, self.0.clone()).datetime()
    }

    /// The instant of a local time. An ambiguous time (the clock was set back) maps to the first instant, a
    /// skipped one (it was set forward) to the one after the gap.
    #[must_use]
    pub fn moment(&self, local: DateTime) -> Option<Millis> {
        let timestamp = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Millis(timestamp.as_millisecond()))
    }
}

/// Parses `+02:00`, `-0330` or `+2`. A space stands for `+`, because URL decoding turns `+` into a space.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+" | " ", digits) => (1, digits),
        ("-" | "\u{2212}", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), _) => (hours, minutes),
        (None, 3 | 4) => digits.split_at_checked(digits.len() - 2)?,
        (None, _) => (digits, "00"),
    };
    let number = |text: &str, most: i32| {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten().filter(|number: &i32| *number <= most)
    };
    let seconds = number(hours, 18)? * 3_600 + number(minutes, 59)? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "UTC" | "utc" | "Z" | "z") {
            return Ok(Self::utc());
        }
        if let Some(offset) = offset(text) {
            return Ok(Self(TimeZone::fixed(offset)));
        }
        TimeZoneDatabase::bundled().get(text).map(Self).map_err(|_| ZoneError)
    }
}

#[cfg(test)]
mod tests {
    use super::super::time_zone::*;

    /// A time in summer: 2026-07-01, 10:30 UTC.
    const SUMMER: Millis = Millis(1_782_901_800_000);

    fn local(zone: &str) -> String {
        zone.parse::<Zone>().unwrap().local(SUMMER).to_string()
    }

    #[test]
    fn time_zone_is_offset_or_name() {
        assert_eq!(local("UTC"), "2026-07-01T10:30:00");
        for zone in ["+02:00", " 02:00", "+0200", "+2", "Europe/Berlin"] {
            assert_eq!(local(zone), "2026-07-01T12:30:00", "{zone}");
        }
        assert_eq!(local("-0330"), "2026-07-01T07:00:00");
        for wrong in ["", "+", "+25:00", "02:00", "+02:60", "Middle/Earth", "+1x", "+\u{e9}"] {
            assert_eq!(wrong.parse::<Zone>().err(), Some(ZoneError), "{wrong}");
        }
    }

    #[test]
    fn local_time_round_trips() {
        for name in ["UTC", "Europe/Berlin", "Asia/Kolkata", "-09:30"] {
            let zone: Zone = name.parse().unwrap();
            assert_eq!(zone.moment(zone.local(SUMMER)), Some(SUMMER), "{name}");
        }
    }

    #[test]
    fn time_beyond_calendar_has_local_time() {
        assert_eq!(Zone::utc().local(Millis(i64::MAX)).year(), 1970);
    }
}
