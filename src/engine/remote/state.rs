//! Reads and writes the engine's state of one device in the vault.
//!
//! Spaces keep the engine's former name `wwebjs`: a sealed value is bound to its space and key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::convert::chat_in::ChatFlags;
use crate::domain::clock::{Millis, Random};
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::domain::media::MediaHash;
use crate::domain::vault::VaultBatch;
use crate::engine::relay::id_map::{IdMapIndex, IdMapLayout};
use crate::engine::relay::upstream_identity::{IdentityKey, digest, ensure_upstream};
use crate::engine::{Vault, VaultError};

/// State of the device as a whole.
const SPACE: &str = "wwebjs";
const POSITION: &str = "place";
const CLIENT_TAG: &str = "tag";
const LINKED: &str = "linked";
const UNLINKED: &str = "unlinked";
const CREATED_AT: &str = "made";
const UPSTREAM: IdentityKey = IdentityKey { space: SPACE, key: "upstream" };
/// Ids of files that were uploaded to the upstream, by our message id.
const UPLOADS: &str = "wwebjs.uploads";
/// The last flags of each chat.
const CHATS: &str = "wwebjs.chats";
const TO_UPSTREAM: &str = "wwebjs.theirs";
const FROM_UPSTREAM: &str = "wwebjs.ours";
/// How long the upstream stores an upload that belongs to no message.
const UPLOAD_MS: i64 = 24 * 60 * 60 * 1_000;

/// The vault spaces of the id map.
pub(super) const ID_MAP: IdMapLayout = IdMapLayout {
    to_upstream: IdMapIndex { space: TO_UPSTREAM, prefix: "" },
    from_upstream: IdMapIndex { space: FROM_UPSTREAM, prefix: "" },
    expires_after_ms: 366 * 24 * 60 * 60 * 1_000,
};

/// The stage of the link that was last delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum LinkStage {
    #[default]
    Connecting,
    Code(String),
    Pairing,
    Ready,
}

/// The position at which a session starts to read the upstream.
pub(super) struct LogStart {
    /// `None` where the upstream has no log.
    pub(super) position: Option<StoredPosition>,
    /// The newest entry when the session began: older events of the link are outdated.
    pub(super) newest: i64,
}

/// How far a session has read. Positions of a new log are behind all of the log before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReadPosition {
    pub(super) generation: u32,
    pub(super) seq: i64,
    /// The upstream's time.
    pub(super) at: i64,
}

/// How far the upstream's log was ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredPosition {
    pub(super) seq: i64,
    /// The upstream's time of that entry.
    pub(super) at: i64,
    /// Whether history from before the log has to be read.
    #[serde(default, rename = "past_due")]
    pub(super) is_history_due: bool,
}

/// The vault of one device.
pub(super) struct RemoteState(Arc<dyn Vault>);

impl RemoteState {
    pub(super) fn new(vault: Arc<dyn Vault>) -> Self {
        Self(vault)
    }

    /// Identifies this client in `tempId`s; created once.
    pub(super) async fn client_tag(&self, random: &dyn Random) -> Result<String, VaultError> {
        if let Some(stored) = self.0.get(SPACE, CLIENT_TAG).await? {
            return Ok(String::from_utf8_lossy(&stored).into_owned());
        }
        let mut bytes = [0_u8; 8];
        random.fill(&mut bytes);
        let tag = format!("wharf-{:016x}", u64::from_be_bytes(bytes));
        self.0.put(SPACE, CLIENT_TAG, Some(tag.clone().into_bytes())).await?;
        Ok(tag)
    }

    /// Clears the state when it belongs to another upstream or another of its devices.
    pub(super) async fn ensure_upstream(&self, base: &Url, device: &str) -> Result<(), VaultError> {
        let digest = digest(base.as_str().trim_end_matches('/'), device);
        let identity = MediaHash::of_digest(&digest).to_string();
        let clear = |batch: &mut VaultBatch| {
            [POSITION, LINKED, UNLINKED, CREATED_AT].into_iter().for_each(|key| batch.remove(SPACE, key));
            [TO_UPSTREAM, FROM_UPSTREAM, UPLOADS, CHATS]
                .into_iter()
                .for_each(|space| batch.remove_space(space));
        };
        ensure_upstream(&*self.0, UPSTREAM, identity.as_bytes(), clear).await.map(drop)
    }

    /// Records when the upstream's device was created. Returns whether it replaced another one of the same
    /// id, whose log was read before: the new log is read from its beginning.
    pub(super) async fn record_created_at(&self, at: &str) -> Result<bool, VaultError> {
        let stored = self.0.get(SPACE, CREATED_AT).await?;
        if stored.as_deref() == Some(at.as_bytes()) {
            return Ok(false);
        }
        let mut batch = VaultBatch::new();
        let position = self.position().await?.filter(|_| stored.is_some());
        if let Some(position) = position {
            batch.put(SPACE, POSITION, json(&StoredPosition { seq: 0, ..position })?);
        }
        batch.put(SPACE, CREATED_AT, at);
        self.0.apply(batch).await?;
        Ok(position.is_some())
    }

    pub(super) async fn position(&self) -> Result<Option<StoredPosition>, VaultError> {
        let stored = self.0.get(SPACE, POSITION).await?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) async fn set_position(&self, position: StoredPosition) -> Result<(), VaultError> {
        self.0.put(SPACE, POSITION, Some(json(&position)?)).await
    }

