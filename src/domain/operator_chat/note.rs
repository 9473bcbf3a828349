//! Internal notes of an inbox, which are never sent to the contact.
//!
//! Invariant: no function of the outbox accepts a note, and a note does not become a message draft.

use thiserror::Error;

/// The checked text of an internal note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalNote(String);

/// A text that is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidNote {
    /// Only white space.
    #[error("must not be empty")]
    Empty,
    /// With U+0000.
    #[error("must not contain U+0000")]
    Nul,
    /// Too many characters.
    #[error("must have at most {0} characters")]
    TooLong(usize),
}

impl InternalNote {
    /// Checks a text.
    ///
    /// # Errors
    /// When it is empty, too long or has U+0000.
    pub fn new(text: String, max_chars: usize) -> Result<Self, InvalidNote> {
        if text.trim().is_empty() {
            return Err(InvalidNote::Empty);
        }
        if text.contains('\0') {
            return Err(InvalidNote::Nul);
        }
        if text.chars().take(max_chars.saturating_add(1)).count() > max_chars {
            return Err(InvalidNote::TooLong(max_chars));
        }
        Ok(Self(text))
    }

    /// The text, for the store.
    pub(crate) fn stored_text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_has_limits() {
        let note = |text: &str| InternalNote::new(text.to_owned(), 5);
        assert_eq!(note("hello").unwrap().stored_text(), "hello");
        assert_eq!(note(" \n"), Err(InvalidNote::Empty));
        assert_eq!(note("a\0"), Err(InvalidNote::Nul));
        assert_eq!(note("hello!"), Err(InvalidNote::TooLong(5)));
    }
}
