//! The objects of the `namespace` dialect, which REST and sockets share: ids are numbers, absent values are null.

use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use super::LooseId;
use super::objects::{MessageChangesObject, iso};
use crate::domain::operator_chat::conversation::ConversationView;
use crate::domain::operator_chat::message::{ChatMessageKind, MessageView};
use crate::domain::operator_chat::user::{CONTACTS, ChatUser};

/// Most digits of a user id that is a number.
const NUMBER_MAX_DIGITS: usize = 15;
/// The type of a system message's author.
const SYSTEM_TYPE: &str = "system";
/// The type of a contact of a device.
const CONTACT_TYPE: &str = "contact";

/// A user id: a number if it is plain digits, else a text.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NamespaceUserId)]
#[serde(untagged)]
pub(in crate::api) enum UserIdObject {
    Number(i64),
    Text(String),
}

impl UserIdObject {
    pub(in crate::api) fn new(id: &str) -> Self {
        let is_number = !id.starts_with('0')
            && (1..=NUMBER_MAX_DIGITS).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_digit());
        match id.parse() {
            Ok(number) if is_number => Self::Number(number),
            _ => Self::Text(id.to_owned()),
        }
    }

    /// The id of a contact of a device is the number in its id.
    fn of(user: &ChatUser) -> Self {
        match user.is_contact() {
            true => Self::new(user.bare_id().trim_start_matches('c')),
            false => Self::new(user.bare_id()),
        }
    }
}

/// The pair that identifies a user.
pub(in crate::api) fn user(user: &ChatUser) -> Json {
    json!({ "userId": UserIdObject::of(user), "userType": user_type(user) })
}

/// Clients find their own messages by the type alone; the phone and other systems have none of a user.
fn user_type(user: &ChatUser) -> Option<&str> {
    if user.is_contact() {
        return Some(CONTACT_TYPE);
    }
    if user.tenant == CONTACTS { Some(SYSTEM_TYPE) } else { user.profile.user_type.as_deref() }
}

/// A message of a conversation
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamespaceMessage)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NamespaceMessage {
    /// The message's id.
    #[schema(minimum = 1, example = 789)]
    id: i64,
    /// The conversation's id.
    #[schema(minimum = 1, example = 123)]
    conversation_id: i64,
    /// The author.
    sender: NamespaceAuthor,
    /// The author's type; `contact` for a contact of a device, `system` for the device and its systems.
    #[schema(example = "influencer")]
    sender_type: Option<String>,
    /// `text`, `image` or `file`.
    #[schema(example = "text")]
    message_type: &'static str,
    /// The text.
    #[schema(example = "Hello!")]
    content: String,
    /// Whether the recipient read it.
    is_read: bool,
    /// When it was stored.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
    /// The address of a file.
    #[schema(example = "https://example.com/a.png")]
    attachment_url: Option<String>,
    /// The name of the file.
    #[schema(example = "a.png")]
    attachment_name: Option<String>,
    /// The client's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Option<LooseId>)]
    temp_id: Option<Json>,
    /// Changes of a message of a device conversation after it was sent.
    #[serde(flatten)]
    changes: MessageChangesObject,
}

impl NamespaceMessage {
    pub(in crate::api) fn new(view: &MessageView) -> Self {
        let MessageView { message, sender, read_at, .. } = view;
        let (word, sender_type) = match message.kind {
            ChatMessageKind::System => ("text", Some(SYSTEM_TYPE)),
            ChatMessageKind::Image => ("image", user_type(sender)),
            ChatMessageKind::Audio | ChatMessageKind::File => ("file", user_type(sender)),
            ChatMessageKind::Text => ("text", user_type(sender)),
        };
        Self {
            id: message.id.0,
            conversation_id: message.conversation.0,
            sender: NamespaceAuthor::new(sender),
            sender_type: sender_type.map(str::to_owned),
            message_type: word,
            content: message.content.clone(),
            is_read: read_at.is_some(),
            created_at: iso(message.created_at),
            attachment_url: message.attachment_url.clone(),
            attachment_name: message.attachment_name.clone(),
            temp_id: temp_id(view),
            changes: MessageChangesObject::new(view),
        }
    }
}

