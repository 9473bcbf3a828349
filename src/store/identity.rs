//! Maps the two ids of one person (phone number and hidden id) to each other, and merges their rows.
//!
//! Invariant: a row with a hidden id without a number is either rewritten by the caller or listed in
//! `unsettled`. A number that arrives later thus never requires a scan of all messages.

use rusqlite::params;

use super::column_codec::{parsed, parsed_if_any};
use super::error::StoreError;
use super::messages::{FoundMessage, Pk};
use super::tx::{Reader, Tx};
use crate::domain::chat::Chat;
use crate::domain::identity::{IdentityPair, ReferencesPeople, canonicalize, hidden_ids, merged};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::{Jid, JidKind};

/// Result of merging the two ids of one person.
#[derive(Debug, Default)]
pub struct IdentityMerge {
    /// Whether a chat under the hidden id was merged into the other one.
    pub chat: bool,
    /// The number that had this hidden id until now.
    pub taken_from: Option<Jid>,
}

impl Reader<'_> {
    /// The id that the API shows for this chat or person: the number if one is stored, else the given id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn canonical_id(&self, device: &DeviceId, id: &Jid) -> Result<Jid, StoreError> {
        Ok(self.number_of(device, id)?.unwrap_or_else(|| id.clone()))
    }

    fn number_of(&self, device: &DeviceId, lid: &Jid) -> Result<Option<Jid>, StoreError> {
        if lid.kind() != JidKind::Lid || lid.is_placeholder() {
            return Ok(None);
        }
        self.one(
            "SELECT id FROM contacts WHERE device_id = ?1 AND lid = ?2 AND id <> ?2",
            params![device.as_str(), lid.to_string()],
            |row| parsed(row, "id", "contact id"),
        )
    }

    /// The pairs of these hidden ids that have a stored number, in the given order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn identity_pairs(&self, device: &DeviceId, lids: &[Jid]) -> Result<Vec<IdentityPair>, StoreError> {
        let mut pairs = Vec::new();
        for lid in lids {
            if let Some(number) = self.number_of(device, lid)? {
                pairs.push(IdentityPair { lid: lid.clone(), number });
            }
        }
        Ok(pairs)
    }

    /// Replaces hidden ids by their stored numbers.
    ///
    /// # Errors
    /// When the store fails.
    pub fn canonicalize_ids(
        &self,
        device: &DeviceId,
        what: &mut impl ReferencesPeople,
    ) -> Result<(), StoreError> {
        let lids = hidden_ids(what);
        if !lids.is_empty() {
            canonicalize(what, &self.identity_pairs(device, &lids)?);
        }
        Ok(())
    }

    /// Finds a message by its id or by the same id under the person's other id; includes removed messages.
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

    pub(super) fn found_exactly(
        &self,
        device: &DeviceId,
        id: &MessageId,
    ) -> Result<Option<FoundMessage>, StoreError> {
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

    /// The message's id if the person is named by the other one of their ids.
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

    /// People with a stored number whose messages still contain the hidden id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unresolved_people(&self) -> Result<Vec<(DeviceId, IdentityPair)>, StoreError> {
        self.all(
            "SELECT u.device_id, u.lid, c.id FROM (SELECT DISTINCT device_id, lid FROM unsettled) u
             JOIN contacts c ON c.device_id = u.device_id AND c.lid = u.lid AND c.id <> c.lid",
            [],
            |row| {
                let same = IdentityPair {
                    lid: parsed(row, "lid", "hidden id")?,
                    number: parsed(row, "id", "contact id")?,
                };
                Ok((parsed(row, "device_id", "device id")?, same))
            },
        )
    }

    /// Whether a chat of this person is being cleared.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_being_cleared(&self, device: &DeviceId, same: &IdentityPair) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM clearings WHERE device_id = ?1 AND chat_id IN (?2, ?3)";
        Ok(self.number(sql, params![device.as_str(), same.lid.to_string(), same.number.to_string()])? > 0)
    }
}

impl Tx<'_> {
    /// Records that a message contains these hidden ids, which are rewritten once their numbers arrive.
    pub(super) fn record_unresolved(&self, pk: Pk, lids: &[Jid]) -> Result<(), StoreError> {
        for lid in lids {
            self.run(
                "INSERT OR IGNORE INTO unsettled (device_id, lid, message_pk)
                 SELECT device_id, ?2, pk FROM messages WHERE pk = ?1",
                params![pk, lid.to_string()],
            )?;
        }
        Ok(())
    }

    /// Merges the two ids of one person: one contact, one chat, one member of each group. Messages are
    /// rewritten by [`Tx::canonicalize_messages`]. Returns `None` when the pair was stored before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn merge_identities(
        &self,
        device: &DeviceId,
        same: &IdentityPair,
    ) -> Result<Option<IdentityMerge>, StoreError> {
        let before = self.number_of(device, &same.lid)?;
        if before.as_ref() == Some(&same.number) {
            return Ok(None);
        }
        let pair = params![device.as_str(), same.lid.to_string(), same.number.to_string()];
        // One contact has a hidden id; the latest report wins.
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
        self.merge_members(device, same)?;
        Ok(Some(IdentityMerge { chat: self.merge_chats(device, same)?, taken_from: before }))
    }

    /// Merges two memberships in a group; the member keeps the higher role.
    fn merge_members(&self, device: &DeviceId, same: &IdentityPair) -> Result<(), StoreError> {
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

    /// Returns `true` when there was a chat under the hidden id.
    fn merge_chats(&self, device: &DeviceId, same: &IdentityPair) -> Result<bool, StoreError> {
        let Some(folded) = self.chat(device, &same.lid)? else { return Ok(false) };
        let one = merged(self.chat(device, &same.number)?, folded);
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
            // Of two pending entries of the same kind, the later one is kept.
            "DELETE FROM untold WHERE device_id = ?1 AND chat_id IN (?2, ?3) AND kind <> 'read' AND id < (
                 SELECT max(id) FROM untold u WHERE u.device_id = ?1 AND u.chat_id IN (?2, ?3) AND u.kind = untold.kind)",
            "UPDATE untold SET chat_id = ?3 WHERE device_id = ?1 AND chat_id = ?2",
        ] {
            self.run(sql, pair)?;
        }
        self.merge_device_conversations(device, &same.lid, &same.number)?;
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
}
