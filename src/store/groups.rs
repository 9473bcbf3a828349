//! Groups that the account is in, and who else is.

use rusqlite::{Row, params};

use super::column_codec::{from_word, parsed, parsed_if_any, time_if_any, to_word};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::group::{Group, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::queries::GroupQuery;
use crate::domain::queries::ListedGroup;

const COLUMNS: &str = "g.id, g.subject, g.description, g.owner, g.created_at";

impl Reader<'_> {
    /// One group with who is in it.
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
                    role: from_word(row.get("role")?, "role")?,
                })
            },
        )?;
        Ok(Some(group))
    }

    /// Whether the account is in this group, as far as is known here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_group(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM groups WHERE device_id = ?1 AND id = ?2";
        Ok(self.number(sql, params![device.as_str(), id.to_string()])? > 0)
    }

    /// The ids of all groups that the account is in, as far as is known here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn group_ids(&self, device: &DeviceId) -> Result<Vec<Jid>, StoreError> {
        self.all("SELECT id FROM groups WHERE device_id = ?1", [device.as_str()], |row| {
            parsed(row, "id", "group id")
        })
    }

    /// What somebody may do in a group; `None` when they are not in it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn role_in(&self, device: &DeviceId, group: &Jid, who: &Jid) -> Result<Option<Role>, StoreError> {
        self.one(
            "SELECT role FROM group_members WHERE device_id = ?1 AND group_id = ?2 AND member = ?3",
            params![device.as_str(), group.to_string(), who.to_string()],
            |row| from_word(row.get("role")?, "role"),
        )
    }

    /// Groups by name, and how many there are without the limit.
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
    /// Adds a group that is not known yet, with who is in it.
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

    /// Forgets a group that the account is no longer in. `false` when it was not known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_group(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let key = params![device.as_str(), id.to_string()];
        self.run("DELETE FROM group_members WHERE device_id = ?1 AND group_id = ?2", key)?;
        Ok(self.run("DELETE FROM groups WHERE device_id = ?1 AND id = ?2", key)? > 0)
    }

    /// Forgets all groups of a device: it is no account any more. Their chats stay.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_groups(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM group_members WHERE device_id = ?1", [device.as_str()])?;
        self.run("DELETE FROM groups WHERE device_id = ?1", [device.as_str()])?;
        Ok(())
    }

    /// Names a group, and its chat where there is one. `false` when it had that name.
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

    /// Describes a group; `None` takes the description away. `false` when that changes nothing.
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

    /// Writes that somebody is in a group, and what they may do. `false` when that changes nothing.
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

    /// Takes somebody out of a group. `false` when they were not in it.
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
