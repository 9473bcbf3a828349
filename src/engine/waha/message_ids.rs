//! The ids of our messages at the server.
//!
//! A message gets its id from the server (`new-message-id`), and that id is stored before the message
//! is sent: a retry, also after a crash, uses it again. Some engines of the server give no ids. There
//! the attempt is stored before the message is sent, and while its result is unknown the message is
//! never sent again.

use crate::domain::ids::NetworkId;
use crate::domain::vault::VaultBatch;
use crate::engine::VaultError;
use crate::engine::relay::RelayContext;
use crate::engine::relay::id_map::{IdMap, IdMapIndex, IdMapLayout};

const SPACE: &str = "waha.ids";
/// Sends without an id whose result is unknown, by our ids.
const PENDING: &str = "waha.tries";
/// The lifetime of an entry: changes and receipts of a message may arrive during it.
const EXPIRES_AFTER_MS: i64 = 400 * 86_400_000;

/// The stored state of the id of one of our messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdState {
    Unassigned,
    /// The server gave this id to send with.
    Assigned(NetworkId),
    /// The network has the message, under an id of its own.
    Accepted,
    /// The message was sent without an id, and its result is unknown.
    Pending,
}

/// The ids of one device's messages.
pub(super) struct MessageIds {
    context: RelayContext,
    map: IdMap<NetworkId, NetworkId>,
}

impl MessageIds {
    pub(super) fn new(context: RelayContext) -> Self {
        let layout = IdMapLayout {
            to_upstream: IdMapIndex { space: SPACE, prefix: "ours/" },
            from_upstream: IdMapIndex { space: SPACE, prefix: "theirs/" },
            expires_after_ms: EXPIRES_AFTER_MS,
        };
        Self { map: IdMap::new(context.clone(), layout), context }
    }

    pub(super) async fn state(&self, ours: &NetworkId) -> Result<IdState, VaultError> {
        if self.context.vault.get(SPACE, &accepted_key(ours)).await?.is_some() {
            return Ok(IdState::Accepted);
        }
        if let Some(id) = self.map.to_upstream(ours).await? {
            return Ok(IdState::Assigned(id));
        }
        let pending = self.context.vault.get(PENDING, ours.as_str()).await?;
        Ok(if pending.is_some() { IdState::Pending } else { IdState::Unassigned })
    }

    /// The server's id of a message; ours where there is no other.
    pub(super) async fn to_upstream(&self, ours: &NetworkId) -> Result<NetworkId, VaultError> {
        Ok(self.map.to_upstream(ours).await?.unwrap_or_else(|| ours.clone()))
    }

    /// Our id of a message that this daemon sent.
    #[expect(clippy::wrong_self_convention, reason = "the counterpart of to_upstream")]
    pub(super) async fn from_upstream(&self, upstream: &NetworkId) -> Result<Option<NetworkId>, VaultError> {
        self.map.from_upstream(upstream).await
    }

    /// Stores the id that a message is going to be sent with.
    pub(super) async fn record_assigned(
        &self,
        ours: &NetworkId,
        upstream: &NetworkId,
    ) -> Result<(), VaultError> {
        self.map.record_alias(ours, upstream).await
    }

    /// Stores that the network has a message, and its id where the server's answer contains one.
    pub(super) async fn record_accepted(
        &self,
        ours: &NetworkId,
        upstream: Option<&NetworkId>,
    ) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        if let Some(upstream) = upstream {
            self.map.put(&mut batch, ours, upstream);
        }
        let deadline = Some(self.context.now().plus(EXPIRES_AFTER_MS));
        batch.put_until(SPACE, accepted_key(ours), Vec::new(), deadline);
        batch.remove(PENDING, ours.as_str());
        self.context.vault.apply(batch).await
    }

    /// Stores that a message is about to be sent without an id.
    pub(super) async fn record_pending(&self, ours: &NetworkId) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        let deadline = Some(self.context.now().plus(EXPIRES_AFTER_MS));
        batch.put_until(PENDING, ours.as_str(), Vec::new(), deadline);
        self.context.vault.apply(batch).await
    }

    /// Records that the message was not sent.
    pub(super) async fn remove_pending(&self, ours: &NetworkId) -> Result<(), VaultError> {
        self.context.vault.put(PENDING, ours.as_str(), None).await
    }

    /// Removes expired entries.
    pub(super) async fn prune(&self) -> Result<(), VaultError> {
        self.map.prune().await?;
        self.context.vault.prune(PENDING, self.context.now()).await.map(drop)
    }
}

fn accepted_key(ours: &NetworkId) -> String {
    format!("settled/{ours}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::relay::testing::{TestRelay, relay};

    #[tokio::test]
    async fn send_is_pending_until_it_is_accepted() {
        let TestRelay { context, .. } = relay();
        let ids = MessageIds::new(context);
        let (ours, upstream): (NetworkId, NetworkId) = ("OURS".parse().unwrap(), "THEIRS".parse().unwrap());
        assert_eq!(ids.state(&ours).await.unwrap(), IdState::Unassigned);
        ids.record_pending(&ours).await.unwrap();
        assert_eq!(ids.state(&ours).await.unwrap(), IdState::Pending);
        ids.record_accepted(&ours, Some(&upstream)).await.unwrap();
        assert_eq!(ids.state(&ours).await.unwrap(), IdState::Accepted);
        assert_eq!(ids.from_upstream(&upstream).await.unwrap(), Some(ours));
    }

    #[tokio::test]
    async fn ids_of_the_version_before_are_read() {
        let TestRelay { context, .. } = relay();
        let stored = [
            (SPACE, "ours/A", b"B".as_slice()),
            (SPACE, "theirs/B", b"A"),
            (SPACE, "settled/C", b""),
            (PENDING, "D", br#"{"chat":"15550100001@c.us","likeness":"ab","first":5,"busy_until":6}"#),
        ];
        for (space, key, value) in stored {
            context.vault.put(space, key, Some(value.to_vec())).await.unwrap();
        }
        let ids = MessageIds::new(context);
        let id = |text: &str| text.parse::<NetworkId>().unwrap();
        assert_eq!(ids.state(&id("A")).await.unwrap(), IdState::Assigned(id("B")));
        assert_eq!(ids.from_upstream(&id("B")).await.unwrap(), Some(id("A")));
        assert_eq!(ids.state(&id("C")).await.unwrap(), IdState::Accepted);
        assert_eq!(ids.state(&id("D")).await.unwrap(), IdState::Pending);
    }
}
