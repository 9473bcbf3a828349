//! The fields of an event that delivery filters use. They are read from the stored payload only.

use std::borrow::Cow;

use serde::Deserialize;

/// The filter fields of an event. They come from the payload in the log, so that old and new events are
/// filtered equally.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterInput<'a> {
    /// The event's name.
    pub kind: &'a str,
    /// The chat of the event, if any; for a call, the caller.
    pub chat: Option<Cow<'a, str>>,
    /// Whether the event refers to a message of the device's own account.
    pub from_me: bool,
    /// The kind of change in a `group:update` event.
    pub change: Option<Cow<'a, str>>,
    /// The status in `call` and `message:status` events; the state in `state` events.
    pub step: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    chat_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    group_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<MessagePart<'a>>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    change: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagePart<'a> {
    #[serde(borrow)]
    chat_id: Option<Cow<'a, str>>,
    #[serde(default)]
    from_me: bool,
}

impl<'a> FilterInput<'a> {
    /// Reads the filter fields of an event with this name and payload.
    #[must_use]
    pub fn of(kind: &'a str, payload: &'a str) -> Self {
        let Ok(payload) = serde_json::from_str::<Payload<'a>>(payload) else {
            return Self { kind, ..Self::default() };
        };
        let (in_message, from_me) = payload.message.map_or((None, false), |m| (m.chat_id, m.from_me));
        let caller = payload.from.filter(|_| kind == "call");
        Self {
            kind,
            chat: payload.chat_id.or(in_message).or(payload.group_id).or(caller),
            from_me,
            change: payload.change,
            step: payload.state.or(payload.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter_input::*;

    #[test]
    fn filter_finds_chat_in_every_payload() {
        let chat = |kind, payload| FilterInput::of(kind, payload).chat.map(Cow::into_owned);
        assert_eq!(chat("message:ack", r#"{"chatId":"1@c.us"}"#).as_deref(), Some("1@c.us"));
        let message = r#"{"message":{"chatId":"1@g.us","fromMe":true}}"#;
        assert_eq!(chat("message", message).as_deref(), Some("1@g.us"));
        assert!(FilterInput::of("message", message).from_me);
        assert_eq!(chat("group:update", r#"{"groupId":"2@g.us"}"#).as_deref(), Some("2@g.us"));
        assert_eq!(chat("call", r#"{"from":"1@c.us"}"#).as_deref(), Some("1@c.us"));
        assert_eq!(chat("state", r#"{"from":"1@c.us"}"#), None);
    }

    #[test]
    fn unreadable_payload_matches_by_name_only() {
        assert_eq!(FilterInput::of("state", "no"), FilterInput { kind: "state", ..FilterInput::default() });
    }
}
