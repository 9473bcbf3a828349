//! The JSON document: `{ "format", "version", "exportedAt", "chat", "messages" }`, written and read a message
//! at a time.

use serde::{Deserialize, Serialize};

use super::limits;
use crate::domain::ack::{Ack, Status};
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::domain::file_name::safe_filename;
use crate::domain::jid::Jid;
use crate::domain::message::{Message, Receipt, SendFailure};

/// What the document's `format` says.
pub const FORMAT: &str = "wharf-chat";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// Why an imported message failed that had not been sent where it was exported.
const NOT_SENT: &str = "not_sent";
const NOT_SENT_WHY: &str = "it had not been sent when it was exported, and imported messages are not sent";

/// A message with all that is known of it: as the wire shows it, without addresses, and what only the store
/// shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedMessage {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// Its step.
    pub status: Status,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<SendFailure>,
    /// How far each recipient is.
    #[serde(default)]
    pub receipts: Vec<Receipt>,
    /// When each of its reactions was given, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reacted_at: Vec<Millis>,
    /// When it was edited last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Millis>,
    /// The name of its file in the archive around the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl ExportedMessage {
    /// What in it contradicts itself, is too long or of no time until `now`.
    ///
    /// # Errors
    /// A sentence that names the field and says what is right.
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

    /// As history: what waited to be sent where it was exported is never sent from here, and has failed; names
    /// of files are safe. All else stays as it is.
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

/// What the document says of the chat itself, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatHead {
    /// Its id.
    pub id: Jid,
    /// What people call it.
    pub name: String,
    /// Pinned to the top.
    #[serde(default)]
    pub pinned: bool,
    /// Put away.
    #[serde(default)]
    pub archived: bool,
    /// Silenced.
    #[serde(default)]
    pub muted: bool,
    /// Until when, while it is silenced; for ever when absent.
    #[serde(default)]
    pub muted_until: Option<Millis>,
    /// When something last happened in it.
    #[serde(default)]
    pub timestamp: Millis,
}

/// What stands before the first message.
///
/// # Errors
/// Never with these types; it is what serialising answers.
pub fn head(chat: &Chat, exported_at: Millis) -> Result<String, serde_json::Error> {
    let (chat, at) = (serde_json::to_string(chat)?, exported_at.0);
    Ok(format!(
        "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"exportedAt\":{at},\"chat\":{chat},\"messages\":[\n"
    ))
}

/// Between two messages.
pub const BETWEEN: &str = ",\n";
/// What stands after the last message.
pub const TAIL: &str = "\n]}\n";
