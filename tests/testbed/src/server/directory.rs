//! Finds accounts by phone number, LID or JID, and creates those that do not exist yet. All numbers are
//! registered, except those that start with [`UNREGISTERED_PREFIX`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use wacore_binary::Jid;

use super::state::Account;
use crate::phone::Phone;
use crate::scene::PersonRef;

/// Prefix of numbers that are not on WhatsApp.
pub const UNREGISTERED_PREFIX: &str = "1555019";
/// Prefix of generated numbers of people who were first named by a LID.
const STRANGERS: &str = "888";
/// LIDs have fifteen digits and begin with 1.
const LID_BASE: u64 = 100_000_000_000_000;

/// All accounts.
#[derive(Default)]
pub struct Directory {
    people: RwLock<People>,
}

#[derive(Default)]
struct People {
    by_number: HashMap<String, Arc<Account>>,
    by_lid: HashMap<String, Arc<Account>>,
    /// By the id that a client gave to its device.
    by_device: HashMap<String, Arc<Account>>,
}

impl Directory {
    /// The account of a number, created if needed; `None` if the number is invalid or unregistered.
    #[must_use]
    pub fn get_or_create(&self, number: &str) -> Option<Arc<Account>> {
        if let Some(account) = self.find(number) {
            return Some(account);
        }
        if number.is_empty()
            || number.starts_with(UNREGISTERED_PREFIX)
            || !number.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let account = Account::new(number.to_owned(), lid_of(number), Phone::generate().ok()?);
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        // Another task may have created it meanwhile.
        let account = Arc::clone(people.by_number.entry(number.to_owned()).or_insert(account));
        people.by_lid.entry(account.lid.clone()).or_insert_with(|| Arc::clone(&account));
        Some(account)
    }

    /// The account of a number, if it exists.
    #[must_use]
    pub fn find(&self, number: &str) -> Option<Arc<Account>> {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        people.by_number.get(number).map(Arc::clone)
    }

    /// The account that was linked last for a client's device id.
    #[must_use]
    pub fn linked_as(&self, device: &str) -> Option<Arc<Account>> {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        people.by_device.get(device).map(Arc::clone)
    }

    /// Records that this account was linked for a client's device id.
    pub fn link_as(&self, device: &str, account: &Arc<Account>) {
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        people.by_device.insert(device.to_owned(), Arc::clone(account));
    }

    /// The account of a LID's user part, if it exists.
    #[must_use]
    pub fn by_lid(&self, lid: &str) -> Option<Arc<Account>> {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        people.by_lid.get(lid).map(Arc::clone)
    }

    /// The account of a LID's user part, created with a generated number if needed.
    #[must_use]
    pub fn get_or_create_by_lid(&self, lid: &str) -> Option<Arc<Account>> {
        if let Some(account) = self.by_lid(lid) {
            return Some(account);
        }
        let tail = lid.get(lid.len().saturating_sub(12)..)?;
        let number = format!("{STRANGERS}{tail:0>12}");
        let account = Account::new(number.clone(), lid.to_owned(), Phone::generate().ok()?);
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        let account = Arc::clone(people.by_number.entry(number).or_insert(account));
        people.by_lid.entry(lid.to_owned()).or_insert_with(|| Arc::clone(&account));
        Some(account)
    }

    /// The account of a person, created if needed.
    #[must_use]
    pub fn resolve(&self, who: &PersonRef) -> Option<Arc<Account>> {
        match who {
            PersonRef::Number(number) => self.get_or_create(number),
            PersonRef::Lid(lid) => self.get_or_create_by_lid(lid),
        }
    }

    /// The account of a person's or device's JID, created if needed.
    #[must_use]
    pub fn of(&self, jid: &Jid) -> Option<Arc<Account>> {
        if jid.is_lid() {
            return self.by_lid(jid.user_base());
        }
        if jid.is_pn() { self.get_or_create(jid.user_base()) } else { None }
    }

    /// All accounts.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Account>> {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        people.by_number.values().map(Arc::clone).collect()
    }
}

/// The LID of a number, equal in all testbeds.
fn lid_of(number: &str) -> String {
    let digest = Sha256::digest(number.as_bytes());
    let hash = digest.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (LID_BASE + hash % LID_BASE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_is_found_by_number_lid_and_jid() {
        let directory = Directory::default();
        let account = directory.get_or_create("15550100001").expect("an account");
        assert!(Arc::ptr_eq(&account, &directory.by_lid(&account.lid).expect("found by LID")));
        assert!(Arc::ptr_eq(&account, &directory.of(&account.jid(3)).expect("found by JID")));
        assert!(Arc::ptr_eq(&account, &directory.of(&account.lid_jid(3)).expect("found by the LID's JID")));
    }

    #[test]
    fn unregistered_numbers_have_no_account() {
        let directory = Directory::default();
        assert!(directory.get_or_create("15550190001").is_none());
        assert!(directory.get_or_create("").is_none());
        assert!(directory.get_or_create("not-a-number").is_none());
    }
}
