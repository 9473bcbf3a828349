//! Records which upstream the stored state belongs to, and removes the state when the settings name
//! another upstream.

use sha2::{Digest as _, Sha256};

use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError};

/// The vault key of the upstream's identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdentityKey {
    pub(crate) space: &'static str,
    pub(crate) key: &'static str,
}

/// Digests the parts that identify an upstream, such as its address and the session there.
pub(crate) fn digest(base: &str, session: &str) -> [u8; 32] {
    Sha256::digest(format!("{base}\n{session}").as_bytes()).into()
}

/// Stores the identity; `clear` removes the state of a former upstream in the same batch. Returns whether
/// there was one. State without an identity is older than this check and belongs to the current upstream.
///
/// # Errors
/// When the vault fails.
pub(crate) async fn ensure_upstream(
    vault: &dyn Vault,
    at: IdentityKey,
    identity: &[u8],
    clear: impl FnOnce(&mut VaultBatch) + Send,
) -> Result<bool, VaultError> {
    let stored = vault.get(at.space, at.key).await?;
    if stored.as_deref() == Some(identity) {
        return Ok(false);
    }
    let mut batch = VaultBatch::new();
    if stored.is_some() {
        clear(&mut batch);
    }
    batch.put(at.space, at.key, identity);
    vault.apply(batch).await?;
    Ok(stored.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryVault;

    const AT: IdentityKey = IdentityKey { space: "owner", key: "of" };

    #[tokio::test]
    async fn other_upstream_clears_the_state_of_the_former() {
        let vault = MemoryVault::default();
        let ensure = async |session: &str| {
            let identity = digest("https://a/", session);
            ensure_upstream(&vault, AT, &identity, |batch| batch.remove_space("position")).await.unwrap()
        };
        vault.put("position", "newest", Some(b"5".to_vec())).await.unwrap();
        assert!(!ensure("shop").await, "state from before the check stays");
        assert!(!ensure("shop").await);
        assert!(vault.get("position", "newest").await.unwrap().is_some());
        assert!(ensure("home").await);
        assert!(vault.get("position", "newest").await.unwrap().is_none());
        assert_ne!(digest("https://b/", "home"), digest("https://a/", "home"));
    }
}
