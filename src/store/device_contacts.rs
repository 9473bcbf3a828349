//! Users that stand for the persons and groups of a device in its conversations.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::user::CONTACTS;

impl Reader<'_> {
    /// The user that stands for a person or a group of a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_contact(&self, device: &DeviceId, jid: &Jid) -> Result<Option<UserPk>, StoreError> {
        self.one(
            "SELECT user_pk FROM device_contacts WHERE device_id = ?1 AND jid = ?2",
            params![device.as_str(), jid.to_string()],
            |row| Ok(UserPk(row.get(0)?)),
        )
    }

    /// The device of a contact.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_of_contact(&self, contact: UserPk) -> Result<Option<DeviceId>, StoreError> {
        self.one("SELECT device_id FROM device_contacts WHERE user_pk = ?1", [contact.0], |row| {
            parsed(row, "device_id", "device id")
        })
    }
}

impl Tx<'_> {
    /// As [`Reader::device_contact`]; the user is created if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_device_contact(
        &self,
        device: &DeviceId,
        jid: &Jid,
        now: Millis,
    ) -> Result<UserPk, StoreError> {
        if let Some(known) = self.device_contact(device, jid)? {
            return Ok(known);
        }
        // The id has the number of the row, which exists only after the insert.
        let user = UserPk(self.number(
            "INSERT INTO users (tenant, id, created_at) VALUES (?1, ?2, ?3) RETURNING pk",
            params![CONTACTS, format!("new {device} {jid}"), now.0],
        )?);
        self.run("UPDATE users SET id = ?2 WHERE pk = ?1", params![user.0, format!("c{}", user.0)])?;
        self.set_device_contact(device, jid, user)?;
        Ok(user)
    }

    fn set_device_contact(&self, device: &DeviceId, jid: &Jid, user: UserPk) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO device_contacts (device_id, jid, user_pk) VALUES (?1, ?2, ?3)
             ON CONFLICT (device_id, jid) DO UPDATE SET user_pk = excluded.user_pk",
            params![device.as_str(), jid.to_string(), user.0],
        )?;
        Ok(())
    }

    /// Makes the users of two ids of one person one. Returns the user that stands for it, and the other one, which still
    /// has to be removed. A user with a conversation is kept.
    pub(super) fn merge_device_contacts(
        &self,
        device: &DeviceId,
        second: &Jid,
        kept: &Jid,
    ) -> Result<Option<(UserPk, Option<UserPk>)>, StoreError> {
        let users = (self.device_contact(device, second)?, self.device_contact(device, kept)?);
        let (user, other) = match users {
            (None, None) => return Ok(None),
            (Some(user), None) | (None, Some(user)) => (user, None),
            (Some(of_second), Some(of_kept)) if of_second == of_kept => (of_kept, None),
            (Some(of_second), Some(of_kept)) => {
                let is_second_bound = self.conversation_with_contact(of_second)?.is_some()
                    && self.conversation_with_contact(of_kept)?.is_none();
                if is_second_bound { (of_second, Some(of_kept)) } else { (of_kept, Some(of_second)) }
            }
        };
        self.run(
            "DELETE FROM device_contacts WHERE device_id = ?1 AND jid = ?2",
            params![device.as_str(), second.to_string()],
        )?;
        self.set_device_contact(device, kept, user)?;
        if let Some(other) = other {
            let groups = self.all(
                "SELECT id FROM conversations WHERE device_id = ?1 AND chat_id LIKE '%@g.us'",
                [device.as_str()],
                |row| Ok(ConversationId(row.get(0)?)),
            )?;
            for group in groups {
                self.run(
                    "UPDATE chat_messages SET sender = ?3 WHERE conversation_id = ?1 AND sender = ?2",
                    [group.0, other.0, user.0],
                )?;
            }
        }
        Ok(Some((user, other)))
    }
}
