//! The grants of access to the inbox of a device.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::{GrantSource, Grantee, InboxGrant, InboxRights};

/// Grants of a device's file have negative positions, so that they and those of the API are replaced apart.
const FIRST_DECLARED: i64 = -1_000_000;

impl Reader<'_> {
    /// The grants of a device's inbox: those of its file, of the API, and of tokens. Users of the tenant `plain`, who sign
    /// in without proof, have access to simulated devices only.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_grants(&self, device: &DeviceId) -> Result<Vec<InboxGrant>, StoreError> {
        let mut grants = self.all(
            "SELECT who, rights, position FROM inbox_grants
             WHERE device_id = ?1 AND (substr(who, 1, 6) <> 'plain:' OR EXISTS (
                 SELECT 1 FROM devices d WHERE d.id = ?1 AND d.engine = 'simulator'))
             ORDER BY position",
            [device.as_str()],
            |row| {
                let who: String = row.get("who")?;
                let tenant = who.split(':').next().unwrap_or_default();
                let grantee = Grantee::parse(&who, &[tenant]);
                Ok(InboxGrant {
                    who: grantee.map_err(|_| StoreError::Unreadable("inbox grant"))?,
                    rights: parsed(row, "rights", "inbox rights")?,
                    source: match row.get::<_, i64>("position")? {
                        ..0 => GrantSource::File,
                        0.. => GrantSource::Api,
                    },
                })
            },
        )?;
        grants.extend(self.token_grants(device)?);
        Ok(grants)
    }

    fn token_grants(&self, device: &DeviceId) -> Result<Vec<InboxGrant>, StoreError> {
        self.all(
            "SELECT u.tenant, u.id FROM inbox_token_grants g JOIN users u ON u.pk = g.user_pk
             WHERE g.device_id = ?1 ORDER BY g.user_pk",
            [device.as_str()],
            |row| {
                let who = Grantee::User { tenant: row.get("tenant")?, id: row.get("id")? };
                Ok(InboxGrant { who, rights: InboxRights::Reply, source: GrantSource::Token })
            },
        )
    }

    /// The devices whose inbox the newest token of a user grants, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn token_devices_of(&self, user: UserPk) -> Result<Vec<DeviceId>, StoreError> {
        self.all(
            "SELECT device_id FROM inbox_token_grants WHERE user_pk = ?1 ORDER BY device_id",
            [user.0],
            |row| parsed(row, "device_id", "device id"),
        )
    }

    /// The users whose newest token grants access to inboxes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn users_with_token_devices(&self) -> Result<Vec<(UserPk, String)>, StoreError> {
        self.all(
            "SELECT DISTINCT u.pk, u.tenant FROM inbox_token_grants g JOIN users u ON u.pk = g.user_pk",
            [],
            |row| Ok((UserPk(row.get(0)?), row.get(1)?)),
        )
    }

    /// The devices whose file grants access to their inbox.
    ///
    /// # Errors
    /// When the store fails.
    pub fn devices_with_declared_grants(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all("SELECT DISTINCT device_id FROM inbox_grants WHERE position < 0", [], |row| {
            parsed(row, "device_id", "device id")
        })
    }

    /// The devices whose inbox has grants.
    ///
    /// # Errors
    /// When the store fails.
    pub fn granted_devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all(
            "SELECT device_id FROM inbox_grants UNION SELECT device_id FROM inbox_token_grants ORDER BY device_id",
            [],
            |row| parsed(row, "device_id", "device id"),
        )
    }
}

impl Tx<'_> {
    /// Replaces the grants of a device's inbox that are not those of its file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_inbox_grants(&self, device: &DeviceId, grants: &[InboxGrant]) -> Result<(), StoreError> {
        self.run("DELETE FROM inbox_grants WHERE device_id = ?1 AND position >= 0", [device.as_str()])?;
        self.add_inbox_grants(device, 0, grants)
    }

    /// Replaces the grants of a device's file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_declared_inbox_grants(
        &self,
        device: &DeviceId,
        grants: &[InboxGrant],
    ) -> Result<(), StoreError> {
        self.run("DELETE FROM inbox_grants WHERE device_id = ?1 AND position < 0", [device.as_str()])?;
        self.add_inbox_grants(device, FIRST_DECLARED, grants)
    }

    /// Replaces the devices whose inbox the newest token of a user grants.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_token_devices(&self, user: UserPk, devices: &[DeviceId]) -> Result<(), StoreError> {
        self.run("DELETE FROM inbox_token_grants WHERE user_pk = ?1", [user.0])?;
        for device in devices {
            self.run(
                "INSERT OR IGNORE INTO inbox_token_grants (user_pk, device_id) VALUES (?1, ?2)",
                params![user.0, device.as_str()],
            )?;
        }
        Ok(())
    }

    fn add_inbox_grants(
        &self,
        device: &DeviceId,
        first: i64,
        grants: &[InboxGrant],
    ) -> Result<(), StoreError> {
        for (position, grant) in (first..).zip(grants) {
            self.run(
                "INSERT INTO inbox_grants (device_id, position, who, rights) VALUES (?1, ?2, ?3, ?4)",
                params![device.as_str(), position, grant.who.to_string(), grant.rights.as_str()],
            )?;
        }
        Ok(())
    }
}
