//! The objects of the `underscore` dialect, which REST and sockets share: ids are texts, and a text is never null.

use serde::Serialize;
use utoipa::ToSchema;

use super::objects::{AuthorObject, MessageChangesObject, iso};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::ConversationView;
use crate::domain::operator_chat::file::{OLD_WORD, WORD};
use crate::domain::operator_chat::message::{ChatMessageKind, MessageView};
use crate::domain::operator_chat::user::ChatUser;

/// A user of operator chat
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreUser)]
pub(in crate::api) struct UnderscoreUser {
    /// The user's id.
    #[schema(example = "u7")]
    id: String,
    /// The name to show.
    #[schema(example = "John Doe")]
    name: String,
    /// The email address.
    #[schema(example = "john@example.com")]
    email: Option<String>,
    /// The address of a picture.
    #[schema(example = "https://example.com/a.png")]
    image: Option<String>,
    /// The role.
    #[schema(example = "STUDENT")]
    role: Option<String>,
}

impl UnderscoreUser {
    pub(super) fn new(user: &ChatUser) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.display_name().to_owned(),
            email: user.profile.email.clone(),
            image: user.profile.avatar.clone(),
            role: user.profile.role.clone(),
        }
    }
}

/// A user with its presence
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnderscoreOnlineUser {
    #[serde(flatten)]
    user: UnderscoreUser,
    /// Whether the user is online.
    is_online: bool,
}

impl UnderscoreOnlineUser {
    pub(super) fn new(user: &ChatUser, is_online: bool) -> Self {
        Self { user: UnderscoreUser::new(user), is_online }
    }
}

/// A conversation as one of its members sees it
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreConversation)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnderscoreConversation {
    /// The conversation's id.
    #[schema(example = "17")]
    id: String,
    /// When it was created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: Option<String>,
    /// When its newest message was stored; without messages, when it was created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    updated_at: Option<String>,
    /// The title of a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "Night shift")]
    title: Option<String>,
    /// The caller and the other user; of a room at most 50.
    #[schema(max_items = 50)]
    participants: Vec<UnderscoreParticipant>,
    /// The newest message, or nothing.
    #[schema(max_items = 1)]
    messages: Vec<UnderscoreMessage>,
}

/// A member of a conversation
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreParticipant)]
#[serde(rename_all = "camelCase")]
struct UnderscoreParticipant {
    /// The membership's id, unique within the conversation.
    #[schema(example = "u7")]
    id: String,
    /// The user's id.
    #[schema(example = "u7")]
    user_id: String,
    /// The user.
    user: UnderscoreOnlineUser,
}

impl UnderscoreConversation {
    pub(super) fn new(
        view: &ConversationView,
        viewer: &ChatUser,
        is_online: impl Fn(&ChatUser) -> bool,
    ) -> Self {
        let participant = |user: &ChatUser| UnderscoreParticipant {
            id: user.id.to_string(),
            user_id: user.id.to_string(),
            user: UnderscoreOnlineUser::new(user, is_online(user)),
        };
        let newest = view.last_message.as_ref();
        let updated_at = changed_at(view);
        Self {
            id: view.name.clone(),
            title: view.title.clone(),
            created_at: view.created_at.map(iso),
            updated_at: updated_at.map(iso),
            participants: std::iter::once(viewer).chain(&view.participants).map(participant).collect(),
            messages: newest.map(|last| UnderscoreMessage::seen_by(last, viewer)).into_iter().collect(),
        }
    }
}

/// When the newest message was stored; without messages, when the conversation was created.
pub(super) fn changed_at(view: &ConversationView) -> Option<Millis> {
    view.last_message.as_ref().map(|last| last.message.created_at).or(view.created_at)
}

/// The values of `messageType` that clients may send, for errors.
pub(in crate::api) const MESSAGE_KINDS: &str = "must be TEXT, IMAGE or FILE";

/// The kind of a message to send; text if absent, `None` if the word is unknown.
pub(in crate::api) fn message_kind(word: Option<&str>) -> Option<ChatMessageKind> {
    match word {
        None | Some("TEXT") => Some(ChatMessageKind::Text),
        Some("IMAGE") => Some(ChatMessageKind::Image),
        Some("FILE") => Some(ChatMessageKind::File),
        Some(_) => None,
    }
}

