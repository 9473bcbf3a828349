//! Groups of the account and their members.

use rusqlite::{Row, params};

use super::column_codec::{from_word, parsed, parsed_if_any, text, time_if_any, to_word};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::group::{Group, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::queries::GroupQuery;
use crate::domain::queries::ListedGroup;

const COLUMNS: &str = "g.id, g.subject, g.description, g.owner, g.created_at";

impl Reader<'_> {
    /// One group with its members.
    ///
    /// # Errors
    /// When the store fails.
    pub fn group(&self, device: &DeviceId, id: &Jid) -> Result<Option<Group>, StoreError> {
        let found = self.one(
            &format!("SELECT {COLUMNS} FROM groups g WHERE device_id = ?1 AND id = ?2"),
            params![device.as_str(), id.to_string()],
            group,
        )?;
        let Some(mut group) = found else { return Ok(None) };
        group.participants = self.all(
            "SELECT member, role FROM group_members WHERE device_id = ?1 AND group_id = ?2 ORDER BY member",
            params![device.as_str(), id.to_string()],
            |row| {
                Ok(Participant {
                    id: parsed(row, "member", "group member")?,
                    role: from_word(text(row, "role")?, "role")?,
                })
            },
        )?;
        Ok(Some(group))
    }

    /// Whether the store has this group for the account.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_group(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM groups WHERE device_id = ?1 AND id = ?2";
        Ok(self.number(sql, params![device.as_str(), id.to_string()])? > 0)
    }

    /// The ids of all stored groups of the account.
    ///
    /// # Errors
    /// When the store fails.
    pub fn group_ids(&self, device: &DeviceId) -> Result<Vec<Jid>, StoreError> {
        self.all("SELECT id FROM groups WHERE device_id = ?1", [device.as_str()], |row| {
            parsed(row, "id", "group id")
        })
    }

    /// A person's role in a group; `None` when they are not a member.
    ///
    /// # Errors
    /// When the store fails.
    pub fn role_in(&self, device: &DeviceId, group: &Jid, who: &Jid) -> Result<Option<Role>, StoreError> {
        self.one(
            "SELECT role FROM group_members WHERE device_id = ?1 AND group_id = ?2 AND member = ?3",
            params![device.as_str(), group.to_string(), who.to_string()],
            |row| from_word(text(row, "role")?, "role"),
        )
    }

    /// Lists groups by name, with the total count regardless of the limit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn groups(
        &self,
        device: &DeviceId,
        query: &GroupQuery,
    ) -> Result<(Vec<ListedGroup>, i64), StoreError> {
        let condition =
            "g.device_id = ?1 AND (?2 IS NULL OR instr(lower(g.subject || ' ' || g.id), lower(?2)) > 0)";
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
        let found = self.all(
            &format!(
                "SELECT {COLUMNS}, (SELECT count(*) FROM group_members m
                     WHERE m.device_id = g.device_id AND m.group_id = g.id) AS size
                 FROM groups g WHERE {condition} ORDER BY g.subject, g.id LIMIT ?3 OFFSET ?4"
            ),
            params![device.as_str(), query.search, limit, offset],
            |row| Ok(ListedGroup { group: group(row)?, size: row.get("size")? }),
        )?;
        let total = self.number(
            &format!("SELECT count(*) FROM groups g WHERE {condition}"),
            params![device.as_str(), query.search],
        )?;
        Ok((found, total))
    }
}

impl Tx<'_> {
    /// Adds a new group with its members.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_group(&self, device: &DeviceId, group: &Group) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO groups (device_id, id, subject, description, owner, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                device.as_str(),
                group.id.to_string(),
                group.subject,
                group.description,
                group.owner.as_ref().map(ToString::to_string),
                group.created_at.map(|at| at.0),
            ],
        )?;
        for participant in &group.participants {
            self.put_member(device, &group.id, participant)?;
        }
        Ok(())
    }

    /// Removes a group that the account has left. Returns `false` when the store did not have it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_group(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let key = params![device.as_str(), id.to_string()];
        self.run("DELETE FROM group_members WHERE device_id = ?1 AND group_id = ?2", key)?;
        Ok(self.run("DELETE FROM groups WHERE device_id = ?1 AND id = ?2", key)? > 0)
    }

    /// Removes all groups of a device that is no longer linked. Their chats stay.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_groups(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM group_members WHERE device_id = ?1", [device.as_str()])?;
        self.run("DELETE FROM groups WHERE device_id = ?1", [device.as_str()])?;
        Ok(())
    }

    /// Sets the subject of a group and the name of its chat. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_group_subject(&self, device: &DeviceId, id: &Jid, subject: &str) -> Result<bool, StoreError> {
        let named = params![device.as_str(), id.to_string(), subject];
        let changed = self.run(
            "UPDATE groups SET subject = ?3 WHERE device_id = ?1 AND id = ?2 AND subject <> ?3",
            named,
        )?;
        self.run("UPDATE chats SET name = ?3 WHERE device_id = ?1 AND id = ?2 AND name <> ?3", named)?;
        Ok(changed > 0)
    }

    /// Sets a group's description; `None` removes it. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_group_description(
        &self,
        device: &DeviceId,
        id: &Jid,
        description: Option<&str>,
    ) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE groups SET description = ?3 WHERE device_id = ?1 AND id = ?2 AND description IS NOT ?3",
            params![device.as_str(), id.to_string(), description],
        )?;
        Ok(changed > 0)
    }

    /// Adds a member to a group or updates the role. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_member(
        &self,
        device: &DeviceId,
        group: &Jid,
        participant: &Participant,
    ) -> Result<bool, StoreError> {
        let changed = self.run(
            "INSERT INTO group_members (device_id, group_id, member, role) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET role = excluded.role WHERE role <> excluded.role",
            params![
                device.as_str(),
                group.to_string(),
                participant.id.to_string(),
                to_word(&participant.role, "role")?,
            ],
        )?;
        Ok(changed > 0)
    }

    /// Removes a member from a group. Returns `false` when they were not a member.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_member(&self, device: &DeviceId, group: &Jid, who: &Jid) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM group_members WHERE device_id = ?1 AND group_id = ?2 AND member = ?3",
            params![device.as_str(), group.to_string(), who.to_string()],
        )?;
        Ok(removed > 0)
    }
}

fn group(row: &Row<'_>) -> Result<Group, StoreError> {
    Ok(Group {
        id: parsed(row, "id", "group id")?,
        subject: row.get("subject")?,
        description: row.get("description")?,
        owner: parsed_if_any(row, "owner", "group owner")?,
        created_at: time_if_any(row, "created_at")?,
        participants: Vec::new(),
    })
}
