//! App state: its keys, the version of each collection, and the MACs of the records.

use std::collections::HashMap;

use async_trait::async_trait;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::Result;
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use super::spaces::{LATEST_SYNC_KEY, MUTATION_MACS, SYNC_KEYS, SYNC_VERSIONS, first, joined};
use super::{VaultBackend, encoded, failed};
use crate::domain::vault::VaultBatch;

/// The only key of its space.
const LATEST: &str = "";

#[async_trait]
impl AppSyncStore for VaultBackend {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_as(SYNC_KEYS, &hex::encode(key_id)).await
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let mut batch = VaultBatch::new();
        batch.put(SYNC_KEYS, hex::encode(key_id), encoded(&key)?);
        batch.put(LATEST_SYNC_KEY, LATEST, key_id);
        self.apply(batch).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        Ok(self.get_as(SYNC_VERSIONS, name).await?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put(SYNC_VERSIONS, name.to_owned(), encoded(&state)?).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let mut batch = VaultBatch::new();
        for mutation in mutations {
            batch.put(MUTATION_MACS, mac_key(name, &mutation.index_mac), &*mutation.value_mac);
        }
        self.apply(batch).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(MUTATION_MACS, &mac_key(name, index_mac)).await
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let keys = index_macs.iter().map(|index_mac| mac_key(name, index_mac)).collect();
        let values = self.vault.get_many(MUTATION_MACS, keys).await.map_err(failed)?;
        Ok(index_macs
            .iter()
            .zip(values)
            .filter_map(|(index_mac, value)| Some((*index_mac, value?)))
            .collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let mut batch = VaultBatch::new();
        for index_mac in index_macs {
            batch.remove(MUTATION_MACS, mac_key(name, index_mac));
        }
        self.apply(batch).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let mut batch = VaultBatch::new();
        batch.remove_prefix(MUTATION_MACS, first(name));
        self.apply(batch).await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        self.get(LATEST_SYNC_KEY, LATEST).await
    }
}

fn mac_key(name: &str, index_mac: &[u8]) -> String {
    joined(&[name, &hex::encode(index_mac)])
}
