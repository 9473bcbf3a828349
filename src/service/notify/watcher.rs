//! Follows the event logs of all devices and passes triggers through each device's coalescer.
//!
//! One task reads a page of one log at a time, so that a busy device does not delay the others. A position is
//! stored in the transaction of its notifications and stays before every entry that still waits. After a
//! restart, the stored burst of each notification suppresses duplicates. A crash therefore loses no
//! notification; it may repeat one whose burst was still open.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::recorder;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::{Action, Candidate, Coalesced, Coalescer, Kind, Trigger, evaluate};
use crate::service::{Notifications, ServiceError};
use crate::store::Reader;

/// Entries per page.
const PAGE: usize = 256;
/// Distance in entries after which a position is stored without a notification.
const STORE_AFTER: i64 = 500;
/// Interval at which coalescers are polled while entries wait in them.
const TICK: Duration = Duration::from_millis(100);
/// Pause of a device after its log could not be read or its notifications could not be stored.
const PAUSE: Duration = Duration::from_secs(1);
/// Size limit in bytes of an event that is passed to a command.
const EVENT_MAX: usize = 262_144;

/// State of one device's log.
struct DeviceWatch {
    position: i64,
    stored: i64,
    gate: Coalescer,
    last_of_burst: HashMap<String, i64>,
    name: String,
}

impl DeviceWatch {
    /// The position up to which no entry waits for its notification.
    fn safe_position(&self) -> i64 {
        self.gate.oldest_waiting().map_or(self.position, |oldest| self.position.min(oldest - 1))
    }
}

/// A trigger with the event's JSON and the name and mute state of its chat.
struct NewEntries {
    happening: Trigger,
    chat_name: Option<String>,
    chat_muted: bool,
    event: String,
}

/// The triggers of one page of a log.
struct Page {
    name: String,
    started: Option<(i64, Vec<(String, i64)>)>,
    news: Vec<NewEntries>,
    last: i64,
    more: bool,
    gone: bool,
}

struct Watcher {
    notify: Notifications,
    watches: HashMap<DeviceId, DeviceWatch>,
    /// Devices whose last attempt failed, with the end of their pause.
    resting: HashMap<DeviceId, Instant>,
}

impl Notifications {
    pub(super) async fn start_watcher(&self) -> Result<(), ServiceError> {
        let behind = self.store.read(|store| store.notify_behind()).await?;
        let watcher = Watcher { notify: self.clone(), watches: HashMap::new(), resting: HashMap::new() };
        self.tasks.spawn_essential("notify-watcher", watcher.run(behind.into_iter().collect()));
        Ok(())
    }
}

