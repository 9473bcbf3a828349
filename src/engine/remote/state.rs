//! What is kept in the vault for one device: where its upstream's log was read to, and which message has which id
//! there.
//!
//! Invariants: the position is stored after everything before it was taken in; an alias is stored before the
//! upstream's answer to a send is passed on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::convert::chat_in::Flags;
use super::convert::ids::with_network;
use crate::domain::clock::{Millis, Random};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaHash;
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError};

/// What is kept of the device as a whole.
const SPACE: &str = "wwebjs";
const PLACE: &str = "place";
const TAG: &str = "tag";
const LINKED: &str = "linked";
const UNLINKED: &str = "unlinked";
const UPSTREAM: &str = "upstream";
const MADE: &str = "made";
/// The upstream's ids of our messages, by ours.
const THEIRS: &str = "wwebjs.theirs";
/// Our ids of messages, by the upstream's.
const OURS: &str = "wwebjs.ours";
/// Files that were handed over, by the messages that they belong to.
const UPLOADS: &str = "wwebjs.uploads";
/// What was last told of chats.
const CHATS: &str = "wwebjs.chats";
/// How long it is known which message has which id there.
const ALIAS_MS: i64 = 366 * 24 * 60 * 60 * 1_000;
/// How long the upstream keeps a file that belongs to no message yet.
const UPLOAD_MS: i64 = 24 * 60 * 60 * 1_000;

/// How far the upstream's log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The last entry that was taken in.
    pub(super) seq: i64,
    /// When that happened, by the upstream's clock.
    pub(super) at: i64,
    /// Whether what was there before has yet to be read.
    #[serde(default)]
    pub(super) past_due: bool,
}

/// The vault of one device, in this engine's words.
pub(super) struct Keeping(Arc<dyn Vault>);

impl Keeping {
    pub(super) fn new(vault: Arc<dyn Vault>) -> Self {
        Self(vault)
    }

    /// What names this client to the upstream: made at the first time, and then the same.
    pub(super) async fn tag(&self, random: &dyn Random) -> Result<String, VaultError> {
        if let Some(kept) = self.0.get(SPACE, TAG).await? {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        let mut bytes = [0_u8; 8];
        random.fill(&mut bytes);
        let tag = format!("wharf-{:016x}", u64::from_be_bytes(bytes));
        self.0.put(SPACE, TAG, Some(tag.clone().into_bytes())).await?;
        Ok(tag)
    }

    /// Everything that is kept is about one device of one upstream: what is of another is forgotten.
    pub(super) async fn belongs_to(&self, base: &Url, device: &str) -> Result<(), VaultError> {
        let digest = Sha256::digest(format!("{}\n{device}", base.as_str().trim_end_matches('/')));
        let upstream = MediaHash::of_digest(&digest.into()).to_string();
        let kept = self.0.get(SPACE, UPSTREAM).await?;
        if kept.as_deref() == Some(upstream.as_bytes()) {
            return Ok(());
        }
        let mut batch = VaultBatch::new();
        if kept.is_some() {
            [PLACE, LINKED, UNLINKED, MADE].into_iter().for_each(|key| batch.remove(SPACE, key));
            [THEIRS, OURS, UPLOADS, CHATS].into_iter().for_each(|space| batch.remove_space(space));
        }
        batch.put(SPACE, UPSTREAM, upstream);
        self.0.apply(batch).await
    }

    /// The upstream's device was made at this moment; answers whether another one of its name stood there before. Then
    /// its log is another one too, and is read from its beginning.
    pub(super) async fn was_made(&self, at: &str) -> Result<bool, VaultError> {
        let kept = self.0.get(SPACE, MADE).await?;
        if kept.as_deref() == Some(at.as_bytes()) {
            return Ok(false);
        }
        let mut batch = VaultBatch::new();
        let place = self.place().await?.filter(|_| kept.is_some());
        if let Some(place) = place {
            let begin = Place { seq: 0, ..place };
            let bytes = serde_json::to_vec(&begin).map_err(|error| VaultError(Box::new(error)))?;
            batch.put(SPACE, PLACE, bytes);
        }
        batch.put(SPACE, MADE, at);
        self.0.apply(batch).await?;
        Ok(place.is_some())
    }

    pub(super) async fn place(&self) -> Result<Option<Place>, VaultError> {
        let kept = self.0.get(SPACE, PLACE).await?;
        Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) async fn set_place(&self, place: Place) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(&place).map_err(|error| VaultError(Box::new(error)))?;
        self.0.put(SPACE, PLACE, Some(bytes)).await
    }

