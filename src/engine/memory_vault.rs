//! A vault in memory for engines' tests; it ignores deadlines.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Vault, VaultError, VaultUpdate, VaultView};
use crate::domain::clock::Millis;
use crate::domain::vault::VaultChange;

/// Values under `space/key`.
#[derive(Default)]
pub(crate) struct MemoryVault(pub(crate) Mutex<BTreeMap<String, Vec<u8>>>);

fn listed(values: &BTreeMap<String, Vec<u8>>, space: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let space = format!("{space}/");
    let begins = format!("{space}{prefix}");
    let within = values.iter().filter(|(key, _)| key.starts_with(&begins));
    within.map(|(key, value)| (key[space.len()..].to_owned(), value.clone())).collect()
}

impl VaultView for BTreeMap<String, Vec<u8>> {
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(BTreeMap::get(self, &format!("{space}/{key}")).cloned())
    }

    fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        Ok(listed(self, space, prefix))
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn get_many(&self, space: &str, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, VaultError> {
        let values = self.0.lock();
        Ok(keys.iter().map(|key| BTreeMap::get(&values, &format!("{space}/{key}")).cloned()).collect())
    }

    async fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        Ok(listed(&self.0.lock(), space, prefix))
    }

    async fn last_key(&self, space: &str, prefix: &str) -> Result<Option<String>, VaultError> {
        Ok(listed(&self.0.lock(), space, prefix).pop().map(|(key, _)| key))
    }

    async fn update(&self, change: VaultUpdate) -> Result<(), VaultError> {
        let mut values = self.0.lock();
        for change in change(&*values)?.into_changes() {
            match change {
                VaultChange::Put { space, key, value, .. } => {
                    values.insert(format!("{space}/{key}"), value);
                }
                VaultChange::Remove { space, key } => {
                    values.remove(&format!("{space}/{key}"));
                }
                VaultChange::RemovePrefix { space, prefix } => {
                    values.retain(|key, _| !key.starts_with(&format!("{space}/{prefix}")));
                }
            }
        }
        Ok(())
    }

    async fn prune(&self, _space: &str, _before: Millis) -> Result<u64, VaultError> {
        Ok(0)
    }
}
