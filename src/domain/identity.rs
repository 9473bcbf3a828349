//! One person, two ids: the phone number (`@c.us`) and the hidden id (`@lid`).
//!
//! Whoever is first seen by the one and later by the other is one person, with one chat. Everything that a
//! network tells is *settled* before it is stored: hidden ids whose number is known are replaced by it. What
//! was stored before the number was known is settled when it is learnt. Only ids of messages stay as they
//! are: they are permanent, and a message is found by either spelling of its id.

use super::chat::Chat;
use super::clock::Millis;
use super::contact::ContactUpdate;
use super::group::{Group, Participant};
use super::ids::MessageId;
use super::jid::{Jid, JidKind};
use super::message::Message;

/// Says which people it is about, so that their ids can be read and replaced.
pub trait ReferencesPeople {
    /// Shows each id that may be a person's.
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid));
}

impl ReferencesPeople for Jid {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        visit(self);
    }
}

impl<T: ReferencesPeople> ReferencesPeople for Option<T> {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        self.iter_mut().for_each(|one| one.each_person(visit));
    }
}

impl<T: ReferencesPeople> ReferencesPeople for Vec<T> {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        self.iter_mut().for_each(|one| one.each_person(visit));
    }
}

impl ReferencesPeople for MessageId {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        visit(&mut self.chat);
        self.participant.each_person(visit);
    }
}

impl ReferencesPeople for Participant {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        visit(&mut self.id);
    }
}

impl ReferencesPeople for Group {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        self.owner.each_person(visit);
        self.participants.each_person(visit);
    }
}

/// Its hidden id is what is told of the person, and stays.
impl ReferencesPeople for ContactUpdate {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        visit(&mut self.id);
    }
}

/// All but its permanent id.
impl ReferencesPeople for Message {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        for id in [&mut self.chat_id, &mut self.from, &mut self.to] {
            visit(id);
        }
        self.author.each_person(visit);
        self.mentioned_ids.each_person(visit);
        self.reactions.iter_mut().for_each(|reaction| visit(&mut reaction.from));
        self.poll.iter_mut().flat_map(|poll| &mut poll.votes).for_each(|vote| visit(&mut vote.voter));
        if let Some(quoted) = &mut self.quoted_message {
            quoted.each_person(visit);
        }
    }
}

