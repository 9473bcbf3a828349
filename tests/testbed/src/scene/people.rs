//! References to people, by phone number or by the LID that hides it.

use anyhow::bail;
use wacore_binary::{Jid, Server};

/// A reference to a person, digits only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PersonRef {
    /// A phone number.
    Number(String),
    /// The user part of a LID.
    Lid(String),
}

impl PersonRef {
    /// Parses a number or an id of a person in any spelling: `+1 555 …`, `…@c.us`,
    /// `…@s.whatsapp.net`, `…@lid`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (user, server) = text.split_once('@').unwrap_or((text, "c.us"));
        let user = user.split(':').next().unwrap_or_default();
        let digits: String = user.chars().filter(char::is_ascii_digit).collect();
        match server {
            "c.us" | "s.whatsapp.net" => {
                let spelled = user.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c));
                if !spelled || !(5..=15).contains(&digits.len()) {
                    bail!("must be a phone number such as +15550100001");
                }
                Ok(Self::Number(digits))
            }
            "lid" if !digits.is_empty() && digits.len() == user.len() => Ok(Self::Lid(digits)),
            _ => bail!("must be a person: a phone number, …@c.us or …@lid"),
        }
    }

    /// The person of a JID, without the device.
    #[must_use]
    pub fn of_jid(jid: &Jid) -> Option<Self> {
        match jid.server {
            Server::Pn => Some(Self::Number(jid.user_base().to_owned())),
            Server::Lid => Some(Self::Lid(jid.user_base().to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_in_any_spelling() {
        for text in ["15550100001", "+1 (555) 010-0001", "15550100001@c.us", "15550100001:3@s.whatsapp.net"] {
            assert_eq!(
                PersonRef::parse(text).unwrap(),
                PersonRef::Number("15550100001".to_owned()),
                "{text}"
            );
        }
        for text in ["", "12", "hello", "1@g.us", "x@lid", "@lid", "status@broadcast"] {
            assert!(PersonRef::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lid_is_not_a_number() {
        assert_eq!(
            PersonRef::parse("123456789012345@lid").unwrap(),
            PersonRef::Lid("123456789012345".to_owned())
        );
    }
}
