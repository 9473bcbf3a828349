//! The simulated network: what lives on while a device is away, stopped, or its daemon dead.
//!
//! It holds a [`Device`] for each; of single messages it remembers nothing once they are delivered: what it
//! saw stands in the journal.
//!
//! Invariants: a lock is held for moments and never across an await; a message for a device is in the
//! journal before the device is told, and leaves the queue only with its acknowledgement.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::delivery_queue::{Acknowledged, UnacknowledgedMessage};
use super::device::Device;
use super::entries::{Acknowledgement, Entry, Forgetting};
use super::files::Files;
use super::group_book::{self, GroupStore};
use super::journal::{Done, Durability, Journal, JournalError, Writer};
use super::letter::{NetworkMessage, Quote, Written, quoted};
use super::replay::{self, Recovered};
use super::view::{self, NetworkView};
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;
use crate::engine::Quoted;

/// Why a message for a device was not taken.
#[derive(Debug, Clone)]
pub(super) enum AcceptError {
    /// As many wait as may.
    Full,
    /// It could not be written down.
    Journal(JournalError),
}

/// What the start of the journal's thread came to; `None` while it reads.
type Ready = Option<Result<(), JournalError>>;

/// All simulated devices' networks.
pub(super) struct Network {
    devices: Mutex<HashMap<DeviceId, Arc<Device>>>,
    pub(super) journal: Journal,
    dir: PathBuf,
    /// What belongs to messages that wait.
    pub(super) files: Arc<Files>,
    ready: watch::Receiver<Ready>,
    /// Numbers incoming messages in the journal.
    numbers: AtomicU64,
}

impl Network {
    /// Opens the journal in `dir` and starts its thread, which first reads what was left unacknowledged.
    pub(super) fn start(dir: &Path, max_bytes: u64) -> io::Result<Arc<Self>> {
        let (journal, writer) = Journal::open(dir, max_bytes)?;
        let (started, ready) = watch::channel(None);
        let devices = Mutex::default();
        let files = Arc::new(Files::open(dir)?);
        let (dir, numbers) = (dir.to_owned(), AtomicU64::new(0));
        let network = Arc::new(Self { devices, journal, dir, files, ready, numbers });
        let found = Arc::clone(&network);
        std::thread::Builder::new()
            .name("simulator-journal".to_owned())
            .spawn(move || run_writer(writer, found, &started))?;
        Ok(network)
    }

    /// Waits until the journal was read.
    pub(super) async fn ready(&self) -> Result<(), JournalError> {
        let mut ready = self.ready.clone();
        let result = ready.wait_for(Option::is_some).await.map_err(|_| JournalError::Closed)?;
        result.clone().unwrap_or(Err(JournalError::Closed))
    }

    fn install(&self, recovered: Recovered) -> io::Result<()> {
        self.numbers.store(recovered.next_no, Ordering::Relaxed);
        let waiting = recovered.devices.values().flat_map(|found| &found.pending);
        self.files.sweep(&waiting.filter_map(|(_, letter)| letter.kept()).collect())?;
        for (id, found) in recovered.devices {
            let device = self.device(&id);
            let lost = device.restore(found.account, found.pending);
            if lost > 0 {
                tracing::warn!(device = %id, lost, "more simulated messages wait than may");
            }
        }
        for id in group_book::devices(&self.dir)? {
            self.device(&id).groups.load();
        }
        Ok(())
    }

    /// The network's side of one device, made at first use.
    pub(super) fn device(&self, id: &DeviceId) -> Arc<Device> {
        let mut devices = lock(&self.devices);
        let made = || Arc::new(Device::new(id.clone(), GroupStore::new(&self.dir, id)));
        Arc::clone(devices.entry(id.clone()).or_insert_with(made))
    }

    /// Takes a message for a device: writes it down, then queues it for the session.
    ///
    /// `waiter` is told once the device has acknowledged it. Returns before the line is written.
    pub(super) async fn accept(
        &self,
        device: &Arc<Device>,
        letter: NetworkMessage,
        waiter: Option<Acknowledged>,
    ) -> Result<(), AcceptError> {
        if !device.has_room(&letter) {
            return Err(AcceptError::Full);
        }
        let slot = self.journal.slot().await.map_err(AcceptError::Journal)?;
        let no = self.numbers.fetch_add(1, Ordering::Relaxed);
        let entry = Written::new(no, &letter);
        let (target, files) = (Arc::clone(device), Arc::clone(&self.files));
        let done: Done = Box::new(move |result| match result {
            Ok(()) => {
                if let Some(parcel) = target.queue(UnacknowledgedMessage { no, letter, waiter }) {
                    files.drop_of(&parcel.letter);
                }
            }
            Err(error) => {
                files.drop_of(&letter);
                if let Some(waiter) = waiter {
                    let _ = waiter.send(Err(error));
                }
            }
        });
        slot.append(&device.id, Entry::Incoming(&entry), Durability::Written, Some(done))
            .map_err(AcceptError::Journal)
    }

