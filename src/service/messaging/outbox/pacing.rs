//! The order and pace of one device's outbox, shared between the outbox and its attempts.
//!
//! Invariants: an attempt holds a [`Slot`] from the moment it is chosen. A send is recorded in the store
//! before the bytes leave, and here before the next message is chosen. So no limit is exceeded, not even
//! across a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::settings::limits_of;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::outbox::{Dispatcher, NextSend, Pacer, QueuedMessage, Rules, SentRecord};
use crate::engine::SendOutcome;
use crate::service::registry::LiveDevice;
use crate::service::{Messaging, OutboxLimits, ServiceError};
use crate::store::outbox::NEVER_RESEND;

pub(in crate::service) struct Pacing {
    messaging: Messaging,
    device: DeviceId,
    live: Arc<LiveDevice>,
    state: Mutex<State>,
    /// Notified when an attempt has sent its message or has released its slot.
    pub(in crate::service) moved: Notify,
}

struct State {
    dispatch: Dispatcher,
    rules: Rules,
    /// The newest outbox row that was loaded.
    newest_row: i64,
    /// Whether the recent sends were loaded for these rules.
    history_loaded: bool,
    /// Whether the next load checks all new chats again, even if there are many.
    recheck_new_chats: bool,
}

/// Margin in milliseconds for sends recorded by an earlier run: their bytes may have left this much later.
const LAG_MS: i64 = 1_000;
/// Up to this number, all new chats are checked again with each load.
const FEW_NEW_CHATS: usize = 100;

