//! The store ends in the same state for every order of messages and identity merges, as if all numbers had
//! been stored from the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{rewrite_some, store_contacts};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::contact::{Contact, ContactUpdate};
use crate::domain::device::Account;
use crate::domain::identity::IdentityPair;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::engine::{Incoming, IncomingReceipt};
use crate::service::media::links::LinkBase;
use crate::service::messaging::IngestMode;
use crate::service::messaging::changes::{MessageUpdate, Target, apply};
use crate::service::messaging::ingest::{store_incoming, store_receipt};
use crate::store::messages::PageFrom;
use crate::store::{Reader, Store, StoreError, StoreOptions, Synchronous, Tx, WriterObserver};

const PEOPLE: u8 = 3;

struct Unobserved;

impl WriterObserver for Unobserved {
    fn committed(&self, _writes: usize, _seconds: f64) {}
    fn appended(&self, _events: usize) {}
    fn refused(&self) {}
}

fn store() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { synchronous: Synchronous::Normal, write_queue: 64, readers: 1, vault_key: None };
    (Store::open(dir.path(), options, Arc::new(Unobserved)).unwrap(), dir)
}

/// A spelling of a person: by number, or by hidden id.
type Seen = (u8, bool);

fn jid((person, hidden): Seen) -> Jid {
    let text = if hidden { format!("7700{person}@lid") } else { format!("1555010000{person}") };
    text.parse().unwrap()
}

fn same(person: u8) -> IdentityPair {
    IdentityPair { lid: jid((person, true)), number: jid((person, false)) }
}

fn group() -> Jid {
    "1203@g.us".parse().unwrap()
}

/// Data that a network may send. Message indexes are taken modulo the number of messages.
#[derive(Debug, Clone)]
enum Input {
    Message { by: Seen, from_me: bool, in_group: bool, mentions: Option<Seen> },
    Again { message: usize, hidden: bool },
    Receipt { message: usize, by: Seen, ack: i64 },
    Reaction { message: usize, by: Seen, emoji: &'static str },
    Edit { message: usize },
    Named { by: Seen, name: &'static str },
    WhoIsWho { person: u8 },
}

fn seen() -> impl Strategy<Value = Seen> {
    (0..PEOPLE, any::<bool>())
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (seen(), any::<bool>(), any::<bool>(), proptest::option::of(seen()))
            .prop_map(|(by, from_me, in_group, mentions)| Input::Message { by, from_me, in_group, mentions }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(message, hidden)| Input::Again { message, hidden }),
        2 => (any::<usize>(), seen(), 2..4_i64)
            .prop_map(|(message, by, ack)| Input::Receipt { message, by, ack }),
        2 => (any::<usize>(), seen(), prop_oneof![Just("👍"), Just("🎉"), Just("")])
            .prop_map(|(message, by, emoji)| Input::Reaction { message, by, emoji }),
        1 => any::<usize>().prop_map(|message| Input::Edit { message }),
        1 => (seen(), prop_oneof![Just("Jo"), Just("Mo")]).prop_map(|(by, name)| Input::Named { by, name }),
        2 => (0..PEOPLE).prop_map(|person| Input::WhoIsWho { person }),
    ]
}

/// A sent message with the spelling of its person that came first. Later data uses that spelling, or either
/// one after the number is stored.
#[derive(Clone)]
struct Sent {
    incoming: Incoming,
    person: u8,
}

struct World<'a> {
    tx: &'a Tx<'a>,
    device: DeviceId,
    account: Account,
    sent: Vec<Sent>,
    merged: [bool; PEOPLE as usize],
    now: i64,
}

