//! Replaces hidden ids by phone numbers in stored messages, in batches, once the numbers are stored.

use rusqlite::params;

use super::column_codec::{from_json, parsed, parsed_if_any, to_json};
use super::content_column::StoredContent;
use super::error::StoreError;
use super::messages::Pk;
use super::tx::Tx;
use crate::domain::identity::{IdentityPair, ReferencesPeople};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaHash;
use crate::domain::message::Message;

/// Result of rewriting a batch of messages.
#[derive(Debug, Default)]
pub struct RewrittenMessage {
    /// Number of rewritten messages.
    pub messages: usize,
    /// Our group messages in which two recipients were merged into one; their status must be recomputed.
    pub recompute_acks: Vec<MessageId>,
    /// Files of removed duplicate messages.
    pub released: Vec<MediaHash>,
}

impl Tx<'_> {
    /// Rewrites the oldest messages that contain a person's hidden id, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn canonicalize_messages(
        &self,
        device: &DeviceId,
        same: &IdentityPair,
        limit: usize,
    ) -> Result<RewrittenMessage, StoreError> {
        let pks: Vec<Pk> = self.all(
            "SELECT message_pk FROM unsettled WHERE device_id = ?1 AND lid = ?2 ORDER BY message_pk LIMIT ?3",
            params![device.as_str(), same.lid.to_string(), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok(row.get(0)?),
        )?;
        let mut rewritten = RewrittenMessage { messages: pks.len(), ..RewrittenMessage::default() };
        let mut moved = false;
        for pk in pks {
            moved |= self.rewrite_message(device, pk, same, &mut rewritten)?;
            self.run(
                "DELETE FROM unsettled WHERE device_id = ?1 AND lid = ?2 AND message_pk = ?3",
                params![device.as_str(), same.lid.to_string(), pk],
            )?;
        }
        if moved {
            self.refresh_chat(device, &same.number)?;
        }
        Ok(rewritten)
    }

    /// Returns `true` when the message was in the chat under the hidden id.
    fn rewrite_message(
        &self,
        device: &DeviceId,
        pk: Pk,
        same: &IdentityPair,
        rewritten: &mut RewrittenMessage,
    ) -> Result<bool, StoreError> {
        let sql =
            "SELECT id, chat_id, from_jid, to_jid, author, notify_name, content, quoted, hidden, at, from_me
                   FROM messages WHERE pk = ?1";
        let Some(mut row) = self.one(sql, [pk], Row::read)? else { return Ok(false) };
        let moved = row.people.chat == same.lid;
        row.rewrite(same);
        self.put_people(pk, &row)?;
        if self.rewrite_authors(pk, same)? && row.from_me && row.people.chat.is_group() {
            rewritten.recompute_acks.push(row.id.clone());
        }
        if moved && !row.hidden {
            // The chat may have been removed before its messages arrived.
            self.run(
                "INSERT OR IGNORE INTO chats (device_id, id, at) VALUES (?1, ?2, ?3)",
                params![device.as_str(), same.number.to_string(), row.at],
            )?;
        }
        let mut by_number = row.id.clone();
        if same.canonicalize(&mut by_number)
            && let Some(twin) = self.found_exactly(device, &by_number)?
        {
            // The same message arrived under both ids. The earlier row stays and is found by either id.
            rewritten.released.extend(self.merge_duplicates(pk.min(twin.pk), pk.max(twin.pk))?);
            self.refresh_chat(device, &row.people.chat)?;
        }
        Ok(moved)
    }

    fn put_people(&self, pk: Pk, row: &Row) -> Result<(), StoreError> {
        self.run(
            "UPDATE messages SET chat_id = ?2, from_jid = ?3, to_jid = ?4, author = ?5, notify_name = ?6,
                 content = ?7, quoted = ?8 WHERE pk = ?1",
            params![
                pk,
                row.people.chat.to_string(),
                row.people.from.to_string(),
                row.people.to.to_string(),
                row.people.author.as_ref().map(ToString::to_string),
                row.notify_name,
                row.content.as_ref().map(|content| to_json(content, "message content")).transpose()?,
                row.quoted.as_ref().map(|quoted| to_json(quoted, "quoted message")).transpose()?,
            ],
        )?;
        Ok(())
    }

    /// Rewrites receipts, reactions and votes. Returns `true` when a receipt existed under either id.
    fn rewrite_authors(&self, pk: Pk, same: &IdentityPair) -> Result<bool, StoreError> {
        let (lid, number) = (same.lid.to_string(), same.number.to_string());
        for (table, who) in [("reactions", "sender"), ("poll_votes", "voter")] {
            // If one person has two rows, the later one is kept.
            self.run(
                &format!(
                    "DELETE FROM {table} WHERE message_pk = ?1 AND {who} = ?3
                     AND at < (SELECT at FROM {table} WHERE message_pk = ?1 AND {who} = ?2)"
                ),
                params![pk, lid, number],
            )?;
            self.run(
                &format!("UPDATE OR IGNORE {table} SET {who} = ?3 WHERE message_pk = ?1 AND {who} = ?2"),
                params![pk, lid, number],
            )?;
            self.run(&format!("DELETE FROM {table} WHERE message_pk = ?1 AND {who} = ?2"), params![pk, lid])?;
        }
        let receipts = self.receipts(pk)?;
        let by_lid = receipts.into_iter().find(|receipt| receipt.participant == same.lid);
        let Some(receipt) = by_lid else { return Ok(false) };
        self.run("DELETE FROM receipts WHERE message_pk = ?1 AND participant = ?2", params![pk, lid])?;
        self.merge_receipt(pk, &same.number, receipt.ack, receipt.timestamp)?;
        Ok(true)
    }
}

/// The columns of a message that contain ids of people.
struct Row {
    id: MessageId,
    people: People,
    notify_name: Option<String>,
    content: Option<StoredContent>,
    quoted: Option<Box<Message>>,
    hidden: bool,
    from_me: bool,
    at: i64,
}

struct People {
    chat: Jid,
    from: Jid,
    to: Jid,
    author: Option<Jid>,
}

impl ReferencesPeople for People {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        for id in [&mut self.chat, &mut self.from, &mut self.to] {
            visit(id);
        }
        self.author.each_person(visit);
    }
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> Result<Self, StoreError> {
        let content: Option<String> = row.get("content")?;
        let quoted: Option<String> = row.get("quoted")?;
        Ok(Self {
            id: parsed(row, "id", "message id")?,
            people: People {
                chat: parsed(row, "chat_id", "chat id")?,
                from: parsed(row, "from_jid", "sender")?,
                to: parsed(row, "to_jid", "recipient")?,
                author: parsed_if_any(row, "author", "author")?,
            },
            notify_name: row.get("notify_name")?,
            content: content.map(|text| StoredContent::read(Some(&text))).transpose()?,
            quoted: quoted.map(|text| from_json(&text, "quoted message")).transpose()?,
            hidden: row.get("hidden")?,
            from_me: row.get("from_me")?,
            at: row.get("at")?,
        })
    }

    fn rewrite(&mut self, same: &IdentityPair) {
        same.canonicalize(&mut self.people);
        self.notify_name = self.notify_name.take().map(|name| same.canonical_name(name));
        if let Some(content) = &mut self.content {
            same.canonicalize(content);
        }
        if let Some(quoted) = &mut self.quoted {
            same.canonicalize(&mut **quoted);
            quoted.notify_name = same.canonical_name(std::mem::take(&mut quoted.notify_name));
        }
    }
}
