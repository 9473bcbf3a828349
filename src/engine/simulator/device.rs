//! The network's side of one device: link codes, undelivered messages, groups, armed faults.
//!
//! At most one session is attached, the newest. The lock is never held across an await.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, OnceCell, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use self::link_codes::{LinkCodes, Scan};
use super::delivery_queue::{Due, DueKey, DueQueue, PendingMessages, UnacknowledgedMessage};
use super::faults::{Fault, FaultKind, FaultMode, Faults};
use super::group_store::{GroupContext, GroupStore};
use super::network_message::{NetworkMessage, Quote};
use super::pairing_codes::ScanError;
use super::settings::Settings;
use super::storage::{Storage, StoredDevice};
use crate::domain::device::Account;
use crate::domain::ids::{DeviceId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{Quoted, VaultError};

mod link_codes;

/// Stored ids of sent messages, which identify a second copy.
const RECENT: usize = 64;

/// The network's side of one device.
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) storage: Storage,
    pub(super) groups: GroupStore,
    loaded: OnceCell<()>,
    state: Mutex<State>,
    /// Wakes the session after a change of `state`.
    pub(super) changed: Notify,
    /// The end of a stall, in which the network is silent.
    stall: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct State {
    /// The linked account.
    account: Option<Account>,
    /// The attached session; its token is cancelled when another one replaces it.
    session: Option<(u64, CancellationToken)>,
    sessions: u64,
    is_online: bool,
    settings: Option<Arc<Settings>>,
    codes: LinkCodes,
    pending: PendingMessages,
    /// The number of the next message.
    next_number: u64,
    due: DueQueue,
    faults: Faults,
    /// Hashes of the ids of the last sent messages.
    recent: VecDeque<u64>,
}

/// Messages or due entries of one step.
const STEP: usize = 64;

/// A message that the session delivers.
pub(super) struct Delivery {
    /// Its number within the device.
    pub(super) number: u64,
    pub(super) message: NetworkMessage,
    /// Whether an earlier process accepted it.
    pub(super) is_restored: bool,
}

/// The next action of a session.
pub(super) enum Step {
    /// Deliver messages.
    Deliver(Vec<Delivery>),
    /// Execute due entries.
    Due(Vec<(DueKey, Due)>),
    /// Wait for a change, or until this moment.
    Wait(Option<Instant>),
}

/// The reason why a message was not accepted.
#[derive(Debug)]
pub(super) enum AcceptError {
    /// The queue is full.
    Full,
    /// The vault failed.
    Vault(VaultError),
}

