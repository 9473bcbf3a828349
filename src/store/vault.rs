//! Engine state: bytes under `(device, space, key)`, sealed when a vault key is configured.

use rusqlite::types::Value;
use rusqlite::{Row, params};

use super::Store;
use super::error::StoreError;
use super::seal::{Seal, SealContext};
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::vault::{VaultBatch, VaultChange};

/// Maximum values that one write prunes.
const PRUNED_AT_ONCE: usize = 1_000;

impl Store {
    /// Values of one space in the order of `keys`, read from one snapshot.
    ///
    /// # Errors
    /// When the store fails, or a value cannot be opened.
    pub async fn vault_get_many(
        &self,
        device: &DeviceId,
        space: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let (seal, device, space) = (self.inner.seal.clone(), device.clone(), space.to_owned());
        self.read(move |reader| {
            let vault = VaultRows { reader, seal: &seal, device: &device };
            keys.iter().map(|key| vault.get(&space, key)).collect()
        })
        .await
    }

    /// All values with the key prefix `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// Like [`Store::vault_get_many`].
    pub async fn vault_list(
        &self,
        device: &DeviceId,
        space: &str,
        prefix: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (seal, device) = (self.inner.seal.clone(), device.clone());
        let (space, prefix) = (space.to_owned(), prefix.to_owned());
        self.read(move |reader| VaultRows { reader, seal: &seal, device: &device }.list(&space, &prefix))
            .await
    }

    /// The last key with the prefix `prefix`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn vault_last_key(
        &self,
        device: &DeviceId,
        space: &str,
        prefix: &str,
    ) -> Result<Option<String>, StoreError> {
        let (device, space, prefix) = (device.clone(), space.to_owned(), prefix.to_owned());
        self.read(move |reader| {
            reader.one(
                "SELECT key FROM vault WHERE device_id = ?1 AND space = ?2 AND key >= ?3 AND key < ?4
                 ORDER BY key DESC LIMIT 1",
                params![device.as_str(), space, prefix, after(&prefix)],
                |row| Ok(row.get(0)?),
            )
        })
        .await
    }

    /// Passes a device's vault to `change` and applies the returned changes in one transaction.
    ///
    /// # Errors
    /// The error of `change`, or of the commit; nothing is changed then.
    pub async fn vault_update<E, F>(&self, device: &DeviceId, change: F) -> Result<(), E>
    where
        E: From<StoreError> + Send + 'static,
        F: Fn(&VaultRows<'_>) -> Result<VaultBatch, E> + Send + 'static,
    {
        let (seal, device) = (self.inner.seal.clone(), device.clone());
        self.write_patiently(move |tx| {
            let batch = change(&VaultRows { reader: tx, seal: &seal, device: &device })?;
            batch
                .into_changes()
                .into_iter()
                .try_for_each(|change| tx.vault_change(&seal, &device, change))?;
            Ok(())
        })
        .await
    }

    /// Prunes a batch of a space's values with a deadline before `before`. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn vault_prune(
        &self,
        device: &DeviceId,
        space: &str,
        before: Millis,
    ) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let (device, space) = (device.clone(), space.to_owned());
            let gone = self.write_patiently(move |tx| tx.vault_prune(&device, &space, before)).await?;
            pruned += gone as u64;
            if gone < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}

/// One device's values within a transaction.
pub struct VaultRows<'t> {
    reader: &'t Reader<'t>,
    seal: &'t Seal,
    device: &'t DeviceId,
}

impl VaultRows<'_> {
    /// One value.
    ///
    /// # Errors
    /// When the store fails, or the value cannot be opened.
    pub fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.one(
            "SELECT value, sealed FROM vault WHERE device_id = ?1 AND space = ?2 AND key = ?3",
            params![self.device.as_str(), space, key],
            |row| self.opened(space, key, row),
        )
    }

    /// All values with the key prefix `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// Like [`VaultRows::get`].
    pub fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.reader.all(
            "SELECT value, sealed, key FROM vault
             WHERE device_id = ?1 AND space = ?2 AND key >= ?3 AND key < ?4 ORDER BY key",
            params![self.device.as_str(), space, prefix, after(prefix)],
            |row| {
                let key: String = row.get(2)?;
                let value = self.opened(space, &key, row)?;
                Ok((key, value))
            },
        )
    }

    fn opened(&self, space: &str, key: &str, row: &Row<'_>) -> Result<Vec<u8>, StoreError> {
        let place = SealContext { device: self.device.as_str(), space, key };
        self.seal.open(place, row.get(1)?, row.get(0)?)
    }
}

impl Tx<'_> {
    fn vault_change(&self, seal: &Seal, device: &DeviceId, change: VaultChange) -> Result<(), StoreError> {
        match change {
            VaultChange::Put { space, key, value, deadline } => {
                let place = SealContext { device: device.as_str(), space: &space, key: &key };
                let (value, sealed) = seal.close(place, value)?;
                self.run(
                    "INSERT OR REPLACE INTO vault (device_id, space, key, value, expires_at, sealed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![device.as_str(), space, key, value, deadline.map(|at| at.0), sealed],
                )?
            }
            VaultChange::Remove { space, key } => self.run(
                "DELETE FROM vault WHERE device_id = ?1 AND space = ?2 AND key = ?3",
                params![device.as_str(), space, key],
            )?,
            VaultChange::RemovePrefix { space, prefix } => self.run(
                "DELETE FROM vault WHERE device_id = ?1 AND space = ?2 AND key >= ?3 AND key < ?4",
                params![device.as_str(), space, prefix, after(&prefix)],
            )?,
        };
        Ok(())
    }

    fn vault_prune(&self, device: &DeviceId, space: &str, before: Millis) -> Result<usize, StoreError> {
        self.run(
            "DELETE FROM vault WHERE (device_id, space, key) IN (
                 SELECT device_id, space, key FROM vault
                 WHERE device_id = ?1 AND space = ?2 AND expires_at < ?3 LIMIT ?4)",
            params![device.as_str(), space, before.0, PRUNED_AT_ONCE as i64],
        )
    }

    /// Removes all engine state of a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vault_clear(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM vault WHERE device_id = ?1", [device.as_str()])?;
        Ok(())
    }
}

/// The exclusive upper bound of all texts with this prefix. Without one it is a blob, because SQLite sorts
/// every blob after every text.
fn after(prefix: &str) -> Value {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = ((last as u32 + 1)..=(char::MAX as u32)).find_map(char::from_u32) {
            chars.push(next);
            return Value::Text(chars.into_iter().collect());
        }
    }
    Value::Blob(Vec::new())
}

#[cfg(test)]
mod tests;
