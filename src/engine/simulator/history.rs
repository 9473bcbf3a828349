//! The history synchronisation after linking: contacts, groups and earlier messages, in batches.
//!
//! Ids depend on the seed only, so that a repeated synchronisation stores nothing twice.

use super::generator;
use super::network_message::id_of;
use super::settings::Settings;
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::content::{Content, Location};
use crate::domain::device::Account;
use crate::domain::event::HistoryPhase;
use crate::domain::group::Group;
use crate::engine::{EngineEvent, Incoming, IncomingChange, Quoted};

/// Contacts or messages in one event.
const BATCH: usize = 200;
/// Groups in one event; each has many members.
const GROUP_BATCH: usize = 20;
/// Milliseconds between two messages.
const STEP_MS: i64 = 60_000;
/// The number of earlier messages among which a quoted one is searched.
const REACH: usize = 60;
/// The length from which a history has a reaction.
const REACTION_FROM: usize = 10;

/// The input of a synchronisation.
#[derive(Clone, Copy)]
pub(super) struct HistorySync<'a> {
    pub(super) settings: &'a Settings,
    pub(super) account: &'a Account,
    /// The groups that the account is in.
    pub(super) groups: &'a [Group],
    pub(super) seed: u64,
    pub(super) now: Millis,
}

impl<'a> HistorySync<'a> {
    /// All batches, each followed by its progress; no event when there is no history.
    pub(super) fn events(self) -> impl Iterator<Item = EngineEvent> + Send + 'a {
        let contacts = generator::contact_count(self.settings);
        let history = usize::try_from(self.settings.history).unwrap_or(0);
        let contact = move |at| {
            let (id, name) = generator::contact(self.settings, at)?;
            Some(ContactUpdate { id, address_book_name: name, pushname: None, lid: None })
        };
        let contact_events = batches(contacts, BATCH, contact).flat_map(progress(
            HistoryPhase::Contacts,
            contacts,
            EngineEvent::Contacts,
        ));
        let groups = self.groups.len();
        let group_events = batches(groups, GROUP_BATCH, move |at| self.groups.get(at).cloned()).flat_map(
            progress(HistoryPhase::Groups, groups, |groups| EngineEvent::Groups { groups, complete: false }),
        );
        let message_events = batches(history, BATCH, move |at| self.message(at)).flat_map(progress(
            HistoryPhase::Messages,
            history,
            EngineEvent::History,
        ));
        let reaction = (history >= REACTION_FROM).then(|| self.reaction(history - 1)).flatten();
        let reaction = reaction.map(|reaction| EngineEvent::PastChanges(vec![reaction]));
        let complete = (contacts + groups + history > 0)
            .then(|| step(HistoryPhase::Complete, history as u64, history as u64));
        contact_events.chain(group_events).chain(message_events).chain(reaction).chain(complete)
    }

    /// Message number `at`, oldest first.
    fn message(&self, at: usize) -> Option<Incoming> {
        let mut message = self.text(at)?;
        match at % 10 {
            4 => {
                message.content = Content::Location(place(at));
                message.body.clear();
            }
            7 => message.quoted = self.quoted(at, &message),
            _ => {}
        }
        Some(message)
    }

    fn text(&self, at: usize) -> Option<Incoming> {
        let (person, notify_name) = generator::writer(self.settings, at)?;
        let in_group = !self.groups.is_empty() && at % 3 == 2;
        let group = self.groups.get(at.checked_rem(self.groups.len()).unwrap_or(0));
        let chat = group.filter(|_| in_group).map_or_else(|| person.clone(), |group| group.id.clone());
        let from_me = at % 2 == 1;
        let age = i64::try_from(self.settings.history).unwrap_or(0) - i64::try_from(at).unwrap_or(0);
        let network_id = format!("51A0{:016X}{at:06}", self.seed).parse().ok()?;
        let from = if from_me { self.account.jid()? } else { person };
        let timestamp = self.now.plus(-age.saturating_mul(STEP_MS));
        let text = Incoming::text(network_id, chat, from, format!("Earlier message {}", at + 1), timestamp);
        Some(Incoming { from_me, notify_name: notify_name.filter(|_| !from_me), ..text })
    }

    /// The previous text in the same chat.
    fn quoted(&self, at: usize, message: &Incoming) -> Option<Quoted> {
        let before = (at.saturating_sub(REACH)..at).rev().filter(|at| at % 10 != 4);
        let earlier = before.filter_map(|at| self.text(at)).find(|text| text.chat == message.chat)?;
        Some(Quoted { id: id_of(&earlier), author: earlier.from, body: earlier.body })
    }

    /// A reaction to the last message of the account.
    fn reaction(&self, last: usize) -> Option<IncomingChange> {
        let ours = (0..=last).rev().filter_map(|at| self.text(at)).find(|text| text.from_me)?;
        let (from, _) = generator::writer(self.settings, last)?;
        let at = ours.timestamp.plus(STEP_MS / 2);
        Some(IncomingChange::Reaction {
            id: id_of(&ours), from, from_me: false, emoji: "👍".to_owned(), at
        })
    }
}

/// A location in the ocean.
fn place(at: usize) -> Location {
    let off = f64::from(u32::try_from(at % 1_000).unwrap_or(0)) / 1_000.0;
    Location { latitude: 30.0 + off, longitude: -40.0 - off, description: Some(format!("Buoy {}", at + 1)) }
}

fn batches<T>(
    number: usize,
    size: usize,
    make: impl Fn(usize) -> Option<T>,
) -> impl Iterator<Item = (usize, Vec<T>)> {
    (0..number).step_by(size).map(move |start| {
        let end = number.min(start + size);
        (end, (start..end).filter_map(&make).collect())
    })
}

/// Turns a batch into its event and the progress after it.
fn progress<T>(
    phase: HistoryPhase,
    total: usize,
    event: impl Fn(Vec<T>) -> EngineEvent,
) -> impl Fn((usize, Vec<T>)) -> [EngineEvent; 2] {
    move |(done, batch)| [event(batch), step(phase, done as u64, total as u64)]
}

fn step(phase: HistoryPhase, done: u64, total: u64) -> EngineEvent {
    EngineEvent::HistoryProgress { done, total: Some(total), phase }
}
