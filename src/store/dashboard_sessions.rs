//! Sessions of the dashboard; only a hash of each cookie is stored.

use rusqlite::{Row, params};

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::dashboard_session::{DashboardSession, SessionHash};

/// A session with its identity.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// SHA-256 of its cookie.
    pub hash: SessionHash,
    /// SHA-256 of the key's secret at the sign-in.
    pub key_hash: Vec<u8>,
    /// The session.
    pub session: DashboardSession,
}

impl Reader<'_> {
    /// All sessions, in no particular order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dashboard_sessions(&self) -> Result<Vec<StoredSession>, StoreError> {
        self.all(
            "SELECT hash, key_id, key_hash, created_at, last_used_at, ends_at FROM dashboard_sessions",
            [],
            stored_session,
        )
    }
}

impl Tx<'_> {
    /// Adds a session.
    ///
    /// # Errors
    /// When the store fails.
    pub fn insert_dashboard_session(&self, stored: &StoredSession) -> Result<(), StoreError> {
        let session = &stored.session;
        self.run(
            "INSERT INTO dashboard_sessions (hash, key_id, key_hash, created_at, last_used_at, ends_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                stored.hash.0,
                session.key_id,
                stored.key_hash,
                session.created_at.0,
                session.last_used_at.0,
                session.ends_at.0,
            ],
        )?;
        Ok(())
    }

    /// Removes sessions.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_dashboard_sessions(&self, hashes: &[SessionHash]) -> Result<(), StoreError> {
        for hash in hashes {
            self.run("DELETE FROM dashboard_sessions WHERE hash = ?1", [hash.0])?;
        }
        Ok(())
    }

    /// Removes the sessions of a key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_dashboard_sessions_of(&self, key_id: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM dashboard_sessions WHERE key_id = ?1", [key_id])?;
        Ok(())
    }

    /// Records when sessions were last used.
    ///
    /// # Errors
    /// When the store fails.
    pub fn touch_dashboard_sessions(&self, used: &[(SessionHash, Millis)]) -> Result<(), StoreError> {
        for (hash, at) in used {
            self.run(
                "UPDATE dashboard_sessions SET last_used_at = ?2 WHERE hash = ?1",
                params![hash.0, at.0],
            )?;
        }
        Ok(())
    }
}

fn stored_session(row: &Row<'_>) -> Result<StoredSession, StoreError> {
    let session = DashboardSession {
        key_id: row.get("key_id")?,
        created_at: Millis(row.get("created_at")?),
        last_used_at: Millis(row.get("last_used_at")?),
        ends_at: Millis(row.get("ends_at")?),
    };
    Ok(StoredSession { hash: SessionHash(row.get("hash")?), key_hash: row.get("key_hash")?, session })
}