    /// The device has acknowledged a message: takes it out of the queue and writes that down.
    ///
    /// Who waits for it is told when the line is on disk; nobody else waits for the disk.
    pub(super) async fn acknowledge(&self, device: &Device, no: u64) -> Result<(), JournalError> {
        let slot = self.journal.slot().await?;
        let Some(parcel) = device.take(no) else {
            return Ok(());
        };
        let UnacknowledgedMessage { letter, waiter, .. } = parcel;
        let entry = Acknowledgement { no, network_id: letter.message.network_id.clone() };
        let files = Arc::clone(&self.files);
        let done: Option<Done> = (waiter.is_some() || letter.kept().is_some()).then(|| -> Done {
            Box::new(move |result| {
                if result.is_ok() {
                    files.drop_of(&letter);
                }
                if let Some(waiter) = waiter {
                    let _ = waiter.send(result);
                }
            })
        });
        slot.append(&device.id, Entry::Acknowledged(&entry), Durability::Synced, done)
    }

    /// A phone has linked the device.
    pub(super) async fn link(&self, device: &Device, account: &Account) -> Result<(), JournalError> {
        device.link(account);
        self.journal.append(&device.id, Entry::Linked(account), Durability::Written).await
    }

    /// The phone no longer knows the device; what waited for it is gone.
    pub(super) async fn unlink(&self, device: &Device) -> Result<(), JournalError> {
        self.discard(device.unlink()).await;
        self.journal.append(&device.id, Entry::Unlinked, Durability::Written).await
    }

    /// Nobody will be told these any more.
    pub(super) async fn discard(&self, parcels: Vec<UnacknowledgedMessage>) {
        let files = Arc::clone(&self.files);
        let gone: Vec<NetworkMessage> = parcels.into_iter().map(|parcel| parcel.letter).collect();
        if gone.iter().any(|letter| letter.kept().is_some()) {
            let dropped = tokio::task::spawn_blocking(move || gone.iter().for_each(|l| files.drop_of(l)));
            let _ = dropped.await;
        }
    }

    /// Forgets what was seen of a device; with `everything`, the device itself.
    pub(super) async fn forget(&self, id: &DeviceId, everything: bool) -> Result<(), JournalError> {
        let removed = if everything { lock(&self.devices).remove(id) } else { None };
        if let Some(device) = removed {
            self.discard(device.unlink()).await;
            device.groups.clear().await?;
        }
        let entry = Forgetting { everything };
        self.journal.append(id, Entry::Forgotten(&entry), Durability::Synced).await
    }

    /// The message that somebody quotes, where the network still knows it.
    pub(super) async fn quoted(&self, device: &Device, quote: Quote) -> Result<Option<Quoted>, JournalError> {
        let snapshot = self.journal.snapshot().await?;
        let (id, account) = (device.id.clone(), device.account());
        let read = tokio::task::spawn_blocking(move || quoted(snapshot, &id, account.as_ref(), &quote));
        Ok(read.await.map_err(io::Error::other)??)
    }

    /// What the network saw of a device.
    pub(super) async fn view(&self, id: &DeviceId) -> Result<NetworkView, JournalError> {
        let snapshot = self.journal.snapshot().await?;
        let id = id.clone();
        let read = tokio::task::spawn_blocking(move || view::view(snapshot, &id));
        Ok(read.await.map_err(io::Error::other)??)
    }
}

fn run_writer(mut writer: Writer, network: Arc<Network>, started: &watch::Sender<Ready>) {
    let recovered = replay::recover(&writer.paths).and_then(|recovered| {
        writer.cut_to(recovered.whole)?;
        Ok(recovered)
    });
    let result = recovered.and_then(|recovered| network.install(recovered)).map_err(JournalError::from);
    // From here on only those who append keep the thread alive.
    drop(network);
    let usable = result.is_ok();
    started.send_replace(Some(result));
    if usable {
        writer.run();
    }
}

/// Locks; what a panicking thread leaves here is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
