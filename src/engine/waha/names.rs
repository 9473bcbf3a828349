//! Which id a message of ours has at the server.
//!
//! The server gives ids to send with (`new-message-id`). One is noted in the vault under our message's id, and ours
//! under it, before the message leaves: a retry, also one after a crash, sends under the same id, and what the server
//! tells of the message is found.

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::ids::NetworkId;
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError};

const SPACE: &str = "waha.ids";
/// How long they are kept: as long as anybody asks for what became of a message.
const KEPT_MS: i64 = 400 * 86_400_000;

/// The ids of one device's messages.
pub(super) struct Names {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
}

impl Names {
    pub(super) fn new(vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self { vault, clock }
    }

    /// The server's id for a message of ours, where one was noted.
    pub(super) async fn noted(&self, ours: &NetworkId) -> Result<Option<NetworkId>, VaultError> {
        self.read(&format!("ours/{ours}")).await
    }

    /// The server's id for a message: as it is, where none was noted.
    pub(super) async fn theirs(&self, ours: &NetworkId) -> Result<NetworkId, VaultError> {
        Ok(self.noted(ours).await?.unwrap_or_else(|| ours.clone()))
    }

    /// Our id for a message: as it is, where it was not sent from here.
    pub(super) async fn ours(&self, theirs: &NetworkId) -> Result<NetworkId, VaultError> {
        Ok(self.read(&format!("theirs/{theirs}")).await?.unwrap_or_else(|| theirs.clone()))
    }

    /// Whether the message of this id was sent from here.
    pub(super) async fn is_sent_here(&self, theirs: &NetworkId) -> Result<bool, VaultError> {
        Ok(self.read(&format!("theirs/{theirs}")).await?.is_some())
    }

    /// Notes that a message has this id at the server; durable when it returns.
    pub(super) async fn note(&self, ours: &NetworkId, theirs: &NetworkId) -> Result<(), VaultError> {
        let until = Some(self.clock.now().plus(KEPT_MS));
        let mut batch = VaultBatch::new();
        batch.put_until(SPACE, format!("ours/{ours}"), theirs.as_str().as_bytes(), until);
        batch.put_until(SPACE, format!("theirs/{theirs}"), ours.as_str().as_bytes(), until);
        self.vault.apply(batch).await
    }

    /// Forgets what is too old.
    pub(super) async fn prune(&self) -> Result<u64, VaultError> {
        self.vault.prune(SPACE, self.clock.now()).await
    }

    async fn read(&self, key: &str) -> Result<Option<NetworkId>, VaultError> {
        let value = self.vault.get(SPACE, key).await?;
        Ok(value.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()))
    }
}
