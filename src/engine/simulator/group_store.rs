//! The groups of one device that differ from its settings, in memory and in the vault.
//!
//! A change is in the vault before it is emitted; changes are made one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::generator;
use super::group_rules::SimulatedGroup;
use super::settings::{MAX_GROUPS, Settings};
use super::storage::Storage;
use crate::domain::group::Group;
use crate::domain::jid::Jid;
use crate::engine::VaultError;

/// The settings and the account, from which unchanged groups follow.
pub(super) struct GroupContext {
    pub(super) settings: Option<Arc<Settings>>,
    /// The account's own id.
    pub(super) me: Option<Jid>,
}

/// The reason why a group was not changed.
#[derive(Debug)]
pub(super) enum GroupError<E> {
    /// The network has no such group.
    Unknown,
    /// The device has the maximum number of changed groups.
    TooMany,
    /// The rules forbid it.
    Refused(E),
    /// The vault failed.
    Vault(VaultError),
}

type Groups = BTreeMap<Jid, SimulatedGroup>;

/// The changed groups of one device.
pub(super) struct GroupStore {
    storage: Storage,
    changed: Mutex<Groups>,
}

impl GroupStore {
    /// A store without changed groups.
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage, changed: Mutex::default() }
    }

    /// Replaces all changed groups in memory by those of the vault.
    pub(super) async fn reset(&self, groups: Vec<SimulatedGroup>) {
        *self.changed.lock().await =
            groups.into_iter().map(|group| (group.group.id.clone(), group)).collect();
    }

    /// The current state of a group.
    pub(super) async fn get(&self, context: &GroupContext, id: &Jid) -> Option<SimulatedGroup> {
        current(&*self.changed.lock().await, context, id)
    }

    /// The groups that the account is in.
    pub(super) async fn of_account(&self, context: &GroupContext) -> Vec<Group> {
        let changed = self.changed.lock().await;
        let unchanged = context.groups().filter(|group| !changed.contains_key(&group.group.id));
        let all = unchanged.chain(changed.values().cloned());
        all.filter(|group| group.others(context.me.as_ref()).is_some()).map(|group| group.group).collect()
    }

    /// Changes a group, and returns it with the result of `change`.
    pub(super) async fn change<T, E>(
        &self,
        context: &GroupContext,
        id: &Jid,
        change: impl FnOnce(&mut SimulatedGroup) -> Result<T, E>,
    ) -> Result<(SimulatedGroup, T), GroupError<E>> {
        let mut changed = self.changed.lock().await;
        let before = current(&changed, context, id).ok_or(GroupError::Unknown)?;
        let mut after = before.clone();
        let result = change(&mut after).map_err(GroupError::Refused)?;
        if after != before {
            self.replace(&mut changed, after.clone()).await?;
        }
        Ok((after, result))
    }

    /// Adds the writer of a message to the group, and the group itself if it is new.
    pub(super) async fn add_writer(&self, context: &GroupContext, id: &Jid, writer: &Jid) {
        let Some(me) = &context.me else { return };
        let mut changed = self.changed.lock().await;
        let group = current(&changed, context, id);
        let mut group = group.unwrap_or_else(|| SimulatedGroup::from_message(id, me));
        if !group.add_writer(writer) {
            return;
        }
        if let Err(GroupError::Vault(error)) = self.replace::<()>(&mut changed, group).await {
            tracing::warn!(%error, "a simulated group was not stored");
        }
    }

    /// Adds a group, or replaces the one with the same id.
    pub(super) async fn put<E>(&self, group: SimulatedGroup) -> Result<(), GroupError<E>> {
        let mut changed = self.changed.lock().await;
        self.replace(&mut changed, group).await
    }

    async fn replace<E>(&self, changed: &mut Groups, group: SimulatedGroup) -> Result<(), GroupError<E>> {
        if changed.len() >= MAX_GROUPS && !changed.contains_key(&group.group.id) {
            return Err(GroupError::TooMany);
        }
        self.storage.put_group(&group).await.map_err(GroupError::Vault)?;
        changed.insert(group.group.id.clone(), group);
        Ok(())
    }
}

impl GroupContext {
    fn groups(&self) -> impl Iterator<Item = SimulatedGroup> {
        let groups = self.settings.iter().flat_map(|settings| generator::groups(settings));
        groups.map(|setting| SimulatedGroup::of_setting(setting, self.me.as_ref()))
    }

    fn group(&self, id: &Jid) -> Option<SimulatedGroup> {
        let setting = generator::group_of(self.settings.as_ref()?, id)?;
        Some(SimulatedGroup::of_setting(setting, self.me.as_ref()))
    }
}

fn current(changed: &Groups, context: &GroupContext, id: &Jid) -> Option<SimulatedGroup> {
    changed.get(id).cloned().or_else(|| context.group(id))
}
