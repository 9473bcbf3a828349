//! Which id a message of ours has at the server.
//!
//! The server gives ids to send with (`new-message-id`). One is noted in the vault under our message's id, and ours
//! under it, before the message leaves: a retry, also one after a crash, sends under the same id, and what the server
//! tells of the message is found.
//!
//! Some engines of the server give none. Then the try itself is noted before the message leaves, until it is known which
//! id the network gave the message; from then on the message is settled, and is never handed over again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::clock::{Clock, Millis};
use crate::domain::ids::NetworkId;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError};

const SPACE: &str = "waha.ids";
/// Tries of which it is not known what became of them, by our ids.
const TRIES: &str = "waha.tries";
/// How long ids are kept: as long as anybody asks for what became of a message.
const KEPT_MS: i64 = 400 * 86_400_000;
/// How long tries are: longer than a message waits for its outcome.
const TRY_KEPT_MS: i64 = 25 * 3_600_000;
/// How long it is known that a message was written on another device.
const ELSEWHERE_KEPT_MS: i64 = 2 * 86_400_000;
/// Clocks of the network and ours differ by no more than this.
const CLOCKS_MS: i64 = 120_000;

/// What is known of the id of a message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdState {
    /// Nothing.
    No,
    /// The server gave this one to send with.
    Allotted(NetworkId),
    /// The network has the message, under an id that it gave itself.
    Settled,
}

/// A message that was handed over without an id of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingSend {
    /// Where it went.
    pub(super) chat: Jid,
    /// What it is like; see [`super::convert::likeness`].
    pub(super) likeness: String,
    /// When it was handed over first.
    pub(super) first: Millis,
    /// Until when the last try may still be at work.
    pub(super) busy_until: Millis,
}

impl PendingSend {
    /// From when on the network may have it, by the network's clock.
    pub(super) fn since(&self) -> Millis {
        self.first.plus(-CLOCKS_MS)
    }
}

/// Whether these may be one chat: a person's may be told by the hidden id.
pub(super) fn may_be_one(one: &Jid, other: &Jid) -> bool {
    let person = |jid: &Jid| matches!(jid.kind(), JidKind::Person | JidKind::Lid);
    one == other || (person(one) && person(other) && one.kind() != other.kind())
}

/// The ids of one device's messages.
pub(super) struct IdMap {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
}

impl IdMap {
    pub(super) fn new(vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self { vault, clock }
    }

    /// What is known of the id of a message of ours.
    pub(super) async fn named(&self, ours: &NetworkId) -> Result<IdState, VaultError> {
        let keys = vec![format!("ours/{ours}"), settled_key(ours)];
        let mut values = self.vault.get_many(SPACE, keys).await?.into_iter();
        Ok(match (values.next().flatten().and_then(parsed), values.next().flatten()) {
            (_, Some(_)) => IdState::Settled,
            (Some(id), None) => IdState::Allotted(id),
            (None, None) => IdState::No,
        })
    }

    /// The server's id for a message: as it is, where none was noted.
    pub(super) async fn theirs(&self, ours: &NetworkId) -> Result<NetworkId, VaultError> {
        Ok(self.read(&format!("ours/{ours}")).await?.unwrap_or_else(|| ours.clone()))
    }

    /// Our id for a message that was sent from here.
    pub(super) async fn sent_here(&self, theirs: &NetworkId) -> Result<Option<NetworkId>, VaultError> {
        self.read(&format!("theirs/{theirs}")).await
    }

    /// Whether a message of the account needs no taking in: it was sent from here, or taken in as another device's.
    pub(super) async fn is_known(&self, theirs: &NetworkId) -> Result<bool, VaultError> {
        let keys = vec![format!("theirs/{theirs}"), elsewhere_key(theirs)];
        Ok(self.vault.get_many(SPACE, keys).await?.iter().any(Option::is_some))
    }

