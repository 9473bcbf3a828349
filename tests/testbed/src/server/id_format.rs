//! Converts JIDs of the wire to ids of the control API.

use wacore_binary::Jid;

use super::directory::Directory;
use super::state::Account;
use crate::id::Id;

impl Directory {
    /// The id of a JID; people have their number, for either JID.
    #[must_use]
    pub fn id_of(&self, jid: &Jid) -> Option<Id> {
        match Id::of(jid)? {
            Id::Lid(lid) => {
                Some(self.by_lid(&lid).map_or(Id::Lid(lid), |account| Id::Number(account.number.clone())))
            }
            other => Some(other),
        }
    }

    /// The id as the account sees it: the LID of people who hide their number.
    #[must_use]
    pub fn id_for(&self, account: &Account, jid: &Jid) -> Option<Id> {
        let found = self.id_of(jid)?;
        let Id::Number(number) = &found else { return Some(found) };
        if !account.lock().hidden_numbers.contains(number) {
            return Some(found);
        }
        self.find(number).map(|person| Id::Lid(person.lid.clone()))
    }

    /// The id by number, if it is available.
    #[must_use]
    pub fn by_number(&self, id: &Id) -> Id {
        self.id_of(&id.jid()).unwrap_or_else(|| id.clone())
    }
}
