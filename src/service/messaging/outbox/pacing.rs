//! The order and pace of one device's outbox, shared between the outbox and the tries under way.
//!
//! Invariant: a try holds a [`Slot`] from the moment it is chosen; what leaves is noted in the store before
//! the bytes do, and here before the next is chosen, so that no limit is exceeded, a restart included.

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
    /// One on its way out has left, or does not after all.
    pub(in crate::service) moved: Notify,
}

struct State {
    dispatch: Dispatcher,
    rules: Rules,
    /// The newest row taken in.
    newest_row: i64,
    /// Whether the past was learnt for these rules.
    informed: bool,
    /// Whether new chats are to be looked at again, however many they are.
    look_again: bool,
}

/// What an earlier daemon noted may have left a little later.
const LAG_MS: i64 = 1_000;
/// So many new chats are looked at again with each load.
const FEW_CHATS: usize = 100;

impl Pacing {
    pub(in crate::service) fn new(messaging: Messaging, device: DeviceId, live: Arc<LiveDevice>) -> Self {
        let state = State {
            dispatch: Dispatcher::default(),
            rules: Rules::default(),
            newest_row: 0,
            informed: false,
            look_again: false,
        };
        Self { messaging, device, live, state: Mutex::new(state), moved: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes in what is new in the store: messages, and the device's settings. What was under way when the
    /// daemon ended is taken in only where it may be sent again.
    pub(in crate::service) async fn load(&self, resend_unknown: bool) -> Result<OutboxLimits, ServiceError> {
        let taken = self.live.liveness.was_taken();
        let loaded = self.read(taken).await;
        if taken && loaded.is_err() {
            self.live.liveness.set_taken();
        }
        let (rows, limits) = loaded?;
        let informed = self.take_rules(&limits.rules);
        let first = self.lock().newest_row == 0;
        let mut entries = Vec::new();
        for (entry, sending_since) in &rows {
            let known = entry.row <= self.lock().newest_row;
            let never_resend = entry.retry_at == Some(NEVER_RESEND);
            if !known && !never_resend && (resend_unknown || !first || sending_since.is_none()) {
                entries.push(entry.clone());
            }
        }
        if !informed {
            self.learn(&limits.rules).await?;
        }
        self.refresh_strangers().await?;
        let new_chats = self.new_chats(&entries, &limits.rules, !informed).await?;
        let mut state = self.lock();
        if taken {
            let there: std::collections::HashSet<i64> = rows.iter().map(|(entry, _)| entry.row).collect();
            state.dispatch.keep(|row| there.contains(&row));
            // Two chats may have become one meanwhile.
            state.dispatch.recompute_group(rows.iter().map(|(entry, _)| entry));
        }
        state.newest_row = rows.iter().map(|(entry, _)| entry.row).fold(state.newest_row, i64::max);
        for entry in entries {
            let new_chat = new_chats.contains(&entry.chat);
            state.dispatch.push(entry, new_chat);
        }
        state.informed = true;
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

    /// Whether these are the rules for which the past is known.
    fn take_rules(&self, rules: &Rules) -> bool {
        let mut state = self.lock();
        if state.rules != *rules {
            state.rules = rules.clone();
            state.informed = false;
        }
        state.informed
    }

    /// The daemon was not always this one, and other rules look back further.
    async fn learn(&self, rules: &Rules) -> Result<(), ServiceError> {
        let (device, from) = (self.device.clone(), self.messaging.clock.now().plus(-rules.horizon_ms()));
        let mut past =
            self.messaging.store.read(move |store| store.departures(&device, from, Pacer::MOST)).await?;
        let now = self.messaging.clock.now();
        for departure in &mut past {
            departure.at = departure.at.plus(LAG_MS).min(now.max(departure.at));
        }
        let unit = self.messaging.random.unit();
        self.lock().dispatch.learn(past, rules.pace, unit);
        Ok(())
    }

    /// Which chats of these messages are new; with `all`, of everything that waits.
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

    /// With the next load, all chats that wait to be opened are looked at again: somebody may have written
    /// to us. Otherwise only while they are few.
    pub(in crate::service) fn look_again(&self) {
        self.lock().look_again = true;
    }

    async fn refresh_strangers(&self) -> Result<(), ServiceError> {
        let waiting: Vec<Jid> = {
            let mut state = self.lock();
            let strangers = state.dispatch.strangers();
            let look = !strangers.is_empty() && (state.look_again || strangers.len() <= FEW_CHATS);
            let waiting = if look { strangers.iter().cloned().collect() } else { Vec::new() };
            state.look_again = false;
            waiting
        };
        if !waiting.is_empty() {
            let still = self.ask_new_chats(waiting).await?;
            self.lock().dispatch.set_strangers(still);
        }
        Ok(())
    }

    /// What to do next; what holds the queue back is shown to those who look at it.
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

    pub(in crate::service) fn put_back(&self, entry: QueuedMessage) {
        self.lock().dispatch.requeue(entry);
    }

    /// For the message that was just chosen.
    pub(in crate::service) fn slot(self: &Arc<Self>, chat: &Jid) -> Slot {
        Slot { pacing: self.clone(), chat: chat.clone(), left: AtomicBool::new(false) }
    }
}

impl Drop for Pacing {
    fn drop(&mut self) {
        self.live.liveness.set_held(None);
        self.live.liveness.set_to_strangers(false);
    }
}

/// A message's place in every limit. Given back when it is dropped before the message left.
pub(in crate::service) struct Slot {
    pacing: Arc<Pacing>,
    chat: Jid,
    left: AtomicBool,
}

impl Slot {
    /// Whether quiet hours have begun since it was chosen.
    pub(in crate::service) fn is_too_late(&self) -> bool {
        let now = self.pacing.messaging.clock.now();
        self.pacing.lock().rules.free_at(now) > now
    }

    /// Its bytes leave now.
    pub(in crate::service) fn leave(&self, noted: SentRecord) {
        self.left.store(true, Ordering::Release);
        let departure = SentRecord { at: self.pacing.messaging.clock.now(), ..noted };
        let unit = self.pacing.messaging.random.unit();
        {
            let mut state = self.pacing.lock();
            let State { dispatch, rules, .. } = &mut *state;
            dispatch.record_sent(rules, &self.chat, departure, unit);
        }
        self.pacing.moved.notify_one();
    }

    /// Whether its bytes may have left.
    pub(in crate::service) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// What the network answered after it left at `since`.
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
