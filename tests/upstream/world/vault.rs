//! The vault of an upstream's account, in memory: it survives restarts of the daemon.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use wharf::domain::clock::Millis;
use wharf::domain::vault::VaultChange;
use wharf::engine::{Vault, VaultError, VaultUpdate, VaultView};

type Values = BTreeMap<(String, String), Vec<u8>>;

/// It ignores deadlines.
#[derive(Default)]
pub struct MemoryVault(Mutex<Values>);

struct Seen<'a>(&'a Values);

fn listed(values: &Values, space: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let within = values.iter().filter(|((of, key), _)| of == space && key.starts_with(prefix));
    within.map(|((_, key), value)| (key.clone(), value.clone())).collect()
}

impl VaultView for Seen<'_> {
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.get(&(space.to_owned(), key.to_owned())).cloned())
    }

    fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        Ok(listed(self.0, space, prefix))
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn get_many(&self, space: &str, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, VaultError> {
        let values = self.0.lock().unwrap();
        Ok(keys.into_iter().map(|key| values.get(&(space.to_owned(), key)).cloned()).collect())
    }

    async fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        Ok(listed(&self.0.lock().unwrap(), space, prefix))
    }

    async fn last_key(&self, space: &str, prefix: &str) -> Result<Option<String>, VaultError> {
        Ok(listed(&self.0.lock().unwrap(), space, prefix).pop().map(|(key, _)| key))
    }

    async fn update(&self, change: VaultUpdate) -> Result<(), VaultError> {
        let mut values = self.0.lock().unwrap();
        for change in change(&Seen(&values))?.into_changes() {
            match change {
                VaultChange::Put { space, key, value, .. } => {
                    values.insert((space, key), value);
                }
                VaultChange::Remove { space, key } => {
                    values.remove(&(space, key));
                }
                VaultChange::RemovePrefix { space, prefix } => {
                    values.retain(|(of, key), _| *of != space || !key.starts_with(&prefix));
                }
            }
        }
        Ok(())
    }

    async fn prune(&self, _space: &str, _before: Millis) -> Result<u64, VaultError> {
        Ok(0)
    }
}
