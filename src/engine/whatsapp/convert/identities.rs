//! Maps hidden ids to phone numbers on one connection, and identifies the account itself. All ids from the
//! network are resolved here, so that one person has one id.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;
use whatsapp_rust::Jid as NetworkJid;

use super::jid::as_written;
use crate::domain::contact::ContactUpdate;
use crate::domain::jid::{Jid, JidKind};

/// Maximum number of mapped people besides the account; beyond it the oldest pair is evicted.
const MAX_PAIRS: usize = 20_000;

/// The identities of one connection.
#[derive(Default)]
pub(in super::super) struct Identities {
    me: Option<Jid>,
    my_lid: Option<Jid>,
    pairs: RwLock<PairCache>,
}

/// Pairs of other people. The account's own pair is kept outside and is never evicted.
#[derive(Default)]
struct PairCache {
    /// Hidden id to number.
    numbers: HashMap<Arc<str>, Jid>,
    /// Hidden ids in the order of their first insertion.
    order: VecDeque<Arc<str>>,
}

impl PairCache {
    /// Inserts a pair and evicts the oldest beyond `max`; `false` if the pair exists.
    fn insert(&mut self, lid: &str, number: &Jid, max: usize) -> bool {
        if let Some(existing) = self.numbers.get_mut(lid) {
            let is_new = existing != number;
            existing.clone_from(number);
            return is_new;
        }
        let lid: Arc<str> = lid.into();
        self.numbers.insert(Arc::clone(&lid), number.clone());
        self.order.push_back(lid);
        while self.order.len() > max
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        true
    }
}

impl Identities {
    /// With the account's number and hidden id; both are absent before it is linked.
    pub(in super::super) fn new(me: Option<&NetworkJid>, my_lid: Option<&NetworkJid>) -> Self {
        let me = me.and_then(as_written);
        let my_lid = my_lid.and_then(as_written).filter(|lid| lid.kind() == JidKind::Lid);
        Self { me, my_lid, pairs: RwLock::default() }
    }

    pub(in super::super) fn me(&self) -> Option<&Jid> {
        self.me.as_ref()
    }

    /// Whether this is the account, by either id.
    pub(in super::super) fn is_me(&self, jid: &Jid) -> bool {
        self.me.as_ref() == Some(jid) || self.my_lid.as_ref() == Some(jid)
    }

    /// Resolves the id of a chat or person; `None` if the API does not support it.
    pub(in super::super) fn jid(&self, jid: &NetworkJid) -> Option<Jid> {
        as_written(jid).map(|jid| self.resolve(jid))
    }

    /// Resolves an id in our format.
    pub(in super::super) fn resolve(&self, jid: Jid) -> Jid {
        if jid.kind() != JidKind::Lid {
            return jid;
        }
        if let (Some(me), true) = (&self.me, self.my_lid.as_ref() == Some(&jid)) {
            return me.clone();
        }
        self.pairs.read().numbers.get(jid.user()).cloned().unwrap_or(jid)
    }

    /// Whether this is a hidden id without a number.
    pub(in super::super) fn is_unresolved(&self, jid: &NetworkJid) -> bool {
        as_written(jid)
            .is_some_and(|jid| jid.kind() == JidKind::Lid && self.resolve(jid).kind() == JidKind::Lid)
    }

    /// Records an identity pair; returns an update if it is new.
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
        if self.my_lid.as_ref() == Some(lid) && self.me.is_some() {
            return false;
        }
        self.pairs.write().insert(lid.user(), number, MAX_PAIRS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> NetworkJid {
        text.parse().unwrap()
    }

    #[test]
    fn resolved_person_has_number() {
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
        assert_eq!(ids.record_pair(&network("15550100001@s.whatsapp.net"), &lid), None, "recorded twice");
    }

    #[test]
    fn account_is_identified_by_either_id() {
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

    #[test]
    fn full_cache_evicts_oldest_pair_only() {
        let (me, my_lid) = (network("15550100009@s.whatsapp.net"), network("100000000000009@lid"));
        let ids = Identities::new(Some(&me), Some(&my_lid));
        let (lid, number) = (
            |at: usize| network(&format!("2000000{at:08}@lid")),
            |at: usize| network(&format!("1666{at:07}@s.whatsapp.net")),
        );
        for at in 0..=MAX_PAIRS {
            assert!(ids.record_pair(&lid(at), &number(at)).is_some());
        }
        assert!(ids.is_unresolved(&lid(0)), "the oldest pair is evicted");
        assert!(!ids.is_unresolved(&lid(1)) && !ids.is_unresolved(&lid(MAX_PAIRS)));
        assert_eq!(ids.pairs.read().numbers.len(), MAX_PAIRS);
        assert_eq!(ids.jid(&my_lid).as_ref(), ids.me());
        // A changed number keeps the place of its pair.
        assert!(ids.record_pair(&lid(1), &number(0)).is_some());
        assert_eq!(ids.record_pair(&lid(1), &number(0)), None);
        assert!(ids.record_pair(&lid(0), &number(0)).is_some());
        assert!(ids.is_unresolved(&lid(1)) && !ids.is_unresolved(&lid(2)));
    }
}
