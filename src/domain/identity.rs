//! Resolves the two ids of one person, the phone number (`@c.us`) and the hidden id (`@lid`), to one.
//!
//! A person has one chat, even if the network uses both ids. Received data is *canonicalized* before it is
//! stored: each hidden id with a stored number is replaced by the number. When a number arrives later, the
//! stored rows are rewritten. Message ids never change; a lookup accepts either form of a message id.

use super::chat::Chat;
use super::clock::Millis;
use super::contact::ContactUpdate;
use super::group::{Group, Participant};
use super::ids::MessageId;
use super::jid::{Jid, JidKind};
use super::message::Message;

/// A value that contains ids of people, which can be read and replaced.
pub trait ReferencesPeople {
    /// Calls `visit` with each id that can refer to a person.
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

/// Visits only `id`: `lid` is the information that the update carries and must stay.
impl ReferencesPeople for ContactUpdate {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        visit(&mut self.id);
    }
}

/// Visits every id except the permanent message id.
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

/// The hidden ids in a value, sorted and without duplicates.
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

/// A hidden id and a phone number of the same person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPair {
    /// The hidden id.
    pub lid: Jid,
    /// The chat id with the phone number.
    pub number: Jid,
}

impl IdentityPair {
    /// The pair in a contact update; `None` unless the update has both a number and a hidden id.
    #[must_use]
    pub fn pair_of(update: &ContactUpdate) -> Option<Self> {
        let lid = update.lid.clone().filter(|lid| lid.kind() == JidKind::Lid && !lid.is_placeholder())?;
        update.id.phone()?;
        Some(Self { lid, number: update.id.clone() })
    }

    /// Replaces the hidden id by the number. Returns `false` when the value does not contain the hidden id.
    pub fn canonicalize(&self, value: &mut impl ReferencesPeople) -> bool {
        let mut changed = false;
        value.each_person(&mut |id| {
            if *id == self.lid {
                *id = self.number.clone();
                changed = true;
            }
        });
        changed
    }

    /// Replaces a name that is only the hidden id by the number.
    #[must_use]
    pub fn canonical_name(&self, name: String) -> String {
        if name == self.lid.as_name() { self.number.as_name() } else { name }
    }
}

/// Replaces every hidden id that `pairs` resolves; `pairs` must be sorted by hidden id.
pub fn canonicalize(value: &mut impl ReferencesPeople, pairs: &[IdentityPair]) {
    if pairs.is_empty() {
        return;
    }
    value.each_person(&mut |id| {
        if let Ok(index) = pairs.binary_search_by(|pair| pair.lid.cmp(id)) {
            *id = pairs[index].number.clone();
        }
    });
}

/// Merges the list entries of two chats of one person into `kept`.
///
/// The merged chat is pinned or muted when either chat is, and archived only when both are. The store derives
/// the last message and the counts from the messages.
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

/// The later end of two mutes; `None` is a mute without an end.
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
        let pair_of = |id: &str, lid: Option<&str>| {
            let update = ContactUpdate { lid: lid.map(jid), ..ContactUpdate::seen(jid(id)) };
            IdentityPair::pair_of(&update)
        };
        assert_eq!(pair_of("15550100001", Some("4411@lid")), Some(same()));
        assert_eq!(pair_of("15550100001", None), None);
        assert_eq!(pair_of("4411@lid", Some("4411@lid")), None);
        assert_eq!(pair_of("15550100001", Some("15550100002@c.us")), None);
        assert_eq!(pair_of("15550100001", Some(&Jid::placeholder(7).to_string())), None);
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
