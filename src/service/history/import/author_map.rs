//! Maps the author names of a text export to ids.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{ImportRequest, ImportedAuthor, ServiceError};
use crate::domain::device::Account;
use crate::domain::export::text::author_label;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::store::Reader;

/// Name of the owner in some languages' exports.
const OURSELVES: &str = "You";

/// Identity of an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuthorId {
    /// Our account.
    Me,
    /// Another person; `true` if the id is real, `false` if it is a placeholder.
    Other(Jid, bool),
}

/// The authors of a text by their names.
#[derive(Debug, Clone)]
pub(super) struct People {
    pub(super) me: Jid,
    by_name: HashMap<String, AuthorId>,
    names: Vec<String>,
}

impl People {
    /// Returns the identity of an author.
    pub(super) fn who(&self, name: &str) -> AuthorId {
        self.by_name.get(name).cloned().unwrap_or_else(|| AuthorId::Other(placeholder(name), false))
    }

    /// The author list of the import report.
    pub(super) fn imported_authors(&self) -> Vec<ImportedAuthor> {
        let author = |name: &String| {
            let (id, is_me, known) = match self.who(name) {
                AuthorId::Me => (self.me.clone(), true, !self.me.is_placeholder()),
                AuthorId::Other(id, known) => (id, false, known),
            };
            ImportedAuthor { name: name.clone(), id: Some(id), is_me, known }
        };
        self.names.iter().map(author).collect()
    }

    /// Ids and names of the other authors, to store as contacts.
    pub(super) fn others(&self) -> Vec<(Jid, String)> {
        let other = |name: &String| match self.who(name) {
            AuthorId::Me => None,
            AuthorId::Other(id, _) => Some((id, name.clone())),
        };
        self.names.iter().filter_map(other).collect()
    }
}

/// Inputs for resolving author names.
pub(super) struct AuthorLookup<'a> {
    pub(super) store: &'a Reader<'a>,
    pub(super) device: &'a DeviceId,
    pub(super) account: Option<&'a Account>,
    pub(super) chat: &'a Jid,
    pub(super) request: &'a ImportRequest,
}