impl Watcher {
    async fn run(mut self, mut ready: BTreeSet<DeviceId>) {
        let soft = self.notify.tasks.soft().clone();
        while !soft.is_cancelled() {
            for device in std::mem::take(&mut ready) {
                if soft.is_cancelled() {
                    break;
                }
                if self.resting.contains_key(&device) {
                    continue;
                }
                match self.process_page(&device).await {
                    Ok(true) => drop(ready.insert(device)),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%device, %error, "event log could not be processed; retrying");
                        self.watches.remove(&device);
                        self.resting.insert(device, Instant::now() + PAUSE);
                    }
                }
            }
            for device in self.flush().await {
                self.resting.insert(device, Instant::now() + PAUSE);
            }
            let now = Instant::now();
            ready.extend(self.resting.extract_if(|_, until| *until <= now).map(|(device, _)| device));
            let idle = self.resting.is_empty() && self.watches.values().all(|watch| watch.gate.is_idle());
            let tick = if !ready.is_empty() {
                Duration::ZERO
            } else if idle {
                Duration::MAX
            } else {
                TICK
            };
            tokio::select! {
                biased;
                () = soft.cancelled() => break,
                grown = self.notify.store.next_grown() => ready.extend(grown),
                () = tokio::time::sleep(tick) => {}
            }
        }
        self.finish().await;
    }

    /// Processes one page of a log; `true` when more entries follow.
    async fn process_page(&mut self, device: &DeviceId) -> Result<bool, ServiceError> {
        let (id, position) = (device.clone(), self.watches.get(device).map(|watch| watch.position));
        let now = self.notify.clock.now();
        let page = self.notify.store.read(move |store| read_page(store, &id, position, now)).await?;
        let limits = self.notify.state.limits;
        let watch = self.watches.entry(device.clone()).or_insert_with(|| DeviceWatch {
            position: 0,
            stored: 0,
            gate: Coalescer::new(limits, now),
            last_of_burst: HashMap::new(),
            name: String::new(),
        });
        if let Some((stored, last_of_burst)) = page.started {
            (watch.position, watch.stored) = (stored, stored);
            watch.last_of_burst = last_of_burst.into_iter().collect();
        }
        watch.name = page.name;
        let mut coalesced = Vec::new();
        for news in page.news {
            coalesced.extend(pass(&self.notify, device, watch, news, now));
        }
        watch.position = page.last;
        self.store(device, coalesced).await?;
        if page.gone {
            // The log is deleted with the device. A new device with the same id starts from the beginning.
            self.watches.remove(device);
        }
        Ok(page.more)
    }

    /// Releases due notifications; returns the devices that must be read again because the store failed.
    async fn flush(&mut self) -> Vec<DeviceId> {
        let now = self.notify.clock.now();
        let waits = |(_, watch): &(&DeviceId, &DeviceWatch)| !watch.gate.is_idle();
        let devices: Vec<DeviceId> = self.watches.iter().filter(waits).map(|(id, _)| id.clone()).collect();
        let mut again = Vec::new();
        for device in devices {
            let coalesced =
                self.watches.get_mut(&device).map(|watch| watch.gate.due(now)).unwrap_or_default();
            if let Err(error) = self.store_relevant(&device, coalesced).await {
                tracing::warn!(%device, %error, "notifications could not be stored; retrying");
                self.watches.remove(&device);
                again.push(device);
            }
        }
        again
    }

    /// Stores notifications that waited, if they are still relevant.
    async fn store_relevant(
        &mut self,
        device: &DeviceId,
        coalesced: Vec<Coalesced>,
    ) -> Result<(), ServiceError> {
        let coalesced = is_still_relevant(&self.notify, device, coalesced).await?;
        self.store(device, coalesced).await
    }

    async fn store(&mut self, device: &DeviceId, coalesced: Vec<Coalesced>) -> Result<(), ServiceError> {
        let Some(watch) = self.watches.get_mut(device) else { return Ok(()) };
        let safe = watch.safe_position();
        if coalesced.is_empty() && safe - watch.stored < STORE_AFTER {
            return Ok(());
        }
        let name = watch.name.clone();
        let stored = recorder::record(&self.notify, device, &name, coalesced, safe).await?;
        if let Some(watch) = self.watches.get_mut(device) {
            watch.stored = stored;
        }
        Ok(())
    }

    /// Stores the safe position of every log. Entries that still wait lie after it and are processed after
    /// the restart.
    async fn finish(self) {
        for (device, watch) in &self.watches {
            let safe = watch.safe_position();
            if safe == watch.stored {
                continue;
            }
            if let Err(error) = recorder::record(&self.notify, device, &watch.name, Vec::new(), safe).await {
                tracing::warn!(%device, %error, "log position could not be stored");
            }
        }
    }
}

fn pass(
    notify: &Notifications,
    device: &DeviceId,
    watch: &mut DeviceWatch,
    news: NewEntries,
    now: Millis,
) -> Option<Coalesced> {
    let NewEntries { happening, chat_name, chat_muted, event } = news;
    let state = &notify.state;
    if chat_muted || notify.is_muted(None, device, happening.chat.as_ref()) {
        return None;
    }
    let decision = evaluate(state.rules().iter(), device, &happening, now, state.quiet_hours.as_ref())?;
    let wants_event = decision.conditions(Action::Command) && event.len() <= EVENT_MAX;
    let event = wants_event.then_some(event);
    let case = Candidate { happening, decision, chat_name, event };
    if watch.last_of_burst.get(&case.burst()).is_some_and(|last| case.happening.seq <= *last) {
        return None;
    }
    watch.gate.offer(case, now)
}

