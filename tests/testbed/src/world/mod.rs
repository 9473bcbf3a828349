//! The world around one account: the people it knows, the groups it is in, and what was written before.
//!
//! The same settings give the same names, ids and numbers as the simulated network of the daemon, so that a
//! test may run on either. Numbers are fictitious: made-up contacts are `1555011xxxx`, and `1555019xxxx` are
//! nobody's. Pure: nothing here knows of connections.

use std::collections::{BTreeMap, HashMap, HashSet};

pub mod circle;
pub mod people;
pub mod settings;

pub use circle::{Circle, Role};
pub use settings::Settings;

use people::Person;
use settings::{Contacts, GroupSetting, Groups};

/// People who write, and sit in groups, when the settings have no contacts.
const EXTRAS: usize = 3;
/// How many groups an account is in at most.
pub const MAX_GROUPS: usize = 1_000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// How everybody behaves.
    pub settings: Settings,
    /// The account's own number.
    pub me: String,
    /// By id, `…@g.us`; the ones that the account left stay known.
    pub groups: BTreeMap<String, Circle>,
    /// People whose number the account has not been told.
    hidden: HashSet<String>,
    /// Address-book names that the phone gave since.
    names: HashMap<String, String>,
    /// Ids of the pictures that were set since, by number or group; `None`: taken away.
    pictures: HashMap<String, Option<String>>,
}

impl World {
    /// The world of the account with this number, as the settings describe it.
    #[must_use]
    pub fn new(me: &str, settings: Settings) -> Self {
        let mut world = Self { settings, me: me.to_owned(), ..Self::default() };
        if let Contacts::Listed(listed) = &world.settings.contacts {
            world.hidden = listed.iter().filter(|c| c.hidden()).map(|c| c.person().number).collect();
        }
        let groups: Vec<GroupSetting> = world.described_groups().collect();
        world.groups =
            groups.into_iter().map(|group| (group.id.clone(), Circle::of_setting(group, me))).collect();
        world
    }

