//! Reads client events of the `underscore` dialect. Pure: any JSON gives a call or the reason why it does not.

use serde_json::{Map, Value as Json};

use super::super::fields::{Decoded, given, id, invalid, object, optional_text, required};
use super::super::request_error::ChatRequestError;
use crate::api::http::operator_chat::underscore_objects::{MESSAGE_KINDS, message_kind};
use crate::domain::operator_chat::message::MessageDraft;
use crate::domain::operator_chat::user::ChatUser;

/// A client event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnderscoreCall {
    Join(String),
    Leave(String),
    Send { conversation: String, draft: MessageDraft },
    Uploaded { conversation: String, message: String },
    Typing { conversation: String, on: bool },
    Away(bool),
}

/// The call of an event of a user with these arguments.
pub(super) fn call(me: &ChatUser, event: &str, arguments: Vec<Json>) -> Decoded<UnderscoreCall> {
    let extra = arguments.len() > 1;
    let argument = arguments.into_iter().next().unwrap_or_default();
    let call = match event {
        "join_conversation" => {
            let fields = claimed(me, argument, "userId")?;
            required(&fields, "conversationId").map(UnderscoreCall::Join)
        }
        "leave_conversation" => required(&object(argument)?, "conversationId").map(UnderscoreCall::Leave),
        "send_message" => send(&claimed(me, argument, "senderId")?),
        "file_uploaded" => uploaded(&claimed(me, argument, "senderId")?),
        "typing" => typing(&claimed(me, argument, "userId")?),
        "user_online" => away(me, argument, false),
        "user_offline" => away(me, argument, true),
        _ => Err(ChatRequestError::unknown_event(event)),
    }?;
    if extra { Err(invalid("payload", "must be one argument")) } else { Ok(call) }
}

/// The fields of a payload whose user id, if it has one, is the authenticated user's.
fn claimed(me: &ChatUser, argument: Json, name: &str) -> Decoded<Map<String, Json>> {
    let fields = object(argument)?;
    if given(&fields, name).is_some() && required(&fields, name)? != me.id.as_str() {
        return Err(ChatRequestError::new("not_you", format!("{name} is not the authenticated user")));
    }
    Ok(fields)
}

fn send(fields: &Map<String, Json>) -> Decoded<UnderscoreCall> {
    let word = optional_text(fields, "messageType")?;
    let kind = message_kind(word.as_deref()).ok_or_else(|| invalid("messageType", MESSAGE_KINDS))?;
    // The conversation has the receiver.
    given(fields, "receiverId").map(|_| required(fields, "receiverId")).transpose()?;
    let content = optional_text(fields, "content")?.unwrap_or_default();
    let draft = MessageDraft { kind, content, attachment_url: None, attachment_name: None, temp_id: None };
    Ok(UnderscoreCall::Send { conversation: required(fields, "conversationId")?, draft })
}

fn uploaded(fields: &Map<String, Json>) -> Decoded<UnderscoreCall> {
    given(fields, "receiverId").map(|_| required(fields, "receiverId")).transpose()?;
    let conversation = required(fields, "conversationId")?;
    let message = given(fields, "message").and_then(Json::as_object);
    let message = message.ok_or_else(|| invalid("message", "must be an object"))?;
    let id = id(given(message, "id").unwrap_or(&Json::Null), "message.id")?;
    Ok(UnderscoreCall::Uploaded { conversation, message: id })
}

fn typing(fields: &Map<String, Json>) -> Decoded<UnderscoreCall> {
    match given(fields, "isTyping") {
        Some(Json::Bool(on)) => {
            Ok(UnderscoreCall::Typing { conversation: required(fields, "conversationId")?, on: *on })
        }
        _ => Err(invalid("isTyping", "must be true or false")),
    }
}

/// The payload may be absent.
fn away(me: &ChatUser, argument: Json, is_away: bool) -> Decoded<UnderscoreCall> {
    if !argument.is_null() {
        claimed(me, argument, "userId")?;
    }
    Ok(UnderscoreCall::Away(is_away))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::operator_chat::ids::UserPk;
    use crate::domain::operator_chat::user::UserProfile;

    fn me() -> ChatUser {
        let (tenant, id) = ("desk".to_owned(), "3".parse().unwrap());
        ChatUser { pk: UserPk(1), tenant, id, profile: UserProfile::default(), last_seen_at: None }
    }

    #[test]
    fn own_ids_are_texts_numbers_or_absent() {
        for id in [json!("3"), json!(3), Json::Null] {
            let join = json!({ "conversationId": 17, "userId": id });
            assert_eq!(call(&me(), "join_conversation", vec![join]), Ok(UnderscoreCall::Join("17".into())));
            let away = call(&me(), "user_offline", vec![json!({ "userId": id })]);
            assert_eq!(away, Ok(UnderscoreCall::Away(true)));
        }
        assert_eq!(call(&me(), "user_online", vec![]), Ok(UnderscoreCall::Away(false)));
    }

    #[test]
    fn ids_of_others_are_refused() {
        for (event, name) in [
            ("join_conversation", "userId"),
            ("send_message", "senderId"),
            ("file_uploaded", "senderId"),
            ("typing", "userId"),
            ("user_online", "userId"),
            ("user_offline", "userId"),
        ] {
            let error = call(&me(), event, vec![json!({ name: "4" })]).unwrap_err();
            assert_eq!(error.code, "not_you", "{event}");
            assert_eq!(error.sentence, format!("{name} is not the authenticated user"));
        }
    }

    #[test]
    fn wrong_payloads_are_refused_by_field() {
        for (event, argument, sentence) in [
            ("send_message", json!(5), "payload must be an object"),
            ("send_message", json!({ "content": "a" }), "conversationId must be an id"),
            ("send_message", json!({ "messageType": "SYSTEM" }), "messageType must be TEXT, IMAGE or FILE"),
            ("send_message", json!({ "receiverId": [] }), "receiverId must be an id"),
            ("file_uploaded", json!({ "conversationId": 1 }), "message must be an object"),
            ("file_uploaded", json!({ "conversationId": 1, "message": {} }), "message.id must be an id"),
            ("file_uploaded", json!({ "message": { "id": 1 } }), "conversationId must be an id"),
            ("typing", json!({ "conversationId": 1 }), "isTyping must be true or false"),
            ("user_online", json!("3"), "payload must be an object"),
        ] {
            assert_eq!(call(&me(), event, vec![argument]).unwrap_err().sentence, sentence, "{event}");
        }
    }

    proptest! {
        /// Any field gives a call or a reason, and never panics.
        #[test]
        fn any_field_is_answered(name in "(conversationId|content|senderId|userId|isTyping|message)", text in ".{0,8}", n in 0..6_usize) {
            let events = ["send_message", "join_conversation", "typing", "user_online", "leave_conversation", "file_uploaded"];
            for value in [json!(text), json!([text]), json!({ name.as_str(): text }), json!(1.5), Json::Null] {
                if let Err(error) = call(&me(), events[n], vec![json!({ name.as_str(): value })]) {
                    prop_assert!(!error.sentence.is_empty());
                }
            }
        }
    }
}
