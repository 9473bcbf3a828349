//! A message as it came in, in our words.

use whatsapp_rust::types::message::MessageInfo;
use whatsapp_rust::waproto::whatsapp as wa;

use super::identities::Identities;
use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::message::MessageType;
use crate::engine::{EngineEvent, Incoming};

/// What a message comes to.
#[derive(Debug, PartialEq)]
pub(in super::super) enum Heard {
    /// News.
    Event(Box<EngineEvent>),
    /// A message whose file is still to be fetched.
    File(Box<Incoming>),
    /// Nothing that anybody is told of: the protocol's own housekeeping.
    Nothing,
}

/// A message of the network in our words. What is not known becomes [`Content::Other`], never nothing.
pub(in super::super) fn incoming(message: &wa::Message, info: &MessageInfo, ids: &Identities) -> Heard {
    let Some(frame) = frame(info, ids) else { return Heard::Nothing };
    let body = text_of(message);
    let content = if body.is_some() { Content::Text } else { Content::Other(MessageType::Unknown) };
    let incoming = Incoming { body: body.unwrap_or_default(), content, ..frame };
    Heard::Event(Box::new(EngineEvent::Message(Box::new(incoming))))
}

/// Everything but the content. `None` when the chat is none that the API has a name for.
fn frame(info: &MessageInfo, ids: &Identities) -> Option<Incoming> {
    let source = &info.source;
    let (chat, from) = (ids.jid(&source.chat)?, ids.jid(&source.sender)?);
    let from = if source.is_from_me { ids.me().cloned().unwrap_or(from) } else { from };
    let network_id = info.id.parse().ok()?;
    let timestamp = Millis(info.timestamp.timestamp_millis());
    let notify_name = Some(info.push_name.clone()).filter(|name| !name.is_empty() && !source.is_from_me);
    let text = Incoming::text(network_id, chat, from, String::new(), timestamp);
    Some(Incoming { from_me: source.is_from_me, notify_name, ..text })
}

fn text_of(message: &wa::Message) -> Option<String> {
    if let Some(text) = &message.conversation {
        return Some(text.clone());
    }
    message.extended_text_message.as_option().and_then(|extended| extended.text.clone())
}
