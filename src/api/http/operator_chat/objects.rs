//! The objects of the `root` dialect, which REST and sockets share.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::ConversationView;
use crate::domain::operator_chat::message::{InboxReaction, MessageView};
use crate::domain::operator_chat::notification::ChatNotification;
use crate::domain::operator_chat::user::ChatUser;

/// A time as ISO 8601 with milliseconds.
pub(in crate::api) fn iso(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}

/// A user of operator chat
#[derive(Serialize, ToSchema)]
#[schema(as = ChatUser)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UserObject {
    /// The user's id.
    #[schema(example = "u7")]
    id: String,
    /// The name to show.
    #[schema(example = "John Doe")]
    display_name: String,
    /// The address of a picture.
    #[schema(example = "https://example.com/a.png")]
    avatar: Option<String>,
    /// The role.
    #[schema(example = "ARTIST")]
    role: Option<String>,
}

impl UserObject {
    pub(in crate::api) fn new(user: &ChatUser) -> Self {
        Self {
            id: user.id.to_string(),
            display_name: user.display_name().to_owned(),
            avatar: user.profile.avatar.clone(),
            role: user.profile.role.clone(),
        }
    }
}

/// A message of a conversation
#[derive(Serialize, ToSchema)]
#[schema(as = ChatMessage)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MessageObject {
    /// The message's id.
    #[schema(example = "1042")]
    id: String,
    /// The conversation's id.
    #[schema(example = "17")]
    conversation_id: String,
    /// The author's id.
    #[schema(example = "u3")]
    sender_id: String,
    /// The other user of a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "u7")]
    recipient_id: Option<String>,
    /// The text.
    #[schema(example = "Hello World!")]
    content: String,
    /// `TEXT`, `IMAGE`, `AUDIO`, `FILE` or `SYSTEM`.
    #[schema(example = "TEXT")]
    r#type: &'static str,
    /// The address of a file.
    #[schema(example = "https://example.com/a.png")]
    attachment_url: Option<String>,
    /// When it was stored.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
    /// When it was delivered to the recipient.
    #[schema(example = "2026-11-22T10:00:01.000Z")]
    delivered_at: Option<String>,
    /// When the recipient read it.
    #[schema(example = "2026-11-22T10:00:05.000Z")]
    read_at: Option<String>,
    /// Whether the recipient read it.
    is_read: bool,
    /// The client's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Option<String>, example = "t-1")]
    temp_id: Option<Box<RawValue>>,
    /// `sent`, `delivered` or `read`; on the caller's own messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "sent")]
    status: Option<&'static str>,
    /// The author; the caller in place of all operators of a device conversation.
    sender: UserObject,
    /// The author of a message of a device conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    author: Option<AuthorObject>,
    /// Changes of a message of a device conversation after it was sent.
    #[serde(flatten)]
    changes: MessageChangesObject,
}

/// Changes of a message of a device conversation
///
/// A field is absent while there is no such change.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ChatMessageChanges)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MessageChangesObject {
    /// Whether the text was edited.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    is_edited: bool,
    /// Whether it was revoked for everyone, or removed from the device.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    is_deleted: bool,
    /// The reactions to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reactions: Vec<ReactionObject>,
}

/// A reaction to a message of a device conversation
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatReaction)]
#[serde(rename_all = "camelCase")]
struct ReactionObject {
    /// The reaction.
    #[schema(example = "👍")]
    emoji: String,
    /// `contact`, or `operators` for the account of the device.
    #[schema(example = "contact")]
    by: &'static str,
}

impl MessageChangesObject {
    pub(super) fn new(view: &MessageView) -> Self {
        let Some(inbox) = &view.inbox else { return Self::default() };
        let reaction = |reaction: &InboxReaction| ReactionObject {
            emoji: reaction.emoji.clone(),
            by: if reaction.is_of_contact { "contact" } else { "operators" },
        };
        Self {
            is_edited: inbox.changes.is_edited,
            is_deleted: inbox.changes.is_deleted,
            reactions: inbox.changes.reactions.iter().map(reaction).collect(),
        }
    }
}

