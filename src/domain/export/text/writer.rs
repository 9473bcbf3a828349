//! Writes messages as phones do.

use super::header::is_invisible;
use super::placeholders::{EDITED, Extra, MARK, guarded};
use crate::domain::clock::Millis;
use crate::domain::export::time_zone::Zone;

/// A message to be written.
#[derive(Debug)]
pub struct Line<'a> {
    /// When it was written.
    pub at: Millis,
    /// Who wrote it, as [`author_label`] made it.
    pub author: &'a str,
    /// What it is besides its text.
    pub extra: Option<Extra>,
    /// The text.
    pub body: &'a str,
    /// Whether it was edited.
    pub edited: bool,
}

/// Writes in the local time of a zone.
#[derive(Debug)]
pub struct Writer {
    zone: Zone,
}

impl Writer {
    /// In this zone.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self { zone }
    }

    /// Adds a message, its line end included.
    pub fn write(&self, message: &Line<'_>, out: &mut String) {
        let local = self.zone.local(message.at);
        let (year, month, day) = (local.year(), local.month(), local.day());
        let (hour, minute) = (local.hour(), local.minute());
        // Authors with a colon and a space in their name would end there.
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

/// A name as it can stand for an author: on one line, without what nobody sees; never empty.
#[must_use]
pub fn author_label(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| *c != MARK).collect();
    let name = bare(&name);
    if name.is_empty() { "?".to_owned() } else { name.to_owned() }
}

/// Without what phones put around names: marks of direction, and a tilde before names that people gave themselves.
pub(super) fn bare(name: &str) -> &str {
    let around = |c: char| is_invisible(c) || c.is_whitespace();
    let mut bare = name.trim_matches(around);
    while let Some(rest) = bare.strip_prefix('~') {
        bare = rest.trim_start_matches(around);
    }
    bare
}
