//! Converts a message of the upstream to an inbound message.

use super::wire::WireMessage;
use crate::domain::clock::Millis;
use crate::domain::content::{Content, Poll};
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::{Incoming, Quoted};

/// The kind of a message's media; `None` without media.
pub(in super::super) fn media_kind(message: &WireMessage) -> Option<MediaKind> {
    if !message.has_media {
        return None;
    }
    let mimetype = message.mimetype.as_deref().unwrap_or_default();
    Some(match message.kind.as_deref() {
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        Some("audio") => MediaKind::Audio,
        Some("ptt") => MediaKind::Ptt,
        Some("sticker") => MediaKind::Sticker,
        Some("document") => MediaKind::Document,
        _ => MediaKind::of_mimetype(mimetype),
    })
}

/// The type of a message.
pub(in super::super) fn kind(message: &WireMessage) -> MessageType {
    let word = message.kind.clone().map(serde_json::Value::String);
    let parsed = word.and_then(|word| serde_json::from_value(word).ok());
    parsed.unwrap_or(if message.kind.is_none() { MessageType::Chat } else { MessageType::Unknown })
}

/// The content of a message without media.
pub(in super::super) fn content(message: &WireMessage) -> Content {
    if let Some(location) = &message.location {
        return Content::Location(location.clone());
    }
    if let Some(poll) = &message.poll {
        let (name, options) = (poll.name.clone(), poll.options.clone());
        let allow_multiple_answers = poll.allow_multiple_answers;
        return Content::Poll(Poll { name, options, allow_multiple_answers, votes: Vec::new() });
    }
    if !message.cards.is_empty() {
        return Content::Contacts(message.cards.clone());
    }
    match kind(message) {
        MessageType::Chat => Content::Text,
        other => Content::Other(other),
    }
}

/// The author; in a group, the member.
pub(in super::super) fn sender(message: &WireMessage, me: Option<&Jid>) -> Jid {
    let own = || me.cloned().or_else(|| message.from.clone());
    let author = if message.id.from_me {
        own()
    } else if message.id.chat.is_group() {
        message.author.clone().or_else(|| message.id.participant.clone())
    } else {
        message.from.clone()
    };
    author.unwrap_or_else(|| message.id.chat.clone())
}

/// The inbound message with this content.
pub(in super::super) fn incoming(
    message: &WireMessage,
    content: Content,
    quoted: Option<Quoted>,
    me: Option<&Jid>,
    now: Millis,
) -> Incoming {
    Incoming {
        network_id: message.id.network.clone(),
        chat: message.chat_id.clone().unwrap_or_else(|| message.id.chat.clone()),
        from: sender(message, me),
        from_me: message.id.from_me,
        body: message.body.clone().unwrap_or_default(),
        content,
        quoted,
        mentions: message.mentioned_ids.clone(),
        forwarded: message.is_forwarded,
        timestamp: message.timestamp.map_or(now, in_ms),
        notify_name: message.notify_name.clone().filter(|_| !message.id.from_me),
    }
}

/// A time in milliseconds; older back ends use seconds.
pub(in super::super) fn in_ms(time: i64) -> Millis {
    /// A smaller number is in seconds: in milliseconds it would be in 1973.
    const LEAST: i64 = 100_000_000_000;
    Millis(if time < LEAST { time.saturating_mul(1_000) } else { time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(message: Value) -> WireMessage {
        serde_json::from_value(message).unwrap()
    }

    fn converted(message: Value) -> Incoming {
        let message = read(message);
        let me = "15550100099@c.us".parse().unwrap();
        incoming(&message, content(&message), None, Some(&me), Millis(7))
    }

    #[test]
    fn author_is_the_member_or_our_own_account() {
        let group = converted(
            json!({ "id": "false_120363000000000001@g.us_A_15550100001@c.us", "from": "120363000000000001@g.us",
            "author": "15550100001@c.us", "timestamp": 1_767_225_600, "notifyName": "Anna" }),
        );
        assert_eq!(
            (group.from.to_string(), group.timestamp.0),
            ("15550100001@c.us".to_owned(), 1_767_225_600_000)
        );
        let own = converted(json!({ "id": "true_15550100001@c.us_B", "notifyName": "Shop", "body": "x" }));
        assert_eq!(
            (own.from.to_string(), own.from_me, own.notify_name),
            ("15550100099@c.us".to_owned(), true, None)
        );
        assert_eq!(own.timestamp, Millis(7));
    }

    #[test]
    fn content_follows_from_the_fields() {
        let of = |fields: Value| {
            let mut message = json!({ "id": "false_15550100001@c.us_A" });
            message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            converted(message).content
        };
        assert_eq!(of(json!({ "type": "chat" })), Content::Text);
        assert_eq!(of(json!({})), Content::Text);
        assert_eq!(of(json!({ "type": "call_log" })), Content::Other(MessageType::CallLog));
        assert_eq!(of(json!({ "type": "hologram" })), Content::Other(MessageType::Unknown));
        let place = of(json!({ "type": "location", "location": { "latitude": 1.0, "longitude": 2.0 } }));
        assert!(matches!(place, Content::Location(_)));
        let poll = of(
            json!({ "type": "poll_creation", "poll": { "name": "Lunch?", "options": ["yes", "no"], "votes": [5] } }),
        );
        assert!(matches!(poll, Content::Poll(poll) if poll.options.len() == 2 && poll.votes.is_empty()));
    }

    #[test]
    fn media_kind_follows_from_the_type() {
        let kind = |kind: &str, mimetype: &str| {
            media_kind(&read(
                json!({ "id": "false_15550100001@c.us_A", "hasMedia": true, "type": kind, "mimetype": mimetype }),
            ))
        };
        assert_eq!(kind("ptt", "audio/ogg"), Some(MediaKind::Ptt));
        assert_eq!(kind("unknown", "image/png"), Some(MediaKind::Image));
        assert_eq!(media_kind(&read(json!({ "id": "false_15550100001@c.us_A" }))), None);
    }
}
