//! Merges two copies of one message that arrived under the two ids of one person, with the state of both.

use rusqlite::params;

use super::column_codec::parsed_if_any;
use super::error::StoreError;
use super::messages::Pk;
use super::tx::Tx;
use crate::domain::ack::Ack;
use crate::domain::media::MediaHash;

impl Tx<'_> {
    /// Merges the second copy into the kept one. Returns the file that only the second copy referred to.
    pub(super) fn merge_duplicates(&self, kept: Pk, second: Pk) -> Result<Option<MediaHash>, StoreError> {
        let pair = params![kept, second];
        for receipt in self.receipts(second)? {
            self.merge_receipt(kept, &receipt.participant, receipt.ack, receipt.timestamp)?;
        }
        for (table, who) in [("reactions", "sender"), ("poll_votes", "voter")] {
            let sql = format!(
                "DELETE FROM {table} WHERE message_pk = ?1
                 AND at < (SELECT at FROM {table} s WHERE s.message_pk = ?2 AND s.{who} = {table}.{who})"
            );
            self.run(&sql, pair)?;
            self.run(&format!("UPDATE OR IGNORE {table} SET message_pk = ?1 WHERE message_pk = ?2"), pair)?;
        }
        self.merge_acks(kept, second)?;
        self.merge_texts(kept, second)?;
        self.run("UPDATE OR IGNORE outbox SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.run("DELETE FROM outbox WHERE message_pk = ?1 AND EXISTS (SELECT 1 FROM messages WHERE pk = ?1 AND ack > 0)", [kept])?;
        self.run("UPDATE OR IGNORE chat_messages SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.run("DELETE FROM chat_messages WHERE message_pk = ?1", [second])?;
        self.run("UPDATE departures SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.run("UPDATE OR IGNORE unsettled SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.merge_files(kept, second)
    }

    fn merge_acks(&self, kept: Pk, second: Pk) -> Result<(), StoreError> {
        let level = |pk| {
            let level = self.number("SELECT ack FROM messages WHERE pk = ?1", [pk])?;
            Ack::try_from(level).map_err(|_| StoreError::Unreadable("ack"))
        };
        if level(kept)?.merge(level(second)?).is_some() {
            self.run(
                "UPDATE messages SET (ack, status, failure_code, failure_message) = (
                     SELECT ack, status, failure_code, failure_message FROM messages WHERE pk = ?2) WHERE pk = ?1",
                params![kept, second],
            )?;
        }
        Ok(())
    }

    /// An edit, revocation, removal, read mark or star of either copy applies to the merged message.
    fn merge_texts(&self, kept: Pk, second: Pk) -> Result<(), StoreError> {
        let pair = params![kept, second];
        self.run(
            "UPDATE messages SET (body, content, quoted, extra_text, type, is_edited, edited_at) = (
                 SELECT body, content, quoted, extra_text, type, is_edited, edited_at FROM messages WHERE pk = ?2)
             WHERE pk = ?1 AND type <> 'revoked' AND hidden = 0 AND EXISTS (
                 SELECT 1 FROM messages s WHERE s.pk = ?2 AND (s.type = 'revoked' OR s.hidden = 1
                     OR coalesce(s.edited_at, 0) > coalesce(messages.edited_at, 0)))",
            pair,
        )?;
        self.run(
            "UPDATE messages SET (is_starred, hidden, unread, temp_id, sent_at) = (
                 SELECT max(messages.is_starred, s.is_starred), max(messages.hidden, s.hidden),
                     min(messages.unread, s.unread), coalesce(messages.temp_id, s.temp_id),
                     coalesce(messages.sent_at, s.sent_at)
                 FROM messages s WHERE s.pk = ?2) WHERE pk = ?1",
            pair,
        )?;
        self.run(
            "UPDATE messages SET is_starred = 0 WHERE pk = ?1 AND (hidden = 1 OR type = 'revoked')",
            [kept],
        )?;
        Ok(())
    }

    fn merge_files(&self, kept: Pk, second: Pk) -> Result<Option<MediaHash>, StoreError> {
        let file = self.one("SELECT media_hash FROM messages WHERE pk = ?1", [second], |row| {
            parsed_if_any(row, "media_hash", "media hash")
        })?;
        self.run(
            "UPDATE messages SET media_hash = iif(hidden OR type = 'revoked', NULL,
                 coalesce(media_hash, (SELECT media_hash FROM messages WHERE pk = ?2))) WHERE pk = ?1",
            params![kept, second],
        )?;
        self.run("UPDATE chats SET last_message_pk = ?1 WHERE last_message_pk = ?2", params![kept, second])?;
        self.run("DELETE FROM messages WHERE pk = ?1", [second])?;
        Ok(file.flatten())
    }
}
