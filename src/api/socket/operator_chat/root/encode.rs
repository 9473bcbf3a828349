//! Writes server events of the `root` dialect. Pure.

use serde_json::{Value as Json, json};

use super::super::request_error::{ChatRequestError, bounded_name};
use crate::api::http::operator_chat::objects::{MessageObject, NotificationObject, iso};
use crate::api::socket::operator_chat::packet::Packet;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserId};
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::operator_chat::presence::UserStatus;

/// The most `message:read` events of one batch.
const MAX_READ_EVENTS: usize = 100;

pub(in super::super) fn auth_success(user: &ChatUser) -> Packet {
    Packet::new("auth:success", &json!({ "userId": user.id.as_str() }))
}

pub(in super::super) fn token_ended(is_revoked: bool) -> Packet {
    Packet::new("auth:error", &if is_revoked { "Token revoked" } else { "Token expired" })
}

/// The first argument is a text: clients render it.
pub(in super::super) fn error(error: &ChatRequestError, event: &str, temp_id: Option<&Json>) -> Packet {
    let mut details = json!({ "code": error.code, "event": bounded_name(event) });
    if let Some(temp_id) = temp_id {
        details["tempId"] = temp_id.clone();
    }
    Packet::pair("error", &error.sentence, &details)
}

pub(in super::super) fn message_new(view: &MessageView) -> Packet {
    Packet::new("message:new", &MessageObject::new(view))
}

/// A new or changed message of a device conversation, as one user sees it.
pub(in super::super) fn inbox_message(view: &MessageView, viewer: &ChatUser, is_new: bool) -> Packet {
    let event = if is_new { "message:new" } else { "message:updated" };
    Packet::new(event, &MessageObject::seen_by(view, viewer))
}

pub(in super::super) fn typing(typist: &ChatUser, conversation: ConversationId, on: bool) -> Packet {
    let event = if on { "typing:start" } else { "typing:stop" };
    let payload = json!({
        "conversationId": conversation.to_string(),
        "userId": typist.id.as_str(),
        "displayName": typist.display_name(),
    });
    Packet::new(event, &payload)
}

/// A change of presence, for peer-addressed and then for conversation-addressed clients.
pub(in super::super) fn presence(user: &ChatUser, is_online: bool, last_seen: Option<Millis>) -> [Packet; 2] {
    let id = user.id.as_str();
    let event = if is_online { "user:online" } else { "user:offline" };
    let first = json!({ "userId": id, "lastSeen": last_seen.map(iso) });
    [
        Packet::new(event, &first),
        Packet::new("user:status-changed", &status(id, UserStatus { is_online, last_seen })),
    ]
}

pub(in super::super) fn status(user: &str, status: UserStatus) -> Json {
    let word = if status.is_online { "online" } else { "offline" };
    let mut object = json!({ "userId": user, "status": word });
    if let Some(last_seen) = status.last_seen {
        object["lastSeen"] = iso(last_seen).into();
    }
    object
}

/// The events of a log entry.
pub(in super::super) fn event(event: &ChatEvent) -> Vec<Packet> {
    match event {
        ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => vec![message_new(view)],
        ChatEvent::Updated(view) => vec![Packet::new("message:updated", &MessageObject::new(view))],
        ChatEvent::InboxAccess(_) | ChatEvent::RoomReceipts { .. } | ChatEvent::MembersRemoved { .. } => {
            Vec::new()
        }
        ChatEvent::Receipts { level: ReceiptLevel::Delivered, conversation, messages, by, at } => {
            let delivered = |message: &ChatMessageId| {
                let payload = json!({
                    "messageId": message.to_string(),
                    "conversationId": conversation.id.to_string(),
                    "deliveredTo": by.id.as_str(),
                    "deliveredAt": iso(*at),
                });
                Packet::new("message:delivered", &payload)
            };
            messages.iter().map(delivered).collect()
        }
        ChatEvent::Receipts { level: ReceiptLevel::Read, conversation, messages, by, at } => {
            read(conversation.id, messages, &by.id, *at)
        }
        ChatEvent::Deleted { conversation, message } => {
            let payload =
                json!({ "conversationId": conversation.to_string(), "messageId": message.to_string() });
            vec![Packet::new("message:deleted", &payload)]
        }
        ChatEvent::Notification { notification, .. } => {
            vec![Packet::new("notification:new", &NotificationObject::new(notification))]
        }
        ChatEvent::NotificationRead { id, .. } => {
            vec![Packet::new("notification:read", &id.to_string())]
        }
        ChatEvent::NotificationsRead { .. } => vec![Packet::bare("notifications:read-all")],
    }
}

