//! What is noted is about one session of one server. When the device's settings name another, what was noted of the
//! former one is forgotten: how far it was read, which of its chats could not be, and that it was linked.
//!
//! The ids of messages are kept. The network gives each once, so that none means another message elsewhere; and where a
//! server only moved, they say which of its messages are ours, and which need no second try.

use sha2::{Digest as _, Sha256};

use super::session::WahaSession;
use super::{left, linking, reconcile};
use crate::domain::reason::Reason;
use crate::domain::vault::VaultBatch;
use crate::engine::{SessionEnd, Vault, VaultError};

/// Where the vault says whose its notes are.
const SPACE: &str = "waha.whose";
const OF: &str = "of";

/// Forgets what was noted of another session than this.
pub(super) async fn check(session: &WahaSession) -> Result<(), SessionEnd> {
    let of = mark(session.settings.base.as_str(), &session.settings.session);
    match forgets_another(&*session.vault, &of).await {
        Ok(false) => {}
        Ok(true) => {
            tracing::info!(device = %session.device, "the device is another session now: what was noted of the former one is forgotten");
        }
        Err(error) => {
            tracing::warn!(device = %session.device, %error, "whose the device's notes are could not be read");
            return Err(SessionEnd::LinkLost(Reason::EngineError));
        }
    }
    Ok(())
}

fn mark(base: &str, session: &str) -> Vec<u8> {
    Sha256::digest(format!("{base}\n{session}").as_bytes()).to_vec()
}

/// Notes whose the notes are; says whether they were another's and are forgotten. Those of nobody are older than this.
async fn forgets_another(vault: &dyn Vault, of: &[u8]) -> Result<bool, VaultError> {
    let noted = vault.get(SPACE, OF).await?;
    if noted.as_deref() == Some(of) {
        return Ok(false);
    }
    let mut batch = VaultBatch::new();
    if noted.is_some() {
        for space in [reconcile::SPACE, left::SPACE, linking::SPACE] {
            batch.remove_space(space);
        }
    }
    batch.put(SPACE, OF, of);
    vault.apply(batch).await?;
    Ok(noted.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryVault;

    #[tokio::test]
    async fn notes_are_forgotten_when_they_are_about_another_session() {
        let vault = MemoryVault::default();
        let (one, other) = (mark("https://a/", "shop"), mark("https://a/", "home"));
        vault.put(reconcile::SPACE, "newest", Some(b"5".to_vec())).await.unwrap();
        vault.put("waha.ids", "ours/A", Some(b"B".to_vec())).await.unwrap();
        let newest = async || vault.get(reconcile::SPACE, "newest").await.unwrap();
        assert!(!forgets_another(&vault, &one).await.unwrap(), "notes from before there were marks stay");
        assert!(!forgets_another(&vault, &one).await.unwrap());
        assert!(newest().await.is_some());
        assert!(forgets_another(&vault, &other).await.unwrap());
        assert!(newest().await.is_none());
        assert!(vault.get("waha.ids", "ours/A").await.unwrap().is_some());
        assert_ne!(mark("https://b/", "shop"), one);
    }
}
