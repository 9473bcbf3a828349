//! All groups of the testbed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::scene::{MAX_GROUPS, SimulatedGroup};

/// The most groups that accounts created.
const MAX_SHARED: usize = 10_000;

/// The store of groups.
#[derive(Default)]
pub struct GroupStore {
    groups: Mutex<GroupMap>,
}

#[derive(Default)]
struct GroupMap {
    /// By account and id.
    own: BTreeMap<(String, String), SimulatedGroup>,
    /// By id.
    shared: BTreeMap<String, SimulatedGroup>,
}

/// Why a change failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupError<E> {
    /// The group does not exist.
    Unknown,
    /// There are too many groups.
    TooMany,
    /// The group's rules forbid it.
    Refused(E),
}

impl GroupStore {
    /// A group as an account sees it.
    #[must_use]
    pub fn find(&self, me: &str, id: &str) -> Option<SimulatedGroup> {
        self.lock().find(me, id).cloned()
    }

    /// The groups that an account is in.
    #[must_use]
    pub fn of(&self, me: &str) -> Vec<SimulatedGroup> {
        let map = self.lock();
        let first = (me.to_owned(), String::new());
        let own = map
            .own
            .range(first..)
            .take_while(|((owner, _), _)| owner == me)
            .map(|(_, group_state)| group_state);
        let all = own.chain(map.shared.values());
        all.filter(|group_state| group_state.role_of(me).is_some()).cloned().collect()
    }

    /// The group with this secret in its invite link.
    #[must_use]
    pub fn invited(&self, me: &str, secret: &str) -> Option<SimulatedGroup> {
        let map = self.lock();
        let own = map.own.iter().filter(|((owner, _), _)| owner == me).map(|(_, group_state)| group_state);
        let found =
            own.chain(map.shared.values()).find(|group_state| group_state.invite.as_deref() == Some(secret));
        found.cloned()
    }

    /// The accounts that are notified about a group: all members of a shared group, otherwise only its owner.
    #[must_use]
    pub fn audience(&self, me: &str, id: &str) -> Vec<String> {
        let map = self.lock();
        match map.shared.get(id) {
            Some(group_state) if !map.own.contains_key(&(me.to_owned(), id.to_owned())) => {
                group_state.members.iter().map(|member| member.number.clone()).collect()
            }
            _ => vec![me.to_owned()],
        }
    }

    /// Adds a group of one account, or replaces one of the same id.
    ///
    /// # Errors
    /// If the account has too many.
    pub fn put(&self, me: &str, group_state: SimulatedGroup) -> Result<(), GroupError<()>> {
        let mut map = self.lock();
        let key = (me.to_owned(), group_state.id.clone());
        let count = map.own.keys().filter(|(owner, _)| owner == me).count();
        if count >= MAX_GROUPS && !map.own.contains_key(&key) {
            return Err(GroupError::TooMany);
        }
        map.own.insert(key, group_state);
        Ok(())
    }

    /// Adds a group that all its members share.
    ///
    /// # Errors
    /// If there are too many.
    pub fn share(&self, group_state: SimulatedGroup) -> Result<(), GroupError<()>> {
        let mut map = self.lock();
        if map.shared.len() >= MAX_SHARED {
            return Err(GroupError::TooMany);
        }
        map.shared.insert(group_state.id.clone(), group_state);
        Ok(())
    }

    /// Changes a group; returns its new state.
    ///
    /// # Errors
    /// If it does not exist, or the change is refused; it is unchanged then.
    pub fn change<T, E>(
        &self,
        me: &str,
        id: &str,
        change: impl FnOnce(&mut SimulatedGroup) -> Result<T, E>,
    ) -> Result<(SimulatedGroup, T), GroupError<E>> {
        let mut map = self.lock();
        let group_state = map.find_mut(me, id).ok_or(GroupError::Unknown)?;
        let mut after = group_state.clone();
        let result = change(&mut after).map_err(GroupError::Refused)?;
        *group_state = after.clone();
        Ok((after, result))
    }

    /// Adds the author of a message to a group; creates the group if needed.
    pub fn meet(&self, me: &str, id: &str, writer: &str) -> SimulatedGroup {
        let mut map = self.lock();
        if map.find(me, id).is_none() {
            let subject = format!("Group {}", id.split('@').next().unwrap_or_default());
            let group_state = SimulatedGroup::described(id, &subject, Vec::new(), me, true);
            map.own.insert((me.to_owned(), id.to_owned()), group_state);
        }
        let Some(group_state) = map.find_mut(me, id) else {
            return SimulatedGroup::described(id, "", Vec::new(), me, true);
        };
        group_state.meet(writer);
        group_state.clone()
    }

    /// Removes the groups of one account.
    pub fn clear(&self, me: &str) {
        self.lock().own.retain(|(owner, _), _| owner != me);
    }

    fn lock(&self) -> MutexGuard<'_, GroupMap> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupMap {
    fn find(&self, me: &str, id: &str) -> Option<&SimulatedGroup> {
        self.own.get(&(me.to_owned(), id.to_owned())).or_else(|| self.shared.get(id))
    }

    fn find_mut(&mut self, me: &str, id: &str) -> Option<&mut SimulatedGroup> {
        match self.own.get_mut(&(me.to_owned(), id.to_owned())) {
            Some(group_state) => Some(group_state),
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
    fn accounts_may_have_groups_of_same_id() {
        let groups = GroupStore::default();
        for me in [ANNE, BEN] {
            groups.put(me, SimulatedGroup::described("1@g.us", me, Vec::new(), me, true)).unwrap();
        }
        assert_eq!(groups.find(ANNE, "1@g.us").unwrap().subject, ANNE);
        assert_eq!(groups.of(BEN).len(), 1);
        assert_eq!(groups.audience(BEN, "1@g.us"), [BEN]);
    }

    #[test]
    fn shared_group_is_common_to_members() {
        let groups = GroupStore::default();
        let mut group_state = SimulatedGroup::made("2@g.us", "Both", ANNE, 0);
        group_state.meet(BEN);
        groups.share(group_state).unwrap();
        let renamed = |group_state: &mut SimulatedGroup| {
            group_state.subject = "Renamed".to_owned();
            Ok::<(), ()>(())
        };
        groups.change(ANNE, "2@g.us", renamed).unwrap();
        assert_eq!(groups.find(BEN, "2@g.us").unwrap().subject, "Renamed");
        assert_eq!(groups.audience(BEN, "2@g.us"), [ANNE, BEN]);
    }

    #[test]
    fn message_creates_missing_group() {
        let groups = GroupStore::default();
        let group_state = groups.meet(ANNE, "3@g.us", BEN);
        assert!(group_state.role_of(BEN).is_some() && group_state.is_admin(ANNE));
        assert!(groups.of(BEN).is_empty());
    }
}
