//! Reads a chat page by page for export, with receipts, reactions and edits of each message.

use super::column_codec::{from_word, text, time_if_any};
use super::error::StoreError;
use super::messages::{PageFrom, PagePosition, Pk};
use super::tx::Reader;
use crate::domain::ack::Status;
use crate::domain::clock::Millis;
use crate::domain::export::document::ExportedMessage;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::message::{Message, Receipt, SendFailure};

/// Sorts before every message.
pub const BEGINNING: PagePosition = PagePosition { at: Millis(i64::MIN), pk: Pk::MIN };

impl Reader<'_> {
    /// The oldest messages after this position, at most `limit`, each with its own position.
    ///
    /// # Errors
    /// When the store fails.
    pub fn export_page(
        &self,
        device: &DeviceId,
        chat: &Jid,
        after: PagePosition,
        limit: usize,
    ) -> Result<Vec<(PagePosition, ExportedMessage)>, StoreError> {
        let page = self.page(device, chat, PageFrom::After(after), limit)?;
        page.into_iter()
            .map(|(place, message)| {
                let mut exported = self.delivery(place.pk)?;
                let reacted_at =
                    if message.reactions.is_empty() { Vec::new() } else { self.reaction_times(place.pk)? };
                exported.receipts = self.receipts(place.pk)?;
                Ok((place, exported.into_message(message, reacted_at)))
            })
            .collect()
    }

    fn delivery(&self, pk: Pk) -> Result<Delivery, StoreError> {
        let found = self.one(
            "SELECT status, failure_code, failure_message, edited_at FROM messages WHERE pk = ?1",
            [pk],
            |row| {
                let code: Option<String> = row.get("failure_code")?;
                let message: Option<String> = row.get("failure_message")?;
                Ok(Delivery {
                    status: from_word(text(row, "status")?, "message status")?,
                    failure: code.map(|code| SendFailure { code, message: message.unwrap_or_default() }),
                    edited_at: time_if_any(row, "edited_at")?,
                    receipts: Vec::new(),
                })
            },
        )?;
        // Unreachable: one read sees one state of the database.
        found.ok_or(StoreError::Unreadable("message"))
    }

    /// Reaction times in the order in which a message lists its reactions.
    fn reaction_times(&self, pk: Pk) -> Result<Vec<Millis>, StoreError> {
        self.all(
            "SELECT at FROM reactions WHERE message_pk = ?1 AND emoji <> '' ORDER BY at, sender",
            [pk],
            |row| Ok(Millis(row.get(0)?)),
        )
    }
}

struct Delivery {
    status: Status,
    failure: Option<SendFailure>,
    edited_at: Option<Millis>,
    receipts: Vec<Receipt>,
}

impl Delivery {
    fn into_message(self, message: Message, reacted_at: Vec<Millis>) -> ExportedMessage {
        let Self { status, failure, edited_at, receipts } = self;
        ExportedMessage { message, status, failure, receipts, reacted_at, edited_at, file: None }
    }
}
