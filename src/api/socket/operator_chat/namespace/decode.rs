//! Reads client events of the `namespace` dialect. Pure: any JSON gives a call or the reason why it does not.

use serde_json::{Map, Value as Json};

use super::super::fields::{Decoded, given, invalid, object, optional_text, required, temp_id};
use super::super::request_error::ChatRequestError;
use crate::api::http::operator_chat::namespace_objects::{MESSAGE_KINDS, message_kind};
use crate::domain::operator_chat::message::MessageDraft;

/// A client event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NamespaceCall {
    Join(String),
    Leave(String),
    Send { conversation: String, draft: MessageDraft },
    Read { conversation: String, message: Option<String> },
    Typing { conversation: String, on: bool },
    CheckOnline { user: String, user_type: Option<String> },
    Ping,
    Heartbeat,
}

/// The call of an event with these arguments.
pub(super) fn call(event: &str, arguments: Vec<Json>) -> Decoded<NamespaceCall> {
    let extra = arguments.len() > 1;
    let fields = || object(arguments.into_iter().next().unwrap_or_default());
    let call = match event {
        "ping" => return Ok(NamespaceCall::Ping),
        "heartbeat:response" => return Ok(NamespaceCall::Heartbeat),
        "conversation:join" => required(&fields()?, "conversationId").map(NamespaceCall::Join),
        "conversation:leave" => required(&fields()?, "conversationId").map(NamespaceCall::Leave),
        "message:send" => send(&fields()?),
        "message:read" => read(&fields()?),
        "typing:start" => typing(&fields()?, true),
        "typing:stop" => typing(&fields()?, false),
        "user:check:online" => check_online(&fields()?),
        _ => Err(ChatRequestError::unknown_event(event)),
    }?;
    if extra { Err(invalid("payload", "must be one argument")) } else { Ok(call) }
}

fn send(fields: &Map<String, Json>) -> Decoded<NamespaceCall> {
    let temp_id = temp_id(fields)?;
    let read = || {
        let kind = message_kind(optional_text(fields, "messageType")?.as_deref());
        let draft = MessageDraft {
            kind: kind.ok_or_else(|| invalid("messageType", MESSAGE_KINDS))?,
            content: optional_text(fields, "content")?.unwrap_or_default(),
            attachment_url: optional_text(fields, "attachmentUrl")?,
            attachment_name: optional_text(fields, "attachmentName")?,
            temp_id: temp_id.as_ref().map(Json::to_string),
        };
        Ok(NamespaceCall::Send { conversation: required(fields, "conversationId")?, draft })
    };
    read().map_err(|error: ChatRequestError| ChatRequestError { temp_id: temp_id.clone(), ..error })
}

fn read(fields: &Map<String, Json>) -> Decoded<NamespaceCall> {
    let message = given(fields, "messageId").map(|_| required(fields, "messageId")).transpose()?;
    Ok(NamespaceCall::Read { conversation: required(fields, "conversationId")?, message })
}

fn typing(fields: &Map<String, Json>, on: bool) -> Decoded<NamespaceCall> {
    Ok(NamespaceCall::Typing { conversation: required(fields, "conversationId")?, on })
}

fn check_online(fields: &Map<String, Json>) -> Decoded<NamespaceCall> {
    let user_type = optional_text(fields, "userType")?;
    Ok(NamespaceCall::CheckOnline { user: required(fields, "userId")?, user_type })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::operator_chat::message::ChatMessageKind;

    #[test]
    fn send_reads_numbers_and_texts() {
        for id in [json!(123), json!("123")] {
            let fields = json!({ "conversationId": id, "content": "a", "messageType": "image", "tempId": 5 });
            let Ok(NamespaceCall::Send { conversation, draft }) = call("message:send", vec![fields]) else {
                panic!()
            };
            assert_eq!((conversation.as_str(), draft.kind), ("123", ChatMessageKind::Image));
            assert_eq!(draft.temp_id.as_deref(), Some("5"));
        }
    }

    #[test]
    fn wrong_payloads_are_refused_by_field() {
        for (event, argument, sentence) in [
            ("message:send", json!(5), "payload must be an object"),
            ("message:send", json!({ "content": "a" }), "conversationId must be an id"),
            (
                "message:send",
                json!({ "conversationId": 1, "messageType": "AUDIO" }),
                "messageType must be text, image or file",
            ),
            ("message:read", json!({ "conversationId": 1, "messageId": {} }), "messageId must be an id"),
            ("typing:start", json!({ "conversationId": null }), "conversationId must be an id"),
            ("user:check:online", json!({ "userId": 1, "userType": 2 }), "userType must be a text"),
        ] {
            assert_eq!(call(event, vec![argument]).unwrap_err().sentence, sentence, "{event}");
        }
    }

    proptest! {
        /// Any field gives a call or a reason, and never panics.
        #[test]
        fn any_field_is_answered(name in "(conversationId|content|tempId|messageId|userId)", text in ".{0,8}", n in 0..6_usize) {
            let events =
                ["message:send", "message:read", "typing:start", "user:check:online", "conversation:join", "ping"];
            for value in [json!(text), json!([text]), json!({ name.as_str(): text }), json!(1.5), Json::Null] {
                if let Err(error) = call(events[n], vec![json!({ name.as_str(): value })]) {
                    prop_assert!(!error.sentence.is_empty());
                }
            }
        }
    }
}