/// The values of `messageType` that clients may send, for errors.
pub(in crate::api) const MESSAGE_KINDS: &str = "must be text, image or file";

/// The kind of a message to send; text if absent, `None` if the word is unknown.
pub(in crate::api) fn message_kind(word: Option<&str>) -> Option<ChatMessageKind> {
    match word {
        None | Some("text") => Some(ChatMessageKind::Text),
        Some("image") => Some(ChatMessageKind::Image),
        Some("file") => Some(ChatMessageKind::File),
        Some(_) => None,
    }
}

/// The client's own id of a message.
pub(in crate::api) fn temp_id(view: &MessageView) -> Option<Json> {
    serde_json::from_str(view.message.temp_id.as_deref()?).ok()
}

/// The author of a message
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamespaceAuthor)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NamespaceAuthor {
    /// The user's id.
    id: UserIdObject,
    /// The name to show.
    #[schema(example = "John Doe")]
    username: String,
    /// The name up to its first space.
    #[schema(example = "John")]
    first_name: Option<String>,
    /// The rest of the name.
    #[schema(example = "Doe")]
    last_name: Option<String>,
    /// The address of a picture.
    #[schema(example = "https://example.com/j.png")]
    profile_image: Option<String>,
}

impl NamespaceAuthor {
    /// The profile has one name, which is split at its first space.
    fn new(user: &ChatUser) -> Self {
        let name = user.profile.name.as_deref();
        let (first, last) = match name.and_then(|name| name.split_once(' ')) {
            Some((first, last)) => (Some(first), Some(last.trim())),
            None => (name, None),
        };
        Self {
            id: UserIdObject::of(user),
            username: user.display_name().to_owned(),
            first_name: first.map(str::to_owned),
            last_name: last.map(str::to_owned),
            profile_image: user.profile.avatar.clone(),
        }
    }
}

/// A member of a conversation
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamespaceParticipant)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NamespaceParticipant {
    /// The user.
    #[serde(flatten)]
    user: NamespaceAuthor,
    /// The user's type.
    #[schema(example = "brand")]
    user_type: Option<String>,
    /// Whether the user has a connected socket.
    is_online: bool,
}

/// A conversation as one of its members sees it
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamespaceConversation)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NamespaceConversation {
    /// The conversation's id.
    #[schema(minimum = 1, example = 123)]
    id: i64,
    /// The title of a room.
    #[schema(example = "Night shift")]
    title: Option<String>,
    /// The other members; of a room at most 50.
    participants: Vec<NamespaceParticipant>,
    /// The newest message.
    last_message: Option<NamespaceMessage>,
    /// Messages of others that the caller has not read.
    #[schema(minimum = 0, example = 2)]
    unread_count: i64,
    /// When it was created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
    /// When its newest message was stored; without messages, when it was created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    updated_at: String,
}

impl NamespaceConversation {
    /// `None` for a pair of users without a conversation, which has no number.
    pub(in crate::api) fn new(
        view: &ConversationView,
        is_online: impl Fn(&ChatUser) -> bool,
    ) -> Option<Self> {
        let participant = |user: &ChatUser| NamespaceParticipant {
            user: NamespaceAuthor::new(user),
            user_type: user_type(user).map(str::to_owned),
            is_online: is_online(user),
        };
        let newest = view.last_message.as_ref();
        let created_at = view.created_at?;
        Some(Self {
            id: view.name.parse().ok()?,
            title: view.title.clone(),
            participants: view.participants.iter().map(participant).collect(),
            last_message: newest.map(NamespaceMessage::new),
            unread_count: view.unread,
            created_at: iso(created_at),
            updated_at: iso(newest.map_or(created_at, |last| last.message.created_at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_of_plain_digits_are_numbers() {
        assert_eq!(UserIdObject::new("123"), UserIdObject::Number(123));
        assert_eq!(UserIdObject::new("999999999999999"), UserIdObject::Number(999_999_999_999_999));
        for text in ["0", "012", "1000000000000000", "u7", "-1", "+1", "1.0", ""] {
            assert_eq!(UserIdObject::new(text), UserIdObject::Text(text.to_owned()));
        }
    }
}
