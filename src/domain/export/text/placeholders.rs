//! Placeholders for content other than text, and the mark that keeps body lines from being read as
//! placeholders.
//!
//! The mark is the word joiner, U+2060, which is invisible and has no width. The writer puts a mark before a
//! line that has the form of a header or placeholder, or that starts with a mark. It puts a mark after a line
//! that ends with a carriage return, with the edit suffix or with a mark. The parser removes one leading and
//! one trailing mark, which restores every line.

use std::borrow::Cow;

use super::header::{header, is_invisible};
use crate::domain::content::Location;

/// U+2060, the word joiner.
pub const MARK: char = '\u{2060}';
/// Suffix of an edited message's text.
pub const EDITED: &str = " <This message was edited>";
/// Replaces a file that is not exported.
pub const OMITTED: &str = "<Media omitted>";
/// Replaces a revoked message.
pub const DELETED: &str = "This message was deleted";
const ATTACHED: &str = " (file attached)";
const PLACE: &str = "location: https://maps.google.com/?q=";

/// Content of a message other than text.
#[derive(Debug, Clone, PartialEq)]
pub enum Extra {
    /// A file that is not in the export.
    Omitted,
    /// A file of this name.
    File(String),
    /// A location.
    Place(Location),
    /// The message was revoked.
    Deleted,
}

impl Extra {
    /// The placeholder line.
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

    /// Parses the first line of a message as a placeholder.
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

/// Replaces line ends and control characters, and trims marks that the parser would remove.
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

/// Adds marks to a body line where needed.
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

/// Removes the marks of a body line.
pub(super) fn unguarded(line: &str) -> &str {
    let line = line.strip_prefix(MARK).unwrap_or(line);
    line.strip_suffix(MARK).unwrap_or(line)
}
