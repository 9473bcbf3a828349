//! Parses messages line by line.

use jiff::civil::DateTime;
use thiserror::Error;

use super::date_order::DateOrder;
use super::header::{Header, header};
use super::placeholders::{EDITED, MARK, unguarded};
use super::writer::bare;
use crate::domain::clock::Millis;
use crate::domain::export::limits::BODY_MAX;
use crate::domain::export::time_zone::Zone;

pub use super::placeholders::Extra;

const MINUTE_MS: i64 = 60_000;

/// A parsed message or system line.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEntry {
    /// Number of its first line, from 1.
    pub line: u64,
    /// The time; the start of the minute when the file has no seconds.
    pub at: Millis,
    /// The author; `None` for a system line.
    pub author: Option<String>,
    /// The text.
    pub body: String,
    /// Content other than text.
    pub extra: Option<Extra>,
    /// Whether it was edited.
    pub edited: bool,
}

impl TextEntry {
    /// The start of the minute.
    #[must_use]
    pub fn minute(&self) -> Millis {
        Millis(self.at.0 - self.at.0.rem_euclid(MINUTE_MS))
    }
}

/// Why a text cannot be parsed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// The first line has no header.
    #[error("line {0} is no message: the first line must have the form 31/01/2026, 14:05 - Anna: Hello")]
    NoHeader(u64),
    /// A date or time does not exist.
    #[error(
        "line {line}: there is no day {date} when read as {order}; set the right order with dateOrder (dmy, mdy or ymd)"
    )]
    NoSuchDay {
        /// The line number.
        line: u64,
        /// The date as written.
        date: String,
        /// The order in which it was read.
        order: &'static str,
    },
    /// A message's text exceeds the limit.
    #[error("line {0}: the message that begins on this line has more than {BODY_MAX} bytes")]
    TooLong(u64),
}

/// Joins lines to messages.
#[derive(Debug)]
pub struct Parser {
    zone: Zone,
    order: DateOrder,
    line: u64,
    current: Option<Building>,
}

#[derive(Debug)]
struct Building {
    line: u64,
    at: Millis,
    author: Option<String>,
    extra: Option<Extra>,
    /// The lines of the text so far; `None` before the first.
    body: Option<String>,
    edited: bool,
}

impl Parser {
    /// A parser for files with this date order and time zone.
    #[must_use]
    pub fn new(zone: Zone, order: DateOrder) -> Self {
        Self { zone, order, line: 0, current: None }
    }

    /// Adds the next line, without its line end. Returns the message that ended before it.
    ///
    /// # Errors
    /// A [`TextError`] with the line number and the rule.
    pub fn line(&mut self, line: &str) -> Result<Option<TextEntry>, TextError> {
        self.line += 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = if self.line == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if let Some(header) = header(line) {
            let next = self.begin(&header)?;
            return Ok(self.current.replace(next).map(Building::finish));
        }
        match &mut self.current {
            Some(current) => current.add(line)?,
            None if line.trim().is_empty() => {}
            None => return Err(TextError::NoHeader(self.line)),
        }
        Ok(None)
    }

    /// Returns the last message.
    #[must_use]
    pub fn end(self) -> Option<TextEntry> {
        self.current.map(Building::finish)
    }

    fn begin(&self, header: &Header<'_>) -> Result<Building, TextError> {
        let at = self.moment(header).ok_or_else(|| TextError::NoSuchDay {
            line: self.line,
            date: header.date.map(|number| number.to_string()).join("/"),
            order: match self.order {
                DateOrder::DayMonthYear => "day/month/year",
                DateOrder::MonthDayYear => "month/day/year",
                DateOrder::YearMonthDay => "year/month/day",
            },
        })?;
        let mut building =
            Building { line: self.line, at, author: None, extra: None, body: None, edited: false };
        match header.author_and_text() {
            Some((author, text)) => {
                building.author = Some(bare(author).replace(MARK, ""));
                building.extra = Extra::of_line(text.strip_suffix(EDITED).unwrap_or(text));
                if building.extra.is_some() {
                    building.edited = text.ends_with(EDITED);
                } else {
                    building.add(text)?;
                }
            }
            None => building.add(header.rest)?,
        }
        Ok(building)
    }

    fn moment(&self, header: &Header<'_>) -> Option<Millis> {
        let (year, month, day) = self.order.sort(header.date);
        let year = if year < 100 { year + 2_000 } else { year };
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        let local = DateTime::new(year, month, day, header.hour, header.minute, header.second, 0).ok()?;
        self.zone.moment(local)
    }
}

impl Building {
    fn add(&mut self, line: &str) -> Result<(), TextError> {
        // The edit suffix counts only on the last line; a further line shows that it was part of the text.
        if self.edited {
            self.restore_note();
        }
        let (line, edited) = match line.strip_suffix(EDITED) {
            Some(text) => (text, true),
            None => (line, false),
        };
        self.edited = edited;
        let line = unguarded(line);
        match &mut self.body {
            Some(body) => {
                body.push('\n');
                body.push_str(line);
            }
            None => self.body = Some(line.to_owned()),
        }
        if self.body.as_ref().is_some_and(|body| body.len() > BODY_MAX) {
            return Err(TextError::TooLong(self.line));
        }
        Ok(())
    }

    fn restore_note(&mut self) {
        if let Some(body) = &mut self.body {
            body.push_str(EDITED);
        }
    }

    fn finish(self) -> TextEntry {
        let Self { line, at, author, extra, body, edited } = self;
        TextEntry { line, at, author, extra, body: body.unwrap_or_default(), edited }
    }
}
