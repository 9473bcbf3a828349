//! The grants of access to the inbox of a device.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::inbox::{Grantee, InboxGrant};

/// Grants of a device's file have negative positions, so that they and those of the API are replaced apart.
const FIRST_DECLARED: i64 = -1_000_000;

impl Reader<'_> {
    /// The grants of a device's inbox, those of its file first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_grants(&self, device: &DeviceId) -> Result<Vec<InboxGrant>, StoreError> {
        self.all(
            "SELECT who, rights, position FROM inbox_grants WHERE device_id = ?1 ORDER BY position",
            [device.as_str()],
            |row| {
                let who: String = row.get("who")?;
                let tenant = who.split(':').next().unwrap_or_default();
                let grantee = Grantee::parse(&who, &[tenant]);
                Ok(InboxGrant {
                    who: grantee.map_err(|_| StoreError::Unreadable("inbox grant"))?,
                    rights: parsed(row, "rights", "inbox rights")?,
                    is_declared: row.get::<_, i64>("position")? < 0,
                })
            },
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
        self.all("SELECT DISTINCT device_id FROM inbox_grants ORDER BY device_id", [], |row| {
            parsed(row, "device_id", "device id")
        })
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
