//! Reads client events of the `root` dialect. Pure: any JSON gives a call or the reason why it does not.

use serde_json::{Map, Value as Json};

use super::super::fields::{Decoded, given, id, ids, invalid, object, optional_text, required, temp_id};
use super::super::request_error::ChatRequestError;
use crate::domain::operator_chat::conversation::ConversationTarget;
use crate::domain::operator_chat::message::{ChatMessageKind, InvalidMessageKind, MessageDraft};

/// The most users of one status request.
const MAX_STATUSES: usize = 1_000;
/// The most messages of one read request.
const MAX_MESSAGES: usize = 1_000;

/// A client event.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum RootCall {
    JoinPeer(String),
    Join(String),
    Leave(ConversationTarget),
    Send { target: ConversationTarget, draft: MessageDraft },
    MarkRead(String),
    Read { conversation: String, messages: Option<Vec<String>> },
    Delete { conversation: String, message: String },
    Typing { target: ConversationTarget, on: bool },
    SeenNow,
    OnlineUsers(String),
    Status(String),
    Statuses(Vec<String>),
    ReadNotification(String),
    ReadAllNotifications,
}

/// The call of an event with these arguments.
pub(in super::super) fn call(event: &str, mut arguments: Vec<Json>) -> Decoded<RootCall> {
    let extra = arguments.len() > 1;
    let argument = if arguments.is_empty() { Json::Null } else { arguments.swap_remove(0) };
    let call = match event {
        "presence:update" => Ok(RootCall::SeenNow),
        "notifications:read-all" => Ok(RootCall::ReadAllNotifications),
        "join:conversation" => id(&argument, "conversationId").map(RootCall::Join),
        "leave:conversation" => {
            id(&argument, "conversationId").map(|id| RootCall::Leave(ConversationTarget::Named(id)))
        }
        "conversation:get-online-users" => id(&argument, "conversationId").map(RootCall::OnlineUsers),
        "user:get-status" => id(&argument, "userId").map(RootCall::Status),
        "users:get-status" => ids(&argument, "userIds", MAX_STATUSES).map(RootCall::Statuses),
        "notification:read" => id(&argument, "notificationId").map(RootCall::ReadNotification),
        "conversation:join" => required(&object(argument)?, "conversationWith").map(RootCall::JoinPeer),
        "conversation:leave" => {
            let peer = required(&object(argument)?, "conversationWith")?;
            Ok(RootCall::Leave(ConversationTarget::Peer(peer)))
        }
        "message:send" => send(&object(argument)?),
        "message:mark_read" => required(&object(argument)?, "messageId").map(RootCall::MarkRead),
        "message:read" => read(&object(argument)?),
        "message:delete" => {
            let fields = object(argument)?;
            let conversation = required(&fields, "conversationId")?;
            Ok(RootCall::Delete { conversation, message: required(&fields, "messageId")? })
        }
        "typing:start" => typing(&object(argument)?, true),
        "typing:stop" => typing(&object(argument)?, false),
        _ => Err(ChatRequestError::unknown_event(event)),
    };
    if extra && call.is_ok() {
        return Err(invalid("payload", "must be one argument"));
    }
    call
}

/// The conversation by its id, else by the other user.
fn target(fields: &Map<String, Json>, peer: &str) -> Decoded<ConversationTarget> {
    if given(fields, "conversationId").is_some() {
        return required(fields, "conversationId").map(ConversationTarget::Named);
    }
    if given(fields, peer).is_some() {
        return required(fields, peer).map(ConversationTarget::Peer);
    }
    Err(invalid(peer, "or conversationId is required"))
}

fn send(fields: &Map<String, Json>) -> Decoded<RootCall> {
    let temp_id = temp_id(fields)?;
    let with_temp_id = |error| ChatRequestError { temp_id: temp_id.clone(), ..error };
    let read = || {
        let kind = match optional_text(fields, "type")? {
            None => ChatMessageKind::Text,
            Some(word) => {
                word.parse().map_err(|error: InvalidMessageKind| invalid("type", &error.to_string()))?
            }
        };
        let draft = MessageDraft {
            kind,
            content: optional_text(fields, "content")?.unwrap_or_default(),
            attachment_url: optional_text(fields, "attachmentUrl")?,
            attachment_name: None,
            temp_id: temp_id.as_ref().map(Json::to_string),
        };
        Ok(RootCall::Send { target: target(fields, "recipientId")?, draft })
    };
    read().map_err(with_temp_id)
}

