//! Maps LIDs to phone numbers, in both directions.

use std::collections::BTreeMap;

use wacore::store::error::Result;
use wacore::store::traits::LidPnMappingEntry;

use super::spaces::{LIDS, LIDS_BY_NUMBER};
use super::{VaultBackend, decoded, encoded, failed};
use crate::domain::vault::VaultBatch;
use crate::engine::VaultView;

impl VaultBackend {
    pub(super) async fn lid_of_number(&self, number: &str) -> Result<Option<LidPnMappingEntry>> {
        let Some(lid) = self.get(LIDS_BY_NUMBER, number).await? else {
            return Ok(None);
        };
        self.get_as(LIDS, &String::from_utf8_lossy(&lid)).await
    }

    pub(super) async fn record_lids(&self, entries: Vec<LidPnMappingEntry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.update(move |view, batch| {
            let mut update = LidMapUpdate { view, numbers: BTreeMap::new(), owners: BTreeMap::new() };
            entries.iter().try_for_each(|entry| update.record(entry.clone()))?;
            update.write(batch)
        })
        .await
    }
}

/// The stored map with pending changes.
struct LidMapUpdate<'v> {
    view: &'v dyn VaultView,
    /// By LID.
    numbers: BTreeMap<String, LidPnMappingEntry>,
    /// By number; `None` for a number that lost its LID.
    owners: BTreeMap<String, Option<String>>,
}

impl LidMapUpdate<'_> {
    /// A number belongs to the LID that had it last; losing a number removes only the LID's own entry.
    fn record(&mut self, entry: LidPnMappingEntry) -> Result<()> {
        let old = self.number_of(&entry.lid)?.filter(|old| *old != entry.phone_number);
        if let Some(old) = old
            && self.owner_of(&old)?.as_ref() == Some(&entry.lid)
        {
            self.owners.insert(old, None);
        }
        self.owners.insert(entry.phone_number.clone(), Some(entry.lid.clone()));
        self.numbers.insert(entry.lid.clone(), entry);
        Ok(())
    }

    fn number_of(&self, lid: &str) -> Result<Option<String>> {
        if let Some(entry) = self.numbers.get(lid) {
            return Ok(Some(entry.phone_number.clone()));
        }
        let Some(bytes) = self.view.get(LIDS, lid).map_err(failed)? else {
            return Ok(None);
        };
        Ok(Some(decoded::<LidPnMappingEntry>(&bytes)?.phone_number))
    }

    fn owner_of(&self, number: &str) -> Result<Option<String>> {
        if let Some(owner) = self.owners.get(number) {
            return Ok(owner.clone());
        }
        let owner = self.view.get(LIDS_BY_NUMBER, number).map_err(failed)?;
        Ok(owner.map(|lid| String::from_utf8_lossy(&lid).into_owned()))
    }

    fn write(self, batch: &mut VaultBatch) -> Result<()> {
        for (lid, entry) in self.numbers {
            batch.put(LIDS, lid, encoded(&entry)?);
        }
        for (number, owner) in self.owners {
            match owner {
                Some(lid) => batch.put(LIDS_BY_NUMBER, number, lid),
                None => batch.remove(LIDS_BY_NUMBER, number),
            }
        }
        Ok(())
    }
}
