//! The groups of one device that are no longer as the settings describe them, in a file of their own.
//!
//! A file and not the journal, which forgets: `groups/<device>.json` holds them all and is replaced whole.
//!
//! Invariants: a change is on disk before anybody is told of it; changes happen one after the other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::generator;
use super::group_rules::SimulatedGroup;
use super::journal::JournalError;
use super::settings::{MAX_GROUPS, Settings};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

const DIR: &str = "groups";

/// What groups are like before they change.
pub(super) struct GroupContext {
    pub(super) settings: Option<Arc<Settings>>,
    /// The account.
    pub(super) me: Option<Jid>,
}

/// Why a group did not change.
#[derive(Debug)]
pub(super) enum ChangeError<E> {
    /// The network knows no such group.
    Unknown,
    /// There are as many as may be.
    TooMany,
    /// The rules forbid it.
    Refused(E),
    /// It could not be written down.
    Storage(JournalError),
}

type Changed = BTreeMap<Jid, SimulatedGroup>;

/// See the module.
pub(super) struct GroupStore {
    path: PathBuf,
    changed: Mutex<Changed>,
}

/// The devices that have such a file in `dir`. Blocks.
pub(super) fn devices(dir: &Path) -> io::Result<Vec<DeviceId>> {
    let dir = dir.join(DIR);
    fs::create_dir_all(&dir)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::parse);
        found.extend(id.and_then(Result::ok));
    }
    Ok(found)
}

impl GroupStore {
    /// An empty one.
    pub(super) fn new(dir: &Path, device: &DeviceId) -> Self {
        Self { path: dir.join(DIR).join(format!("{device}.json")), changed: Mutex::default() }
    }

    /// Reads the file. Blocks; for the start.
    pub(super) fn load(&self) {
        let read =
            fs::read(&self.path).and_then(|bytes| Ok(serde_json::from_slice::<Vec<SimulatedGroup>>(&bytes)?));
        match read {
            Ok(circles) => {
                let by_id = circles.into_iter().map(|circle| (circle.group.id.clone(), circle));
                *self.changed.blocking_lock() = by_id.collect();
            }
            Err(error) => tracing::error!(%error, "a simulated device's groups could not be read"),
        }
    }

    /// A group as it is now.
    pub(super) async fn get(&self, world: &GroupContext, id: &Jid) -> Option<SimulatedGroup> {
        self.changed.lock().await.get(id).cloned().or_else(|| world.circle(id))
    }

    /// The groups that the account is in.
    pub(super) async fn of_account(&self, world: &GroupContext) -> Vec<crate::domain::group::Group> {
        let changed = self.changed.lock().await;
        let described = world.circles().map(|circle| {
            let now = changed.get(&circle.group.id).cloned();
            now.unwrap_or(circle)
        });
        let ids: Vec<Jid> = world.circles().map(|circle| circle.group.id).collect();
        let others = changed.values().filter(|circle| !ids.contains(&circle.group.id)).cloned();
        let all = described.chain(others);
        all.filter(|circle| circle.others(world.me.as_ref()).is_some()).map(|circle| circle.group).collect()
    }

    /// Changes a group; what comes back is how it is then, on disk.
    pub(super) async fn change<T, E>(
        &self,
        world: &GroupContext,
        id: &Jid,
        change: impl FnOnce(&mut SimulatedGroup) -> Result<T, E>,
    ) -> Result<(SimulatedGroup, T), ChangeError<E>> {
        let mut changed = self.changed.lock().await;
        let before = changed.get(id).cloned().or_else(|| world.circle(id)).ok_or(ChangeError::Unknown)?;
        let mut after = before.clone();
        let result = change(&mut after).map_err(ChangeError::Refused)?;
        if after != before {
            self.replace(&mut changed, after.clone()).await?;
        }
        Ok((after, result))
    }

    /// Somebody writes in a group: the network knows both from now on.
    pub(super) async fn add_writer(&self, world: &GroupContext, id: &Jid, writer: &Jid) {
        let Some(me) = &world.me else { return };
        let mut changed = self.changed.lock().await;
        let known = changed.get(id).cloned().or_else(|| world.circle(id));
        let mut circle = known.unwrap_or_else(|| SimulatedGroup::from_message(id, me));
        if !circle.add_writer(writer) {
            return;
        }
        if let Err(ChangeError::Storage(error)) = self.replace::<()>(&mut changed, circle).await {
            tracing::warn!(%error, "a simulated group was not stored");
        }
    }

    /// Adds a group, or puts it in place of one of the same id.
    pub(super) async fn put<E>(&self, circle: SimulatedGroup) -> Result<(), ChangeError<E>> {
        let mut changed = self.changed.lock().await;
        self.replace(&mut changed, circle).await
    }

    async fn replace<E>(&self, changed: &mut Changed, circle: SimulatedGroup) -> Result<(), ChangeError<E>> {
        if changed.len() >= MAX_GROUPS && !changed.contains_key(&circle.group.id) {
            return Err(ChangeError::TooMany);
        }
        let mut after = changed.clone();
        after.insert(circle.group.id.clone(), circle);
        self.write(&after).await.map_err(|error| ChangeError::Storage(error.into()))?;
        *changed = after;
        Ok(())
    }

    async fn write(&self, changed: &Changed) -> io::Result<()> {
        let bytes = serde_json::to_vec(&changed.values().collect::<Vec<_>>())?;
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || replace_file(&path, &bytes));
        written.await.map_err(io::Error::other)?
    }

    /// The device is gone.
    pub(super) async fn clear(&self) -> io::Result<()> {
        let mut changed = self.changed.lock().await;
        changed.clear();
        match tokio::fs::remove_file(&self.path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl GroupContext {
    fn circles(&self) -> impl Iterator<Item = SimulatedGroup> {
        let groups = self.settings.iter().flat_map(|settings| generator::groups(settings));
        groups.map(|setting| SimulatedGroup::of_setting(setting, self.me.as_ref()))
    }

    fn circle(&self, id: &Jid) -> Option<SimulatedGroup> {
        let setting = generator::group_of(self.settings.as_ref()?, id)?;
        Some(SimulatedGroup::of_setting(setting, self.me.as_ref()))
    }
}

fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}
