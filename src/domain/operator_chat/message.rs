//! Messages of a conversation, and the rules of a message that a user sends.

use std::str::FromStr;
use std::sync::Arc;

use super::file::ChatFile;
use super::ids::{ChatMessageId, ConversationId, UserPk};
use super::inbox::DeviceChat;
use super::room::{RoomMember, SMALL_ROOM_MEMBERS, role_in};
use super::user::{ChatUser, UserProfile};
use crate::domain::clock::Millis;
use crate::domain::media::StoredMedia;
use crate::domain::message::SendFailure;

/// Longest name of a file, in characters.
pub const FILE_NAME_MAX_CHARS: usize = 255;
/// Longest `tempId` as JSON, in characters.
pub const TEMP_ID_MAX_CHARS: usize = 128;

/// Before the text of an internal note, for clients that do not show the type of a message.
const NOTE_PREFIX: &str = "📝 ";

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatMessageKind {
    /// Text only.
    Text,
    /// A picture.
    Image,
    /// A recording.
    Audio,
    /// Another file.
    File,
    /// Written by the daemon.
    System,
}

impl ChatMessageKind {
    const ALL: [Self; 5] = [Self::Text, Self::Image, Self::Audio, Self::File, Self::System];

    /// The word of the `root` dialect and of the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Image => "IMAGE",
            Self::Audio => "AUDIO",
            Self::File => "FILE",
            Self::System => "SYSTEM",
        }
    }

    /// Whether users may send it.
    #[must_use]
    pub fn is_sendable(self) -> bool {
        self != Self::System
    }
}

/// A word that is no kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be TEXT, IMAGE, AUDIO or FILE")]
pub struct InvalidMessageKind;

impl FromStr for ChatMessageKind {
    type Err = InvalidMessageKind;

    fn from_str(word: &str) -> Result<Self, InvalidMessageKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(InvalidMessageKind)
    }
}

/// Messages by their author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAuthor {
    /// Those of this user.
    Is(UserPk),
    /// Those of all others.
    Not(UserPk),
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// The id.
    pub id: ChatMessageId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The author.
    pub sender: UserPk,
    /// The kind.
    pub kind: ChatMessageKind,
    /// The text.
    pub content: String,
    /// The address of a file.
    pub attachment_url: Option<String>,
    /// The name of that file.
    pub attachment_name: Option<String>,
    /// The uploaded file of a direct conversation; its address is added when the message is read.
    pub file: Option<ChatFile>,
    /// The client's own id, as JSON.
    pub temp_id: Option<String>,
    /// When it was stored; never before the previous message of the conversation.
    pub created_at: Millis,
}

/// A message with its author and the receipts of its recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageView {
    /// The message.
    pub message: ChatMessage,
    /// The author.
    pub sender: ChatUser,
    /// The other user of a direct conversation.
    pub recipient: Option<ChatUser>,
    /// When it was delivered to the recipient; in a small room, to its last member.
    pub delivered_at: Option<Millis>,
    /// When the recipient read it; in a small room, when its last member did.
    pub read_at: Option<Millis>,
    /// In a device conversation: who wrote it, and the chat.
    pub inbox: Option<Box<InboxMessage>>,
    /// In a room: who gets it, and who read it.
    pub room: Option<Box<RoomMessage>>,
}

/// The additional fields of a message of a room.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomMessage {
    /// The members of the room, in the order of their rows.
    pub members: Arc<[RoomMember]>,
    /// The readers in a small room, each with the time.
    pub readers: Vec<(ChatUser, Millis)>,
}

/// The additional fields of a message of a device conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxMessage {
    /// The chat, and who may see it.
    pub chat: DeviceChat,
    /// The author.
    pub author: ChatUser,
    /// The status of a message of the operator side.
    pub status: Option<&'static str>,
    /// Why the device could not send it.
    pub failure: Option<SendFailure>,
    /// Its file, while the daemon has it.
    pub file: Option<StoredMedia>,
    /// Changes after it was sent.
    pub changes: InboxMessageChanges,
}

/// Changes of a message of a device conversation after it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxMessageChanges {
    /// Whether its text was edited.
    pub is_edited: bool,
    /// Whether it was revoked for everyone, or removed from the device.
    pub is_deleted: bool,
    /// The reactions to it.
    pub reactions: Vec<InboxReaction>,
}

/// A reaction to a message of a device conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxReaction {
    /// The reaction.
    pub emoji: String,
    /// Whether the contact reacted; the account of the device otherwise.
    pub is_of_contact: bool,
}

impl RoomMessage {
    /// Whether receipts go to the author only, and the first delivery counts for all.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.members.len() > SMALL_ROOM_MEMBERS
    }

    /// Whether a user is a member of the room.
    #[must_use]
    pub fn has_member(&self, user: UserPk) -> bool {
        role_in(&self.members, user).is_some()
    }
}