impl World<'_> {
    fn ingest(&mut self, event: &Input) -> Result<(), StoreError> {
        self.now += 1_000;
        match *event {
            Input::Message { by, from_me, in_group, mentions } => {
                self.message(by, from_me, in_group, mentions)
            }
            Input::Again { message, hidden } => {
                let Some(sent) = self.pick(message) else { return Ok(()) };
                let again = respelt(sent.incoming, (sent.person, hidden));
                self.deliver(again)
            }
            Input::Receipt { message, by, ack } => {
                let Some(sent) = self.pick(message).filter(|sent| sent.incoming.from_me) else {
                    return Ok(());
                };
                let in_group = sent.incoming.chat.is_group();
                let by = if in_group { by } else { self.spelling(&sent, by.1) };
                let mut receipt = IncomingReceipt {
                    chat: if in_group { group() } else { jid(by) },
                    network_id: sent.incoming.network_id,
                    ack: Ack::try_from(ack).unwrap(),
                    participant: in_group.then(|| jid(by)),
                    timestamp: Millis(self.now),
                    error: None,
                };
                self.tx.canonicalize_ids(&self.device, &mut receipt)?;
                store_receipt(self.tx, &self.device, &receipt, Millis(self.now))
            }
            Input::Reaction { message, by, emoji } => {
                let mut from = jid(by);
                self.tx.canonicalize_ids(&self.device, &mut from)?;
                let at = Millis(self.now);
                self.change(
                    message,
                    &MessageUpdate::React { from, from_me: false, emoji: emoji.to_owned(), at },
                )
            }
            Input::Edit { message } => {
                let at = Millis(self.now);
                self.change(message, &MessageUpdate::Edit { body: format!("edited at {}", self.now), at })
            }
            Input::Named { by, name } => {
                let update = ContactUpdate {
                    address_book_name: Some(name.to_owned()),
                    ..ContactUpdate::seen(jid(by))
                };
                store_contacts(self.tx, &self.device, vec![update], Millis(self.now)).map(|_| ())
            }
            Input::WhoIsWho { person } => self.merge(person),
        }
    }

    fn pick(&self, message: usize) -> Option<Sent> {
        self.sent.get(message.checked_rem(self.sent.len())?).cloned()
    }

    /// The id by which a network may refer to a message's person now.
    fn spelling(&self, sent: &Sent, hidden: bool) -> Seen {
        let first =
            sent.incoming.chat == jid((sent.person, true)) || sent.incoming.from == jid((sent.person, true));
        (sent.person, if self.merged[usize::from(sent.person)] { hidden } else { first })
    }

    fn message(
        &mut self,
        by: Seen,
        from_me: bool,
        in_group: bool,
        mentions: Option<Seen>,
    ) -> Result<(), StoreError> {
        let id = format!("NET{}", self.sent.len()).parse().unwrap();
        let chat = if in_group { group() } else { jid(by) };
        let from = if from_me { self.account.jid().unwrap() } else { jid(by) };
        let body = format!("message {}", self.sent.len());
        let incoming = Incoming {
            from_me,
            mentions: mentions.map(jid).into_iter().collect(),
            ..Incoming::text(id, chat, from, body, Millis(self.now))
        };
        self.sent.push(Sent { incoming: incoming.clone(), person: by.0 });
        self.deliver(incoming)
    }

    fn deliver(&self, mut incoming: Incoming) -> Result<(), StoreError> {
        self.tx.canonicalize_ids(&self.device, &mut incoming)?;
        let (account, links) = (Some(&self.account), LinkBase("".into()));
        store_incoming(self.tx, &self.device, account, &incoming, IngestMode::Live, &links, Millis(self.now))
            .map(|_| ())
    }

    fn change(&self, message: usize, change: &MessageUpdate) -> Result<(), StoreError> {
        let Some(sent) = self.pick(message) else { return Ok(()) };
        let spelling = self.spelling(&sent, message.is_multiple_of(2));
        let incoming = respelt(sent.incoming, spelling);
        let mut id = MessageId {
            from_me: incoming.from_me,
            participant: (incoming.chat.is_group() && !incoming.from_me).then(|| incoming.from.clone()),
            chat: incoming.chat,
            network: incoming.network_id,
        };
        self.tx.canonicalize_ids(&self.device, &mut id)?;
        let Some(found) = self.tx.found_here(&self.device, &id)? else { return Ok(()) };
        let target = Target { device: &self.device, found: &found };
        apply(self.tx, &target, change, &LinkBase("".into()), Millis(self.now)).map(|_| ())
    }

    fn merge(&mut self, person: u8) -> Result<(), StoreError> {
        self.merged[usize::from(person)] = true;
        let IdentityPair { lid, number } = same(person);
        let update = ContactUpdate { lid: Some(lid), ..ContactUpdate::seen(number) };
        let after = store_contacts(self.tx, &self.device, vec![update], Millis(self.now))?;
        for same in after.pending {
            while rewrite_some(self.tx, &self.device, &same, 3, Millis(self.now))?
                .is_some_and(|done| done.messages > 0)
            {}
        }
        Ok(())
    }
}

