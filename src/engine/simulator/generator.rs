//! Generates the simulated world: accounts, contacts, groups, QR codes and traffic.
//!
//! Pure functions of the settings, the seed and the given randomness. Numbers are fictitious: accounts are
//! `1555010xxxx`, generated contacts `1555011xxxx`, and `1555019xxxx` are not on the network.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::settings::{Contacts, GroupSetting, Groups, Settings};
use crate::domain::clock::{Millis, Random};
use crate::domain::device::Account;
use crate::domain::ids::{DeviceId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::Incoming;

/// The default name of a phone.
const CLIENT_NAME: &str = "Simulated phone";
/// Numbers with this prefix are not on the network.
const UNREGISTERED_PREFIX: &str = "1555019";
/// The number of people who write and are in groups when the settings have no contacts.
const DEFAULT_CONTACTS: usize = 3;

/// The seed of all data that is generated for a device.
pub(super) fn seed_of(device: &DeviceId, settings: &Settings) -> u64 {
    // FNV-1a: the standard hashers may differ between builds.
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = device.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    settings.seed.to_le_bytes().into_iter().fold(hash, fnv)
}

/// The account of a phone; the seed replaces a missing number.
pub(super) fn account(phone_number: Option<String>, client_name: Option<String>, seed: u64) -> Account {
    Account {
        phone_number: phone_number.unwrap_or_else(|| format!("1555010{:04}", seed % 10_000)),
        client_name: client_name.unwrap_or_else(|| CLIENT_NAME.to_owned()),
    }
}

/// A QR code in the form of WhatsApp: a reference and three keys, 241 characters.
pub(super) fn qr_code(random: &dyn Random) -> String {
    let mut bytes = [0_u8; 78 + 3 * 32];
    random.fill(&mut bytes);
    let (reference, keys) = bytes.split_at(78);
    let keys: Vec<String> = keys.chunks(32).map(|key| STANDARD.encode(key)).collect();
    format!("2@{},{}", STANDARD.encode(reference), keys.join(","))
}

/// Whether the number is registered.
pub(super) fn is_on_network(jid: &Jid) -> bool {
    !jid.phone().is_some_and(|number| number.starts_with(UNREGISTERED_PREFIX))
}

fn generated_contact(at: usize) -> Option<(Jid, Option<String>)> {
    let jid = Jid::person(&format!("1555011{:04}", at + 1)).ok()?;
    Some((jid, Some(format!("Contact {}", at + 1))))
}

/// Contact number `at` of the address book.
pub(super) fn contact(settings: &Settings, at: usize) -> Option<(Jid, Option<String>)> {
    match &settings.contacts {
        Contacts::Generated(number) => (at < *number).then(|| generated_contact(at)).flatten(),
        Contacts::Listed(listed) => listed.get(at).map(|c| (c.id.clone(), c.name.clone())),
    }
}

pub(super) fn contact_count(settings: &Settings) -> usize {
    match &settings.contacts {
        Contacts::Generated(number) => *number,
        Contacts::Listed(listed) => listed.len(),
    }
}

/// A person who writes: a contact, or a default one where there are none.
pub(super) fn writer(settings: &Settings, at: usize) -> Option<(Jid, Option<String>)> {
    match contact_count(settings) {
        0 => generated_contact(at % DEFAULT_CONTACTS),
        number => contact(settings, at % number),
    }
}

/// The display name of a contact, where the settings give one.
pub(super) fn name_of(settings: &Settings, jid: &Jid) -> Option<String> {
    match &settings.contacts {
        Contacts::Listed(listed) => listed.iter().find(|c| c.id == *jid).and_then(|c| c.name.clone()),
        Contacts::Generated(number) => {
            let at = jid.phone()?.strip_prefix("1555011")?.parse::<usize>().ok()?.checked_sub(1)?;
            (at < *number).then(|| generated_contact(at)).flatten().filter(|(id, _)| id == jid)?.1
        }
    }
}

/// Group number `at` of the settings.
fn group(settings: &Settings, at: usize) -> Option<GroupSetting> {
    match &settings.groups {
        Groups::Generated(number) if at < *number => {
            let id = format!("1203630000{:08}@g.us", at + 1).parse().ok()?;
            let subject = format!("Group {}", at + 1);
            Some(GroupSetting { id, subject, participants: default_members(settings), admin: true })
        }
        Groups::Generated(_) => None,
        Groups::Listed(listed) => listed.get(at).cloned(),
    }
}

/// The groups of the settings, in order.
pub(super) fn groups(settings: &Settings) -> impl Iterator<Item = GroupSetting> {
    let number = match &settings.groups {
        Groups::Generated(number) => *number,
        Groups::Listed(listed) => listed.len(),
    };
    (0..number).filter_map(|at| group(settings, at))
}

/// The members of a group outside the settings.
pub(super) fn default_members(settings: &Settings) -> Vec<Jid> {
    (0..DEFAULT_CONTACTS).filter_map(|at| writer(settings, at).map(|(jid, _)| jid)).collect()
}

/// The group with that id, where the settings have it.
pub(super) fn group_of(settings: &Settings, id: &Jid) -> Option<GroupSetting> {
    match &settings.groups {
        Groups::Generated(_) => {
            let at = id.user().strip_prefix("1203630000")?.parse::<usize>().ok()?.checked_sub(1)?;
            group(settings, at).filter(|group| group.id == *id)
        }
        Groups::Listed(listed) => listed.iter().find(|group| group.id == *id).cloned(),
    }
}

/// The URL of a contact's picture, where the settings give one.
pub(super) fn picture_of(settings: &Settings, jid: &Jid) -> Option<String> {
    match &settings.contacts {
        Contacts::Listed(listed) => listed.iter().find(|c| c.id == *jid).and_then(|c| c.picture.clone()),
        Contacts::Generated(_) => None,
    }
}

/// A pseudo-random generator (SplitMix64): the same seed gives the same numbers.
pub(super) struct SplitMix64(pub(super) u64);

impl SplitMix64 {
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

/// Generated traffic at the mean rate of the settings. A gap is 0.5 to 1.5 times the mean; the first moment
/// depends on the device.
pub(super) struct Traffic {
    random: SplitMix64,
    mean_us: u64,
    next: Instant,
    written: u64,
}

impl Traffic {
    /// `None` when the settings have no traffic.
    pub(super) fn new(settings: &Settings, seed: u64, now: Instant) -> Option<Self> {
        if settings.traffic_per_minute == 0 {
            return None;
        }
        let mean_us = 60_000_000 / settings.traffic_per_minute;
        let mut random = SplitMix64(seed);
        let next = now + Duration::from_micros(random.below(mean_us));
        Some(Self { random, mean_us, next, written: 0 })
    }

    /// The moment of the next message.
    pub(super) fn next_at(&self) -> Instant {
        self.next
    }

    /// The message that is due, if any.
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