/// Who wrote a message of a device conversation
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatAuthor)]
pub(in crate::api) struct AuthorObject {
    /// The author's id.
    #[schema(example = "bela")]
    id: String,
    /// The author's name.
    #[schema(example = "Bela")]
    name: String,
}

impl AuthorObject {
    pub(super) fn new(author: &ChatUser) -> Self {
        Self { id: author.id.to_string(), name: author.display_name().to_owned() }
    }
}

impl MessageObject {
    /// For all members.
    pub(in crate::api) fn new(view: &MessageView) -> Self {
        let MessageView { message, sender, recipient, delivered_at, read_at, inbox, room: _ } = view;
        Self {
            id: message.id.to_string(),
            conversation_id: message.conversation.to_string(),
            sender_id: sender.id.to_string(),
            recipient_id: recipient.as_ref().map(|user| user.id.to_string()),
            content: message.content.clone(),
            r#type: message.kind.as_str(),
            attachment_url: message.attachment_url.clone(),
            created_at: iso(message.created_at),
            delivered_at: delivered_at.map(iso),
            read_at: read_at.map(iso),
            is_read: read_at.is_some(),
            temp_id: message.temp_id.as_deref().and_then(raw),
            status: None,
            sender: UserObject::new(sender),
            author: inbox.as_ref().map(|inbox| AuthorObject::new(&inbox.author)),
            changes: MessageChangesObject::new(view),
        }
    }

    /// For the author, with the status.
    pub(in crate::api) fn of_author(view: &MessageView) -> Self {
        Self { status: Some(view.status()), ..Self::new(view) }
    }

    /// For one of the members.
    pub(in crate::api) fn seen_by(view: &MessageView, viewer: &ChatUser) -> Self {
        if let Some(inbox) = &view.inbox {
            let between = view.between_contact_and(viewer);
            return if inbox.status.is_some() { Self::of_author(&between) } else { Self::new(&between) };
        }
        if view.message.sender == viewer.pk { Self::of_author(view) } else { Self::new(view) }
    }
}

/// A conversation as one of its members sees it
#[derive(Serialize, ToSchema)]
#[schema(as = ChatConversation)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ConversationObject {
    /// The conversation's id; both user ids as `<a>_<b>` before the first message.
    #[schema(example = "17")]
    id: String,
    /// The title of a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "Night shift")]
    title: Option<String>,
    /// The other members; of a room at most 50.
    participants: Vec<UserObject>,
    /// The newest message.
    last_message: Option<MessageObject>,
    /// Messages of others that the caller has not read.
    #[schema(minimum = 0, example = 2)]
    unread_count: i64,
}

impl ConversationObject {
    pub(in crate::api) fn new(view: &ConversationView, viewer: &ChatUser) -> Self {
        Self {
            id: view.name.clone(),
            title: view.title.clone(),
            participants: view.participants.iter().map(UserObject::new).collect(),
            last_message: view.last_message.as_ref().map(|last| MessageObject::seen_by(last, viewer)),
            unread_count: view.unread,
        }
    }
}

/// A notification of a user
#[derive(Serialize, ToSchema)]
#[schema(as = ChatNotification)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NotificationObject {
    /// The notification's id.
    #[schema(example = "88")]
    id: String,
    /// The application's type.
    #[schema(example = "order")]
    r#type: String,
    /// The title.
    #[schema(example = "Order shipped")]
    title: String,
    /// The text.
    #[schema(example = "Order 12 is on its way")]
    message: String,
    /// Where it leads.
    #[schema(example = "/orders/12")]
    link: Option<String>,
    /// Further data.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>, example = json!({ "orderId": "12" }))]
    data: Option<Box<RawValue>>,
    /// When it was stored.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
    /// Whether the user read it.
    is_read: bool,
}

impl NotificationObject {
    pub(in crate::api) fn new(notification: &ChatNotification) -> Self {
        Self {
            id: notification.id.to_string(),
            r#type: notification.kind.clone(),
            title: notification.title.clone(),
            message: notification.message.clone(),
            link: notification.link.clone(),
            data: raw(&notification.data),
            created_at: iso(notification.created_at),
            is_read: notification.read_at.is_some(),
        }
    }
}
