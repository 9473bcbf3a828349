//! What the simulated world says by itself: people, groups, history, codes, and who is on the network.
//!
//! Pure functions of the settings, the seed and the randomness they are given. Numbers are fictitious:
//! accounts are `1555010xxxx`, made-up contacts `1555011xxxx`, and `1555019xxxx` are not on the network.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::settings::{Contacts, Groups, Settings};
use crate::domain::clock::{Millis, Random};
use crate::domain::contact::ContactUpdate;
use crate::domain::device::Account;
use crate::domain::ids::{DeviceId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, Incoming};

/// The client name of a phone that was given none.
const CLIENT_NAME: &str = "Simulated phone";
/// Numbers that begin so are nobody's.
const NOBODY: &str = "1555019";
/// People who write, and sit in groups, when the settings have no contacts.
const EXTRAS: usize = 3;
/// Entries in one batch of contacts or history.
const BATCH: usize = 200;
/// Between two messages of the history.
const HISTORY_STEP_MS: i64 = 60_000;

/// What everything generated for a device is derived from.
pub(super) fn seed_of(device: &DeviceId, settings: &Settings) -> u64 {
    // FNV-1a: the same on every build, which the standard hashers do not promise.
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = device.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    settings.seed.to_le_bytes().into_iter().fold(hash, fnv)
}

/// The account of a phone, from what a scan gave and the seed.
pub(super) fn account(phone_number: Option<String>, client_name: Option<String>, seed: u64) -> Account {
    Account {
        phone_number: phone_number.unwrap_or_else(|| format!("1555010{:04}", seed % 10_000)),
        client_name: client_name.unwrap_or_else(|| CLIENT_NAME.to_owned()),
    }
}

/// A code as WhatsApp shows it: a reference and three keys, 241 characters.
pub(super) fn qr_code(random: &dyn Random) -> String {
    let mut bytes = [0_u8; 78 + 3 * 32];
    random.fill(&mut bytes);
    let (reference, keys) = bytes.split_at(78);
    let keys: Vec<String> = keys.chunks(32).map(|key| STANDARD.encode(key)).collect();
    format!("2@{},{}", STANDARD.encode(reference), keys.join(","))
}

/// Whether somebody has that number.
pub(super) fn is_on_network(jid: &Jid) -> bool {
    !jid.phone().is_some_and(|number| number.starts_with(NOBODY))
}

fn made_up(at: usize) -> Option<(Jid, Option<String>)> {
    let jid = Jid::person(&format!("1555011{:04}", at + 1)).ok()?;
    Some((jid, Some(format!("Contact {}", at + 1))))
}

/// Contact number `at` of the address book.
fn contact(settings: &Settings, at: usize) -> Option<(Jid, Option<String>)> {
    match &settings.contacts {
        Contacts::Generated(number) => (at < *number).then(|| made_up(at)).flatten(),
        Contacts::Listed(listed) => listed.get(at).map(|c| (c.id.clone(), c.name.clone())),
    }
}

fn contact_count(settings: &Settings) -> usize {
    match &settings.contacts {
        Contacts::Generated(number) => *number,
        Contacts::Listed(listed) => listed.len(),
    }
}

/// Somebody who writes: a contact, or an extra where there are none.
fn writer(settings: &Settings, at: usize) -> Option<(Jid, Option<String>)> {
    match contact_count(settings) {
        0 => made_up(at % EXTRAS),
        number => contact(settings, at % number),
    }
}

/// The display name of a contact, where the settings give one.
pub(super) fn name_of(settings: &Settings, jid: &Jid) -> Option<String> {
    match &settings.contacts {
        Contacts::Listed(listed) => listed.iter().find(|c| c.id == *jid).and_then(|c| c.name.clone()),
        Contacts::Generated(number) => {
            let at = jid.phone()?.strip_prefix("1555011")?.parse::<usize>().ok()?.checked_sub(1)?;
            (at < *number).then(|| made_up(at)).flatten().filter(|(id, _)| id == jid)?.1
        }
    }
}

fn group(settings: &Settings, at: usize) -> Option<(Jid, String)> {
    match &settings.groups {
        Groups::Generated(number) if at < *number => {
            let jid = format!("1203630000{:08}@g.us", at + 1).parse().ok()?;
            Some((jid, format!("Group {}", at + 1)))
        }
        Groups::Generated(_) => None,
        Groups::Listed(listed) => listed.get(at).map(|g| (g.id.clone(), g.subject.clone())),
    }
}

fn group_count(settings: &Settings) -> usize {
    match &settings.groups {
        Groups::Generated(number) => *number,
        Groups::Listed(listed) => listed.len(),
    }
}

