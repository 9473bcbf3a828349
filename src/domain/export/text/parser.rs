//! Reads messages line by line.

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

/// A message that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The line it begins at, from 1.
    pub line: u64,
    /// When it was written; the first moment of its minute where the file has no seconds.
    pub at: Millis,
    /// Who wrote it; `None` for what the system tells.
    pub author: Option<String>,
    /// The text.
    pub body: String,
    /// What it is besides its text.
    pub extra: Option<Extra>,
    /// Whether it was edited.
    pub edited: bool,
}

impl Entry {
    /// The first moment of its minute.
    #[must_use]
    pub fn minute(&self) -> Millis {
        Millis(self.at.0 - self.at.0.rem_euclid(MINUTE_MS))
    }
}

/// What is wrong with a file.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// It does not begin with a message.
    #[error("line {0} is no message: the first line must look like 31/01/2026, 14:05 - Anna: Hello")]
    NoHeader(u64),
    /// There is no such day or time.
    #[error(
        "line {line}: there is no day {date} when read as {order}; tell the right order with dateOrder (dmy, mdy or ymd)"
    )]
    NoSuchDay {
        /// Where.
        line: u64,
        /// As it stands there.
        date: String,
        /// The order it was read in.
        order: &'static str,
    },
    /// More text than a message can have.
    #[error("line {0}: the message that begins there has more than {BODY_MAX} bytes")]
    TooLong(u64),
}

/// Puts lines together into messages.
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
    /// The lines of the text so far, joined; `None` before the first.
    body: Option<String>,
    edited: bool,
}

impl Parser {
    /// For a file of this order, in the local time of this zone.
    #[must_use]
    pub fn new(zone: Zone, order: DateOrder) -> Self {
        Self { zone, order, line: 0, current: None }
    }

    /// Takes the next line, without its line end; answers the message that ended before it.
    ///
    /// # Errors
    /// [`TextError`] says where and what is right.
    pub fn line(&mut self, line: &str) -> Result<Option<Entry>, TextError> {
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

    /// The last message.
    #[must_use]
    pub fn end(self) -> Option<Entry> {
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
        // An edit is noted at the end of the last line only; a later line shows that this was not the last.
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

    fn finish(self) -> Entry {
        let Self { line, at, author, extra, body, edited } = self;
        Entry { line, at, author, extra, body: body.unwrap_or_default(), edited }
    }
}