fn read(fields: &Map<String, Json>) -> Decoded<RootCall> {
    let conversation = required(fields, "conversationId")?;
    let messages =
        given(fields, "messageIds").map(|list| ids(list, "messageIds", MAX_MESSAGES)).transpose()?;
    Ok(RootCall::Read { conversation, messages })
}

fn typing(fields: &Map<String, Json>, on: bool) -> Decoded<RootCall> {
    Ok(RootCall::Typing { target: target(fields, "conversationWith")?, on })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decoded(event: &str, argument: Json) -> Decoded<RootCall> {
        call(event, vec![argument])
    }

    #[test]
    fn ids_are_texts_or_numbers() {
        for argument in [json!("17"), json!(17)] {
            assert_eq!(decoded("join:conversation", argument), Ok(RootCall::Join("17".into())));
        }
        let peer = decoded("conversation:join", json!({ "conversationWith": 7 }));
        assert_eq!(peer, Ok(RootCall::JoinPeer("7".into())));
    }

    #[test]
    fn absent_and_null_are_equal() {
        for fields in [
            json!({ "recipientId": "u7", "content": "a" }),
            json!({ "recipientId": "u7", "content": "a", "type": null, "tempId": null, "conversationId": null }),
        ] {
            let Ok(RootCall::Send { target, draft }) = decoded("message:send", fields) else { panic!() };
            assert_eq!(target, ConversationTarget::Peer("u7".into()));
            assert_eq!((draft.kind, draft.temp_id), (ChatMessageKind::Text, None));
        }
    }

    #[test]
    fn refused_send_names_its_temp_id() {
        let error = decoded("message:send", json!({ "content": "a", "tempId": 5 })).unwrap_err();
        assert_eq!(error.temp_id, Some(json!(5)));
        assert_eq!(error.as_answer()["error"], "recipientId or conversationId is required");
    }

    #[test]
    fn wrong_payloads_are_refused_by_field() {
        for (event, argument, sentence) in [
            ("message:send", json!([1]), "payload must be an object"),
            ("message:send", json!({ "recipientId": "a", "content": 5 }), "content must be a text"),
            (
                "message:send",
                json!({ "recipientId": "a", "type": "text" }),
                "type must be TEXT, IMAGE, AUDIO or FILE",
            ),
            (
                "message:read",
                json!({ "conversationId": "1", "messageIds": "2" }),
                "messageIds must be a list of ids",
            ),
            ("users:get-status", json!(vec!["a"; 1001]), "userIds must have at most 1000 ids"),
            ("join:conversation", json!(1.5), "conversationId must be an id"),
            ("typing:start", json!({}), "conversationWith or conversationId is required"),
            ("frobnicate", json!({}), "there is no event named \"frobnicate\""),
        ] {
            assert_eq!(decoded(event, argument).unwrap_err().as_answer()["error"], sentence, "{event}");
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            ".{0,8}".prop_map(Json::from),
        ];
        let names = prop_oneof!["conversationId", "recipientId", "content", "tempId", "messageIds", ".{0,4}"];
        leaf.prop_recursive(3, 16, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                proptest::collection::vec((names.clone(), inner), 0..4)
                    .prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Any JSON gives a call or a reason, and never panics.
        #[test]
        fn any_payload_is_answered(arguments in proptest::collection::vec(any_json(), 0..3), n in 0..6_usize) {
            let events =
                ["message:send", "message:read", "typing:start", "users:get-status", "conversation:join", "x"];
            if let Err(error) = call(events[n], arguments) {
                prop_assert!(!error.as_answer()["error"].as_str().unwrap().is_empty());
            }
        }
    }
}