/// Filters notifications that waited: drops those muted in the meantime and messages of chats that were read.
/// During quiet hours it also removes the actions that make noise.
async fn is_still_relevant(
    notify: &Notifications,
    device: &DeviceId,
    mut coalesced: Vec<Coalesced>,
) -> Result<Vec<Coalesced>, ServiceError> {
    coalesced.retain(|entry| !notify.is_muted(None, device, entry.case.happening.chat.as_ref()));
    let (now, quiet_hours) = (notify.clock.now(), notify.state.quiet_hours.as_ref());
    for Coalesced { case, .. } in &mut coalesced {
        case.decision = case.decision.clone().as_of(now, quiet_hours);
    }
    coalesced.retain(|entry| !entry.case.decision.actions.is_empty());
    let asked: Vec<Jid> = coalesced.iter().filter_map(|entry| entry.case.happening.chat.clone()).collect();
    if asked.is_empty() {
        return Ok(coalesced);
    }
    let id = device.clone();
    let chats = notify
        .store
        .read::<_, ServiceError, _>(move |store| {
            let mut chats = HashMap::new();
            for chat in asked {
                let Some(found) = store.chat(&id, &chat)? else { continue };
                let found = found.as_of(now);
                chats.insert(chat, (found.muted, found.unread_count == 0));
            }
            Ok(chats)
        })
        .await?;
    coalesced.retain(|Coalesced { case, .. }| {
        let of_chat = case.happening.chat.as_ref().and_then(|chat| chats.get(chat));
        !of_chat.is_some_and(|(muted, read)| *muted || (*read && case.happening.kind == Kind::Message))
    });
    Ok(coalesced)
}

fn read_page(
    store: &Reader<'_>,
    device: &DeviceId,
    position: Option<i64>,
    now: Millis,
) -> Result<Page, ServiceError> {
    let started = match position {
        Some(_) => None,
        None => {
            let stored = store.notify_position(device)?;
            Some((stored, store.notified_after(device, stored)?))
        }
    };
    let from = position.or(started.as_ref().map(|(stored, _)| *stored)).unwrap_or_default();
    let entries = store.events_after(device, from, PAGE)?;
    let (mut last, mut news, mut gone) = (from, Vec::new(), false);
    let more = entries.len() == PAGE;
    let stored = store.device(device)?;
    let (name, account) = stored.map(|device| (device.name, device.account)).unwrap_or_default();
    let account = account.map(|account| account.phone_number);
    let mut chats: HashMap<Jid, (Option<String>, bool)> = HashMap::new();
    for entry in entries {
        last = entry.seq;
        gone = entry.kind == "device-deleted";
        let Some(happening) =
            Trigger::of(&entry.kind, entry.payload.get(), entry.seq, entry.at, account.as_deref())
        else {
            continue;
        };
        let (chat_name, chat_muted) = match &happening.chat {
            None => (None, false),
            Some(chat) => {
                if !chats.contains_key(chat) {
                    let found = store.chat(device, chat)?.map(|chat| chat.as_of(now));
                    let muted = found.as_ref().is_some_and(|chat| chat.muted);
                    let number = chat.as_name();
                    let is_display_name = |name: &String| !name.is_empty() && *name != number;
                    let name = match found.map(|chat| chat.name).filter(is_display_name) {
                        Some(name) => Some(name),
                        // A sender without a chat may still be a contact.
                        None => {
                            store.contact(device, chat)?.map(|contact| contact.name).filter(is_display_name)
                        }
                    };
                    chats.insert(chat.clone(), (Some(name.unwrap_or(number)), muted));
                }
                chats.get(chat).cloned().unwrap_or_default()
            }
        };
        news.push(NewEntries { happening, chat_name, chat_muted, event: entry.payload.get().to_owned() });
    }
    let name = if name.is_empty() { device.to_string() } else { name };
    Ok(Page { name, started, news, last, more, gone })
}