    /// The address book: who, and what it calls them.
    pub fn contacts(&self) -> impl Iterator<Item = (Person, Option<String>)> + '_ {
        (0..self.contact_count()).filter_map(|at| self.contact(at))
    }

    /// Contact number `at` of the address book.
    #[must_use]
    pub fn contact(&self, at: usize) -> Option<(Person, Option<String>)> {
        let (person, name) = match &self.settings.contacts {
            Contacts::Count(number) => (at < *number).then(|| made_up(at))?,
            Contacts::Listed(listed) => listed.get(at).map(|c| (c.person(), c.name.clone()))?,
        };
        let name = self.names.get(&person.number).cloned().or(name);
        Some((person, name))
    }

    /// How many the address book has.
    #[must_use]
    pub fn contact_count(&self) -> usize {
        match &self.settings.contacts {
            Contacts::Count(number) => *number,
            Contacts::Listed(listed) => listed.len(),
        }
    }

    /// Somebody who writes: a contact, or an extra where there are none.
    #[must_use]
    pub fn writer(&self, at: usize) -> Option<(Person, Option<String>)> {
        match self.contact_count() {
            0 => Some(made_up(at % EXTRAS)),
            number => self.contact(at % number),
        }
    }

    /// What a person calls themselves, where the world has a name for them.
    #[must_use]
    pub fn name_of(&self, number: &str) -> Option<String> {
        self.contacts().find(|(person, _)| person.number == number).and_then(|(_, name)| name)
    }

    /// The phone gives a contact a name.
    pub fn rename(&mut self, number: &str, name: &str) {
        self.names.insert(number.to_owned(), name.to_owned());
    }

    /// Whether somebody hides their number from the account.
    #[must_use]
    pub fn hides(&self, number: &str) -> bool {
        self.hidden.contains(number)
    }

    /// Somebody hides their number from now on, or shows it.
    pub fn hide(&mut self, number: &str, on: bool) {
        if on {
            self.hidden.insert(number.to_owned());
        } else {
            self.hidden.remove(number);
        }
    }

    /// The address of a person's picture that the settings give, unless it changed since.
    #[must_use]
    pub fn picture_address(&self, number: &str) -> Option<&str> {
        let Contacts::Listed(listed) = &self.settings.contacts else { return None };
        let contact = listed.iter().find(|contact| contact.person().number == number)?;
        contact.picture.as_deref().filter(|_| !self.pictures.contains_key(number))
    }

    /// The id of the picture that a person or group was given since.
    #[must_use]
    pub fn picture_id(&self, whose: &str) -> Option<&str> {
        self.pictures.get(whose)?.as_deref()
    }

    /// A person's or group's picture changes; `None`: it is taken away.
    pub fn set_picture(&mut self, whose: &str, id: Option<String>) {
        self.pictures.insert(whose.to_owned(), id);
    }

    /// The groups that the account is in.
    pub fn own_groups(&self) -> impl Iterator<Item = &Circle> {
        self.groups.values().filter(|circle| circle.role_of(&self.me).is_some())
    }

    /// A group, made up when nobody described it: somebody writes in it, so it is there.
    pub fn met_group(&mut self, id: &str) -> &mut Circle {
        let me = &self.me;
        let subject = || format!("Group {}", id.split('@').next().unwrap_or_default());
        self.groups.entry(id.to_owned()).or_insert_with(|| {
            let setting = GroupSetting { id: id.to_owned(), subject: subject(), ..GroupSetting::default() };
            Circle::of_setting(setting, me)
        })
    }

    fn described_groups(&self) -> impl Iterator<Item = GroupSetting> + '_ {
        let number = match &self.settings.groups {
            Groups::Count(number) => *number,
            Groups::Listed(listed) => listed.len(),
        };
        (0..number).filter_map(|at| match &self.settings.groups {
            Groups::Count(_) => Some(self.made_up_group(at)),
            Groups::Listed(listed) => listed.get(at).cloned(),
        })
    }

    fn made_up_group(&self, at: usize) -> GroupSetting {
        let extras = (0..EXTRAS).filter_map(|at| self.writer(at)).map(|(person, _)| person).collect();
        GroupSetting {
            id: format!("1203630000{:08}@g.us", at + 1),
            subject: format!("Group {}", at + 1),
            participants: extras,
            admin: true,
        }
    }
}

fn made_up(at: usize) -> (Person, Option<String>) {
    (Person::of_number(&format!("1555011{:04}", at + 1)), Some(format!("Contact {}", at + 1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn world(settings: serde_json::Value) -> World {
        World::new("15550100001", Settings::parse(&settings).unwrap())
    }

    #[test]
    fn counted_contacts_and_groups_are_named_as_in_the_simulator() {
        let world = world(json!({ "contacts": 2, "groups": 1 }));
        let contacts: Vec<_> =
            world.contacts().map(|(person, name)| (person.number, name.unwrap())).collect();
        let expected = [("15550110001", "Contact 1"), ("15550110002", "Contact 2")];
        assert_eq!(contacts, expected.map(|(number, name)| (number.to_owned(), name.to_owned())));
        let group = world.own_groups().next().unwrap();
        assert_eq!((group.id.as_str(), group.subject.as_str()), ("120363000000000001@g.us", "Group 1"));
        assert_eq!(group.role_of("15550100001"), Some(Role::Admin));
        assert_eq!(group.members.len(), 3);
    }

    #[test]
    fn without_contacts_three_strangers_write() {
        let world = world(json!({}));
        assert_eq!(world.contacts().count(), 0);
        assert_eq!(world.writer(4).unwrap().0.number, "15550110002");
    }

    #[test]
    fn a_listed_contact_may_hide_its_number_until_it_shows_it() {
        let mut world = world(json!({ "contacts": [{ "number": "+1 555 011 0001", "lidOnly": true }] }));
        assert!(world.hides("15550110001"));
        world.hide("15550110001", false);
        assert!(!world.hides("15550110001"));
    }
}