impl AuthorLookup<'_> {
    /// Resolves the authors.
    pub(super) fn people(&self, names: &[String]) -> Result<People, ServiceError> {
        let mut by_name = HashMap::new();
        for name in names {
            if let Some(who) = self.who(name)? {
                by_name.insert(name.clone(), who);
            }
        }
        if self.chat.is_group() {
            self.check_me(names, &by_name)?;
        } else {
            self.complete_pair(names, &mut by_name)?;
        }
        let number = self.request.me.as_deref().and_then(|me| me.parse().ok());
        let called = names.iter().find(|name| by_name.get(*name) == Some(&AuthorId::Me));
        let me = self.account.and_then(Account::jid).or(number);
        let me = me.unwrap_or_else(|| placeholder(called.map_or(OURSELVES, String::as_str)));
        Ok(People { me, by_name, names: names.to_vec() })
    }

    fn who(&self, name: &str) -> Result<Option<AuthorId>, ServiceError> {
        if self.is_me(name) {
            return Ok(Some(AuthorId::Me));
        }
        if let Some(named) = self.request.authors.iter().find(|author| author_label(&author.name) == name) {
            return Ok(Some(AuthorId::Other(named.id.clone(), true)));
        }
        if let Some(id) = number(name) {
            return Ok(Some(AuthorId::Other(id, true)));
        }
        let of_chat = self.store.chat(self.device, self.chat)?.map(|chat| author_label(&chat.name));
        if !self.chat.is_group() && of_chat.as_deref() == Some(name) {
            return Ok(Some(AuthorId::Other(self.chat.clone(), true)));
        }
        match self.store.people_called(self.device, name)?.as_slice() {
            [only] => Ok(Some(AuthorId::Other(only.clone(), true))),
            _ => Ok(None),
        }
    }

    fn is_me(&self, name: &str) -> bool {
        if let Some(me) = &self.request.me {
            let same_number = || number(name).is_some_and(|number| me.parse() == Ok(number));
            return author_label(me) == name || same_number();
        }
        let own = self.account.is_some_and(|account| {
            author_label(&account.client_name) == name || number(name) == account.jid()
        });
        own || name == OURSELVES
    }

    /// Completes the authors of a direct chat: of two authors, one is our account and one the partner.
    fn complete_pair(
        &self,
        names: &[String],
        by_name: &mut HashMap<String, AuthorId>,
    ) -> Result<(), ServiceError> {
        if names.len() > 2 {
            return Err(self.needs_group_id(names));
        }
        let is_present = |by_name: &HashMap<String, AuthorId>, who: &AuthorId| {
            by_name.values().any(|author| author == who)
        };
        let partner = AuthorId::Other(self.chat.clone(), true);
        // A direct chat has one partner, so every other id in it stands for the chat's own id.
        for who in by_name.values_mut().filter(|who| **who != AuthorId::Me) {
            *who = partner.clone();
        }
        let open: Vec<&String> = names.iter().filter(|name| !by_name.contains_key(*name)).collect();
        let has_own_name = self.request.me.is_some();
        match (open.as_slice(), is_present(by_name, &AuthorId::Me), is_present(by_name, &partner)) {
            ([], ..) => {}
            ([name], true, _) => drop(by_name.insert((*name).clone(), partner.clone())),
            ([name], false, false) if has_own_name => drop(by_name.insert((*name).clone(), partner.clone())),
            ([name], false, true) => drop(by_name.insert((*name).clone(), AuthorId::Me)),
            _ => return Err(self.which_is_me(names)),
        }
        let partners = by_name.values().filter(|who| **who == partner).count();
        if partners > 1 { Err(self.needs_group_id(names)) } else { Ok(()) }
    }

    fn needs_group_id(&self, names: &[String]) -> ServiceError {
        let (chat, authors) = (self.chat, listed(names));
        let message = format!(
            "must be a group id (…@g.us): {chat} is one person, and the text has the authors {authors}"
        );
        ServiceError::invalid("chatId", message)
    }

    fn check_me(&self, names: &[String], by_name: &HashMap<String, AuthorId>) -> Result<(), ServiceError> {
        let found = by_name.values().any(|who| *who == AuthorId::Me);
        if self.request.me.is_some() && !found && !names.is_empty() {
            return Err(self.which_is_me(names));
        }
        Ok(())
    }

    fn which_is_me(&self, names: &[String]) -> ServiceError {
        ServiceError::invalid(
            "me",
            format!("must say which of the authors is our account: {}", listed(names)),
        )
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut listed = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        listed.push_str(", …");
    }
    listed
}

/// Parses a phone number such as `+1 555 010-0001`, alone or after a name that two people share.
fn number(name: &str) -> Option<Jid> {
    let after_name = name.strip_suffix(')').and_then(|rest| Some(rest.rsplit_once(" (")?.1));
    let text = after_name.unwrap_or(name);
    let is_number = text.starts_with('+') || text.contains('@');
    is_number.then(|| text.parse().ok()).flatten().filter(|id: &Jid| !id.is_group())
}

/// A placeholder id for an author without a number; the same name always gets the same id.
fn placeholder(name: &str) -> Jid {
    let digest = Sha256::digest(name.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Jid::placeholder(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_number_maps_to_person() {
        let id = |name: &str| number(name).map(|id| id.to_string());
        assert_eq!(id("+1 555 010-0001").as_deref(), Some("15550100001@c.us"));
        assert_eq!(id("Anna (+15550100001)").as_deref(), Some("15550100001@c.us"));
        assert_eq!(id("77@lid").as_deref(), Some("77@lid"));
        for nobody in ["Anna", "1984", "Anna (work)", "+12"] {
            assert_eq!(id(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn name_without_number_gets_stand_in_id() {
        assert_eq!(placeholder("Anna"), placeholder("Anna"));
        assert_ne!(placeholder("Anna"), placeholder("Ben"));
        assert!(placeholder("Anna").is_placeholder());
    }
}
