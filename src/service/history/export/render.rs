//! Renders messages with content other than text for the text export.

use std::borrow::Cow;

use super::Broken;
use crate::domain::content::Poll;
use crate::domain::export::document::ExportedMessage;
use crate::domain::export::text::Extra;
use crate::domain::message::MessageType;

/// A message rendered as text.
pub(super) struct Rendered<'a> {
    pub(super) extra: Option<Extra>,
    pub(super) body: Cow<'a, str>,
}

pub(super) fn rendered(exported: &ExportedMessage) -> Rendered<'_> {
    let message = &exported.message;
    let body = Cow::Borrowed(message.body.as_str());
    if message.kind == MessageType::Revoked {
        return Rendered { extra: Some(Extra::Deleted), body };
    }
    if message.media.is_some() {
        let extra = exported.file.clone().map_or(Extra::Omitted, Extra::File);
        return Rendered { extra: Some(extra), body };
    }
    if let Some(place) = &message.location {
        return Rendered { extra: Some(Extra::Place(place.clone())), body };
    }
    if let Some(poll) = &message.poll {
        return Rendered { extra: None, body: Cow::Owned(poll_text(poll)) };
    }
    if !message.contacts.is_empty() && message.body.is_empty() {
        let names: Vec<&str> = message.contacts.iter().map(|card| card.display_name.as_str()).collect();
        return Rendered { extra: None, body: Cow::Owned(names.join("\n")) };
    }
    Rendered { extra: None, body }
}

fn poll_text(poll: &Poll) -> String {
    let mut text = format!("POLL:\n{}", poll.name);
    for option in &poll.options {
        let votes = poll.votes.iter().filter(|vote| vote.options.contains(option)).count();
        let word = if votes == 1 { "vote" } else { "votes" };
        text.push_str(&format!("\nOPTION: {option} ({votes} {word})"));
    }
    text
}

/// Unreachable: exported values are plain data, and the archive is written to memory.
pub(super) fn unwritable(error: impl std::fmt::Display) -> Broken {
    tracing::error!(%error, "cannot write an export");
    Broken::Bytes
}