/// A message of a conversation
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreMessage)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UnderscoreMessage {
    /// The message's id.
    #[schema(example = "1042")]
    id: String,
    /// The conversation's id.
    #[schema(example = "17")]
    conversation_id: String,
    /// The text; for a file without one, what it is.
    #[schema(example = "Hello!")]
    content: String,
    /// `TEXT`, `IMAGE`, `FILE` or `SYSTEM`.
    #[schema(example = "TEXT")]
    message_type: &'static str,
    /// The author's id.
    #[schema(example = "u3")]
    sender_id: String,
    /// The other user's id.
    #[schema(example = "u7")]
    receiver_id: Option<String>,
    /// When it was stored.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
    /// The author; the caller in place of all operators of a device conversation.
    sender: UnderscoreUser,
    /// The other user.
    receiver: Option<UnderscoreUser>,
    /// Its file, if it has one.
    #[schema(max_items = 1)]
    attachments: Vec<UnderscoreAttachment>,
    /// The readers, at most 50.
    #[schema(max_items = 50)]
    read_receipts: Vec<UnderscoreReadReceipt>,
    /// The number of all readers.
    #[schema(minimum = 0, example = 1)]
    read_count: usize,
    /// The author of a message of a device conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    author: Option<AuthorObject>,
    /// Changes of a message of a device conversation after it was sent.
    #[serde(flatten)]
    changes: MessageChangesObject,
}

/// The file of a message
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreAttachment)]
#[serde(rename_all = "camelCase")]
struct UnderscoreAttachment {
    /// The file's id.
    #[schema(example = "1042")]
    id: String,
    /// The file's name.
    #[schema(example = "cv.pdf")]
    file_name: String,
    /// The file's address.
    #[schema(example = "https://example.com/cv.pdf")]
    file_url: String,
    /// The media type; of a file that the daemon does not have, by the kind of the message and the name.
    #[schema(example = "application/pdf")]
    file_type: String,
    /// Its size in bytes, if the daemon has the file.
    #[schema(minimum = 0, example = 20_480)]
    file_size: Option<u64>,
}

/// A reader of a message
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreReadReceipt)]
#[serde(rename_all = "camelCase")]
struct UnderscoreReadReceipt {
    /// The receipt's id, unique within the message's conversation.
    #[schema(example = "1042")]
    id: String,
    /// The reader's id.
    #[schema(example = "u7")]
    user_id: String,
    /// When it was read.
    #[schema(example = "2026-11-22T10:00:05.000Z")]
    read_at: String,
    /// The reader.
    user: UnderscoreReader,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnderscoreReader)]
struct UnderscoreReader {
    #[schema(example = "u7")]
    id: String,
    #[schema(example = "John Doe")]
    name: String,
}

impl UnderscoreMessage {
    /// For both users of a direct conversation.
    pub(in crate::api) fn new(view: &MessageView) -> Self {
        let MessageView { message, sender, recipient, read_at, inbox, room, .. } = view;
        let attachments: Vec<_> = UnderscoreAttachment::of(view).into_iter().collect();
        let content = match attachments.first().filter(|_| message.content.trim().is_empty()) {
            Some(file) => format!("Shared {}: {}", file.what(), file.file_name),
            None => message.content.clone(),
        };
        let receipt = |(reader, at): (&ChatUser, _)| UnderscoreReadReceipt {
            id: message.id.to_string(),
            user_id: reader.id.to_string(),
            read_at: iso(at),
            user: UnderscoreReader { id: reader.id.to_string(), name: reader.display_name().to_owned() },
        };
        let of_room = room.iter().flat_map(|room| &room.readers).map(|(reader, at)| (reader, *at));
        let readers = recipient.as_ref().zip(*read_at).into_iter().chain(of_room);
        let read_receipts: Vec<_> = readers.map(receipt).collect();
        Self {
            id: message.id.to_string(),
            conversation_id: message.conversation.to_string(),
            content,
            message_type: match message.kind {
                ChatMessageKind::Text => "TEXT",
                ChatMessageKind::Image => "IMAGE",
                ChatMessageKind::Audio | ChatMessageKind::File => "FILE",
                ChatMessageKind::System => "SYSTEM",
            },
            sender_id: sender.id.to_string(),
            receiver_id: recipient.as_ref().map(|user| user.id.to_string()),
            created_at: iso(message.created_at),
            sender: UnderscoreUser::new(sender),
            receiver: recipient.as_ref().map(UnderscoreUser::new),
            attachments,
            read_count: read_receipts.len(),
            read_receipts,
            author: inbox.as_ref().map(|inbox| AuthorObject::new(&inbox.author)),
            changes: MessageChangesObject::new(view),
        }
    }

    /// For one of the users: in a device conversation the caller stands for all operators.
    pub(in crate::api) fn seen_by(view: &MessageView, viewer: &ChatUser) -> Self {
        let Some(inbox) = &view.inbox else { return Self::new(view) };
        let is_of_contact = inbox.author.is_contact();
        let mut object = Self::new(&view.between_contact_and(viewer));
        if !is_of_contact {
            // The author may be a user whom the viewer cannot list.
            object.sender.email.clone_from(&viewer.profile.email);
        }
        object
    }
}

