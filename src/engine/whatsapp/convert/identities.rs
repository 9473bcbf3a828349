//! Who is who: the account itself, and the phone numbers behind hidden ids, as far as they were learnt.
//!
//! The API speaks of a person by number wherever that is known. Who it is of is asked here and nowhere else, so that
//! one person is never two.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use whatsapp_rust::Jid as NetworkJid;

use super::jid::as_written;
use crate::domain::contact::ContactUpdate;
use crate::domain::jid::{Jid, JidKind};

/// People whose number is remembered; beyond it all are forgotten and learnt again.
const MOST: usize = 20_000;

/// Who is who on one connection.
#[derive(Default)]
pub(in super::super) struct Identities {
    me: Option<Jid>,
    my_lid: Option<Jid>,
    /// Hidden id to number.
    numbers: RwLock<HashMap<Box<str>, Jid>>,
}

impl Identities {
    /// Knows the account by its number and its hidden id; before it is linked it has neither.
    pub(in super::super) fn new(me: Option<&NetworkJid>, my_lid: Option<&NetworkJid>) -> Self {
        let me = me.and_then(as_written);
        let my_lid = my_lid.and_then(as_written).filter(|lid| lid.kind() == JidKind::Lid);
        let identities = Self { me: me.clone(), my_lid: my_lid.clone(), numbers: RwLock::default() };
        if let (Some(me), Some(lid)) = (me, my_lid) {
            identities.insert(&lid, &me);
        }
        identities
    }

    /// The account itself.
    pub(in super::super) fn me(&self) -> Option<&Jid> {
        self.me.as_ref()
    }

    /// Whether this is the account itself, by whichever id.
    pub(in super::super) fn is_me(&self, jid: &Jid) -> bool {
        self.me.as_ref() == Some(jid) || self.my_lid.as_ref() == Some(jid)
    }

    /// The id by which the API speaks of a chat or a person; `None` for what it has no name for.
    pub(in super::super) fn jid(&self, jid: &NetworkJid) -> Option<Jid> {
        as_written(jid).map(|jid| self.resolve(jid))
    }

    /// The same, for an id that is ours already.
    pub(in super::super) fn resolve(&self, jid: Jid) -> Jid {
        if jid.kind() != JidKind::Lid {
            return jid;
        }
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        numbers.get(jid.user()).cloned().unwrap_or(jid)
    }

    /// Whether the number behind this hidden id is not known. Nobody else's id lacks one.
    pub(in super::super) fn is_unresolved(&self, jid: &NetworkJid) -> bool {
        as_written(jid)
            .is_some_and(|jid| jid.kind() == JidKind::Lid && self.resolve(jid).kind() == JidKind::Lid)
    }

    /// Remembers that two ids are one person's; what is to be told of it, if that is news.
    pub(in super::super) fn record_pair(
        &self,
        one: &NetworkJid,
        other: &NetworkJid,
    ) -> Option<ContactUpdate> {
        let (one, other) = (as_written(one)?, as_written(other)?);
        let (lid, number) = match (one.kind(), other.kind()) {
            (JidKind::Lid, JidKind::Person) => (one, other),
            (JidKind::Person, JidKind::Lid) => (other, one),
            _ => return None,
        };
        self.insert(&lid, &number).then(|| ContactUpdate { lid: Some(lid), ..ContactUpdate::seen(number) })
    }

    fn insert(&self, lid: &Jid, number: &Jid) -> bool {
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        if numbers.get(lid.user()) == Some(number) {
            return false;
        }
        if numbers.len() >= MOST {
            numbers.clear();
        }
        numbers.insert(lid.user().into(), number.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> NetworkJid {
        text.parse().unwrap()
    }

    #[test]
    fn a_person_is_spoken_of_by_number_once_it_is_known() {
        let ids = Identities::default();
        let lid = network("100000000000001:3@lid");
        assert_eq!(ids.jid(&lid).unwrap().to_string(), "100000000000001@lid");
        assert!(ids.is_unresolved(&lid));
        let update = ids.record_pair(&lid, &network("15550100001:0@s.whatsapp.net")).unwrap();
        assert_eq!(
            (update.id.to_string(), update.lid.unwrap().to_string()),
            ("15550100001@c.us".into(), "100000000000001@lid".into())
        );
        assert_eq!(ids.jid(&lid).unwrap().to_string(), "15550100001@c.us");
        assert_eq!(ids.record_pair(&network("15550100001@s.whatsapp.net"), &lid), None, "no news any more");
    }

    #[test]
    fn the_account_is_itself_by_either_id() {
        let ids = Identities::new(
            Some(&network("15550100009:5@s.whatsapp.net")),
            Some(&network("100000000000009:5@lid")),
        );
        assert!(
            ids.is_me(&"15550100009@c.us".parse().unwrap())
                && ids.is_me(&"100000000000009@lid".parse().unwrap())
        );
        assert_eq!(ids.jid(&network("100000000000009@lid")).as_ref(), ids.me());
    }
}
