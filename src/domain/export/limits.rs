//! Limits for imported messages: four times those of sends, so that every exported message can be imported.

use super::document::ExportedMessage;
use crate::domain::clock::Millis;
use crate::domain::content::{ContactCard, Location, Poll, Template};
use crate::domain::message::Message;

/// Maximum bytes of a message's text.
pub const BODY_MAX: usize = 65_536;
/// Maximum characters of an author's name.
pub const AUTHOR_MAX: usize = 256;
/// Maximum characters of the name of a chat, person, place, file or poll, and of a poll option.
pub const NAME_MAX: usize = 1_020;
/// Maximum characters of a contact card.
const VCARD_MAX: usize = 65_536;
/// Maximum bytes of a reaction's emoji: 32 characters of any kind.
const EMOJI_MAX: usize = 128;
/// Maximum characters of a failure message.
const SENTENCE_MAX: usize = 4_096;
const MENTIONS: usize = 1_024;
const REACTIONS: usize = 2_048;
const VOTES: usize = 2_048;
const RECEIPTS: usize = 2_048;
const CARDS: usize = 64;
const OPTIONS: usize = 64;
const COMPONENTS: usize = 64;
/// Maximum bytes of a template component as JSON.
const COMPONENTS_MAX: usize = 131_072;

/// The last millisecond of the year 9999.
const LAST: Millis = Millis(253_402_300_799_999);
/// Tolerance for clocks that are ahead of ours, in milliseconds.
const AHEAD_MS: i64 = 86_400_000;

/// Checks all times of a message with [`past`].
pub(super) fn check_times(exported: &ExportedMessage, now: Millis) -> Result<(), String> {
    let message = &exported.message;
    past("timestamp", message.timestamp, now)?;
    if let Some(quoted) = &message.quoted_message {
        past("quotedMessage.timestamp", quoted.timestamp, now)?;
    }
    if let Some(at) = exported.edited_at {
        past("editedAt", at, now)?;
    }
    exported.reacted_at.iter().try_for_each(|at| past("reactedAt", *at, now))?;
    exported.receipts.iter().try_for_each(|receipt| past("a receipt's timestamp", receipt.timestamp, now))?;
    let mut votes = message.poll.iter().flat_map(|poll| &poll.votes);
    votes.try_for_each(|vote| past("a vote's timestamp", vote.timestamp, now))
}

/// Rejects times before 1970 and those more than a day in the future.
///
/// # Errors
/// A sentence that names the field and states the rule.
pub fn past(field: &str, at: Millis, now: Millis) -> Result<(), String> {
    if (Millis(0)..=now.plus(AHEAD_MS).min(LAST)).contains(&at) {
        return Ok(());
    }
    Err(format!("{field} must be milliseconds since 1970, and at most a day in the future"))
}

/// Rejects times before 1970 and after the year 9999.
///
/// # Errors
/// A sentence that names the field and states the rule.
pub fn of_calendar(field: &str, at: Millis) -> Result<(), String> {
    let fits = (Millis(0)..=LAST).contains(&at);
    if fits { Ok(()) } else { Err(format!("{field} must be milliseconds from 1970 to the year 9999")) }
}

/// Checks the sizes of a message's fields.
pub(super) fn check(exported: &ExportedMessage) -> Result<(), String> {
    let message = &exported.message;
    message_fits(message)?;
    if let Some(quoted) = &message.quoted_message {
        message_fits(quoted).map_err(|sentence| format!("quotedMessage: {sentence}"))?;
    }
    at_most("receipts", exported.receipts.len(), RECEIPTS)?;
    if let Some(failure) = &exported.failure {
        chars("failure.code", &failure.code, AUTHOR_MAX)?;
        chars("failure.message", &failure.message, SENTENCE_MAX)?;
    }
    exported.file.as_ref().map_or(Ok(()), |name| chars("file", name, NAME_MAX))
}

fn message_fits(message: &Message) -> Result<(), String> {
    bytes("body", &message.body, BODY_MAX)?;
    chars("notifyName", &message.notify_name, AUTHOR_MAX)?;
    at_most("mentionedIds", message.mentioned_ids.len(), MENTIONS)?;
    at_most("reactions", message.reactions.len(), REACTIONS)?;
    message.reactions.iter().try_for_each(|reaction| bytes("emoji", &reaction.emoji, EMOJI_MAX))?;
    if let Some(media) = &message.media {
        chars("mimetype", &media.file.mimetype, NAME_MAX)?;
        chars("filename", media.filename.as_deref().unwrap_or_default(), NAME_MAX)?;
    }
    message.location.as_ref().map_or(Ok(()), place_fits)?;
    cards_fit(&message.contacts)?;
    message.poll.as_ref().map_or(Ok(()), poll_fits)?;
    message.template.as_ref().map_or(Ok(()), template_fits)
}

fn place_fits(place: &Location) -> Result<(), String> {
    chars("location.description", place.description.as_deref().unwrap_or_default(), NAME_MAX)
}

fn cards_fit(cards: &[ContactCard]) -> Result<(), String> {
    at_most("vCards", cards.len(), CARDS)?;
    cards.iter().try_for_each(|card| {
        chars("displayName", &card.display_name, NAME_MAX)?;
        chars("vcard", &card.vcard, VCARD_MAX)
    })
}

fn poll_fits(poll: &Poll) -> Result<(), String> {
    chars("poll.name", &poll.name, NAME_MAX)?;
    at_most("poll.options", poll.options.len(), OPTIONS)?;
    poll.options.iter().try_for_each(|option| chars("a poll's option", option, NAME_MAX))?;
    at_most("poll.votes", poll.votes.len(), VOTES)?;
    poll.votes.iter().try_for_each(|vote| {
        at_most("a vote's options", vote.options.len(), OPTIONS)?;
        vote.options.iter().try_for_each(|option| chars("a vote's option", option, NAME_MAX))
    })
}

fn template_fits(template: &Template) -> Result<(), String> {
    chars("template.name", &template.name, NAME_MAX)?;
    chars("template.language", &template.language, NAME_MAX)?;
    at_most("template.components", template.components.len(), COMPONENTS)?;
    template
        .components
        .iter()
        .try_for_each(|component| bytes("a template's component", &component.to_string(), COMPONENTS_MAX))
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most { Err(format!("{field} must have at most {most} entries")) } else { Ok(()) }
}

fn bytes(field: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() > most { Err(format!("{field} must have at most {most} bytes")) } else { Ok(()) }
}

/// Limits the number of characters.
///
/// # Errors
/// A sentence that names the field and states the rule.
pub fn chars(field: &str, text: &str, most: usize) -> Result<(), String> {
    // A text without more bytes than the limit needs no counting.
    let fits = text.len() <= most || text.chars().count() <= most;
    if fits { Ok(()) } else { Err(format!("{field} must have at most {most} characters")) }
}