    /// Whether the upstream's device was linked when it was last observed.
    pub(super) async fn is_linked(&self) -> Result<bool, VaultError> {
        Ok(self.0.get(SPACE, LINKED).await?.is_some())
    }

    pub(super) async fn set_linked(&self, linked: bool) -> Result<(), VaultError> {
        self.set_link(linked.then_some(LINKED)).await
    }

    /// Whether the network unlinked the upstream's device, so that no logout is needed.
    pub(super) async fn is_unlinked(&self) -> Result<bool, VaultError> {
        Ok(self.0.get(SPACE, UNLINKED).await?.is_some())
    }

    pub(super) async fn set_unlinked(&self) -> Result<(), VaultError> {
        self.set_link(Some(UNLINKED)).await
    }

    async fn set_link(&self, mark: Option<&str>) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        [LINKED, UNLINKED].into_iter().for_each(|key| batch.remove(SPACE, key));
        if let Some(mark) = mark {
            batch.put(SPACE, mark, vec![1]);
        }
        self.0.apply(batch).await
    }

    /// The upstream's id of a message's file, if it was uploaded before.
    pub(super) async fn upload(&self, ours: &NetworkId) -> Result<Option<String>, VaultError> {
        let stored = self.0.get(UPLOADS, ours.as_str()).await?;
        Ok(stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(super) async fn set_upload(
        &self,
        ours: &NetworkId,
        media: &str,
        now: Millis,
    ) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        batch.put_until(UPLOADS, ours.as_str(), media, Some(now.plus(UPLOAD_MS)));
        self.0.apply(batch).await
    }

    /// Removes a message's upload in a batch: the message was submitted.
    pub(super) fn put_sent(&self, batch: &mut VaultBatch, ours: &NetworkId) {
        batch.remove(UPLOADS, ours.as_str());
    }

    /// The upstream deleted the file.
    pub(super) async fn remove_upload(&self, ours: &NetworkId) -> Result<(), VaultError> {
        self.0.put(UPLOADS, ours.as_str(), None).await
    }

    /// The last flags of a chat.
    pub(super) async fn chat(&self, chat: &Jid) -> Result<ChatFlags, VaultError> {
        let stored = self.0.get(CHATS, &chat.to_string()).await?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) async fn set_chat(&self, chat: &Jid, flags: ChatFlags) -> Result<(), VaultError> {
        let stored = if flags == ChatFlags::default() { None } else { Some(json(&flags)?) };
        self.0.put(CHATS, &chat.to_string(), stored).await
    }

    /// Removes expired uploads.
    pub(super) async fn prune(&self, now: Millis) -> Result<(), VaultError> {
        self.0.prune(UPLOADS, now).await.map(drop)
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, VaultError> {
    serde_json::to_vec(value).map_err(|error| VaultError(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryVault;

    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn state() -> RemoteState {
        RemoteState::new(Arc::new(MemoryVault::default()))
    }

    fn at(seq: i64) -> StoredPosition {
        StoredPosition { seq, at: 9, is_history_due: false }
    }

    #[test]
    fn stored_form_of_the_position_is_stable() {
        assert_eq!(json(&at(7)).unwrap(), br#"{"seq":7,"at":9,"past_due":false}"#);
        let older: StoredPosition = serde_json::from_str(r#"{"seq":7,"at":9}"#).unwrap();
        assert_eq!(older, at(7));
    }

    #[tokio::test]
    async fn replaced_device_has_its_log_read_from_the_beginning() {
        let state = state();
        assert!(!state.record_created_at("5").await.unwrap(), "nothing was read yet");
        state.set_position(at(272)).await.unwrap();
        assert!(!state.record_created_at("5").await.unwrap());
        assert_eq!(state.position().await.unwrap(), Some(at(272)));
        assert!(state.record_created_at("6").await.unwrap());
        assert_eq!(state.position().await.unwrap(), Some(at(0)));
        assert!(!state.record_created_at("6").await.unwrap());
    }

    #[tokio::test]
    async fn tag_is_created_once() {
        let state = state();
        let tag = state.client_tag(&Sevens).await.unwrap();
        assert_eq!(state.client_tag(&Sevens).await.unwrap(), tag);
    }

    #[tokio::test]
    async fn state_of_another_upstream_is_cleared() {
        let state = state();
        let base = |text: &str| Url::parse(text).unwrap();
        state.set_position(at(7)).await.unwrap();
        state.ensure_upstream(&base("https://a.example.com/up"), "shop").await.unwrap();
        state.ensure_upstream(&base("https://a.example.com/up/"), "shop").await.unwrap();
        assert_eq!(state.position().await.unwrap(), Some(at(7)), "state without an owner stays");
        for (upstream, device) in [("https://a.example.com/up", "till"), ("https://b.example.com", "till")] {
            state.set_linked(true).await.unwrap();
            state.set_position(at(7)).await.unwrap();
            state.ensure_upstream(&base(upstream), device).await.unwrap();
            assert_eq!(state.position().await.unwrap(), None, "{upstream} {device}");
            assert!(!state.is_linked().await.unwrap());
        }
    }

    #[tokio::test]
    async fn unlinked_mark_lasts_until_the_next_link() {
        let state = state();
        state.set_linked(true).await.unwrap();
        state.set_unlinked().await.unwrap();
        assert!(state.is_unlinked().await.unwrap() && !state.is_linked().await.unwrap());
        state.set_linked(true).await.unwrap();
        assert!(!state.is_unlinked().await.unwrap() && state.is_linked().await.unwrap());
    }
}
