//! The network's side of one device: the code that waits, what is not delivered yet, the armed faults.
//!
//! Invariants: the lock is held for moments, never across an await, and over nothing that can panic; at
//! most one session is attached, the newest.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::link_codes::CurrentCode;
pub(super) use self::link_codes::{Scan, ScanError};
use super::delivery_queue::{Due, DueKey, DueQueue, Pending, UnacknowledgedMessage};
use super::faults::{Fault, FaultKind, Faults, Manner};
use super::group_book::{GroupContext, GroupStore};
use super::letter::NetworkMessage;
use super::network::lock;
use super::pairing_codes::PairingCodes;
use super::settings::Settings;
use crate::domain::device::Account;
use crate::domain::ids::{DeviceId, NetworkId};
use crate::domain::jid::Jid;

mod link_codes;

/// Ids of sent messages that a device's network remembers, to tell a second copy from a first.
const RECENT: usize = 64;

/// The network's side of one device.
pub(super) struct Device {
    pub(super) id: DeviceId,
    /// The groups that changed.
    pub(super) groups: GroupStore,
    state: Mutex<State>,
    /// Wakes the session: something in `state` changed.
    pub(super) changed: Notify,
    /// Until when the network is silent.
    stall: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct State {
    linked: bool,
    /// Of the phone that linked the device, where that is known.
    account: Option<Account>,
    /// The session that is attached; cancelled when another takes its place.
    session: Option<(u64, CancellationToken)>,
    sessions: u64,
    online: bool,
    settings: Option<Arc<Settings>>,
    code: Option<CurrentCode>,
    /// Codes that were offered and are no longer accepted, hashed.
    past_codes: Vec<u64>,
    scan: Option<Scan>,
    /// Until when codes are shown, so that one to type may be asked for.
    linking: Option<Instant>,
    pairing_codes: PairingCodes,
    pending: Pending,
    due: DueQueue,
    faults: Faults,
    /// Hashes of the last sent messages' ids.
    recent: VecDeque<u64>,
}

/// What a session does next.
pub(super) enum Step {
    /// Hands over a message.
    Incoming(u64, Box<NetworkMessage>),
    /// Does what is due.
    Due(DueKey, Due),
    /// Waits, until something changes or this moment.
    Wait(Option<Instant>),
}

impl Device {
    pub(super) fn new(id: DeviceId, groups: GroupStore) -> Self {
        let (state, changed, stall) = (Mutex::default(), Notify::new(), watch::Sender::new(None));
        Self { id, groups, state, changed, stall }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Attaches a session in place of any other.
    pub(super) fn attach(self: &Arc<Self>) -> SessionSlot {
        let replaced = CancellationToken::new();
        let mut state = self.lock();
        state.sessions += 1;
        let number = state.sessions;
        if let Some((_, old)) = state.session.replace((number, replaced.clone())) {
            old.cancel();
        }
        state.online = false;
        state.code = None;
        state.linking = None;
        state.pairing_codes.retire();
        state.scan = None;
        state.due.drop_ephemeral();
        SessionSlot { device: Arc::clone(self), number, replaced }
    }

    /// What the next session was set up with.
    ///
    /// Returns what waited for a device that is linked no more.
    pub(super) fn configure(
        &self,
        settings: Arc<Settings>,
        account: Option<Account>,
    ) -> Vec<UnacknowledgedMessage> {
        let mut state = self.lock();
        state.settings = Some(settings);
        state.linked = account.is_some();
        state.account = account;
        if state.linked {
            return Vec::new();
        }
        state.due.clear();
        state.pending.clear()
    }

    /// The settings of the last session, if there was one since the start.
    pub(super) fn settings(&self) -> Option<Arc<Settings>> {
        self.lock().settings.clone()
    }

    /// The session can send and receive from now on.
    pub(super) fn go_online(&self) {
        self.lock().online = true;
    }

    /// Whether a session can send and receive.
    pub(super) fn is_online(&self) -> bool {
        self.lock().online
    }

    /// Whether a phone has linked the device.
    pub(super) fn is_linked(&self) -> bool {
        self.lock().linked
    }

    /// The account that is linked, where that is known.
    pub(super) fn account(&self) -> Option<Account> {
        self.lock().account.clone()
    }

    /// The account's own id, where it is known.
    pub(super) fn me(&self) -> Option<Jid> {
        self.lock().account.as_ref().and_then(Account::jid)
    }

    /// The phone no longer knows the device; returns what waited for it.
    pub(super) fn unlink(&self) -> Vec<UnacknowledgedMessage> {
        let mut state = self.lock();
        state.linked = false;
        state.account = None;
        state.online = false;
        state.due.clear();
        state.pending.clear()
    }

    /// Restores what the journal holds; returns how many messages have no room.
    pub(super) fn restore(&self, account: Option<Account>, pending: Vec<(u64, NetworkMessage)>) -> usize {
        let mut state = self.lock();
        // The line that tells of the link may be forgotten already.
        state.linked = account.is_some() || !pending.is_empty();
        state.account = account;
        let mut lost = 0;
        for (no, letter) in pending {
            if state.pending.has_room(&letter) {
                state.pending.push(UnacknowledgedMessage { no, letter, waiter: None });
            } else {
                lost += 1;
            }
        }
        lost
    }

    /// The phone has linked the device.
    pub(super) fn link(&self, account: &Account) {
        let mut state = self.lock();
        state.linked = true;
        state.account = Some(account.clone());
    }

    /// Whether one more message may wait.
    pub(super) fn has_room(&self, letter: &NetworkMessage) -> bool {
        self.lock().pending.has_room(letter)
    }

    /// Takes out the message that comes first, if it is the one with this number.
    pub(super) fn take(&self, no: u64) -> Option<UnacknowledgedMessage> {
        self.lock().pending.remove(no)
    }

    /// Queues a message that is in the journal; gives it back when nobody is there to be told.
    pub(super) fn queue(&self, parcel: UnacknowledgedMessage) -> Option<UnacknowledgedMessage> {
        let mut state = self.lock();
        if !state.linked {
            // Logged out in the meantime.
            return Some(parcel);
        }
        state.pending.push(parcel);
        drop(state);
        self.changed.notify_one();
        None
    }

    /// Notes something for later; false when too much is noted already.
    pub(super) fn schedule(&self, at: Instant, due: Due, waiter: Option<oneshot::Sender<()>>) -> bool {
        let noted = self.lock().due.add(at, due, waiter);
        self.changed.notify_one();
        if !noted {
            tracing::warn!(device = %self.id, "too many simulated events wait; one is dropped");
        }
        noted
    }

    /// A noted thing was done.
    pub(super) fn complete_due(&self, key: DueKey) {
        self.lock().due.complete(key);
    }

    /// What a connected session does next.
    pub(super) fn next_step(&self, now: Instant) -> Step {
        if let Some(until) = self.stalled(now) {
            return Step::Wait(Some(until));
        }
        let state = self.lock();
        let first = state.due.first();
        match (first, state.pending.front()) {
            (Some((key, due)), _) if key.0 <= now => Step::Due(key, due.clone()),
            (_, Some(parcel)) => Step::Incoming(parcel.no, Box::new(parcel.letter.clone())),
            (first, None) => Step::Wait(first.map(|(key, _)| key.0)),
        }
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

    /// Lets a fault strike, if it is armed.
    pub(super) fn take_fault(&self, kind: FaultKind) -> Option<Manner> {
        self.lock().faults.take(kind, Instant::now())
    }

    /// Until when the network is silent, if it is.
    pub(super) fn stalled(&self, now: Instant) -> Option<Instant> {
        self.stall.borrow().filter(|until| *until > now)
    }

    /// Waits while the network is silent.
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

    /// Whether this is the first copy of a message, as far as the network remembers.
    pub(super) fn is_first_copy(&self, chat: &Jid, id: &NetworkId) -> bool {
        let hash = hash_of((chat, id));
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

    /// What groups look like before they change.
    pub(super) fn group_context(&self) -> GroupContext {
        let state = self.lock();
        let me = state.account.as_ref().and_then(Account::jid);
        GroupContext { settings: state.settings.clone(), me }
    }
}

/// A session's hold on its device; letting go takes it offline, also when the session panics.
pub(super) struct SessionSlot {
    device: Arc<Device>,
    number: u64,
    /// Cancelled when another session takes over.
    pub(super) replaced: CancellationToken,
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        let mut state = self.device.lock();
        if state.session.as_ref().is_none_or(|(number, _)| *number != self.number) {
            return;
        }
        state.session = None;
        state.online = false;
        state.retire_code();
        state.linking = None;
        state.pairing_codes.retire();
        state.scan = None;
        state.due.drop_ephemeral();
    }
}

fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
