//! What stands in an exported text for something else than text, and the mark that keeps a body's own line
//! from being taken for it.
//!
//! The mark is the word joiner, U+2060: it has no width and breaks nothing. Written: a line gets one before it
//! when it looks like a header or a stand-in or begins with one, and one after it when it ends with a carriage
//! return, with the note of an edit, or with one. Read: of a line that begins with a mark, the first is taken
//! away, then of one that ends with a mark, the last. So every line comes back as it was.

use std::borrow::Cow;

use super::header::{header, is_invisible};
use crate::domain::content::Location;

/// U+2060, the word joiner.
pub const MARK: char = '\u{2060}';
/// After an edited message's text.
pub const EDITED: &str = " <This message was edited>";
/// In place of a file that is not exported.
pub const OMITTED: &str = "<Media omitted>";
/// In place of a message that was taken back.
pub const DELETED: &str = "This message was deleted";
const ATTACHED: &str = " (file attached)";
const PLACE: &str = "location: https://maps.google.com/?q=";

/// What a message is besides its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Extra {
    /// It has a file that the export does not.
    Omitted,
    /// It has this file.
    File(String),
    /// It is a place.
    Place(Location),
    /// It was taken back.
    Deleted,
}

impl Extra {
    /// The line that stands for it.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Omitted => OMITTED.to_owned(),
            Self::File(name) => format!("{name}{ATTACHED}"),
            Self::Place(place) => {
                let Location { latitude, longitude, description } = place;
                let described = description.as_deref().map(on_one_line).filter(|text| !text.is_empty());
                let described = described.map(|text| format!(" ({text})")).unwrap_or_default();
                format!("{PLACE}{latitude},{longitude}{described}")
            }
            Self::Deleted => DELETED.to_owned(),
        }
    }

    /// What a message's first line stands for, if not for itself.
    #[must_use]
    pub fn of_line(line: &str) -> Option<Self> {
        if line.starts_with(MARK) {
            return None;
        }
        let line = line.trim_matches(is_invisible);
        if let Some(name) = line.strip_suffix(ATTACHED) {
            return file(name);
        }
        if let Some(name) = line.strip_prefix("<attached: ").and_then(|rest| rest.strip_suffix('>')) {
            return file(name);
        }
        if let Some(place) =
            line.strip_prefix(PLACE).or_else(|| line.strip_prefix("Location: https://maps.google.com/?q="))
        {
            return self::place(place);
        }
        let omitted = |kind: &str| line.strip_prefix(kind) == Some(" omitted");
        let kinds = ["image", "video", "audio", "sticker", "document", "GIF", "Contact card", "video note"];
        match line {
            OMITTED => Some(Self::Omitted),
            _ if kinds.iter().any(|kind| omitted(kind)) => Some(Self::Omitted),
            DELETED
            | "This message was deleted."
            | "You deleted this message"
            | "You deleted this message." => Some(Self::Deleted),
            _ => None,
        }
    }
}

fn file(name: &str) -> Option<Extra> {
    let name = name.trim_matches(is_invisible);
    (!name.is_empty()).then(|| Extra::File(name.to_owned()))
}

/// Without line ends and the like, and without marks that reading takes away.
fn on_one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim_matches(|c: char| c == MARK || is_invisible(c) || c == ' ').to_owned()
}

fn place(text: &str) -> Option<Extra> {
    let (text, description) = match text.split_once(" (") {
        Some((text, rest)) => (text, Some(rest.strip_suffix(')')?.to_owned())),
        None => (text, None),
    };
    let (latitude, longitude) = text.split_once(',')?;
    let (latitude, longitude): (f64, f64) = (latitude.parse().ok()?, longitude.parse().ok()?);
    let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    on_earth.then_some(Extra::Place(Location { latitude, longitude, description }))
}

/// A line of a body as it is written.
pub(super) fn guarded(line: &str, first: bool) -> Cow<'_, str> {
    let before =
        line.starts_with(MARK) || header(line).is_some() || (first && Extra::of_line(line).is_some());
    let after = line.ends_with(MARK) || line.ends_with('\r') || line.ends_with(EDITED);
    if !before && !after {
        return Cow::Borrowed(line);
    }
    let mut marked = String::with_capacity(line.len() + 6);
    marked.extend(before.then_some(MARK));
    marked.push_str(line);
    marked.extend(after.then_some(MARK));
    Cow::Owned(marked)
}

/// A line of a body as it was.
pub(super) fn unguarded(line: &str) -> &str {
    let line = line.strip_prefix(MARK).unwrap_or(line);
    line.strip_suffix(MARK).unwrap_or(line)
}
