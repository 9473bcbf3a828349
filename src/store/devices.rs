//! Devices: configuration, state, account and removal.

use rusqlite::{Row, params};

use super::column_codec::{from_json, parsed, time_if_any, to_json};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::device::{Account, Device, DeviceStats};
use crate::domain::ids::DeviceId;
use crate::domain::state::State;

const COLUMNS: &str =
    "id, name, engine, settings, declared, state, phone_number, client_name, last_seen, created_at";

impl Reader<'_> {
    /// All devices, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn devices(&self) -> Result<Vec<Device>, StoreError> {
        self.all(&format!("SELECT {COLUMNS} FROM devices ORDER BY created_at, id"), [], device)
    }

    /// One device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device(&self, id: &DeviceId) -> Result<Option<Device>, StoreError> {
        self.one(&format!("SELECT {COLUMNS} FROM devices WHERE id = ?1"), [id.as_str()], device)
    }

    /// Whether there is a device with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_device(&self, id: &DeviceId) -> Result<bool, StoreError> {
        Ok(self.number("SELECT 1 FROM devices WHERE id = ?1", [id.as_str()])? == 1)
    }

    /// Number of devices.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_count(&self) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM devices", [])
    }

    /// Whether data of a deleted device with this id is still being removed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_being_purged(&self, id: &DeviceId) -> Result<bool, StoreError> {
        Ok(self.number("SELECT count(*) FROM purges WHERE device_id = ?1", [id.as_str()])? > 0)
    }

    /// The counts shown with a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_stats(&self, id: &DeviceId) -> Result<DeviceStats, StoreError> {
        let (received, sent) = self
            .one("SELECT received, sent FROM totals WHERE device_id = ?1", [id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .unwrap_or((0, 0));
        Ok(DeviceStats {
            messages_received: received,
            messages_sent: sent,
            contacts: self.number("SELECT count(*) FROM contacts WHERE device_id = ?1", [id.as_str()])?,
            groups: self.number(
                "SELECT count(*) FROM (SELECT id FROM groups WHERE device_id = ?1
                     UNION SELECT id FROM chats WHERE device_id = ?1 AND id LIKE '%@g.us')",
                [id.as_str()],
            )?,
        })
    }

    /// Devices whose data is still being removed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn purges(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all("SELECT device_id FROM purges", [], |row| parsed(row, "device_id", "device id"))
    }
}

impl Reader<'_> {
    /// The generations of device ids other than 0.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_generations(&self) -> Result<Vec<(DeviceId, i64)>, StoreError> {
        self.all("SELECT device_id, generation FROM device_generations", [], |row| {
            Ok((parsed(row, "device_id", "device id")?, row.get("generation")?))
        })
    }

    /// The generation of a device id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_generation(&self, id: &DeviceId) -> Result<i64, StoreError> {
        self.number("SELECT generation FROM device_generations WHERE device_id = ?1", [id.as_str()])
    }
}

