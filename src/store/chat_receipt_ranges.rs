//! Receipts of the members of conversations, as ranges of message ids.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::receipts::{ReceiptLevel, ReceiptRange, ReceiptRanges};

/// The receipts of one member.
#[derive(Debug, Clone, Copy)]
pub struct ReceiptOwner {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserPk,
    /// The kind of the receipts.
    pub level: ReceiptLevel,
}

impl Reader<'_> {
    /// The ranges that overlap `first..=last`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receipt_ranges(
        &self,
        owner: &ReceiptOwner,
        first: i64,
        last: i64,
    ) -> Result<ReceiptRanges, StoreError> {
        // Ranges are disjoint: of those that begin before `first`, only the last one can reach it.
        let ranges = self.all(
            "SELECT first_id, last_id, at FROM chat_receipt_ranges
             WHERE conversation_id = ?1 AND user_pk = ?2 AND level = ?3 AND last_id >= ?4 AND first_id <= ?5
                 AND first_id >= coalesce((
                     SELECT max(first_id) FROM chat_receipt_ranges
                     WHERE conversation_id = ?1 AND user_pk = ?2 AND level = ?3 AND first_id < ?4
                 ), ?4)
             ORDER BY first_id",
            params![owner.conversation.0, owner.user.0, owner.level.as_str(), first, last],
            |row| {
                Ok(ReceiptRange {
                    first: row.get("first_id")?,
                    last: row.get("last_id")?,
                    at: Millis(row.get("at")?),
                })
            },
        )?;
        Ok(ReceiptRanges::new(ranges))
    }

    /// The message up to and including which a member has receipts for everything; 0 if unknown.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receipts_through(&self, owner: &ReceiptOwner) -> Result<i64, StoreError> {
        self.number(
            "SELECT message_id FROM chat_receipts_through
             WHERE conversation_id = ?1 AND user_pk = ?2 AND level = ?3",
            params![owner.conversation.0, owner.user.0, owner.level.as_str()],
        )
    }
}

impl Tx<'_> {
    /// Adds receipts for `first..=last` where there are none, and returns the parts that were added. The cost does not
    /// depend on earlier receipts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_receipts(
        &self,
        owner: &ReceiptOwner,
        first: i64,
        last: i64,
        at: Millis,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let through = self.receipts_through(owner)?;
        let first = first.max(through + 1);
        if first > last {
            return Ok(Vec::new());
        }
        // One more on each side: adjacent ranges may be joined.
        let mut ranges = self.receipt_ranges(owner, first - 1, last + 1)?;
        let before = ranges.ranges().to_vec();
        let added = ranges.add(first, last, at);
        for gone in before.iter().filter(|range| !ranges.ranges().contains(range)) {
            self.run(
                "DELETE FROM chat_receipt_ranges
                 WHERE conversation_id = ?1 AND user_pk = ?2 AND level = ?3 AND first_id = ?4",
                params![owner.conversation.0, owner.user.0, owner.level.as_str(), gone.first],
            )?;
        }
        for new in ranges.ranges().iter().filter(|range| !before.contains(range)) {
            self.run(
                "INSERT INTO chat_receipt_ranges (conversation_id, user_pk, level, first_id, last_id, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    owner.conversation.0,
                    owner.user.0,
                    owner.level.as_str(),
                    new.first,
                    new.last,
                    new.at.0
                ],
            )?;
        }
        if first == through + 1 {
            self.set_receipts_through(owner, ranges.end_of(first).unwrap_or(last))?;
        }
        Ok(added)
    }

    /// Records that a member needs no receipts up to and including a message.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn set_receipts_through(&self, owner: &ReceiptOwner, message: i64) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO chat_receipts_through (conversation_id, user_pk, level, message_id) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (conversation_id, user_pk, level) DO UPDATE SET message_id = excluded.message_id",
            params![owner.conversation.0, owner.user.0, owner.level.as_str(), message],
        )?;
        Ok(())
    }

    /// Forgets how far the receipts of a conversation are complete: it gets messages with earlier ids.
    pub(super) fn forget_receipts_through(&self, conversation: ConversationId) -> Result<(), StoreError> {
        self.run("DELETE FROM chat_receipts_through WHERE conversation_id = ?1", [conversation.0])?;
        Ok(())
    }
}
