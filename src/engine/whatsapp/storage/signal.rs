//! Identities, sessions, prekeys and sender keys, each under its address or number.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wacore::store::error::Result;
use wacore::store::traits::SignalStore;

use super::spaces::{IDENTITIES, PREKEYS, SENDER_KEYS, SESSIONS, SIGNED_PREKEYS, number};
use super::{VaultBackend, exactly, failed, shared};
use crate::domain::vault::VaultBatch;

#[async_trait]
impl SignalStore for VaultBackend {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(IDENTITIES, address.to_owned(), key.to_vec()).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let mut batch = VaultBatch::new();
        for (address, key) in identities {
            batch.put(IDENTITIES, &**address, *key);
        }
        self.apply(batch).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        self.get(IDENTITIES, address).await?.map(|bytes| exactly(&bytes, "identity")).transpose()
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.remove(IDENTITIES, address).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(shared(self.get(SESSIONS, address).await?))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(SESSIONS, address.to_owned(), session.to_vec()).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_records(SESSIONS, sessions).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.remove(SESSIONS, address).await
    }

    /// Addresses are `user@server` and `user:device@server`.
    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        for space in [SESSIONS, IDENTITIES] {
            for prefix in [format!("{user}@"), format!("{user}:")] {
                if self.vault.last_key(space, &prefix).await.map_err(failed)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.put(PREKEYS, number(id), record.to_vec()).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        let mut batch = VaultBatch::new();
        for (id, record) in keys {
            batch.put(PREKEYS, number(*id), record.to_vec());
        }
        self.apply(batch).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(shared(self.get(PREKEYS, &number(id)).await?))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let keys = ids.iter().map(|id| number(*id)).collect();
        let values = self.vault.get_many(PREKEYS, keys).await.map_err(failed)?;
        let found = ids.iter().zip(values).filter_map(|(id, value)| Some((*id, Bytes::from(value?))));
        Ok(found.collect())
    }

    /// The library counts uploaded prekeys itself (`Device::first_unupload_pre_key_id`), so nothing
    /// is stored.
    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.remove(PREKEYS, &number(id)).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let last = self.vault.last_key(PREKEYS, "").await.map_err(failed)?;
        Ok(last.and_then(|key| key.parse().ok()).unwrap_or(0))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(SIGNED_PREKEYS, number(id), record.to_vec()).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get(SIGNED_PREKEYS, &number(id)).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let all = self.list(SIGNED_PREKEYS, "").await?;
        Ok(all.into_iter().filter_map(|(key, record)| Some((key.parse().ok()?, record))).collect())
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.remove(SIGNED_PREKEYS, &number(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(SENDER_KEYS, address.to_owned(), record.to_vec()).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_records(SENDER_KEYS, sender_keys).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get(SENDER_KEYS, address).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.remove(SENDER_KEYS, address).await
    }
}

impl VaultBackend {
    async fn put_records(&self, space: &str, records: &[(Arc<str>, Bytes)]) -> Result<()> {
        let mut batch = VaultBatch::new();
        for (address, record) in records {
            batch.put(space, &**address, record.to_vec());
        }
        self.apply(batch).await
    }
}
