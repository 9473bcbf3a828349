//! Meta's names of our messages, in the vault: what others quote, react to and what becomes of them is told by these.

use std::collections::HashMap;

use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError};

/// Our messages by Meta's names.
const OURS: &str = "cloud_api_ours";
/// Meta's names by our messages.
const THEIRS: &str = "cloud_api_theirs";
/// How long a name is kept: nobody reacts to what is older.
const KEPT_MS: i64 = 180 * 86_400_000;

/// Our messages, by Meta's names.
pub(super) type Aliases = HashMap<String, MessageId>;

/// Notes what Meta calls a message of ours.
pub(super) async fn note(
    vault: &dyn Vault,
    wamid: &str,
    id: &MessageId,
    now: Millis,
) -> Result<(), VaultError> {
    let until = Some(now.plus(KEPT_MS));
    let mut batch = VaultBatch::new();
    batch.put_until(OURS, wamid, id.to_string(), until);
    batch.put_until(THEIRS, id.to_string(), wamid, until);
    vault.apply(batch).await
}

/// Which of these names are messages of ours.
pub(super) async fn known(vault: &dyn Vault, wamids: Vec<String>) -> Result<Aliases, VaultError> {
    if wamids.is_empty() {
        return Ok(Aliases::new());
    }
    let found = vault.get_many(OURS, wamids.clone()).await?;
    let named = wamids.into_iter().zip(found);
    Ok(named.filter_map(|(wamid, id)| Some((wamid, String::from_utf8(id?).ok()?.parse().ok()?))).collect())
}

/// What Meta calls a message: its own name for one of ours, the network's id for one of others.
pub(super) async fn wamid(vault: &dyn Vault, id: &MessageId) -> Result<Option<String>, VaultError> {
    if !id.from_me {
        return Ok(Some(id.network.to_string()));
    }
    let noted = vault.get(THEIRS, &id.to_string()).await?.and_then(|bytes| String::from_utf8(bytes).ok());
    // What was written on the phone has Meta's name from the beginning.
    Ok(noted.or_else(|| Some(id.network.to_string()).filter(|name| name.starts_with("wamid."))))
}

/// Forgets names that are too old.
pub(super) async fn prune(vault: &dyn Vault, now: Millis) -> Result<(), VaultError> {
    vault.prune(OURS, now).await?;
    vault.prune(THEIRS, now).await.map(drop)
}

/// Forgets them all.
pub(super) async fn forget(vault: &dyn Vault) -> Result<(), VaultError> {
    let mut batch = VaultBatch::new();
    batch.remove_space(OURS);
    batch.remove_space(THEIRS);
    vault.apply(batch).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryVault;

    #[tokio::test]
    async fn a_message_is_found_by_either_name() {
        let vault = MemoryVault::default();
        let id: MessageId = "true_15550100001@c.us_3EB0A1".parse().unwrap();
        note(&vault, "wamid.A=", &id, Millis(0)).await.unwrap();
        assert_eq!(wamid(&vault, &id).await.unwrap().as_deref(), Some("wamid.A="));
        let known = known(&vault, vec!["wamid.A=".into(), "wamid.B=".into()]).await.unwrap();
        assert_eq!(known, Aliases::from([("wamid.A=".to_owned(), id.clone())]));
        let theirs: MessageId = "false_15550100001@c.us_wamid.C=".parse().unwrap();
        assert_eq!(wamid(&vault, &theirs).await.unwrap().as_deref(), Some("wamid.C="));
        forget(&vault).await.unwrap();
        assert_eq!(wamid(&vault, &id).await.unwrap(), None);
    }
}