impl Device {
    pub(super) fn new(id: DeviceId, storage: Storage) -> Self {
        let groups = GroupStore::new(storage.clone());
        let (state, changed, stall) = (Mutex::default(), Notify::new(), watch::Sender::new(None));
        Self { id, storage, groups, loaded: OnceCell::new(), state, changed, stall }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Restores the state that `read` returns, once in this process.
    pub(super) async fn load_with<F>(&self, read: F) -> Result<(), VaultError>
    where
        F: Future<Output = Result<StoredDevice, VaultError>>,
    {
        let load = async {
            let StoredDevice { account, groups, messages } = read.await?;
            self.groups.reset(groups).await;
            let mut state = self.lock();
            state.account = account;
            for (number, message) in messages {
                state.next_number = number + 1;
                let pending = UnacknowledgedMessage {
                    number,
                    message,
                    is_stored: true,
                    is_restored: true,
                    is_ingested: false,
                    waiter: None,
                };
                state.pending.push(pending);
            }
            Ok(())
        };
        self.loaded.get_or_try_init(|| load).await.map(|_| ())
    }

    /// Attaches a session; any other one is replaced.
    pub(super) fn attach(self: &Arc<Self>) -> SessionSlot {
        let replaced = CancellationToken::new();
        let mut state = self.lock();
        state.sessions += 1;
        let number = state.sessions;
        if let Some((_, old)) = state.session.replace((number, replaced.clone())) {
            old.cancel();
        }
        state.disconnect();
        SessionSlot { device: Arc::clone(self), number, replaced }
    }

    /// Sets the settings and the account of the next session. Without an account, the link has ended.
    pub(super) async fn configure(
        &self,
        settings: Arc<Settings>,
        account: Option<Account>,
    ) -> Result<(), VaultError> {
        let has_ended = {
            let mut state = self.lock();
            state.settings = Some(settings);
            let was_linked = std::mem::replace(&mut state.account, account).is_some();
            was_linked && state.account.is_none()
        };
        if has_ended { self.unlink().await } else { Ok(()) }
    }

    /// The settings of the last session since the start of the process.
    pub(super) fn settings(&self) -> Option<Arc<Settings>> {
        self.lock().settings.clone()
    }

    /// The session can send and receive from now on.
    pub(super) fn set_online(&self) {
        self.lock().is_online = true;
    }

    pub(super) fn is_online(&self) -> bool {
        self.lock().is_online
    }

    pub(super) fn is_linked(&self) -> bool {
        self.lock().account.is_some()
    }

    /// The account's own id.
    pub(super) fn me(&self) -> Option<Jid> {
        self.lock().account.as_ref().and_then(Account::jid)
    }

    /// The settings and the account, from which unchanged groups follow.
    pub(super) fn group_context(&self) -> GroupContext {
        let state = self.lock();
        let me = state.account.as_ref().and_then(Account::jid);
        GroupContext { settings: state.settings.clone(), me }
    }

    pub(super) fn link(&self, account: &Account) {
        self.lock().account = Some(account.clone());
    }

    /// Ends the link and removes its data from memory and from the vault.
    pub(super) async fn unlink(&self) -> Result<(), VaultError> {
        self.drop_link().await;
        self.storage.clear().await
    }

    /// Ends the link in memory only.
    pub(super) async fn drop_link(&self) {
        {
            let mut state = self.lock();
            state.account = None;
            state.is_online = false;
            state.due.clear();
            state.pending.clear();
        }
        self.groups.reset(Vec::new()).await;
    }

    /// Accesses the codes that link the device.
    pub(super) fn codes<T>(&self, access: impl FnOnce(&mut LinkCodes) -> T) -> T {
        access(&mut self.lock().codes)
    }

    /// A phone scans or types a code.
    pub(super) fn scan(
        &self,
        accept: impl FnOnce(&mut LinkCodes) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.codes(accept)?;
        self.changed.notify_one();
        Ok(())
    }

    /// Queues a message in memory. Returns its number, or `None` when the queue is full or nothing is linked.
    pub(super) fn queue(&self, message: NetworkMessage, waiter: Option<oneshot::Sender<()>>) -> Option<u64> {
        let number = {
            let mut state = self.lock();
            let number = state.next_number;
            let pending = UnacknowledgedMessage {
                number,
                message,
                is_stored: false,
                is_restored: false,
                is_ingested: false,
                waiter,
            };
            if state.account.is_none() || !state.pending.push(pending) {
                return None;
            }
            state.next_number += 1;
            number
        };
        self.changed.notify_one();
        Some(number)
    }

    /// Queues a message, and stores it in the vault while it is undelivered.
    ///
    /// The session delivers it at the same time. The vault does not delay the delivery.
    pub(super) async fn accept(
        self: &Arc<Self>,
        message: NetworkMessage,
        waiter: oneshot::Sender<()>,
    ) -> Result<(), AcceptError> {
        let copy = message.clone();
        let number = self.queue(message, Some(waiter)).ok_or(AcceptError::Full)?;
        let device = Arc::clone(self);
        let stored = self.storage.put_message(number, &copy, move || device.begin_store(number)).await;
        stored.map_err(|error| {
            self.lock().pending.remove(number);
            AcceptError::Vault(error)
        })
    }

    /// Whether this message is to be stored: the daemon has not ingested it yet.
    fn begin_store(&self, number: u64) -> bool {
        let mut state = self.lock();
        let pending = state.pending.get_mut(number).filter(|pending| !pending.is_ingested);
        pending.map(|pending| pending.is_stored = true).is_some()
    }

    /// Marks a message as ingested; returns whether the vault has it and whether a request waits for it.
    pub(super) fn mark_ingested(&self, number: u64) -> Option<(bool, bool)> {
        let mut state = self.lock();
        let pending = state.pending.get_mut(number)?;
        pending.is_ingested = true;
        Some((pending.is_stored, pending.waiter.is_some()))
    }

    /// Removes an acknowledged message and resolves its waiter.
    pub(super) fn complete(&self, number: u64) {
        let removed = self.lock().pending.remove(number);
        if let Some(waiter) = removed.and_then(|pending| pending.waiter) {
            let _ = waiter.send(());
        }
    }

    /// The quoted message, if it waits for its delivery.
    pub(super) fn pending_quote(&self, quote: &Quote) -> Option<Quoted> {
        self.lock().pending.newest_first().find_map(|pending| quote.of(&pending.message))
    }

    /// Schedules an entry; returns false when the queue is full.
    pub(super) fn schedule(&self, at: Instant, due: Due, waiter: Option<oneshot::Sender<()>>) -> bool {
        let is_scheduled = self.lock().due.add(at, due, waiter);
        self.changed.notify_one();
        if !is_scheduled {
            tracing::warn!(device = %self.id, "simulated event dropped: the queue is full");
        }
        is_scheduled
    }

    /// Removes a due entry that was executed.
    pub(super) fn complete_due(&self, key: DueKey) {
        self.lock().due.complete(key);
    }

    /// The next action of an online session.
    pub(super) fn next_step(&self, now: Instant) -> Step {
        if let Some(until) = self.stalled(now) {
            return Step::Wait(Some(until));
        }
        let state = self.lock();
        let due: Vec<_> = state.due.until(now).take(STEP).map(|(key, due)| (key, due.clone())).collect();
        if !due.is_empty() {
            return Step::Due(due);
        }
        let pending: Vec<_> = state.pending.oldest_first().take(STEP).map(Delivery::of).collect();
        if !pending.is_empty() {
            return Step::Deliver(pending);
        }
        Step::Wait(state.due.next_at())
    }

    /// Arms a fault.
    pub(super) fn arm(&self, fault: Fault, now: Instant) {
        if fault.kind == FaultKind::Stall {
            let until = fault.until.filter(|until| *until > now && fault.left != Some(0));
            self.stall.send_replace(until);
        } else {
            self.lock().faults.arm(fault, now);
        }
        self.changed.notify_one();
    }

    /// Applies a fault once, if it is armed.
    pub(super) fn take_fault(&self, kind: FaultKind) -> Option<FaultMode> {
        self.lock().faults.take(kind, Instant::now())
    }

    /// The end of the stall, if the network is stalled.
    pub(super) fn stalled(&self, now: Instant) -> Option<Instant> {
        self.stall.borrow().filter(|until| *until > now)
    }

    /// Waits for the end of a stall.
    pub(super) async fn wait_out_stall(&self) {
        let mut stall = self.stall.subscribe();
        loop {
            let until = *stall.borrow_and_update();
            let Some(until) = until.filter(|until| *until > Instant::now()) else {
                return;
            };
            tokio::select! {
                _ = stall.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Whether this is the first of the recent copies of a message.
    pub(super) fn is_first_copy(&self, chat: &Jid, id: &NetworkId) -> bool {
        let mut hasher = DefaultHasher::new();
        (chat, id).hash(&mut hasher);
        let hash = hasher.finish();
        let mut state = self.lock();
        if state.recent.contains(&hash) {
            return false;
        }
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(hash);
        true
    }
}

impl Delivery {
    fn of(pending: &UnacknowledgedMessage) -> Self {
        let UnacknowledgedMessage { number, message, is_restored, .. } = pending;
        Self { number: *number, message: message.clone(), is_restored: *is_restored }
    }
}

impl State {
    /// Resets the state of one connection.
    fn disconnect(&mut self) {
        self.is_online = false;
        self.codes.close();
        self.due.drop_ephemeral();
    }
}

/// The attachment of a session to its device. Dropping it takes the device offline, also after a panic.
pub(super) struct SessionSlot {
    device: Arc<Device>,
    number: u64,
    /// Cancelled when another session replaces this one.
    pub(super) replaced: CancellationToken,
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        let mut state = self.device.lock();
        if state.session.as_ref().is_some_and(|(number, _)| *number == self.number) {
            state.session = None;
            state.disconnect();
        }
    }
}
