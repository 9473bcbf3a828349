//! The position in the chat log that a client has reached: an entry, and how many of its events.
//!
//! A client keeps it as text, and gives it back when it reconnects.

use std::fmt;
use std::str::FromStr;

/// A position in the chat log. Positions are ordered as the events of a socket are emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOffset {
    seq: i64,
    /// Events of the entry that were emitted; [`WHOLE`] for all of them.
    part: u32,
}

/// All events of an entry.
const WHOLE: u32 = u32::MAX;

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the chat log")]
pub struct NotLogOffset;

impl LogOffset {
    /// After all events of an entry.
    #[must_use]
    pub fn after(seq: i64) -> Self {
        Self { seq, part: WHOLE }
    }

    /// After `emitted` of the `count` events of an entry.
    #[must_use]
    pub fn within(seq: i64, emitted: usize, count: usize) -> Self {
        let part = u32::try_from(emitted).unwrap_or(WHOLE);
        Self { seq, part: if emitted >= count { WHOLE } else { part } }
    }

    /// The newest entry of which nothing is left to emit.
    #[must_use]
    pub fn whole_entry(self) -> i64 {
        if self.part == WHOLE { self.seq } else { self.seq - 1 }
    }
}

impl fmt::Display for LogOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            WHOLE => write!(f, "{}", self.seq),
            part => write!(f, "{}.{part}", self.seq),
        }
    }
}

impl FromStr for LogOffset {
    type Err = NotLogOffset;

    fn from_str(text: &str) -> Result<Self, NotLogOffset> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (seq, part) = text.split_once('.').map_or((text, None), |(seq, part)| (seq, Some(part)));
        if !digits(seq) || !part.is_none_or(digits) {
            return Err(NotLogOffset);
        }
        let part = part.map_or(Ok(WHOLE), |part| part.parse().map_err(|_| NotLogOffset))?;
        Ok(Self { seq: seq.parse().map_err(|_| NotLogOffset)?, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_ordered_as_events_are_emitted() {
        let first_of_two = LogOffset::within(7, 1, 2);
        let both = LogOffset::within(7, 2, 2);
        assert!(
            LogOffset::after(6) < first_of_two && first_of_two < both && both < LogOffset::within(8, 1, 3)
        );
        assert_eq!(both, LogOffset::after(7));
        assert_eq!((first_of_two.whole_entry(), both.whole_entry()), (6, 7));
    }

    #[test]
    fn text_of_an_offset_is_read_back() {
        for offset in [LogOffset::after(0), LogOffset::after(58_211), LogOffset::within(9, 3, 101)] {
            assert_eq!(offset.to_string().parse(), Ok(offset));
        }
        assert_eq!(LogOffset::after(58_211).to_string(), "58211");
    }

    #[test]
    fn other_texts_are_no_offset() {
        let too_long = "9".repeat(30);
        for text in ["", ".", "1.", ".1", "-1", "+1", "1.2.3", "Token expired", "1e3", " 1", &too_long] {
            assert_eq!(text.parse::<LogOffset>(), Err(NotLogOffset), "{text:?}");
        }
    }
}
