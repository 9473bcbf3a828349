//! The objects of the `namespace` dialect: ids are numbers, absent values are null.

use serde_json::{Value as Json, json};

use super::objects::iso;
use crate::domain::operator_chat::message::{ChatMessageKind, MessageView};
use crate::domain::operator_chat::user::{CONTACTS, ChatUser};

/// Most digits of a user id that is a number.
const NUMBER_MAX_DIGITS: usize = 15;
/// The type of a system message's author.
const SYSTEM_TYPE: &str = "system";
/// The type of a contact of a device.
const CONTACT_TYPE: &str = "contact";

/// A user id: a number if it is plain digits, else a text.
pub(in crate::api) fn user_id(id: &str) -> Json {
    let is_number = !id.starts_with('0')
        && (1..=NUMBER_MAX_DIGITS).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_digit());
    match id.parse::<i64>() {
        Ok(number) if is_number => number.into(),
        _ => id.into(),
    }
}

/// The pair that identifies a user.
pub(in crate::api) fn user(user: &ChatUser) -> Json {
    json!({ "userId": id_of(user), "userType": user_type(user) })
}

/// The id of a contact of a device is the number in its id.
fn id_of(user: &ChatUser) -> Json {
    match user.is_contact() {
        true => user_id(user.bare_id().trim_start_matches('c')),
        false => user_id(user.bare_id()),
    }
}

/// Clients find their own messages by the type alone; the phone and other systems have none of a user.
fn user_type(user: &ChatUser) -> Option<&str> {
    if user.is_contact() {
        return Some(CONTACT_TYPE);
    }
    if user.tenant == CONTACTS { Some(SYSTEM_TYPE) } else { user.profile.user_type.as_deref() }
}

/// A message.
pub(in crate::api) fn message(view: &MessageView) -> Json {
    let MessageView { message, sender, read_at, .. } = view;
    let (word, sender_type) = match message.kind {
        ChatMessageKind::System => ("text", Some(SYSTEM_TYPE)),
        ChatMessageKind::Image => ("image", user_type(sender)),
        ChatMessageKind::Audio | ChatMessageKind::File => ("file", user_type(sender)),
        ChatMessageKind::Text => ("text", user_type(sender)),
    };
    let mut object = json!({
        "id": message.id.0,
        "conversationId": message.conversation.0,
        "sender": author(sender),
        "senderType": sender_type,
        "messageType": word,
        "content": message.content,
        "isRead": read_at.is_some(),
        "createdAt": iso(message.created_at),
        "attachmentUrl": message.attachment_url,
        "attachmentName": message.attachment_name,
    });
    if let Some(id) = temp_id(view) {
        object["tempId"] = id;
    }
    object
}

/// The client's own id of a message.
pub(in crate::api) fn temp_id(view: &MessageView) -> Option<Json> {
    serde_json::from_str(view.message.temp_id.as_deref()?).ok()
}

/// The profile has one name, which is split at its first space.
fn author(user: &ChatUser) -> Json {
    let name = user.profile.name.as_deref();
    let (first, last) = match name.and_then(|name| name.split_once(' ')) {
        Some((first, last)) => (Some(first), Some(last.trim())),
        None => (name, None),
    };
    json!({
        "id": id_of(user),
        "username": user.display_name(),
        "firstName": first,
        "lastName": last,
        "profileImage": user.profile.avatar,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_of_plain_digits_are_numbers() {
        assert_eq!(user_id("123"), json!(123));
        assert_eq!(user_id("999999999999999"), json!(999_999_999_999_999_i64));
        for text in ["0", "012", "1000000000000000", "u7", "-1", "+1", "1.0", ""] {
            assert_eq!(user_id(text), json!(text));
        }
    }
}