impl Pacing {
    pub(in crate::service) fn new(messaging: Messaging, device: DeviceId, live: Arc<LiveDevice>) -> Self {
        let state = State {
            dispatch: Dispatcher::default(),
            rules: Rules::default(),
            newest_row: 0,
            history_loaded: false,
            recheck_new_chats: false,
        };
        Self { messaging, device, live, state: Mutex::new(state), moved: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Loads new messages and the device's settings from the store. A message that was being sent when the
    /// daemon ended is loaded only if it may be resent.
    pub(in crate::service) async fn load(&self, resend_unknown: bool) -> Result<OutboxLimits, ServiceError> {
        let removed = self.live.liveness.rows_were_removed();
        let loaded = self.read(removed).await;
        if removed && loaded.is_err() {
            self.live.liveness.set_rows_removed();
        }
        let (rows, limits) = loaded?;
        let history_loaded = self.take_rules(&limits.rules);
        let first = self.lock().newest_row == 0;
        let mut entries = Vec::new();
        for (entry, sending_since) in &rows {
            let is_loaded = entry.row <= self.lock().newest_row;
            let never_resend = entry.retry_at == Some(NEVER_RESEND);
            if !is_loaded && !never_resend && (resend_unknown || !first || sending_since.is_none()) {
                entries.push(entry.clone());
            }
        }
        if !history_loaded {
            self.load_history(&limits.rules).await?;
        }
        self.refresh_strangers().await?;
        let new_chats = self.new_chats(&entries, &limits.rules, !history_loaded).await?;
        let mut state = self.lock();
        if removed {
            let existing: std::collections::HashSet<i64> = rows.iter().map(|(entry, _)| entry.row).collect();
            state.dispatch.keep(|row| existing.contains(&row));
            // Two chats may have been merged since the last load.
            state.dispatch.recompute_group(rows.iter().map(|(entry, _)| entry));
        }
        state.newest_row = rows.iter().map(|(entry, _)| entry.row).fold(state.newest_row, i64::max);
        for entry in entries {
            let new_chat = new_chats.contains(&entry.chat);
            state.dispatch.push(entry, new_chat);
        }
        state.history_loaded = true;
        Ok(limits)
    }

    async fn read(
        &self,
        all: bool,
    ) -> Result<(Vec<(QueuedMessage, Option<Millis>)>, OutboxLimits), ServiceError> {
        let after = if all { 0 } else { self.lock().newest_row };
        let (device, defaults) = (self.device.clone(), self.messaging.limits.outbox.clone());
        self.messaging
            .store
            .read(move |store| {
                let limits = store.device(&device)?.map(|device| limits_of(&defaults, &device));
                Ok((store.outbox_entries(&device, after)?, limits.unwrap_or(defaults)))
            })
            .await
    }

    /// Stores the rules. Returns whether the recent sends are loaded for them.
    fn take_rules(&self, rules: &Rules) -> bool {
        let mut state = self.lock();
        if state.rules != *rules {
            state.rules = rules.clone();
            state.history_loaded = false;
        }
        state.history_loaded
    }

    /// Loads the recent sends: after a restart there are none here, and new rules may need older ones.
    async fn load_history(&self, rules: &Rules) -> Result<(), ServiceError> {
        let (device, from) = (self.device.clone(), self.messaging.clock.now().plus(-rules.horizon_ms()));
        let mut past =
            self.messaging.store.read(move |store| store.departures(&device, from, Pacer::MOST)).await?;
        let now = self.messaging.clock.now();
        for departure in &mut past {
            departure.at = departure.at.plus(LAG_MS).min(now.max(departure.at));
        }
        let unit = self.messaging.random.unit();
        self.lock().dispatch.restore(past, rules.pace, unit);
        Ok(())
    }

    /// The new chats among these messages; with `all`, among all messages in the queue.
    async fn new_chats(
        &self,
        entries: &[QueuedMessage],
        rules: &Rules,
        all: bool,
    ) -> Result<Vec<Jid>, ServiceError> {
        if rules.pace.new_chats_per_day == 0 && rules.warmup.is_none() {
            self.lock().dispatch.set_strangers([]);
            return Ok(Vec::new());
        }
        let mut among: Vec<Jid> = {
            let queue = self.lock();
            let queue = queue.dispatch.queue();
            let fresh = entries.iter().map(|entry| &entry.chat).filter(|chat| !queue.has(chat));
            fresh.chain(queue.chats().filter(|_| all)).cloned().collect()
        };
        among.sort_unstable();
        among.dedup();
        if among.is_empty() {
            return Ok(among);
        }
        let new = self.ask_new_chats(among).await?;
        if all {
            self.lock().dispatch.set_strangers(new.clone());
        }
        Ok(new)
    }

    async fn ask_new_chats(&self, among: Vec<Jid>) -> Result<Vec<Jid>, ServiceError> {
        let device = self.device.clone();
        self.messaging.store.read(move |store| Ok(store.new_chats(&device, &among)?)).await
    }

    /// Makes the next load check all new chats again, because those people may have written to us since.
    pub(in crate::service) fn recheck_new_chats(&self) {
        self.lock().recheck_new_chats = true;
    }

    async fn refresh_strangers(&self) -> Result<(), ServiceError> {
        let waiting: Vec<Jid> = {
            let mut state = self.lock();
            let strangers = state.dispatch.strangers();
            let check =
                !strangers.is_empty() && (state.recheck_new_chats || strangers.len() <= FEW_NEW_CHATS);
            let waiting = if check { strangers.iter().cloned().collect() } else { Vec::new() };
            state.recheck_new_chats = false;
            waiting
        };
        if !waiting.is_empty() {
            let still = self.ask_new_chats(waiting).await?;
            self.lock().dispatch.set_strangers(still);
        }
        Ok(())
    }

    /// The next step; the reason that holds the queue is published for status queries.
    pub(in crate::service) fn next(&self, now: Millis) -> NextSend {
        let mut state = self.lock();
        let State { dispatch, rules, .. } = &mut *state;
        let turn = dispatch.next(rules, now);
        self.live.liveness.set_held(match turn {
            NextSend::Held(at, why) => Some((at, why)),
            NextSend::Send(_) | NextSend::Idle => None,
        });
        self.live.liveness.set_to_strangers(!dispatch.strangers().is_empty());
        turn
    }

    pub(in crate::service) fn done(&self, chat: &Jid) {
        self.lock().dispatch.done(chat);
    }

    pub(in crate::service) fn retry(&self, entry: QueuedMessage) {
        self.lock().dispatch.retry(entry);
    }

    pub(in crate::service) fn requeue(&self, entry: QueuedMessage) {
        self.lock().dispatch.requeue(entry);
    }

    /// A slot for the message that was just chosen.
    pub(in crate::service) fn slot(self: &Arc<Self>, chat: &Jid) -> Slot {
        Slot { pacing: self.clone(), chat: chat.clone(), sent: AtomicBool::new(false) }
    }
}

impl Drop for Pacing {
    fn drop(&mut self) {
        self.live.liveness.set_held(None);
        self.live.liveness.set_to_strangers(false);
    }
}

/// A message's share of every limit. Released on drop, if the message was not sent.
pub(in crate::service) struct Slot {
    pacing: Arc<Pacing>,
    chat: Jid,
    sent: AtomicBool,
}

impl Slot {
    /// Whether quiet hours have begun since the message was chosen.
    pub(in crate::service) fn is_too_late(&self) -> bool {
        let now = self.pacing.messaging.clock.now();
        self.pacing.lock().rules.free_at(now) > now
    }

    /// Records that the bytes leave now.
    pub(in crate::service) fn leave(&self, record: SentRecord) {
        self.sent.store(true, Ordering::Release);
        let departure = SentRecord { at: self.pacing.messaging.clock.now(), ..record };
        let unit = self.pacing.messaging.random.unit();
        {
            let mut state = self.pacing.lock();
            let State { dispatch, rules, .. } = &mut *state;
            dispatch.record_sent(rules, &self.chat, departure, unit);
        }
        self.pacing.moved.notify_one();
    }

    /// Whether the bytes may have left.
    pub(in crate::service) fn has_left(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// Records the network's answer to a message that left at `since`.
    pub(in crate::service) fn answered(&self, outcome: &SendOutcome, since: Millis) {
        let now = self.pacing.messaging.clock.now();
        if matches!(outcome, SendOutcome::Sent { .. } | SendOutcome::Permanent(_)) {
            self.pacing.live.liveness.answered(now.since(since), now);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.has_left() {
            self.pacing.lock().dispatch.release(&self.chat);
            self.pacing.moved.notify_one();
        }
    }
}
