//! What all devices of an account share: collections of encrypted records, and the patches that made them.
//!
//! The server reads none of it. It keeps the order: a patch is taken only on top of the version that it was
//! built on, and whoever comes too late gets the patches that were faster.
//!
//! Invariants: versions grow by one; the records are what the patches made, one for each index; of patches,
//! at most [`MAX_PATCHES`] are kept, and who is further behind gets a snapshot.

use std::collections::{BTreeMap, VecDeque};

use wacore_appstate::hash::HashState;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

/// How many patches of a collection are kept.
const MAX_PATCHES: usize = 100;
/// From so many patches on, a new device gets a snapshot in place of them.
const SNAPSHOT_FROM: usize = 8;
/// How many records a collection has at most.
const MAX_RECORDS: usize = 20_000;
/// The bytes of a record's own MAC, at the end of its value.
const MAC: usize = 32;

/// The names of all collections.
pub const NAMES: [&str; 5] =
    ["critical_block", "critical_unblock_low", "regular_high", "regular_low", "regular"];

/// Why a patch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Another device was faster.
    #[error("the patch is built on another version than the newest")]
    Conflict,
    /// The collection has as many records as may be.
    #[error("the collection has as many records as may be")]
    Full,
}

/// One collection.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    version: u64,
    hash: HashState,
    /// By the MAC of their index.
    records: BTreeMap<Vec<u8>, wa::SyncdRecord>,
    patches: VecDeque<wa::SyncdPatch>,
}

/// What a device at some version has to be given.
#[derive(Debug, Clone)]
pub enum Behind {
    /// These patches; none when it is up to date.
    Patches(Vec<wa::SyncdPatch>),
    /// All records.
    Snapshot(Box<wa::SyncdSnapshot>),
}

impl Collection {
    /// The newest version; 0 before the first patch.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The running hash over all records at that version, as patches are checked against.
    #[must_use]
    pub fn hash(&self) -> &HashState {
        &self.hash
    }

    /// The MAC of the record that an index has now.
    #[must_use]
    pub fn value_mac(&self, index_mac: &[u8]) -> Option<Vec<u8>> {
        self.records.get(index_mac).and_then(mac_of)
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes a patch that was built on version `base`, with the hash that it leads to.
    ///
    /// # Errors
    /// When the base is not the newest version, or there are too many records.
    pub fn take(&mut self, mut patch: wa::SyncdPatch, base: u64, hash: HashState) -> Result<u64, PatchError> {
        if base != self.version {
            return Err(PatchError::Conflict);
        }
        if self.records.len() + patch.mutations.len() > MAX_RECORDS {
            return Err(PatchError::Full);
        }
        self.version += 1;
        self.hash = HashState { version: self.version, ..hash };
        patch.version = MessageField::some(wa::SyncdVersion { version: Some(self.version) });
        for mutation in &patch.mutations {
            let Some(record) = mutation.record.as_option() else { continue };
            let Some(index) = record.index.as_option().and_then(|index| index.blob.clone()) else { continue };
            if mutation.operation.is_some_and(|operation| operation == SyncdOperation::REMOVE) {
                self.records.remove(&index);
            } else {
                self.records.insert(index, record.clone());
            }
        }
        self.patches.push_back(patch);
        if self.patches.len() > MAX_PATCHES {
            self.patches.pop_front();
        }
        Ok(self.version)
    }

    /// What a device at `version` lacks. One that has nothing, and asks for a snapshot, gets it where that is
    /// shorter; one that is too far behind gets it in any case.
    #[must_use]
    pub fn since(&self, version: u64, snapshot: bool) -> Behind {
        let missing = usize::try_from(self.version.saturating_sub(version)).unwrap_or(usize::MAX);
        let wanted = snapshot && version == 0 && missing >= SNAPSHOT_FROM;
        if missing > self.patches.len() || wanted {
            return Behind::Snapshot(Box::new(self.snapshot()));
        }
        Behind::Patches(self.patches.iter().skip(self.patches.len() - missing).cloned().collect())
    }

    /// All records. Its MAC is the one that the newest patch says of all records after it.
    fn snapshot(&self) -> wa::SyncdSnapshot {
        let last = self.patches.back();
        wa::SyncdSnapshot {
            version: MessageField::some(wa::SyncdVersion { version: Some(self.version) }),
            records: self.records.values().cloned().collect(),
            mac: last.and_then(|patch| patch.snapshot_mac.clone()),
            key_id: last.map_or_else(MessageField::none, |patch| patch.key_id.clone()),
        }
    }
}

fn mac_of(record: &wa::SyncdRecord) -> Option<Vec<u8>> {
    let blob = record.value.as_option()?.blob.as_ref()?;
    blob.len().checked_sub(MAC).and_then(|start| blob.get(start..)).map(<[u8]>::to_vec)
}
