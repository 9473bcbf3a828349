//! Collections of encrypted records that all devices of an account share, with the patches that made them.
//! The server cannot read them.
//!
//! A patch is accepted only for the version it was built on; a device that is late gets the newer patches.
//! Versions grow by one; there is one record for each index. At most [`MAX_PATCHES`] patches are stored, and
//! a device that is further behind gets a snapshot.

use std::collections::{BTreeMap, VecDeque};

use wacore_appstate::hash::HashState;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

/// The most patches of a collection.
const MAX_PATCHES: usize = 100;
/// A new device gets a snapshot if there are at least this many patches.
const SNAPSHOT_FROM: usize = 8;
/// The most records of a collection.
const MAX_RECORDS: usize = 20_000;
/// The size of the MAC at the end of a record's value.
const MAC: usize = 32;

/// The names of all collections.
pub const NAMES: [&str; 5] =
    ["critical_block", "critical_unblock_low", "regular_high", "regular_low", "regular"];

/// Why a patch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch was built on another version.
    #[error("the patch was built on an outdated version")]
    Conflict,
    /// The collection is full.
    #[error("the collection is full")]
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

/// The records that a device at some version lacks.
#[derive(Debug, Clone)]
pub enum Behind {
    /// These patches; none if it is up to date.
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

    /// The running hash over all records, against which patches are checked.
    #[must_use]
    pub fn hash(&self) -> &HashState {
        &self.hash
    }

    /// The number of records.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// The MAC of the record with this index.
    #[must_use]
    pub fn value_mac(&self, index_mac: &[u8]) -> Option<Vec<u8>> {
        self.records.get(index_mac).and_then(mac_of)
    }

    /// Applies a patch that was built on version `base`, with the resulting hash.
    ///
    /// # Errors
    /// If `base` is not the current version, or there are too many records.
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

    /// The records that a device at `version` lacks. A new device that accepts a snapshot gets one if that is
    /// shorter; a device that is too far behind always gets one.
    #[must_use]
    pub fn since(&self, version: u64, snapshot: bool) -> Behind {
        let missing = usize::try_from(self.version.saturating_sub(version)).unwrap_or(usize::MAX);
        let use_snapshot = snapshot && version == 0 && missing >= SNAPSHOT_FROM;
        if missing > self.patches.len() || use_snapshot {
            return Behind::Snapshot(Box::new(self.snapshot()));
        }
        Behind::Patches(self.patches.iter().skip(self.patches.len() - missing).cloned().collect())
    }

    /// All records, with the snapshot MAC of the newest patch.
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
