//! API keys; only a hash of each secret is stored.

use rusqlite::{Row, params};

use super::column_codec::{from_json, time_if_any, to_json};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::access::ApiKey;
use crate::domain::clock::Millis;

/// An API key with the hash of its secret.
#[derive(Debug, Clone)]
pub struct HashedKey {
    /// The key.
    pub key: ApiKey,
    /// SHA-256 of the secret.
    pub hash: Vec<u8>,
}

impl Reader<'_> {
    /// All keys, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn api_keys(&self) -> Result<Vec<HashedKey>, StoreError> {
        self.all(
            "SELECT id, name, hash, scopes, devices, created_by, created_at, expires_at, last_used_at
             FROM api_keys ORDER BY created_at, id",
            [],
            hashed_key,
        )
    }
}

impl Tx<'_> {
    /// Adds a key or replaces the one with the same id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_api_key(&self, hashed: &HashedKey) -> Result<(), StoreError> {
        let key = &hashed.key;
        let devices = key.devices.as_ref().map(|list| to_json(list, "key's devices")).transpose()?;
        self.run(
            "INSERT OR REPLACE INTO api_keys (id, name, hash, scopes, devices, created_at, expires_at, last_used_at,
                 created_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                key.id,
                key.name,
                hashed.hash,
                to_json(&key.scopes, "key's scopes")?,
                devices,
                key.created_at.0,
                key.expires_at.map(|at| at.0),
                key.last_used_at.map(|at| at.0),
                key.created_by,
            ],
        )?;
        Ok(())
    }

    /// Removes a key. Returns `false` when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_api_key(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM api_keys WHERE id = ?1", [id])? > 0)
    }

    /// Records when keys were last used.
    ///
    /// # Errors
    /// When the store fails.
    pub fn touch_api_keys(&self, used: &[(String, Millis)]) -> Result<(), StoreError> {
        for (id, at) in used {
            self.run("UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1", params![id, at.0])?;
        }
        Ok(())
    }
}

fn hashed_key(row: &Row<'_>) -> Result<HashedKey, StoreError> {
    let devices: Option<String> = row.get("devices")?;
    let key = ApiKey {
        id: row.get("id")?,
        name: row.get("name")?,
        scopes: from_json(&row.get::<_, String>("scopes")?, "key's scopes")?,
        devices: devices.map(|list| from_json(&list, "key's devices")).transpose()?,
        created_by: row.get("created_by")?,
        created_at: Millis(row.get("created_at")?),
        expires_at: time_if_any(row, "expires_at")?,
        last_used_at: time_if_any(row, "last_used_at")?,
    };
    Ok(HashedKey { key, hash: row.get("hash")? })
}
