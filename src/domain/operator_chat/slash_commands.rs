//! Slash commands: a text in the form of a command never reaches a contact.

use thiserror::Error;

/// A text that begins with `/` and a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown command; begin the text with // to send it with one /")]
pub struct UnknownCommand;

/// The text that is sent to the contact.
///
/// # Errors
/// When the text is a command.
pub fn outgoing_text(text: &str) -> Result<&str, UnknownCommand> {
    match text.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => Ok(rest),
        Some(rest) if rest.starts_with(char::is_alphabetic) => Err(UnknownCommand),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_refused_and_double_slash_sends_one() {
        for sent in ["hello", "/", "/ 5", "/5", "a /note", " /note"] {
            assert_eq!(outgoing_text(sent), Ok(sent));
        }
        assert_eq!(outgoing_text("//typo"), Ok("/typo"));
        for refused in ["/typo", "/note secret", "/ärger"] {
            assert_eq!(outgoing_text(refused), Err(UnknownCommand), "{refused}");
        }
    }
}
