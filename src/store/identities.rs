//! One person, two ids: what is found by either, and what becomes one when both are known to be one person's.
//!
//! Invariant: whatever names somebody by a hidden id without a known number is either settled by the caller
//! or stands in `unsettled`, so that learning the number never has to go through all messages.

use rusqlite::params;

use super::content::StoredContent;
use super::error::StoreError;
use super::messages::{FoundMessage, Pk};
use super::rows::{from_json, parsed, parsed_if_any, to_json};
use super::tx::{Reader, Tx};
use crate::domain::ack::Ack;
use crate::domain::chat::Chat;
use crate::domain::identity::{NamesPeople, SamePerson, hidden_ids, joined, settle};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::{Jid, JidKind};
use crate::domain::media::MediaHash;
use crate::domain::message::Message;

/// What was new about a person whose two ids are one's.
#[derive(Debug, Default)]
pub struct Learnt {
    /// Whether there was a chat under the hidden id, which is now part of the other.
    pub chat: bool,
    /// Whose hidden id it was thought to be until now.
    pub taken_from: Option<Jid>,
}

/// What settling some messages came to.
#[derive(Debug, Default)]
pub struct Settled {
    /// How many there were.
    pub messages: usize,
    /// Messages of ours to groups, in which two recipients turned out to be one.
    pub regrade: Vec<MessageId>,
    /// Files of second copies that are gone.
    pub released: Vec<MediaHash>,
}

impl Reader<'_> {
    /// The id by which the API speaks of this chat or person: the number, where it is known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn known_by(&self, device: &DeviceId, id: &Jid) -> Result<Jid, StoreError> {
        Ok(self.number_of(device, id)?.unwrap_or_else(|| id.clone()))
    }

    fn number_of(&self, device: &DeviceId, lid: &Jid) -> Result<Option<Jid>, StoreError> {
        if lid.kind() != JidKind::Lid || lid.is_stand_in() {
            return Ok(None);
        }
        self.one(
            "SELECT id FROM contacts WHERE device_id = ?1 AND lid = ?2 AND id <> ?2",
            params![device.as_str(), lid.to_string()],
            |row| parsed(row, "id", "contact id"),
        )
    }

    /// Those of these hidden ids whose number is known, in their order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn known_people(&self, device: &DeviceId, lids: &[Jid]) -> Result<Vec<SamePerson>, StoreError> {
        let mut known = Vec::new();
        for lid in lids {
            if let Some(number) = self.number_of(device, lid)? {
                known.push(SamePerson { lid: lid.clone(), number });
            }
        }
        Ok(known)
    }

    /// Puts numbers where hidden ids stand, as far as they are known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle(&self, device: &DeviceId, what: &mut impl NamesPeople) -> Result<(), StoreError> {
        let lids = hidden_ids(what);
        if !lids.is_empty() {
            settle(what, &self.known_people(device, &lids)?);
        }
        Ok(())
    }

    /// A message by its id or by the other spelling of it; also one that was removed here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn found(&self, device: &DeviceId, id: &MessageId) -> Result<Option<FoundMessage>, StoreError> {
        if let Some(found) = self.found_exactly(device, id)? {
            return Ok(Some(found));
        }
        match self.other_spelling(device, id)? {
            Some(other) => self.found_exactly(device, &other),
            None => Ok(None),
        }
    }

    fn found_exactly(&self, device: &DeviceId, id: &MessageId) -> Result<Option<FoundMessage>, StoreError> {
        self.one(
            "SELECT pk, id, chat_id, hidden FROM messages WHERE device_id = ?1 AND id = ?2",
            params![device.as_str(), id.to_string()],
            |row| {
                Ok(FoundMessage {
                    pk: row.get("pk")?,
                    id: parsed(row, "id", "message id")?,
                    chat: parsed(row, "chat_id", "chat id")?,
                    hidden: row.get("hidden")?,
                })
            },
        )
    }

    /// The id that the message would have, had its person been seen by their other id.
    pub(super) fn other_spelling(
        &self,
        device: &DeviceId,
        id: &MessageId,
    ) -> Result<Option<MessageId>, StoreError> {
        let person = id.participant.as_ref().unwrap_or(&id.chat);
        let other = match person.kind() {
            JidKind::Lid => self.number_of(device, person)?,
            JidKind::Person => self
                .one(
                    "SELECT lid FROM contacts WHERE device_id = ?1 AND id = ?2",
                    params![device.as_str(), person.to_string()],
                    |row| parsed_if_any(row, "lid", "hidden id"),
                )?
                .flatten(),
            JidKind::Group | JidKind::Status | JidKind::Newsletter => None,
        };
        Ok(other.map(|other| match id.participant {
            Some(_) => MessageId { participant: Some(other), ..id.clone() },
            None => MessageId { chat: other, ..id.clone() },
        }))
    }

    /// People whose number is known, and of whom messages are left that are to be settled.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unsettled_people(&self) -> Result<Vec<(DeviceId, SamePerson)>, StoreError> {
        self.all(
            "SELECT u.device_id, u.lid, c.id FROM (SELECT DISTINCT device_id, lid FROM unsettled) u
             JOIN contacts c ON c.device_id = u.device_id AND c.lid = u.lid AND c.id <> c.lid",
            [],
            |row| {
                let same = SamePerson {
                    lid: parsed(row, "lid", "hidden id")?,
                    number: parsed(row, "id", "contact id")?,
                };
                Ok((parsed(row, "device_id", "device id")?, same))
            },
        )
    }

    /// Whether one of the chats of this person is being emptied.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_being_emptied(&self, device: &DeviceId, same: &SamePerson) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM clearings WHERE device_id = ?1 AND chat_id IN (?2, ?3)";
        Ok(self.number(sql, params![device.as_str(), same.lid.to_string(), same.number.to_string()])? > 0)
    }
}