impl MessageView {
    /// The word for the receipts.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if let Some(status) = self.inbox.as_ref().and_then(|inbox| inbox.status) {
            return status;
        }
        match (self.read_at, self.delivered_at) {
            (Some(_), _) => "read",
            (None, Some(_)) => "delivered",
            (None, None) => "sent",
        }
    }

    /// A message of a device conversation with two parties: the viewer stands for the operator side.
    #[must_use]
    pub fn between_contact_and(&self, viewer: &ChatUser) -> Self {
        let mut view = self.clone();
        let Some(inbox) = &self.inbox else { return view };
        if inbox.author.is_contact() {
            view.recipient = Some(viewer.clone());
        } else {
            let name = Some(inbox.author.display_name().to_owned());
            view.sender = viewer.clone();
            view.sender.profile = UserProfile { name, ..inbox.author.profile.clone() };
            if self.message.kind == ChatMessageKind::System && !inbox.author.is_daemon() {
                view.message.content = format!("{NOTE_PREFIX}{}", self.message.content);
            }
        }
        view
    }
}

/// A message that was sent.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// The message.
    pub view: MessageView,
    /// Whether this request stored it; else its `tempId` was sent before.
    pub is_new: bool,
}

/// The answer to a slash command that only its writer gets. It is not stored.
#[derive(Debug, Clone)]
pub struct CommandAnswer {
    /// The answer, as a system message.
    pub view: MessageView,
    /// The writer of the command.
    pub user: UserPk,
    /// The socket that sent the command; none over REST.
    pub origin: Option<u64>,
}

/// The request that sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendSource {
    /// An event of the socket with this number.
    Socket(u64),
    /// A REST call.
    Rest,
    /// A REST call with a file, whose client shows the message itself.
    Upload,
}

impl SendSource {
    /// The socket, if it is one.
    #[must_use]
    pub fn socket(self) -> Option<u64> {
        match self {
            Self::Socket(number) => Some(number),
            Self::Rest | Self::Upload => None,
        }
    }
}

/// The content of a message that a user sends; it passed [`MessageDraft::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDraft {
    /// The kind.
    pub kind: ChatMessageKind,
    /// The text.
    pub content: String,
    /// The address of a file.
    pub attachment_url: Option<String>,
    /// The name of that file.
    pub attachment_name: Option<String>,
    /// The client's own id, as JSON; or what takes its place, which is not JSON.
    pub temp_id: Option<String>,
}

impl MessageDraft {
    /// Checks the fields against the limits; an error is the field and what it must be.
    ///
    /// # Errors
    /// The first invalid field.
    pub fn check(&self, content_max_chars: usize) -> Result<(), (&'static str, String)> {
        let too_long = |text: &str, max: usize| text.chars().take(max.saturating_add(1)).count() > max;
        if !self.kind.is_sendable() {
            return Err(("type", InvalidMessageKind.to_string()));
        }
        if too_long(&self.content, content_max_chars) {
            return Err(("content", format!("must have at most {content_max_chars} characters")));
        }
        if self.content.contains('\0') {
            return Err(("content", "must not contain U+0000".to_owned()));
        }
        if self.content.trim().is_empty() && self.attachment_url.is_none() {
            return Err(("content", "must not be empty without attachmentUrl".to_owned()));
        }
        let name = self.attachment_name.as_deref().unwrap_or_default();
        if too_long(name, FILE_NAME_MAX_CHARS) || name.contains('\0') {
            let what = format!("must have at most {FILE_NAME_MAX_CHARS} characters, and no U+0000");
            return Err(("attachmentName", what));
        }
        if self.temp_id.as_deref().is_some_and(|id| too_long(id, TEMP_ID_MAX_CHARS)) {
            return Err(("tempId", format!("must have at most {TEMP_ID_MAX_CHARS} characters")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(content: &str) -> MessageDraft {
        MessageDraft {
            kind: ChatMessageKind::Text,
            content: content.to_owned(),
            attachment_url: None,
            attachment_name: None,
            temp_id: None,
        }
    }

    #[test]
    fn draft_fields_have_limits() {
        assert_eq!(draft("hello").check(5), Ok(()));
        let file = Some("https://example.com/a.png".to_owned());
        assert_eq!(MessageDraft { attachment_url: file, ..draft("") }.check(5), Ok(()));
        let long = Some("x".repeat(129));
        for (wrong, field) in [
            (draft("hello!"), "content"),
            (draft(" "), "content"),
            (draft("a\0b"), "content"),
            (MessageDraft { kind: ChatMessageKind::System, ..draft("a") }, "type"),
            (MessageDraft { temp_id: long, ..draft("a") }, "tempId"),
        ] {
            assert_eq!(wrong.check(5).unwrap_err().0, field, "{wrong:?}");
        }
    }

    #[test]
    fn kinds_are_read_from_their_words() {
        for kind in ChatMessageKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("text".parse::<ChatMessageKind>().is_err());
    }
}