    /// Notes that a message has this id at the server; durable when it returns.
    pub(super) async fn note(&self, ours: &NetworkId, theirs: &NetworkId) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        self.put(&mut batch, ours, theirs);
        self.vault.apply(batch).await
    }

    /// Notes that the network has a message under an id that it gave itself.
    pub(super) async fn settle(&self, ours: &NetworkId, theirs: &NetworkId) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        self.put(&mut batch, ours, theirs);
        batch.put_until(SPACE, settled_key(ours), Vec::new(), Some(self.clock.now().plus(KEPT_MS)));
        batch.remove(TRIES, ours.as_str());
        self.vault.apply(batch).await
    }

    /// Notes that a message of the account was written on another device, and taken in.
    pub(super) async fn note_elsewhere(&self, theirs: &NetworkId) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        let until = self.clock.now().plus(ELSEWHERE_KEPT_MS);
        batch.put_until(SPACE, elsewhere_key(theirs), Vec::new(), Some(until));
        self.vault.apply(batch).await
    }

    /// Notes a try, before anything leaves.
    pub(super) async fn note_try(&self, ours: &NetworkId, this: &PendingSend) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(this).map_err(|error| VaultError(Box::new(error)))?;
        let mut batch = VaultBatch::new();
        batch.put_until(TRIES, ours.as_str(), bytes, Some(this.busy_until.plus(TRY_KEPT_MS)));
        self.vault.apply(batch).await
    }

    /// Nothing came of the only try.
    pub(super) async fn forget_try(&self, ours: &NetworkId) -> Result<(), VaultError> {
        self.vault.put(TRIES, ours.as_str(), None).await
    }

    /// The try of a message that is not settled.
    pub(super) async fn unsettled(&self, ours: &NetworkId) -> Result<Option<PendingSend>, VaultError> {
        let value = self.vault.get(TRIES, ours.as_str()).await?;
        Ok(value.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// All that are not settled, those that were handed over first before the others.
    pub(super) async fn all_unsettled(&self) -> Result<Vec<(NetworkId, PendingSend)>, VaultError> {
        let oldest = self.clock.now().plus(-TRY_KEPT_MS);
        let all = self.vault.list(TRIES, "").await?.into_iter();
        let all = all.filter_map(|(ours, bytes)| {
            let this: PendingSend = serde_json::from_slice(&bytes).ok()?;
            Some((ours.parse().ok()?, this)).filter(|(_, this): &(_, PendingSend)| this.first > oldest)
        });
        let mut all: Vec<(NetworkId, PendingSend)> = all.collect();
        all.sort_by_key(|(_, this)| this.first);
        Ok(all)
    }

    /// Forgets what is too old.
    pub(super) async fn prune(&self) -> Result<(), VaultError> {
        for space in [SPACE, TRIES] {
            self.vault.prune(space, self.clock.now()).await?;
        }
        Ok(())
    }

    fn put(&self, batch: &mut VaultBatch, ours: &NetworkId, theirs: &NetworkId) {
        let until = Some(self.clock.now().plus(KEPT_MS));
        batch.put_until(SPACE, format!("ours/{ours}"), theirs.as_str().as_bytes(), until);
        batch.put_until(SPACE, format!("theirs/{theirs}"), ours.as_str().as_bytes(), until);
    }

    async fn read(&self, key: &str) -> Result<Option<NetworkId>, VaultError> {
        Ok(self.vault.get(SPACE, key).await?.and_then(parsed))
    }
}

fn settled_key(ours: &NetworkId) -> String {
    format!("settled/{ours}")
}

fn elsewhere_key(theirs: &NetworkId) -> String {
    format!("elsewhere/{theirs}")
}

fn parsed(bytes: Vec<u8>) -> Option<NetworkId> {
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryVault;

    struct At(i64);

    impl Clock for At {
        fn now(&self) -> Millis {
            Millis(self.0)
        }
    }

    fn names(vault: &Arc<MemoryVault>, at: i64) -> IdMap {
        IdMap::new(Arc::clone(vault) as Arc<dyn Vault>, Arc::new(At(at)))
    }

    fn tried(at: i64) -> PendingSend {
        let chat = "15550100001@c.us".parse().unwrap();
        PendingSend { chat, likeness: "a".to_owned(), first: Millis(at), busy_until: Millis(at + 1) }
    }

    #[tokio::test]
    async fn a_try_is_there_until_it_is_settled() {
        let vault = Arc::new(MemoryVault::default());
        let names = names(&vault, 5);
        let (ours, theirs): (NetworkId, NetworkId) = ("OURS".parse().unwrap(), "THEIRS".parse().unwrap());
        assert_eq!(names.named(&ours).await.unwrap(), IdState::No);
        names.note_try(&ours, &tried(5)).await.unwrap();
        assert_eq!(names.all_unsettled().await.unwrap(), [(ours.clone(), tried(5))]);
        assert!(!names.is_known(&theirs).await.unwrap());
        names.settle(&ours, &theirs).await.unwrap();
        assert_eq!(names.unsettled(&ours).await.unwrap(), None);
        assert_eq!(names.named(&ours).await.unwrap(), IdState::Settled);
        assert_eq!(names.sent_here(&theirs).await.unwrap(), Some(ours));
        assert!(names.is_known(&theirs).await.unwrap());
    }

    #[tokio::test]
    async fn a_try_of_days_ago_is_none() {
        let vault = Arc::new(MemoryVault::default());
        let ours = "OURS".parse().unwrap();
        names(&vault, 5).note_try(&ours, &tried(5)).await.unwrap();
        assert!(names(&vault, 5 + TRY_KEPT_MS).all_unsettled().await.unwrap().is_empty());
    }

    #[test]
    fn a_chat_may_be_told_by_the_hidden_id_and_a_group_by_its_own_alone() {
        let jid = |text: &str| text.parse::<Jid>().unwrap();
        let anna = jid("15550100001@c.us");
        assert!(may_be_one(&anna, &anna) && may_be_one(&anna, &jid("77@lid")));
        for other in ["15550100002@c.us", "1203@g.us"] {
            assert!(!may_be_one(&anna, &jid(other)), "{other}");
        }
        assert!(!may_be_one(&jid("1203@g.us"), &jid("77@lid")));
    }
}