/// The hidden ids in it, each once.
#[must_use]
pub fn hidden_ids(of: &mut impl ReferencesPeople) -> Vec<Jid> {
    let mut found = Vec::new();
    of.each_person(&mut |id| {
        if id.kind() == JidKind::Lid && !id.is_placeholder() {
            found.push(id.clone());
        }
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// That a hidden id and a number are one person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPair {
    /// The hidden id.
    pub lid: Jid,
    /// The number.
    pub number: Jid,
}

impl IdentityPair {
    /// What is told of a person, where that is their number with their hidden id.
    #[must_use]
    pub fn pair_of(update: &ContactUpdate) -> Option<Self> {
        let lid = update.lid.clone().filter(|lid| lid.kind() == JidKind::Lid && !lid.is_placeholder())?;
        update.id.phone()?;
        Some(Self { lid, number: update.id.clone() })
    }

    /// Puts the number where the hidden id stands. `false` when it does not.
    pub fn canonicalize(&self, what: &mut impl ReferencesPeople) -> bool {
        let mut changed = false;
        what.each_person(&mut |id| {
            if *id == self.lid {
                *id = self.number.clone();
                changed = true;
            }
        });
        changed
    }

    /// A name that is nothing but the hidden id becomes the number.
    #[must_use]
    pub fn canonical_name(&self, name: String) -> String {
        if name == self.lid.as_name() { self.number.as_name() } else { name }
    }
}

/// Settles by all that is known; `known` is in the order of [`hidden_ids`].
pub fn canonicalize(what: &mut impl ReferencesPeople, known: &[IdentityPair]) {
    if known.is_empty() {
        return;
    }
    what.each_person(&mut |id| {
        if let Ok(place) = known.binary_search_by(|same| same.lid.cmp(id)) {
            *id = known[place].number.clone();
        }
    });
}

/// The line of the chat that two chats of one person become: `kept` with what `folded` adds. What is in view
/// or silent in one of them is so in the one; messages and counts follow from the messages themselves.
#[must_use]
pub fn merged(kept: Option<Chat>, folded: Chat) -> Chat {
    let Some(kept) = kept else { return folded };
    let muted_until =
        match (kept.muted.then_some(kept.muted_until), folded.muted.then_some(folded.muted_until)) {
            (Some(one), Some(other)) => later(one, other),
            (Some(until), None) | (None, Some(until)) => until,
            (None, None) => None,
        };
    Chat {
        pinned: kept.pinned || folded.pinned,
        archived: kept.archived && folded.archived,
        muted: kept.muted || folded.muted,
        muted_until,
        timestamp: kept.timestamp.max(folded.timestamp),
        ..kept
    }
}

/// Of two ends of silence, of which `None` is never.
fn later(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    one.zip(other).map(|(one, other)| one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    fn same() -> IdentityPair {
        IdentityPair { lid: jid("4411@lid"), number: jid("15550100001") }
    }

    fn chat(id: &str) -> Chat {
        Chat {
            id: jid(id),
            chat_id: jid(id),
            name: String::new(),
            is_group: false,
            participants: None,
            last_message: None,
            unread_count: 0,
            pinned: false,
            archived: false,
            muted: false,
            muted_until: None,
            profile_pic_url: None,
            timestamp: Millis(1),
        }
    }

    #[test]
    fn update_with_number_and_lid_identifies_one_person() {
        let told = |id: &str, lid: Option<&str>| {
            let update = ContactUpdate { lid: lid.map(jid), ..ContactUpdate::seen(jid(id)) };
            IdentityPair::pair_of(&update)
        };
        assert_eq!(told("15550100001", Some("4411@lid")), Some(same()));
        assert_eq!(told("15550100001", None), None);
        assert_eq!(told("4411@lid", Some("4411@lid")), None);
        assert_eq!(told("15550100001", Some("15550100002@c.us")), None);
        assert_eq!(told("15550100001", Some(&Jid::placeholder(7).to_string())), None);
    }

    #[test]
    fn both_parts_of_message_id_are_canonicalized() {
        let mut id: MessageId = "false_1203@g.us_3EB0_4411@lid".parse().unwrap();
        assert_eq!(hidden_ids(&mut id), [jid("4411@lid")]);
        assert!(same().canonicalize(&mut id));
        assert_eq!(id.to_string(), "false_1203@g.us_3EB0_15550100001@c.us");
        assert!(!same().canonicalize(&mut id));
    }

    #[test]
    fn unmapped_lids_are_not_canonicalized() {
        let mut people = vec![jid("9@lid"), jid("4411@lid"), jid("15550100002"), jid("4411@lid")];
        assert_eq!(hidden_ids(&mut people), [jid("4411@lid"), jid("9@lid")]);
        canonicalize(&mut people, &[same()]);
        assert_eq!(people, [jid("9@lid"), jid("15550100001"), jid("15550100002"), jid("15550100001")]);
    }

    #[test]
    fn merged_chat_is_visible_or_muted_if_either_was() {
        let kept = Chat { archived: true, muted: true, muted_until: Some(Millis(9)), ..chat("15550100001") };
        let folded = Chat { pinned: true, muted: true, timestamp: Millis(5), ..chat("4411@lid") };
        let one = merged(Some(kept.clone()), folded.clone());
        assert_eq!(one.id, jid("15550100001"));
        assert_eq!((one.pinned, one.archived, one.muted, one.muted_until), (true, false, true, None));
        assert_eq!(one.timestamp, Millis(5));
        let ends = Chat { muted_until: Some(Millis(3)), ..folded.clone() };
        assert_eq!(merged(Some(kept), ends).muted_until, Some(Millis(9)));
        assert!(merged(None, folded).pinned);
    }

    #[test]
    fn lid_as_name_becomes_phone_number() {
        assert_eq!(same().canonical_name("4411@lid".to_owned()), "+15550100001");
        assert_eq!(same().canonical_name("Jo".to_owned()), "Jo");
    }
}
