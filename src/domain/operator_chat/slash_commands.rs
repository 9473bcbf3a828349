//! Slash commands: a text in the form of a command never reaches a contact.

use thiserror::Error;

/// The text of `/help`.
pub const HELP: &str = "commands: /note text adds an internal note; /assign [user]: assign, without a user to yourself; \
     /unassign: remove the assignee; /close: close the conversation; //: send one /";

/// A text that begins with `/` and a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown command; begin the text with // to send it with one /")]
pub struct UnknownCommand;

/// A command of an operator in a device conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlashCommand {
    /// Add an internal note with this text.
    Note(String),
    /// Assign the user with this id, else the caller.
    Assign(Option<String>),
    /// Remove the assignee.
    Unassign,
    /// Close the conversation.
    Close,
    /// List the commands.
    Help,
}

/// The command of a text; `None` if the text is a message.
///
/// # Errors
/// When the text has the form of a command and is none, or has arguments that the command does not take.
pub fn command(text: &str) -> Result<Option<SlashCommand>, UnknownCommand> {
    if outgoing_text(text).is_ok() {
        return Ok(None);
    }
    let (word, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let argument = argument.trim();
    Ok(Some(match (word, argument) {
        ("/note", note) => SlashCommand::Note(note.to_owned()),
        ("/assign", "") => SlashCommand::Assign(None),
        ("/assign", user) => SlashCommand::Assign(Some(user.to_owned())),
        ("/unassign", "") => SlashCommand::Unassign,
        ("/close", "") => SlashCommand::Close,
        ("/help", "") => SlashCommand::Help,
        _ => return Err(UnknownCommand),
    }))
}

/// The text that is sent to the contact.
///
/// # Errors
/// When the text has the form of a command.
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
            assert_eq!(command(sent), Ok(None));
        }
        assert_eq!(outgoing_text("//typo"), Ok("/typo"));
        assert_eq!(command("//note"), Ok(None));
        for refused in ["/typo", "/note secret", "/ärger"] {
            assert_eq!(outgoing_text(refused), Err(UnknownCommand), "{refused}");
        }
    }

    #[test]
    fn commands_are_read_with_their_arguments() {
        let read = |text: &str| command(text).unwrap().unwrap();
        assert_eq!(read("/note  he is\nrude "), SlashCommand::Note("he is\nrude".to_owned()));
        assert_eq!(read("/note"), SlashCommand::Note(String::new()));
        assert_eq!(read("/assign"), SlashCommand::Assign(None));
        assert_eq!(read("/assign bela"), SlashCommand::Assign(Some("bela".to_owned())));
        assert_eq!(read("/unassign "), SlashCommand::Unassign);
        assert_eq!(read("/close"), SlashCommand::Close);
        assert_eq!(read("/help"), SlashCommand::Help);
    }

    #[test]
    fn mistyped_command_is_unknown() {
        for wrong in ["/nte x", "/Note x", "/notes x", "/note,x", "/close now", "/unassign bela", "/ärger"] {
            assert_eq!(command(wrong), Err(UnknownCommand), "{wrong}");
        }
    }
}