/// The same message with the given id of its person.
fn respelt(incoming: Incoming, (person, hidden): Seen) -> Incoming {
    let respell = |id: Jid| if id == jid((person, !hidden)) { jid((person, hidden)) } else { id };
    Incoming { chat: respell(incoming.chat), from: respell(incoming.from), ..incoming }
}

/// The state that a client would see. Message ids are permanent and differ, so they are replaced by number.
#[derive(Debug, PartialEq)]
struct View {
    chats: Vec<(Jid, i64, Option<String>, Millis)>,
    messages: BTreeMap<String, String>,
    contacts: Vec<(Jid, Option<Jid>)>,
}

fn view(store: &Reader<'_>, device: &DeviceId) -> Result<View, StoreError> {
    let by_number = |id: &MessageId| -> Result<String, StoreError> {
        let mut id = id.clone();
        store.canonicalize_ids(device, &mut id)?;
        Ok(id.to_string())
    };
    let everything = crate::domain::queries::ChatQuery { limit: 100, ..Default::default() };
    let (mut chats, mut messages) = (Vec::new(), BTreeMap::new());
    for chat in store.chats(device, &everything)? {
        let last = chat.last_message.map(|last| by_number(&last.id)).transpose()?;
        for (_, mut message) in store.page(device, &chat.id, PageFrom::Newest, 1_000)? {
            let tracked = store.message(device, &message.id)?.unwrap();
            let id = by_number(&message.id)?;
            message.id = id.parse().unwrap();
            let receipts: Vec<_> = tracked.receipts.iter().map(|r| (r.participant.clone(), r.ack)).collect();
            messages.insert(id, format!("{message:?} {receipts:?}"));
        }
        chats.push((chat.id, chat.unread_count, last, chat.timestamp));
    }
    let people = crate::domain::queries::ContactQuery { limit: 100, ..Default::default() };
    let contacts = store.contacts(device, &people)?.0;
    let mut contacts: Vec<_> = contacts.into_iter().map(|Contact { id, lid, .. }| (id, lid)).collect();
    contacts.sort();
    Ok(View { chats, messages, contacts })
}

fn live(tx: &Tx<'_>, device: &str, all: &[Input], first: &[Input]) -> Result<View, StoreError> {
    let device: DeviceId = device.parse().unwrap();
    let account = Account { phone_number: "15550109999".to_owned(), client_name: "Shop".to_owned() };
    let mut world = World { tx, device, account, sent: Vec::new(), merged: [false; PEOPLE as usize], now: 0 };
    for event in first {
        world.ingest(event)?;
    }
    // Both worlds have the same time.
    world.now = 1_000_000;
    for event in all {
        world.ingest(event)?;
    }
    for person in 0..PEOPLE {
        world.merge(person)?;
    }
    view(world.tx, &world.device)
}

fn both(all: Vec<Input>) -> (View, View) {
    let (store, _dir) = store();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let from_the_start: Vec<_> = (0..PEOPLE).map(|person| Input::WhoIsWho { person }).collect();
    let write = move |tx: &Tx<'_>| {
        Ok::<_, StoreError>((live(tx, "later", &all, &[])?, live(tx, "start", &all, &from_the_start)?))
    };
    runtime.block_on(store.write(write)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn identity_merges_are_independent_of_order(all in proptest::collection::vec(input(), 1..40)) {
        let (later, start) = both(all);
        prop_assert_eq!(later, start);
    }
}

