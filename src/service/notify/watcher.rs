//! Follows the logs of all devices, each from where it was looked through to, and lets news through their gates.
//!
//! One task for all devices, a page of one log at a time, so that a busy device does not keep the others waiting. A
//! position is stored with what is told, and lies before whatever waits in a gate; what was told beyond it is known by
//! its burst. So a kill loses no news and tells none twice, but where it waited for its burst to end.

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

/// Entries read at once.
const PAGE: usize = 256;
/// A position is stored by itself once it is so far ahead of the stored one.
const STORE_AFTER: i64 = 500;
/// How often gates are looked at while something waits in one.
const TICK: Duration = Duration::from_millis(100);
/// How long a device rests whose log could not be read or whose notifications could not be stored.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an event that a command gets.
const EVENT_MAX: usize = 262_144;

/// What is remembered of one device.
struct DeviceWatch {
    position: i64,
    stored: i64,
    gate: Coalescer,
    told: HashMap<String, i64>,
    name: String,
}

impl DeviceWatch {
    /// The position up to which everything was told, or does not have to be.
    fn safe_position(&self) -> i64 {
        self.gate.oldest_waiting().map_or(self.position, |oldest| self.position.min(oldest - 1))
    }
}

/// Something that happened, with what is known of its chat.
struct NewEntries {
    happening: Trigger,
    chat_name: Option<String>,
    chat_muted: bool,
    event: String,
}

/// A page of a log, as far as it is news.
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
    seats: HashMap<DeviceId, DeviceWatch>,
    /// Devices whose log could not be looked through, and until when they are left alone.
    resting: HashMap<DeviceId, Instant>,
}

impl Notifications {
    pub(super) async fn start_watcher(&self) -> Result<(), ServiceError> {
        let behind = self.store.read(|store| store.notify_behind()).await?;
        let watcher = Watcher { notify: self.clone(), seats: HashMap::new(), resting: HashMap::new() };
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
                match self.look(&device).await {
                    Ok(true) => drop(ready.insert(device)),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%device, %error, "notifications wait: the log could not be looked through");
                        self.seats.remove(&device);
                        self.resting.insert(device, Instant::now() + PAUSE);
                    }
                }
            }
            for device in self.flush().await {
                self.resting.insert(device, Instant::now() + PAUSE);
            }
            let now = Instant::now();
            ready.extend(self.resting.extract_if(|_, until| *until <= now).map(|(device, _)| device));
            let idle = self.resting.is_empty() && self.seats.values().all(|seat| seat.gate.is_idle());
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

    /// Looks at a page of a log; `true` when there is more.
    async fn look(&mut self, device: &DeviceId) -> Result<bool, ServiceError> {
        let (id, position) = (device.clone(), self.seats.get(device).map(|seat| seat.position));
        let now = self.notify.clock.now();
        let page = self.notify.store.read(move |store| read_page(store, &id, position, now)).await?;
        let limits = self.notify.state.limits;
        let seat = self.seats.entry(device.clone()).or_insert_with(|| DeviceWatch {
            position: 0,
            stored: 0,
            gate: Coalescer::new(limits, now),
            told: HashMap::new(),
            name: String::new(),
        });
        if let Some((stored, told)) = page.started {
            (seat.position, seat.stored) = (stored, stored);
            seat.told = told.into_iter().collect();
        }
        seat.name = page.name;
        let mut told = Vec::new();
        for news in page.news {
            told.extend(pass(&self.notify, device, seat, news, now));
        }
        seat.position = page.last;
        self.store(device, told).await?;
        if page.gone {
            // Its log ends with it; a device of the same name begins anew.
            self.seats.remove(device);
        }
        Ok(page.more)
    }

    /// Tells what is due; answers the devices that have to be looked at again.
    async fn flush(&mut self) -> Vec<DeviceId> {
        let now = self.notify.clock.now();
        let waits = |(_, seat): &(&DeviceId, &DeviceWatch)| !seat.gate.is_idle();
        let devices: Vec<DeviceId> = self.seats.iter().filter(waits).map(|(id, _)| id.clone()).collect();
        let mut again = Vec::new();
        for device in devices {
            let told = self.seats.get_mut(&device).map(|seat| seat.gate.due(now)).unwrap_or_default();
            if let Err(error) = self.tell_of(&device, told).await {
                tracing::warn!(%device, %error, "notifications could not be stored; trying again");
                self.seats.remove(&device);
                again.push(device);
            }
        }
        again
    }

    /// Tells what waited, as far as it still is news.
    async fn tell_of(&mut self, device: &DeviceId, told: Vec<Coalesced>) -> Result<(), ServiceError> {
        let told = is_still_relevant(&self.notify, device, told).await?;
        self.store(device, told).await
    }

    async fn store(&mut self, device: &DeviceId, told: Vec<Coalesced>) -> Result<(), ServiceError> {
        let Some(seat) = self.seats.get_mut(device) else { return Ok(()) };
        let safe = seat.safe_position();
        if told.is_empty() && safe - seat.stored < STORE_AFTER {
            return Ok(());
        }
        let name = seat.name.clone();
        let stored = recorder::record(&self.notify, device, &name, told, safe).await?;
        if let Some(seat) = self.seats.get_mut(device) {
            seat.stored = stored;
        }
        Ok(())
    }

    /// Stores how far all logs were looked through. What waits in a gate is beyond that, and told after the restart:
    /// those who show and run it end at the same time.
    async fn finish(self) {
        for (device, seat) in &self.seats {
            let safe = seat.safe_position();
            if safe == seat.stored {
                continue;
            }
            if let Err(error) = recorder::record(&self.notify, device, &seat.name, Vec::new(), safe).await {
                tracing::warn!(%device, %error, "this log is looked through again after the restart");
            }
        }
    }
}

fn pass(
    notify: &Notifications,
    device: &DeviceId,
    seat: &mut DeviceWatch,
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
    if seat.told.get(&case.burst()).is_some_and(|last| case.happening.seq <= *last) {
        return None;
    }
    seat.gate.offer(case, now)
}

/// What waited, without what was muted in the meantime and without messages of chats that were read; in quiet hours
/// that began in the meantime, without what disturbs.
async fn is_still_relevant(
    notify: &Notifications,
    device: &DeviceId,
    mut told: Vec<Coalesced>,
) -> Result<Vec<Coalesced>, ServiceError> {
    told.retain(|told| !notify.is_muted(None, device, told.case.happening.chat.as_ref()));
    let (now, quiet_hours) = (notify.clock.now(), notify.state.quiet_hours.as_ref());
    for Coalesced { case, .. } in &mut told {
        case.decision = case.decision.clone().as_of(now, quiet_hours);
    }
    told.retain(|told| !told.case.decision.actions.is_empty());
    let asked: Vec<Jid> = told.iter().filter_map(|told| told.case.happening.chat.clone()).collect();
    if asked.is_empty() {
        return Ok(told);
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
    told.retain(|Coalesced { case, .. }| {
        let of_chat = case.happening.chat.as_ref().and_then(|chat| chats.get(chat));
        !of_chat.is_some_and(|(muted, read)| *muted || (*read && case.happening.kind == Kind::Message))
    });
    Ok(told)
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
    let known = store.device(device)?;
    let (name, account) = known.map(|device| (device.name, device.account)).unwrap_or_default();
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
                    let says = |name: &String| !name.is_empty() && *name != number;
                    let name = match found.map(|chat| chat.name).filter(says) {
                        Some(name) => Some(name),
                        // Of whom nothing was written has no chat, but may be known.
                        None => store.contact(device, chat)?.map(|contact| contact.name).filter(says),
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
