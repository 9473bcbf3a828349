//! Which groups there are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::scene::{Circle, MAX_GROUPS};

/// How many groups there are that accounts made.
const MAX_SHARED: usize = 10_000;

/// See the module.
#[derive(Default)]
pub struct Groups {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By account and id.
    own: BTreeMap<(String, String), Circle>,
    /// By id.
    shared: BTreeMap<String, Circle>,
}

/// Why there is no such change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<E> {
    /// There is no such group.
    Unknown,
    /// There are as many as may be.
    TooMany,
    /// The rules forbid it.
    Refused(E),
}

impl Groups {
    /// A group as an account sees it.
    #[must_use]
    pub fn find(&self, me: &str, id: &str) -> Option<Circle> {
        self.kept().find(me, id).cloned()
    }

    /// The groups that an account is in.
    #[must_use]
    pub fn of(&self, me: &str) -> Vec<Circle> {
        let kept = self.kept();
        let first = (me.to_owned(), String::new());
        let own = kept.own.range(first..).take_while(|((owner, _), _)| owner == me).map(|(_, circle)| circle);
        let all = own.chain(kept.shared.values());
        all.filter(|circle| circle.role_of(me).is_some()).cloned().collect()
    }

    /// The group with this secret in its invite link.
    #[must_use]
    pub fn invited(&self, me: &str, secret: &str) -> Option<Circle> {
        let kept = self.kept();
        let own = kept.own.iter().filter(|((owner, _), _)| owner == me).map(|(_, circle)| circle);
        let found = own.chain(kept.shared.values()).find(|circle| circle.invite.as_deref() == Some(secret));
        found.cloned()
    }

    /// Whose devices hear of what happens in a group: all of its members' where it is shared, else only the
    /// account's that it belongs to.
    #[must_use]
    pub fn audience(&self, me: &str, id: &str) -> Vec<String> {
        let kept = self.kept();
        match kept.shared.get(id) {
            Some(circle) if !kept.own.contains_key(&(me.to_owned(), id.to_owned())) => {
                circle.members.iter().map(|member| member.number.clone()).collect()
            }
            _ => vec![me.to_owned()],
        }
    }

    /// Adds a group that belongs to an account, or puts it in place of one of the same id.
    ///
    /// # Errors
    /// When the account has as many as may be.
    pub fn put(&self, me: &str, circle: Circle) -> Result<(), Found<()>> {
        let mut kept = self.kept();
        let key = (me.to_owned(), circle.id.clone());
        let count = kept.own.keys().filter(|(owner, _)| owner == me).count();
        if count >= MAX_GROUPS && !kept.own.contains_key(&key) {
            return Err(Found::TooMany);
        }
        kept.own.insert(key, circle);
        Ok(())
    }

    /// Adds a group for all who are in it.
    ///
    /// # Errors
    /// When there are as many as may be.
    pub fn share(&self, circle: Circle) -> Result<(), Found<()>> {
        let mut kept = self.kept();
        if kept.shared.len() >= MAX_SHARED {
            return Err(Found::TooMany);
        }
        kept.shared.insert(circle.id.clone(), circle);
        Ok(())
    }

    /// Changes a group; how it is then.
    ///
    /// # Errors
    /// When there is none, or the change is refused; it is then as it was.
    pub fn change<T, E>(
        &self,
        me: &str,
        id: &str,
        change: impl FnOnce(&mut Circle) -> Result<T, E>,
    ) -> Result<(Circle, T), Found<E>> {
        let mut kept = self.kept();
        let circle = kept.find_mut(me, id).ok_or(Found::Unknown)?;
        let mut after = circle.clone();
        let result = change(&mut after).map_err(Found::Refused)?;
        *circle = after.clone();
        Ok((after, result))
    }

    /// Somebody writes in a group to an account: the network knows both from now on.
    pub fn meet(&self, me: &str, id: &str, writer: &str) -> Circle {
        let mut kept = self.kept();
        if kept.find(me, id).is_none() {
            let subject = format!("Group {}", id.split('@').next().unwrap_or_default());
            let circle = Circle::described(id, &subject, Vec::new(), me, true);
            kept.own.insert((me.to_owned(), id.to_owned()), circle);
        }
        let Some(circle) = kept.find_mut(me, id) else {
            return Circle::described(id, "", Vec::new(), me, true);
        };
        circle.meet(writer);
        circle.clone()
    }

    /// Forgets the groups that belong to an account.
    pub fn clear(&self, me: &str) {
        self.kept().own.retain(|(owner, _), _| owner != me);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&self, me: &str, id: &str) -> Option<&Circle> {
        self.own.get(&(me.to_owned(), id.to_owned())).or_else(|| self.shared.get(id))
    }

    fn find_mut(&mut self, me: &str, id: &str) -> Option<&mut Circle> {
        match self.own.get_mut(&(me.to_owned(), id.to_owned())) {
            Some(circle) => Some(circle),
            None => self.shared.get_mut(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNE: &str = "15550100001";
    const BEN: &str = "15550100002";

    #[test]
    fn groups_of_the_same_id_belong_to_two_accounts() {
        let groups = Groups::default();
        for me in [ANNE, BEN] {
            groups.put(me, Circle::described("1@g.us", me, Vec::new(), me, true)).unwrap();
        }
        assert_eq!(groups.find(ANNE, "1@g.us").unwrap().subject, ANNE);
        assert_eq!(groups.of(BEN).len(), 1);
        assert_eq!(groups.audience(BEN, "1@g.us"), [BEN]);
    }

    #[test]
    fn a_shared_group_is_one_for_all_who_are_in_it() {
        let groups = Groups::default();
        let mut circle = Circle::made("2@g.us", "Both", ANNE, 0);
        circle.meet(BEN);
        groups.share(circle).unwrap();
        let renamed = |circle: &mut Circle| {
            circle.subject = "Renamed".to_owned();
            Ok::<(), ()>(())
        };
        groups.change(ANNE, "2@g.us", renamed).unwrap();
        assert_eq!(groups.find(BEN, "2@g.us").unwrap().subject, "Renamed");
        assert_eq!(groups.audience(BEN, "2@g.us"), [ANNE, BEN]);
    }

    #[test]
    fn a_group_that_somebody_writes_in_is_there() {
        let groups = Groups::default();
        let circle = groups.meet(ANNE, "3@g.us", BEN);
        assert!(circle.role_of(BEN).is_some() && circle.is_admin(ANNE));
        assert!(groups.of(BEN).is_empty());
    }
}
