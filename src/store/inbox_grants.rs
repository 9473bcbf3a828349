//! The grants of access to the inbox of a device.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::inbox::{Grantee, InboxGrant};

impl Reader<'_> {
    /// The grants of a device's inbox, in their order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_grants(&self, device: &DeviceId) -> Result<Vec<InboxGrant>, StoreError> {
        self.all(
            "SELECT who, rights FROM inbox_grants WHERE device_id = ?1 ORDER BY position",
            [device.as_str()],
            |row| {
                let who: String = row.get("who")?;
                let tenant = who.split(':').next().unwrap_or_default();
                let grantee = Grantee::parse(&who, &[tenant]);
                Ok(InboxGrant {
                    who: grantee.map_err(|_| StoreError::Unreadable("inbox grant"))?,
                    rights: parsed(row, "rights", "inbox rights")?,
                })
            },
        )
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
    /// Replaces the grants of a device's inbox.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_inbox_grants(&self, device: &DeviceId, grants: &[InboxGrant]) -> Result<(), StoreError> {
        self.run("DELETE FROM inbox_grants WHERE device_id = ?1", [device.as_str()])?;
        for (position, grant) in (0_i64..).zip(grants) {
            self.run(
                "INSERT INTO inbox_grants (device_id, position, who, rights) VALUES (?1, ?2, ?3, ?4)",
                params![device.as_str(), position, grant.who.to_string(), grant.rights.as_str()],
            )?;
        }
        Ok(())
    }
}