/// One event for each of the newest messages, and one for the batch.
fn read(conversation: ConversationId, messages: &[ChatMessageId], by: &UserId, at: Millis) -> Vec<Packet> {
    let newest = &messages[messages.len().saturating_sub(MAX_READ_EVENTS)..];
    let one = |message: &ChatMessageId| {
        let payload = json!({
            "messageId": message.to_string(),
            "conversationId": conversation.to_string(),
            "readBy": by.as_str(),
            "readAt": iso(at),
        });
        Packet::new("message:read", &payload)
    };
    let all: Vec<String> = messages.iter().map(ToString::to_string).collect();
    let batch = json!({
        "conversationId": conversation.to_string(),
        "messageIds": all,
        "readBy": by.as_str(),
        "readAt": iso(at),
    });
    newest.iter().map(one).chain([Packet::new("messages:read", &batch)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operator_chat::conversation::{Conversation, ConversationKind, UserPair};
    use crate::domain::operator_chat::ids::{ChatNotificationId, UserPk};
    use crate::domain::operator_chat::message::{ChatMessage, ChatMessageKind};
    use crate::domain::operator_chat::notification::ChatNotification;
    use crate::domain::operator_chat::user::UserProfile;

    const AT: Millis = Millis(1_795_341_600_000);

    fn user(pk: i64, name: Option<&str>) -> ChatUser {
        let profile = UserProfile {
            name: name.map(str::to_owned),
            avatar: name.map(|_| "https://example.com/a.png".to_owned()),
            email: None,
            role: Some("ADMIN".to_owned()),
            user_type: None,
        };
        ChatUser {
            pk: UserPk(pk),
            tenant: "desk".to_owned(),
            id: format!("u{pk}").parse().unwrap(),
            profile,
            last_seen_at: None,
        }
    }

    fn receipts(level: ReceiptLevel, messages: Vec<ChatMessageId>) -> ChatEvent {
        let pair = UserPair::new(UserPk(3), UserPk(7)).unwrap();
        let kind = ConversationKind::Direct(pair);
        let conversation =
            Conversation { id: ConversationId(17), tenant: "desk".to_owned(), kind, created_at: Millis(0) };
        ChatEvent::Receipts { level, conversation, messages, by: Box::new(user(7, None)), at: AT }
    }

    fn json_of(event: &ChatEvent) -> Vec<Json> {
        super::event(event).iter().map(Packet::to_json).collect()
    }

    #[test]
    fn message_has_the_fields_of_the_dialect() {
        let message = ChatMessage {
            id: ChatMessageId(1042),
            conversation: ConversationId(17),
            sender: UserPk(3),
            kind: ChatMessageKind::Text,
            content: "Hello World!".to_owned(),
            attachment_url: None,
            attachment_name: None,
            file: None,
            temp_id: Some("\"t-1\"".to_owned()),
            created_at: AT,
        };
        let view = MessageView {
            message,
            sender: user(3, Some("Anna")),
            recipient: Some(user(7, None)),
            delivered_at: None,
            read_at: None,
            inbox: None,
            room: None,
        };
        let expected = json!(["message:new", {
            "id": "1042", "conversationId": "17", "senderId": "u3", "recipientId": "u7",
            "content": "Hello World!", "type": "TEXT", "attachmentUrl": null,
            "createdAt": "2026-11-22T10:00:00.000Z", "deliveredAt": null, "readAt": null, "isRead": false,
            "tempId": "t-1",
            "sender": { "id": "u3", "displayName": "Anna", "avatar": "https://example.com/a.png", "role": "ADMIN" },
        }]);
        assert_eq!(json_of(&ChatEvent::Message { view: Box::new(view), origin: None }), [expected]);
    }

    #[test]
    fn receipts_have_one_event_each_and_one_for_the_batch() {
        let delivered = json_of(&receipts(ReceiptLevel::Delivered, vec![ChatMessageId(5)]));
        let fields = json!({ "messageId": "5", "conversationId": "17", "deliveredTo": "u7",
            "deliveredAt": "2026-11-22T10:00:00.000Z" });
        assert_eq!(delivered, [json!(["message:delivered", fields])]);
        let read = json_of(&receipts(ReceiptLevel::Read, (1..=150).map(ChatMessageId).collect()));
        assert_eq!(read.len(), 101);
        let first = json!({ "messageId": "51", "conversationId": "17", "readBy": "u7",
            "readAt": "2026-11-22T10:00:00.000Z" });
        assert_eq!(read[0], json!(["message:read", first]));
        assert_eq!(read[100][0], "messages:read");
        assert_eq!(read[100][1]["messageIds"].as_array().unwrap().len(), 150);
    }

    #[test]
    fn errors_begin_with_a_sentence() {
        let failed = ChatRequestError::new("not_found", "Conversation not found");
        assert_eq!(
            error(&failed, "message:send", Some(&json!("t-1"))).to_json(),
            json!(["error", "Conversation not found",
                { "code": "not_found", "event": "message:send", "tempId": "t-1" }])
        );
    }

    #[test]
    fn presence_is_encoded_for_both_vocabularies() {
        let packets = presence(&user(7, None), false, Some(AT)).map(|packet| packet.to_json());
        let seen = "2026-11-22T10:00:00.000Z";
        assert_eq!(packets[0], json!(["user:offline", { "userId": "u7", "lastSeen": seen }]));
        let changed = json!({ "userId": "u7", "status": "offline", "lastSeen": seen });
        assert_eq!(packets[1], json!(["user:status-changed", changed]));
    }

    #[test]
    fn typing_names_the_user() {
        let packet = typing(&user(7, Some("John Doe")), ConversationId(17), true).to_json();
        let fields = json!({ "conversationId": "17", "userId": "u7", "displayName": "John Doe" });
        assert_eq!(packet, json!(["typing:start", fields]));
    }

    #[test]
    fn notifications_are_objects_ids_or_nothing() {
        let notification = ChatNotification {
            id: ChatNotificationId(88),
            kind: "order".to_owned(),
            title: "Order shipped".to_owned(),
            message: "Order 12 is on its way".to_owned(),
            link: Some("/orders/12".to_owned()),
            data: "{}".to_owned(),
            created_at: AT,
            read_at: None,
        };
        let (user, id) = (UserPk(1), notification.id);
        let new = ChatEvent::Notification { user, notification: Box::new(notification) };
        let expected = json!({ "id": "88", "type": "order", "title": "Order shipped",
            "message": "Order 12 is on its way", "link": "/orders/12", "data": {},
            "createdAt": "2026-11-22T10:00:00.000Z", "isRead": false });
        assert_eq!(json_of(&new), [json!(["notification:new", expected])]);
        let read = ChatEvent::NotificationRead { user, id, origin: None };
        assert_eq!(json_of(&read), [json!(["notification:read", "88"])]);
        let all = ChatEvent::NotificationsRead { user, origin: None };
        assert_eq!(json_of(&all), [json!(["notifications:read-all"])]);
    }
}