#[test]
fn message_received_by_both_ids_is_one() {
    let (store, _dir) = store();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let write = |tx: &Tx<'_>| {
        let all = [
            Input::Message { by: (1, true), from_me: false, in_group: false, mentions: None },
            Input::Again { message: 0, hidden: false },
        ];
        let view = live(tx, "shop", &all, &[])?;
        let device = "shop".parse().unwrap();
        for id in ["false_77001@lid_NET0", "false_15550100001@c.us_NET0"] {
            let found = tx.message(&device, &id.parse().unwrap())?.unwrap().message;
            assert_eq!(found.id.to_string(), "false_77001@lid_NET0", "the first id stays the permanent one");
            assert_eq!(found.chat_id, jid((1, false)));
        }
        Ok::<_, StoreError>(view)
    };
    let view = runtime.block_on(store.write(write)).unwrap();
    assert_eq!((view.chats.len(), view.messages.len(), view.chats[0].1), (1, 1, 1));
}

#[test]
fn reassigned_lid_affects_new_messages_only() {
    let (store, _dir) = store();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let write = |tx: &Tx<'_>| {
        let device: DeviceId = "shop".parse().unwrap();
        let merge = |number: &str| {
            let update =
                ContactUpdate { lid: Some(jid((1, true))), ..ContactUpdate::seen(number.parse().unwrap()) };
            store_contacts(tx, &device, vec![update], Millis(1)).map(|_| ())
        };
        merge("15550100001")?;
        assert_eq!(tx.canonical_id(&device, &jid((1, true)))?, jid((1, false)));
        merge("15550100007")?;
        assert_eq!(tx.canonical_id(&device, &jid((1, true)))?, "15550100007".parse().unwrap());
        assert_eq!(
            tx.contact(&device, &jid((1, false)))?.unwrap().lid,
            None,
            "the earlier number has no hidden id"
        );
        Ok::<_, StoreError>(())
    };
    runtime.block_on(store.write(write)).unwrap();
}

#[test]
fn long_chat_merges_in_resumable_batches() {
    let (store, _dir) = store();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let device: DeviceId = "shop".parse().unwrap();
    let messages = 450;
    let of = device.clone();
    let begin = move |tx: &Tx<'_>| {
        let account = Account { phone_number: "15550109999".to_owned(), client_name: "Shop".to_owned() };
        let merged = [false; PEOPLE as usize];
        let mut world = World { tx, device: of.clone(), account, sent: Vec::new(), merged, now: 0 };
        for _ in 0..messages {
            world.message((1, true), false, false, None)?;
        }
        let update = ContactUpdate { lid: Some(jid((1, true))), ..ContactUpdate::seen(jid((1, false))) };
        store_contacts(tx, &of, vec![update], Millis(1))
    };
    let after = runtime.block_on(store.write(begin)).unwrap();
    assert_eq!(after.pending, [same(1)]);
    // As after a crash: only the store has the pending work.
    let pending = runtime.block_on(store.read(|store| store.unresolved_people())).unwrap();
    assert_eq!(pending, [(device.clone(), same(1))]);
    let finish = move |tx: &Tx<'_>| {
        let mut writes = 0;
        while rewrite_some(tx, &device, &same(1), super::CHUNK, Millis(2))?
            .is_some_and(|done| done.messages > 0)
        {
            writes += 1;
        }
        let chat = tx.chat(&device, &jid((1, false)))?.unwrap();
        Ok::<_, StoreError>((
            writes,
            tx.message_count(&device, &chat.id)?,
            chat.unread_count,
            tx.unresolved_people()?,
        ))
    };
    let (writes, count, unread, pending) = runtime.block_on(store.write(finish)).unwrap();
    assert_eq!((writes, count, unread), (2, messages, messages));
    assert!(pending.is_empty());
}
