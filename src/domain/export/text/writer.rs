//! Writes messages in the text format of phones.

use super::header::is_invisible;
use super::placeholders::{EDITED, Extra, MARK, guarded};
use crate::domain::clock::Millis;
use crate::domain::export::time_zone::Zone;

/// A message to write.
#[derive(Debug)]
pub struct Line<'a> {
    /// The time of the message.
    pub at: Millis,
    /// The author, made by [`author_label`].
    pub author: &'a str,
    /// Content other than text.
    pub extra: Option<Extra>,
    /// The text.
    pub body: &'a str,
    /// Whether it was edited.
    pub edited: bool,
}

/// Writes messages in the local time of a zone.
#[derive(Debug)]
pub struct Writer {
    zone: Zone,
}

impl Writer {
    /// A writer for this time zone.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self { zone }
    }

    /// Appends a message, including its line end.
    pub fn write(&self, message: &Line<'_>, out: &mut String) {
        let local = self.zone.local(message.at);
        let (year, month, day) = (local.year(), local.month(), local.day());
        let (hour, minute) = (local.hour(), local.minute());
        // A colon and a space would end the author's name.
        let author = message.author.replace(": ", &format!(":{MARK} "));
        out.push_str(&format!("{day:02}/{month:02}/{year:04}, {hour:02}:{minute:02} - {author}: "));
        let extra = message.extra.as_ref().map(Extra::line);
        out.extend(extra.as_deref());
        if extra.is_none() || !message.body.is_empty() {
            out.extend(extra.is_some().then_some('\n'));
            body(message.body, extra.is_none(), out);
        }
        if message.edited {
            out.push_str(EDITED);
        }
        out.push('\n');
    }
}

fn body(body: &str, from_first: bool, out: &mut String) {
    for (number, line) in body.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(&guarded(line, from_first && number == 0));
    }
}

/// Makes a name usable as an author: one line, without invisible characters, never empty.
#[must_use]
pub fn author_label(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| *c != MARK).collect();
    let name = bare(&name);
    if name.is_empty() { "?".to_owned() } else { name.to_owned() }
}

/// Removes what phones add around names: direction marks, and a tilde before self-chosen names.
pub(super) fn bare(name: &str) -> &str {
    let around = |c: char| is_invisible(c) || c.is_whitespace();
    let mut bare = name.trim_matches(around);
    while let Some(rest) = bare.strip_prefix('~') {
        bare = rest.trim_start_matches(around);
    }
    bare
}