impl Tx<'_> {
    /// Ends the grants of a deleted device: begins a new generation of its id if a key or push subscription names
    /// it, and returns the new generation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin_generation(&self, id: &DeviceId) -> Result<Option<i64>, StoreError> {
        // `_` in an id is a wildcard here: it can only begin a generation without need.
        let named = format!("%\"{id}\"%");
        let grants = self.number(
            "SELECT count(*) FROM (SELECT id FROM api_keys WHERE devices LIKE ?1
                 UNION ALL SELECT id FROM push_subscriptions WHERE devices LIKE ?1)",
            [named],
        )?;
        if grants == 0 {
            return Ok(None);
        }
        self.one(
            "INSERT INTO device_generations (device_id, generation) VALUES (?1, 1)
             ON CONFLICT (device_id) DO UPDATE SET generation = device_generations.generation + 1
             RETURNING generation",
            [id.as_str()],
            |row| Ok(row.get(0)?),
        )
    }

    /// Adds a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn insert_device(&self, device: &Device) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO devices (id, name, engine, settings, declared, state, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                device.id.as_str(),
                device.name,
                device.engine,
                to_json(&device.settings, "settings")?,
                to_json(&device.declared, "declaration")?,
                to_json(&device.state, "state")?,
                device.created_at.0,
            ],
        )?;
        self.note_state(&device.id, &device.state);
        self.note_device(&device.id);
        Ok(())
    }

    /// Updates the configuration: name, engine, settings and which fields a file sets.
    ///
    /// # Errors
    /// When the store fails.
    pub fn configure_device(&self, device: &Device) -> Result<(), StoreError> {
        self.run(
            "UPDATE devices SET name = ?2, engine = ?3, settings = ?4, declared = ?5 WHERE id = ?1",
            params![
                device.id.as_str(),
                device.name,
                device.engine,
                to_json(&device.settings, "settings")?,
                to_json(&device.declared, "declaration")?,
            ],
        )?;
        self.note_device(&device.id);
        Ok(())
    }

    /// Updates a device's state. Returns `false` when the device no longer exists.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_state(&self, id: &DeviceId, state: &State, now: Millis) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE devices SET state = ?2, last_seen = CASE WHEN ?3 THEN ?4 ELSE last_seen END WHERE id = ?1",
            params![id.as_str(), to_json(state, "state")?, state.is_ready(), now.0],
        )?;
        self.note_state(id, state);
        self.note_device(id);
        Ok(changed > 0)
    }

    /// Records when a device was last online.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_last_seen(&self, id: &DeviceId, now: Millis) -> Result<(), StoreError> {
        self.run("UPDATE devices SET last_seen = ?2 WHERE id = ?1", params![id.as_str(), now.0])?;
        self.note_device(id);
        Ok(())
    }

    /// Stores or clears a device's account.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_account(&self, id: &DeviceId, account: Option<&Account>) -> Result<(), StoreError> {
        self.run(
            "UPDATE devices SET phone_number = ?2, client_name = ?3 WHERE id = ?1",
            params![id.as_str(), account.map(|a| &a.phone_number), account.map(|a| &a.client_name)],
        )?;
        self.note_device(id);
        Ok(())
    }

    /// Removes a device, its secrets and its queued messages. Messages, chats, contacts and events stay with
    /// `keep_data`; otherwise [`Tx::purge_some`] removes them in batches.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_device(&self, id: &DeviceId, keep_data: bool) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM devices WHERE id = ?1",
            "DELETE FROM device_secrets WHERE device_id = ?1",
            "DELETE FROM vault WHERE device_id = ?1",
            "DELETE FROM outbox WHERE device_id = ?1",
            "DELETE FROM idempotency WHERE device_id = ?1",
            "DELETE FROM uploads WHERE device_id = ?1",
            "DELETE FROM departures WHERE device_id = ?1",
            "DELETE FROM untold WHERE device_id = ?1",
            "DELETE FROM early_changes WHERE device_id = ?1",
            "DELETE FROM notifications WHERE device_id = ?1",
            "DELETE FROM notification_marks WHERE device_id = ?1",
            "DELETE FROM notification_reads WHERE device_id = ?1",
            "DELETE FROM notification_mutes WHERE device_id = ?1",
            "DELETE FROM notification_rules WHERE device_id = ?1",
            "DELETE FROM inbox_grants WHERE device_id = ?1",
            "DELETE FROM inbox_token_grants WHERE device_id = ?1",
            "UPDATE conversations SET assignee = NULL WHERE device_id = ?1 AND assignee IS NOT NULL",
        ] {
            self.run(sql, [id.as_str()])?;
        }
        self.note_device(id);
        self.end_webhooks_of(id)?;
        if !keep_data {
            self.run("INSERT OR IGNORE INTO purges (device_id) VALUES (?1)", [id.as_str()])?;
        }
        Ok(())
    }

    /// Removes a batch of a deleted device's data; returns `true` while there is more. The log's counter
    /// stays, so that a `seq` is never reused.
    ///
    /// # Errors
    /// When the store fails.
    pub fn purge_some(&self, id: &DeviceId, batch: usize) -> Result<bool, StoreError> {
        let limit = i64::try_from(batch).unwrap_or(i64::MAX);
        let mut removed = 0;
        let gone = self.number(
            "SELECT max(seq) FROM (SELECT seq FROM events WHERE device_id = ?1 ORDER BY seq LIMIT ?2)",
            params![id.as_str(), limit],
        )?;
        self.copy_payloads_to_deliveries(id, (0, gone))?;
        for sql in [
            "DELETE FROM chat_messages WHERE id IN (SELECT m.id FROM chat_messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.device_id = ?1 LIMIT ?2)",
            "DELETE FROM chat_receipt_ranges WHERE (conversation_id, user_pk, level, first_id) IN (SELECT r.conversation_id, r.user_pk, r.level, r.first_id FROM chat_receipt_ranges r JOIN conversations c ON c.id = r.conversation_id WHERE c.device_id = ?1 LIMIT ?2)",
            "DELETE FROM chat_receipts_through WHERE (conversation_id, user_pk, level) IN (SELECT r.conversation_id, r.user_pk, r.level FROM chat_receipts_through r JOIN conversations c ON c.id = r.conversation_id WHERE c.device_id = ?1 LIMIT ?2)",
            "DELETE FROM inbox_responses WHERE pk IN (SELECT pk FROM inbox_responses WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM users WHERE pk IN (SELECT u.pk FROM users u JOIN device_contacts c ON c.user_pk = u.pk WHERE c.device_id = ?1 LIMIT ?2)",
            "DELETE FROM device_contacts WHERE device_id = ?1 AND jid IN (SELECT c.jid FROM device_contacts c WHERE c.device_id = ?1 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.pk = c.user_pk) LIMIT ?2)",
            "DELETE FROM messages WHERE pk IN (SELECT pk FROM messages WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM events WHERE device_id = ?1 AND seq IN (SELECT seq FROM events WHERE device_id = ?1 ORDER BY seq LIMIT ?2)",
            "DELETE FROM chats WHERE device_id = ?1 AND id IN (SELECT id FROM chats WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM chat_sizes WHERE device_id = ?1 AND chat_id IN (SELECT chat_id FROM chat_sizes WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM group_members WHERE (device_id, group_id, member) IN (SELECT device_id, group_id, member FROM group_members WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM groups WHERE device_id = ?1 AND id IN (SELECT id FROM groups WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM contacts WHERE device_id = ?1 AND id IN (SELECT id FROM contacts WHERE device_id = ?1 LIMIT ?2)",
            "DELETE FROM activity WHERE device_id = ?1 AND hour IN (SELECT hour FROM activity WHERE device_id = ?1 LIMIT ?2)",
        ] {
            removed += self.run(sql, params![id.as_str(), limit])?;
        }
        if removed > 0 {
            return Ok(true);
        }
        self.run("DELETE FROM conversations WHERE device_id = ?1", [id.as_str()])?;
        self.run("DELETE FROM inbox_turns WHERE device_id = ?1", [id.as_str()])?;
        self.run("DELETE FROM totals WHERE device_id = ?1", [id.as_str()])?;
        self.run("DELETE FROM outbox_sizes WHERE device_id = ?1 AND messages = 0", [id.as_str()])?;
        self.run("DELETE FROM clearings WHERE device_id = ?1", [id.as_str()])?;
        self.run("DELETE FROM purges WHERE device_id = ?1", [id.as_str()])?;
        Ok(false)
    }
}

fn device(row: &Row<'_>) -> Result<Device, StoreError> {
    let phone_number: Option<String> = row.get("phone_number")?;
    let client_name: Option<String> = row.get("client_name")?;
    Ok(Device {
        id: parsed(row, "id", "device id")?,
        name: row.get("name")?,
        engine: row.get("engine")?,
        settings: from_json(&row.get::<_, String>("settings")?, "device's settings")?,
        declared: from_json(&row.get::<_, String>("declared")?, "device's declaration")?,
        state: from_json(&row.get::<_, String>("state")?, "device's state")?,
        account: phone_number
            .map(|phone_number| Account { phone_number, client_name: client_name.unwrap_or_default() }),
        last_seen: time_if_any(row, "last_seen")?,
        created_at: Millis(row.get("created_at")?),
    })
}
