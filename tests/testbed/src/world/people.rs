//! People and their two ids: the phone number, and the LID that hides it.

use anyhow::{Context as _, bail};
use wacore_binary::{Jid, Server};

/// Numbers that begin so are nobody's.
const NOBODY: &str = "1555019";
/// What stands before a number in the LID that is made of it: one can be told from the other.
const LID_PREFIX: &str = "9";
/// LIDs that were given and not made of a number belong to people whose numbers begin so.
const UNKNOWN_PREFIX: &str = "1555012";

/// Somebody, known by the number that only they and the network may know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person {
    /// Digits only.
    pub number: String,
    /// Whether they were named by LID: their number is theirs to keep.
    pub by_lid: bool,
}

impl Person {
    /// The person with this number, digits only.
    #[must_use]
    pub fn of_number(number: &str) -> Self {
        Self { number: number.to_owned(), by_lid: false }
    }

    /// Reads a number or an id of a person in any spelling: `+1 555 …`, `…@c.us`, `…@s.whatsapp.net`, `…@lid`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (user, server) = text.split_once('@').unwrap_or((text, "c.us"));
        let user = user.split(':').next().unwrap_or_default();
        match server {
            "c.us" | "s.whatsapp.net" => {
                let digits: String = user.chars().filter(char::is_ascii_digit).collect();
                let spelled = user.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c));
                if !spelled || !(5..=15).contains(&digits.len()) {
                    bail!("must be a phone number such as +15550100001");
                }
                Ok(Self::of_number(&digits))
            }
            "lid" => {
                Ok(Self { number: number_of_lid(user).context("must be digits before @lid")?, by_lid: true })
            }
            _ => bail!("must be a person: a phone number, …@c.us or …@lid"),
        }
    }

    /// The person that a JID names, whatever their device.
    #[must_use]
    pub fn of_jid(jid: &Jid) -> Option<Self> {
        match jid.server {
            Server::Pn => Some(Self::of_number(&jid.user)),
            Server::Lid => Some(Self { number: number_of_lid(&jid.user)?, by_lid: true }),
            _ => None,
        }
    }

    /// The JID with the number.
    #[must_use]
    pub fn pn(&self) -> Jid {
        Jid::pn(self.number.as_str())
    }

    /// The JID that hides the number.
    #[must_use]
    pub fn lid(&self) -> Jid {
        Jid::lid(lid_of(&self.number))
    }
}

/// Whether somebody has that number.
#[must_use]
pub fn is_on_network(number: &str) -> bool {
    !number.starts_with(NOBODY)
}

/// The LID of a number, without its server.
#[must_use]
pub fn lid_of(number: &str) -> String {
    match number.strip_prefix(UNKNOWN_PREFIX) {
        // Numbers of eleven digits are people's; longer ones are made of a LID.
        Some(lid) if number.len() > 11 => lid.to_owned(),
        _ => format!("{LID_PREFIX}{number}"),
    }
}

/// The number behind a LID; `None` when it is no LID.
#[must_use]
pub fn number_of_lid(lid: &str) -> Option<String> {
    if lid.is_empty() || !lid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match lid.strip_prefix(LID_PREFIX) {
        Some(number) if (5..=15).contains(&number.len()) => Some(number.to_owned()),
        _ => Some(format!("{UNKNOWN_PREFIX}{lid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_any_spelling() {
        for text in ["15550100001", "+1 (555) 010-0001", "15550100001@c.us", "15550100001:3@s.whatsapp.net"] {
            assert_eq!(Person::parse(text).unwrap(), Person::of_number("15550100001"), "{text}");
        }
        for text in ["", "12", "hello", "1@g.us", "x@lid", "status@broadcast"] {
            assert!(Person::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_and_its_lid_are_told_from_each_other() {
        let person = Person::of_number("15550100001");
        assert_eq!(number_of_lid(&lid_of(&person.number)), Some(person.number.clone()));
        assert_eq!(Person::of_jid(&person.lid()).unwrap().number, person.number);
    }

    #[test]
    fn a_lid_that_was_given_stays_that_lid() {
        let person = Person::parse("123456789012345@lid").unwrap();
        assert!(person.by_lid);
        assert_eq!(person.lid().to_string(), "123456789012345@lid");
    }

    #[test]
    fn some_numbers_are_nobodys() {
        assert!(is_on_network("15550110001"));
        assert!(!is_on_network("15550190001"));
    }
}
