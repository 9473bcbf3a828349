//! The scene around one account: the contacts of its phone, its groups, and its history. Pure.
//!
//! The same settings give the same names, ids and numbers as Wharf's simulator, so that tests run on either.
//! Numbers are fictitious: generated contacts are `1555011xxxx`, and `1555019xxxx` are unregistered.

use std::collections::{BTreeSet, HashMap};

pub mod group_rules;
pub mod people;
pub mod settings;

pub use group_rules::{Role, SimulatedGroup};
pub use people::PersonRef;
pub use settings::Settings;

use settings::{Contacts, Groups};

/// Authors and group members if the settings have no contacts.
const EXTRAS: usize = 3;
/// The most groups of an account.
pub const MAX_GROUPS: usize = 1_000;

/// The scene of an account.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// The settings it was made from.
    pub settings: Settings,
    /// The phone's name that its devices have received.
    pub push_name: String,
    /// The address book.
    pub contacts: Vec<Contact>,
    /// The account's status text.
    pub status: String,
    /// Contacts who hide their number at first.
    pub hidden: BTreeSet<String>,
    /// Pictures that were set later, by number or group id; `None` if removed.
    pictures: HashMap<String, Option<String>>,
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The phone number, digits only.
    pub number: String,
    /// The name in the address book.
    pub name: Option<String>,
    /// The URL of the picture.
    pub picture: Option<String>,
}

impl Scene {
    /// The scene that the settings describe; `number` resolves a person.
    #[must_use]
    pub fn new(settings: Settings, number: impl Fn(&PersonRef) -> Option<String>) -> Self {
        let mut scene = Self::default();
        match &settings.contacts {
            Contacts::Count(count) => scene.contacts = (0..*count).map(generated_contact).collect(),
            Contacts::Listed(listed) => {
                for contact in listed {
                    let Some(number) = number(&contact.id) else { continue };
                    if contact.hidden() {
                        scene.hidden.insert(number.clone());
                    }
                    let (name, picture) = (contact.name.clone(), contact.picture.clone());
                    scene.contacts.push(Contact { number, name, picture });
                }
            }
        }
        scene.settings = settings;
        scene
    }

    /// The groups that the settings describe, for the account `me`.
    #[must_use]
    pub fn groups(&self, me: &str, number: impl Fn(&PersonRef) -> Option<String>) -> Vec<SimulatedGroup> {
        match &self.settings.groups {
            Groups::Count(count) => (0..*count).map(|at| self.generated_group(at, me)).collect(),
            Groups::Listed(listed) => listed
                .iter()
                .map(|group| {
                    let others = group.participants.iter().filter_map(&number).collect();
                    SimulatedGroup::described(&group.id, &group.subject, others, me, group.admin)
                })
                .collect(),
        }
    }

    fn generated_group(&self, at: usize, me: &str) -> SimulatedGroup {
        let extras = (0..EXTRAS).filter_map(|at| self.writer(at)).map(|writer| writer.number);
        let mut others: Vec<String> = Vec::new();
        for number in extras {
            if !others.contains(&number) {
                others.push(number);
            }
        }
        let id = format!("1203630000{:08}@g.us", at + 1);
        SimulatedGroup::described(&id, &format!("Group {}", at + 1), others, me, true)
    }

    /// The author of message `at`: a contact, or a generated person.
    #[must_use]
    pub fn writer(&self, at: usize) -> Option<Contact> {
        match self.contacts.len() {
            0 => Some(generated_contact(at % EXTRAS)),
            number => self.contacts.get(at % number).cloned(),
        }
    }

    /// A contact's name.
    #[must_use]
    pub fn name_of(&self, number: &str) -> Option<&str> {
        self.contacts.iter().find(|contact| contact.number == number)?.name.as_deref()
    }

    /// Sets a contact's name; adds the contact if needed.
    pub fn rename(&mut self, number: &str, name: &str) {
        let name = Some(name.to_owned());
        match self.contacts.iter_mut().find(|contact| contact.number == number) {
            Some(contact) => contact.name = name,
            None => self.contacts.push(Contact { number: number.to_owned(), name, picture: None }),
        }
    }

    /// The picture's URL in the settings, unless it was changed.
    #[must_use]
    pub fn picture_address(&self, number: &str) -> Option<&str> {
        let contact = self.contacts.iter().find(|contact| contact.number == number)?;
        contact.picture.as_deref().filter(|_| !self.pictures.contains_key(number))
    }

    /// The id of a picture that was set later.
    #[must_use]
    pub fn picture_id(&self, owner: &str) -> Option<&str> {
        self.pictures.get(owner)?.as_deref()
    }

    /// Sets a picture; `None` removes it.
    pub fn set_picture(&mut self, owner: &str, id: Option<String>) {
        self.pictures.insert(owner.to_owned(), id);
    }
}

fn generated_contact(at: usize) -> Contact {
    Contact {
        number: format!("1555011{:04}", at + 1),
        name: Some(format!("Contact {}", at + 1)),
        picture: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ME: &str = "15550100001";

    fn number(who: &PersonRef) -> Option<String> {
        match who {
            PersonRef::Number(number) => Some(number.clone()),
            PersonRef::Lid(_) => Some("15550120001".to_owned()),
        }
    }

    fn scene(settings: &serde_json::Value) -> Scene {
        Scene::new(Settings::parse(settings).unwrap(), number)
    }

    #[test]
    fn counted_contacts_and_groups_match_simulator() {
        let scene = scene(&json!({ "contacts": 2, "groups": 1 }));
        let contacts: Vec<_> =
            scene.contacts.iter().map(|c| (c.number.as_str(), c.name.as_deref())).collect();
        assert_eq!(contacts, [("15550110001", Some("Contact 1")), ("15550110002", Some("Contact 2"))]);
        let groups = scene.groups(ME, number);
        assert_eq!(
            (groups[0].id.as_str(), groups[0].subject.as_str()),
            ("120363000000000001@g.us", "Group 1")
        );
        assert_eq!(groups[0].role_of(ME), Some(Role::Admin));
        assert_eq!(groups[0].members.len(), 3);
    }

    #[test]
    fn without_contacts_three_generated_people_write() {
        let scene = scene(&json!({}));
        assert!(scene.contacts.is_empty());
        assert_eq!(scene.writer(4).unwrap().number, "15550110002");
    }

    #[test]
    fn listed_contact_may_hide_number() {
        let scene = scene(&json!({
            "contacts": [{ "number": "+1 555 011 0001", "lidOnly": true }, { "id": "123456@lid" }]
        }));
        assert!(scene.hidden.contains("15550110001") && scene.hidden.contains("15550120001"));
    }
}