impl UnderscoreAttachment {
    fn of(view: &MessageView) -> Option<Self> {
        let message = &view.message;
        let url = message.attachment_url.clone()?;
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let of_path = || path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned);
        let given = message.attachment_name.clone().filter(|name| !name.is_empty());
        let file_name = given.or_else(of_path).unwrap_or_else(|| "file".to_owned());
        let stored = view.inbox.as_ref().and_then(|inbox| inbox.file.as_ref());
        let of_chat = message.file.as_ref();
        let known_type = stored.map(|file| &file.mimetype).or(of_chat.map(|file| &file.mimetype));
        let file_type =
            known_type.cloned().unwrap_or_else(|| media_type(message.kind, &file_name).to_owned());
        let file_size = stored.map(|file| file.filesize).or(of_chat.map(|file| file.filesize));
        let id = of_chat.map_or_else(|| message.id.to_string(), |file| file.id.to_string());
        Some(Self { id, file_name, file_url: url, file_type, file_size })
    }

    /// What the file is, in the text of a message without one.
    fn what(&self) -> &'static str {
        match self.file_type.as_str() {
            "application/pdf" => "a PDF document",
            WORD | OLD_WORD => "a Word document",
            image if image.starts_with("image/") => "an image",
            _ => "a file",
        }
    }
}

/// The media type that clients choose a symbol by: they only compare its beginning.
fn media_type(kind: ChatMessageKind, file_name: &str) -> &'static str {
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match (kind, extension.as_deref().unwrap_or_default()) {
        (_, "png") => "image/png",
        (_, "gif") => "image/gif",
        (_, "webp") => "image/webp",
        (_, "svg") => "image/svg+xml",
        (ChatMessageKind::Image, _) | (_, "jpg" | "jpeg") => "image/jpeg",
        (_, "pdf") => "application/pdf",
        (_, "doc") => OLD_WORD,
        (_, "docx") => WORD,
        (ChatMessageKind::Audio, _) => "audio/ogg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
    use crate::domain::operator_chat::message::ChatMessage;
    use crate::domain::operator_chat::user::UserProfile;

    fn user(pk: i64) -> ChatUser {
        ChatUser {
            pk: UserPk(pk),
            tenant: "desk".to_owned(),
            id: format!("u{pk}").parse().unwrap(),
            profile: UserProfile { name: Some(format!("User {pk}")), ..UserProfile::default() },
            last_seen_at: None,
        }
    }

    fn file(kind: ChatMessageKind, url: &str, name: Option<&str>) -> serde_json::Value {
        let message = ChatMessage {
            id: ChatMessageId(5),
            conversation: ConversationId(17),
            sender: UserPk(3),
            kind,
            content: String::new(),
            attachment_url: Some(url.to_owned()),
            attachment_name: name.map(str::to_owned),
            file: None,
            temp_id: None,
            created_at: Millis(1_795_341_600_000),
        };
        let view = MessageView {
            message,
            sender: user(3),
            recipient: Some(user(7)),
            delivered_at: None,
            read_at: Some(Millis(1_795_341_605_000)),
            inbox: None,
            room: None,
        };
        serde_json::to_value(UnderscoreMessage::new(&view)).unwrap()
    }

    #[test]
    fn file_without_text_has_a_content() {
        for (kind, url, name, content) in [
            (ChatMessageKind::Image, "https://x.test/a.png?sig=1", None, "Shared an image: a.png"),
            (ChatMessageKind::File, "https://x.test/9", Some("cv.pdf"), "Shared a PDF document: cv.pdf"),
            (ChatMessageKind::File, "https://x.test/9", Some("cv.DOCX"), "Shared a Word document: cv.DOCX"),
            (ChatMessageKind::Audio, "https://x.test/", None, "Shared a file: file"),
        ] {
            let message = file(kind, url, name);
            assert_eq!(message["content"], content);
            assert_eq!(message["attachments"][0]["fileUrl"], url);
        }
    }

    #[test]
    fn reader_is_in_the_receipts() {
        let message = file(ChatMessageKind::File, "https://x.test/a.txt", None);
        let receipt = serde_json::json!({
            "id": "5", "userId": "u7", "readAt": "2026-11-22T10:00:05.000Z",
            "user": { "id": "u7", "name": "User 7" },
        });
        assert_eq!(message["readReceipts"], serde_json::json!([receipt]));
        assert_eq!(message["readCount"], 1);
        assert!(message.get("author").is_none());
    }
}