impl Tx<'_> {
    /// Remembers that a message names these people by ids that are to be settled once their numbers are known.
    pub(super) fn note_unsettled(&self, pk: Pk, lids: &[Jid]) -> Result<(), StoreError> {
        for lid in lids {
            self.run(
                "INSERT OR IGNORE INTO unsettled (device_id, lid, message_pk)
                 SELECT device_id, ?2, pk FROM messages WHERE pk = ?1",
                params![pk, lid.to_string()],
            )?;
        }
        Ok(())
    }

    /// Makes the two ids one person's: one contact, one chat, one member of each group. Messages are settled
    /// by [`Tx::settle_messages`]. `None` when that was known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn learn(&self, device: &DeviceId, same: &SamePerson) -> Result<Option<Learnt>, StoreError> {
        let before = self.number_of(device, &same.lid)?;
        if before.as_ref() == Some(&same.number) {
            return Ok(None);
        }
        let pair = params![device.as_str(), same.lid.to_string(), same.number.to_string()];
        // A hidden id is one person's: who was told last has it.
        self.run("UPDATE contacts SET lid = NULL WHERE device_id = ?1 AND lid = ?2 AND id <> ?3", pair)?;
        self.run(
            "INSERT INTO contacts (device_id, id, address_book_name, pushname, number, lid)
             SELECT ?1, ?3, max(address_book_name), max(pushname), ?4, ?2 FROM contacts WHERE device_id = ?1 AND id = ?2
             ON CONFLICT (device_id, id) DO UPDATE SET
                 address_book_name = coalesce(address_book_name, excluded.address_book_name),
                 pushname = coalesce(pushname, excluded.pushname), lid = excluded.lid",
            params![device.as_str(), same.lid.to_string(), same.number.to_string(), same.number.phone()],
        )?;
        self.run(
            "DELETE FROM contacts WHERE device_id = ?1 AND id = ?2",
            params![device.as_str(), same.lid.to_string()],
        )?;
        self.join_members(device, same)?;
        Ok(Some(Learnt { chat: self.join_chats(device, same)?, taken_from: before }))
    }

    /// In a group that knows them twice they keep the higher role.
    fn join_members(&self, device: &DeviceId, same: &SamePerson) -> Result<(), StoreError> {
        let pair = params![device.as_str(), same.lid.to_string(), same.number.to_string()];
        self.run(
            "INSERT INTO group_members (device_id, group_id, member, role)
             SELECT device_id, group_id, ?3, role FROM group_members WHERE device_id = ?1 AND member = ?2
             ON CONFLICT DO UPDATE SET role = excluded.role
                 WHERE excluded.role = 'superadmin' OR (excluded.role = 'admin' AND role = 'member')",
            pair,
        )?;
        let lid = params![device.as_str(), same.lid.to_string()];
        self.run("DELETE FROM group_members WHERE device_id = ?1 AND member = ?2", lid)?;
        self.run("UPDATE groups SET owner = ?3 WHERE device_id = ?1 AND owner = ?2", pair)?;
        Ok(())
    }

    /// `true` when there was a chat under the hidden id.
    fn join_chats(&self, device: &DeviceId, same: &SamePerson) -> Result<bool, StoreError> {
        let Some(folded) = self.chat(device, &same.lid)? else { return Ok(false) };
        let one = joined(self.chat(device, &same.number)?, folded);
        let pair = params![device.as_str(), same.lid.to_string(), same.number.to_string()];
        self.run(
            "INSERT INTO chats (device_id, id, name, last_message_pk, at)
             SELECT device_id, ?3, name, last_message_pk, at FROM chats WHERE device_id = ?1 AND id = ?2
             ON CONFLICT DO UPDATE SET name = coalesce(name, excluded.name)",
            pair,
        )?;
        self.put_marks(device, &same.number, &one)?;
        for sql in [
            "DELETE FROM chats WHERE device_id = ?1 AND id = ?2 AND ?3 <> ?2",
            "UPDATE outbox SET chat_id = ?3 WHERE device_id = ?1 AND chat_id = ?2",
            "UPDATE departures SET chat_id = ?3 WHERE device_id = ?1 AND chat_id = ?2",
            // Of what is to be told of both, the later counts.
            "DELETE FROM untold WHERE device_id = ?1 AND chat_id IN (?2, ?3) AND kind <> 'read' AND id < (
                 SELECT max(id) FROM untold u WHERE u.device_id = ?1 AND u.chat_id IN (?2, ?3) AND u.kind = untold.kind)",
            "UPDATE untold SET chat_id = ?3 WHERE device_id = ?1 AND chat_id = ?2",
        ] {
            self.run(sql, pair)?;
        }
        Ok(true)
    }

    fn put_marks(&self, device: &DeviceId, id: &Jid, chat: &Chat) -> Result<(), StoreError> {
        self.run(
            "UPDATE chats SET pinned = ?3, archived = ?4, muted = ?5, muted_until = ?6, at = ?7
             WHERE device_id = ?1 AND id = ?2",
            params![
                device.as_str(),
                id.to_string(),
                chat.pinned,
                chat.archived,
                chat.muted,
                chat.muted_until.map(|until| until.0),
                chat.timestamp.0
            ],
        )?;
        Ok(())
    }

    /// Settles the oldest messages that name a person by their hidden id, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle_messages(
        &self,
        device: &DeviceId,
        same: &SamePerson,
        limit: usize,
    ) -> Result<Settled, StoreError> {
        let pks: Vec<Pk> = self.all(
            "SELECT message_pk FROM unsettled WHERE device_id = ?1 AND lid = ?2 ORDER BY message_pk LIMIT ?3",
            params![device.as_str(), same.lid.to_string(), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok(row.get(0)?),
        )?;
        let mut settled = Settled { messages: pks.len(), ..Settled::default() };
        let mut moved = false;
        for pk in pks {
            moved |= self.settle_message(device, pk, same, &mut settled)?;
            self.run(
                "DELETE FROM unsettled WHERE device_id = ?1 AND lid = ?2 AND message_pk = ?3",
                params![device.as_str(), same.lid.to_string(), pk],
            )?;
        }
        if moved {
            self.refresh_chat(device, &same.number)?;
        }
        Ok(settled)
    }

    /// `true` when the message stood in the chat under the hidden id.
    fn settle_message(
        &self,
        device: &DeviceId,
        pk: Pk,
        same: &SamePerson,
        settled: &mut Settled,
    ) -> Result<bool, StoreError> {
        let sql =
            "SELECT id, chat_id, from_jid, to_jid, author, notify_name, content, quoted, hidden, at, from_me
                   FROM messages WHERE pk = ?1";
        let Some(mut row) = self.one(sql, [pk], Row::read)? else { return Ok(false) };
        let moved = row.people.chat == same.lid;
        row.settle(same);
        self.put_people(pk, &row)?;
        if self.settle_sayings(pk, same)? && row.from_me && row.people.chat.is_group() {
            settled.regrade.push(row.id.clone());
        }
        if moved && !row.hidden {
            // It may have been removed while its messages were on their way.
            self.run(
                "INSERT OR IGNORE INTO chats (device_id, id, at) VALUES (?1, ?2, ?3)",
                params![device.as_str(), same.number.to_string(), row.at],
            )?;
        }
        let mut by_number = row.id.clone();
        if same.settle(&mut by_number)
            && let Some(twin) = self.found_exactly(device, &by_number)?
        {
            // The same message came by both ids. The one that was there first stays, and is found by both.
            settled.released.extend(self.join_twins(pk.min(twin.pk), pk.max(twin.pk))?);
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

    /// Receipts, reactions and votes. `true` when there was a receipt by either id.
    fn settle_sayings(&self, pk: Pk, same: &SamePerson) -> Result<bool, StoreError> {
        let (lid, number) = (same.lid.to_string(), same.number.to_string());
        for (table, who) in [("reactions", "sender"), ("poll_votes", "voter")] {
            // Of two sayings of one person the later counts.
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

    /// Two copies of one message become one. The file that only the second referred to.
    fn join_twins(&self, kept: Pk, second: Pk) -> Result<Option<MediaHash>, StoreError> {
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
        self.join_acks(kept, second)?;
        self.join_texts(kept, second)?;
        self.run("UPDATE OR IGNORE outbox SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.run("DELETE FROM outbox WHERE message_pk = ?1 AND EXISTS (SELECT 1 FROM messages WHERE pk = ?1 AND ack > 0)", [kept])?;
        self.run("UPDATE departures SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.run("UPDATE OR IGNORE unsettled SET message_pk = ?1 WHERE message_pk = ?2", pair)?;
        self.join_files(kept, second)
    }

    fn join_acks(&self, kept: Pk, second: Pk) -> Result<(), StoreError> {
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

    /// What was edited, taken back, removed, read or starred in one copy is so in the one they become.
    fn join_texts(&self, kept: Pk, second: Pk) -> Result<(), StoreError> {
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
            "UPDATE messages SET (is_starred, hidden, unread, temp_id) = (
                 SELECT max(messages.is_starred, s.is_starred), max(messages.hidden, s.hidden),
                     min(messages.unread, s.unread), coalesce(messages.temp_id, s.temp_id)
                 FROM messages s WHERE s.pk = ?2) WHERE pk = ?1",
            pair,
        )?;
        self.run(
            "UPDATE messages SET is_starred = 0 WHERE pk = ?1 AND (hidden = 1 OR type = 'revoked')",
            [kept],
        )?;
        Ok(())
    }

    fn join_files(&self, kept: Pk, second: Pk) -> Result<Option<MediaHash>, StoreError> {
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

/// The columns of a message that name people.
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

impl NamesPeople for People {
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

    fn settle(&mut self, same: &SamePerson) {
        same.settle(&mut self.people);
        self.notify_name = self.notify_name.take().map(|name| same.settled_name(name));
        if let Some(content) = &mut self.content {
            same.settle(content);
        }
        if let Some(quoted) = &mut self.quoted {
            same.settle(&mut **quoted);
            quoted.notify_name = same.settled_name(std::mem::take(&mut quoted.notify_name));
        }
    }
}
