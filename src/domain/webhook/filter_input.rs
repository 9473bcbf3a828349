//! What matters of an event to whoever decides about its delivery.

use std::borrow::Cow;

use serde::Deserialize;

/// Taken from the payload as it stands in the log, so that an event of long ago has the same facts as a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterInput<'a> {
    /// The event's name.
    pub kind: &'a str,
    /// The chat that it is about, if any; of a call, who calls.
    pub chat: Option<Cow<'a, str>>,
    /// Whether it is about a message of our own account.
    pub from_me: bool,
    /// What changed, of `group:update`.
    pub change: Option<Cow<'a, str>>,
    /// The step, of `call` and `message:status`; the state, of `state`.
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
    /// Of an event with this name and payload.
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