/// Who is in a group besides the account: as the settings say, else who wrote in it, else three extras.
pub(super) fn members(settings: &Settings, group: &Jid, learnt: Vec<Jid>) -> Vec<Jid> {
    let listed = match &settings.groups {
        Groups::Listed(listed) => listed.iter().find(|g| g.id == *group),
        Groups::Generated(_) => None,
    };
    if let Some(listed) = listed {
        return listed.participants.clone();
    }
    if !learnt.is_empty() {
        return learnt;
    }
    (0..EXTRAS).filter_map(|at| writer(settings, at).map(|(jid, _)| jid)).collect()
}

/// What a fresh link synchronises, batch by batch: contacts, groups, history.
pub(super) fn past<'a>(
    settings: &'a Settings,
    account: &'a Account,
    seed: u64,
    now: Millis,
) -> impl Iterator<Item = EngineEvent> + Send + 'a {
    let contacts = batches(contact_count(settings), move |at| {
        let (id, name) = contact(settings, at)?;
        Some(ContactUpdate { id, address_book_name: name, pushname: None, lid: None })
    });
    let groups = (0..group_count(settings)).filter_map(move |at| {
        let (chat, name) = group(settings, at)?;
        Some(EngineEvent::ChatName { chat, name })
    });
    let number = usize::try_from(settings.history).unwrap_or(0);
    let history = batches(number, move |at| old_message(settings, account, seed, now, at));
    contacts.map(EngineEvent::Contacts).chain(groups).chain(history.map(EngineEvent::History))
}

fn batches<T>(number: usize, make: impl Fn(usize) -> Option<T>) -> impl Iterator<Item = Vec<T>> {
    let starts = (0..number).step_by(BATCH);
    starts.map(move |start| (start..number.min(start + BATCH)).filter_map(&make).collect())
}

/// Message number `at` of the history, oldest first. Its id depends on the seed and its place only, so
/// that history that is told twice is stored once.
fn old_message(
    settings: &Settings,
    account: &Account,
    seed: u64,
    now: Millis,
    at: usize,
) -> Option<Incoming> {
    let (person, notify_name) = writer(settings, at)?;
    let groups = group_count(settings);
    let in_group = groups > 0 && at % 3 == 2;
    let chat = if in_group { group(settings, at % groups)?.0 } else { person.clone() };
    let from_me = at % 2 == 1;
    let age = i64::try_from(settings.history).unwrap_or(0) - i64::try_from(at).unwrap_or(0);
    let network_id = format!("51A0{seed:016X}{at:06}").parse().ok()?;
    let from = if from_me { account.jid()? } else { person };
    let timestamp = now.plus(-age.saturating_mul(HISTORY_STEP_MS));
    let text = Incoming::text(network_id, chat, from, format!("Earlier message {}", at + 1), timestamp);
    Some(Incoming { from_me, notify_name: notify_name.filter(|_| !from_me), ..text })
}

/// A small generator of evenly spread numbers (SplitMix64), so that a seed gives the same run again.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// Contacts who write by themselves: at the mean rate of the settings, each gap between half and one and
/// a half times the mean, begun at a moment of the device's own.
pub(super) struct Traffic {
    random: SplitMix,
    mean_us: u64,
    next: Instant,
    written: u64,
}

impl Traffic {
    /// `None` when nobody writes by themselves.
    pub(super) fn new(settings: &Settings, seed: u64, now: Instant) -> Option<Self> {
        if settings.traffic_per_minute == 0 {
            return None;
        }
        let mean_us = 60_000_000 / settings.traffic_per_minute;
        let mut random = SplitMix(seed);
        let next = now + Duration::from_micros(random.below(mean_us));
        Some(Self { random, mean_us, next, written: 0 })
    }

    /// When somebody writes next.
    pub(super) fn next_at(&self) -> Instant {
        self.next
    }

    /// The message that is due, if one is.
    pub(super) fn message(
        &mut self,
        settings: &Settings,
        ids: &dyn Random,
        now: Instant,
        timestamp: Millis,
    ) -> Option<Incoming> {
        if self.next > now {
            return None;
        }
        self.next += Duration::from_micros(self.mean_us / 2 + self.random.below(self.mean_us));
        self.written += 1;
        let at = usize::try_from(self.random.below(1 << 20)).unwrap_or(0);
        let (from, notify_name) = writer(settings, at)?;
        let body = format!("Message {}", self.written);
        let text = Incoming::text(NetworkId::random(ids), from.clone(), from, body, timestamp);
        Some(Incoming { notify_name, ..text })
    }
}
