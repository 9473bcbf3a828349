//! The JSON document `{ "format", "version", "exportedAt", "chat", "messages" }`, written and read one
//! message at a time.

use serde::{Deserialize, Serialize};

use super::limits;
use crate::domain::ack::{Ack, Status};
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::domain::file_name::safe_filename;
use crate::domain::jid::Jid;
use crate::domain::message::{Message, Receipt, SendFailure};

/// Value of the document's `format` field.
pub const FORMAT: &str = "wharf-chat";
/// The version that is written, and the newest that can be read.
pub const VERSION: u32 = 1;

/// Failure code of imported messages that were still unsent when they were exported.
const NOT_SENT: &str = "not_sent";
const NOT_SENT_WHY: &str = "it had not been sent when it was exported, and imported messages are not sent";

/// A message with all stored data: its wire format without media links, and fields that only the store has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedMessage {
    /// The message as on the wire.
    #[serde(flatten)]
    pub message: Message,
    /// The delivery status.
    pub status: Status,
    /// Why sending failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<SendFailure>,
    /// The receipt of each recipient.
    #[serde(default)]
    pub receipts: Vec<Receipt>,
    /// Times of the reactions, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reacted_at: Vec<Millis>,
    /// Time of the last edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Millis>,
    /// Name of the file in the archive that contains the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl ExportedMessage {
    /// Checks that the fields are consistent, within their limits and not dated after `now`.
    ///
    /// # Errors
    /// A sentence that names the field and states the rule.
    pub fn check(&self, now: Millis) -> Result<(), String> {
        let m = &self.message;
        let in_group = m.chat_id.is_group();
        let rules = [
            (m.id.chat == m.chat_id, "its id names another chat than chatId"),
            (m.id.from_me == m.from_me, "its id and fromMe do not agree"),
            (m.has_media == m.media.is_some(), "hasMedia and mediaInfo do not agree"),
            (!in_group || m.author.is_some(), "a message in a group needs its author"),
            (
                self.reacted_at.is_empty() || self.reacted_at.len() == m.reactions.len(),
                "reactedAt must have one time for each of reactions",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Err((*sentence).to_owned()),
            None => limits::check(self).and_then(|()| limits::check_times(self, now)),
        }
    }

    /// Prepares the message for import: a message that was still unsent becomes failed, because imports never
    /// send. File names are made safe. Everything else stays.
    #[must_use]
    pub fn into_history(mut self) -> Self {
        let unsent = matches!(self.status, Status::Queued | Status::Sending);
        if unsent || self.message.ack == Ack::Pending {
            self.status = Status::Failed;
            self.message.ack = Ack::Error;
            self.failure = Some(SendFailure { code: NOT_SENT.to_owned(), message: NOT_SENT_WHY.to_owned() });
        }
        self.message.quoted_message = self.message.quoted_message.map(|quoted| Box::new(quoted.as_quote()));
        let quoted = self.message.quoted_message.as_mut().and_then(|quoted| quoted.media.as_mut());
        for media in self.message.media.iter_mut().chain(quoted) {
            media.filename = media.filename.as_deref().and_then(safe_filename);
        }
        self
    }
}

/// The document's chat fields that an import uses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatHead {
    /// The chat's id.
    pub id: Jid,
    /// The displayed name.
    pub name: String,
    /// Whether the chat is pinned to the top.
    #[serde(default)]
    pub pinned: bool,
    /// Whether the chat is archived.
    #[serde(default)]
    pub archived: bool,
    /// Whether the chat is muted.
    #[serde(default)]
    pub muted: bool,
    /// End of the mute; without an end when absent.
    #[serde(default)]
    pub muted_until: Option<Millis>,
    /// Time of the chat's last activity.
    #[serde(default)]
    pub timestamp: Millis,
}

/// The document's text before the first message.
///
/// # Errors
/// Serialization errors, which these types never cause.
pub fn head(chat: &Chat, exported_at: Millis) -> Result<String, serde_json::Error> {
    let (chat, at) = (serde_json::to_string(chat)?, exported_at.0);
    Ok(format!(
        "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"exportedAt\":{at},\"chat\":{chat},\"messages\":[\n"
    ))
}

/// The separator of two messages.
pub const BETWEEN: &str = ",\n";
/// The document's text after the last message.
pub const TAIL: &str = "\n]}\n";