    /// Whether the upstream's device was linked when it was last seen.
    pub(super) async fn was_linked(&self) -> Result<bool, VaultError> {
        Ok(self.0.get(SPACE, LINKED).await?.is_some())
    }

    pub(super) async fn set_linked(&self, linked: bool) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        batch.remove(SPACE, UNLINKED);
        if linked {
            batch.put(SPACE, LINKED, vec![1]);
        } else {
            batch.remove(SPACE, LINKED);
        }
        self.0.apply(batch).await
    }

    /// Whether the network unlinked the upstream's device, so that nobody has to.
    pub(super) async fn was_unlinked(&self) -> Result<bool, VaultError> {
        Ok(self.0.get(SPACE, UNLINKED).await?.is_some())
    }

    pub(super) async fn set_unlinked(&self) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        batch.remove(SPACE, LINKED);
        batch.put(SPACE, UNLINKED, vec![1]);
        self.0.apply(batch).await
    }

    /// Notes which id the upstream gave a message of ours.
    pub(super) async fn name(
        &self,
        ours: &NetworkId,
        theirs: &NetworkId,
        now: Millis,
    ) -> Result<(), VaultError> {
        let until = Some(now.plus(ALIAS_MS));
        let mut batch = VaultBatch::new();
        batch.put_until(THEIRS, ours.as_str(), theirs.as_str().as_bytes(), until);
        batch.put_until(OURS, theirs.as_str(), ours.as_str().as_bytes(), until);
        batch.remove(UPLOADS, ours.as_str());
        self.0.apply(batch).await
    }

    async fn id_in(&self, space: &str, id: &NetworkId) -> Result<Option<NetworkId>, VaultError> {
        let kept = self.0.get(space, id.as_str()).await?;
        Ok(kept.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok()))
    }

    /// The upstream's id of a message of ours, once it has one.
    pub(super) async fn known_as(&self, ours: &NetworkId) -> Result<Option<NetworkId>, VaultError> {
        self.id_in(THEIRS, ours).await
    }

    /// A message's id at the upstream.
    pub(super) async fn theirs(&self, id: &MessageId) -> Result<MessageId, VaultError> {
        self.in_words_of(THEIRS, id).await
    }

    /// A message's id here.
    pub(super) async fn ours(&self, id: &MessageId) -> Result<MessageId, VaultError> {
        self.in_words_of(OURS, id).await
    }

    async fn in_words_of(&self, space: &str, id: &MessageId) -> Result<MessageId, VaultError> {
        if !id.from_me {
            return Ok(id.clone());
        }
        let other = self.id_in(space, &id.network).await?;
        Ok(other.map_or_else(|| id.clone(), |network| with_network(id, network)))
    }

    /// The upstream's id of a message's file, where it was handed over before.
    pub(super) async fn upload(&self, ours: &NetworkId) -> Result<Option<String>, VaultError> {
        let kept = self.0.get(UPLOADS, ours.as_str()).await?;
        Ok(kept.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(super) async fn set_upload(
        &self,
        ours: &NetworkId,
        media: &str,
        now: Millis,
    ) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        batch.put_until(UPLOADS, ours.as_str(), media.as_bytes(), Some(now.plus(UPLOAD_MS)));
        self.0.apply(batch).await
    }

    /// The upstream knows the file no more.
    pub(super) async fn forget_upload(&self, ours: &NetworkId) -> Result<(), VaultError> {
        self.0.put(UPLOADS, ours.as_str(), None).await
    }

    /// What the upstream last told of a chat.
    pub(super) async fn chat(&self, chat: &Jid) -> Result<Flags, VaultError> {
        let kept = self.0.get(CHATS, &chat.to_string()).await?;
        Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) async fn set_chat(&self, chat: &Jid, flags: Flags) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(&flags).map_err(|error| VaultError(Box::new(error)))?;
        let kept = (flags != Flags::default()).then_some(bytes);
        self.0.put(CHATS, &chat.to_string(), kept).await
    }

    /// Forgets what is of no use any more.
    pub(super) async fn tidy(&self, now: Millis) -> Result<(), VaultError> {
        for space in [THEIRS, OURS, UPLOADS] {
            self.0.prune(space, now).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn another_device_of_the_same_name_has_its_log_read_from_the_beginning() {
        let keeping = Keeping::new(Arc::new(crate::engine::MemoryVault::default()));
        assert!(!keeping.was_made("5").await.unwrap(), "nothing was read yet");
        let place = Place { seq: 272, at: 9, past_due: false };
        keeping.set_place(place).await.unwrap();
        assert!(!keeping.was_made("5").await.unwrap());
        assert_eq!(keeping.place().await.unwrap(), Some(place));
        assert!(keeping.was_made("6").await.unwrap());
        assert_eq!(keeping.place().await.unwrap(), Some(Place { seq: 0, ..place }));
        assert!(!keeping.was_made("6").await.unwrap());
    }
    use crate::engine::MemoryVault;

    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn keeping() -> Keeping {
        Keeping::new(Arc::new(MemoryVault::default()))
    }

    #[tokio::test]
    async fn a_message_of_ours_is_found_by_either_id() {
        let keeping = keeping();
        let (ours, theirs) = ("3EB0AA".parse().unwrap(), "3EB0BB".parse().unwrap());
        keeping.name(&ours, &theirs, Millis(0)).await.unwrap();
        let here: MessageId = "true_15550100001@c.us_3EB0AA".parse().unwrap();
        let there: MessageId = "true_15550100001@c.us_3EB0BB".parse().unwrap();
        assert_eq!(keeping.theirs(&here).await.unwrap(), there);
        assert_eq!(keeping.ours(&there).await.unwrap(), here);
        let received: MessageId = "false_15550100001@c.us_3EB0BB".parse().unwrap();
        assert_eq!(keeping.ours(&received).await.unwrap(), received, "ids of what came in are the same here");
    }

    #[tokio::test]
    async fn what_was_read_and_who_reads_outlive_a_session() {
        let keeping = keeping();
        let tag = keeping.tag(&Sevens).await.unwrap();
        assert_eq!(keeping.tag(&Sevens).await.unwrap(), tag);
        assert_eq!(keeping.place().await.unwrap(), None);
        keeping.set_place(Place { seq: 7, at: 9, past_due: false }).await.unwrap();
        assert_eq!(keeping.place().await.unwrap(), Some(Place { seq: 7, at: 9, past_due: false }));
    }

    #[tokio::test]
    async fn what_is_kept_is_forgotten_with_the_upstream_that_it_is_about() {
        let keeping = keeping();
        let place = Place { seq: 7, at: 9, past_due: false };
        let base = |text: &str| Url::parse(text).unwrap();
        let (ours, theirs) = ("3EB0AA".parse().unwrap(), "3EB0BB".parse().unwrap());
        keeping.set_place(place).await.unwrap();
        // Before this was noted at all, it was about the upstream that is set.
        keeping.belongs_to(&base("https://a.example.com/up"), "shop").await.unwrap();
        keeping.name(&ours, &theirs, Millis(0)).await.unwrap();
        keeping.belongs_to(&base("https://a.example.com/up/"), "shop").await.unwrap();
        assert_eq!(keeping.place().await.unwrap(), Some(place));
        for (upstream, device) in [("https://a.example.com/up", "till"), ("https://b.example.com", "till")] {
            keeping.set_linked(true).await.unwrap();
            keeping.set_place(place).await.unwrap();
            keeping.belongs_to(&base(upstream), device).await.unwrap();
            assert_eq!(keeping.place().await.unwrap(), None, "{upstream} {device}");
            assert!(!keeping.was_linked().await.unwrap());
            assert_eq!(keeping.known_as(&ours).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn that_the_network_unlinked_it_is_known_until_it_is_linked_again() {
        let keeping = keeping();
        keeping.set_linked(true).await.unwrap();
        keeping.set_unlinked().await.unwrap();
        assert!(keeping.was_unlinked().await.unwrap() && !keeping.was_linked().await.unwrap());
        keeping.set_linked(true).await.unwrap();
        assert!(!keeping.was_unlinked().await.unwrap() && keeping.was_linked().await.unwrap());
    }
}
