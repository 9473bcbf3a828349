//! Ids of people and groups, as the control API and the wire write them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use wacore_binary::{Jid, Server};

/// A person or a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A person by phone number, digits only: `@c.us`, on the wire `@s.whatsapp.net`.
    Number(String),
    /// A person by hidden id: `@lid`.
    Lid(String),
    /// `@g.us`.
    Group(String),
}

/// Why a text is not an id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// Not a phone number.
    #[error("a phone number has 5 to 15 digits with its country code, such as +15550100001")]
    Number,
    /// Not an id of this kind.
    #[error("the part before @{0} is not valid")]
    User(&'static str),
    /// Not a supported server.
    #[error("a chat id ends in @c.us, @g.us, @lid or is a phone number")]
    Server,
}

impl Id {
    /// The id on the wire.
    #[must_use]
    pub fn jid(&self) -> Jid {
        match self {
            Self::Number(digits) => Jid::new(digits.as_str(), Server::Pn),
            Self::Lid(lid) => Jid::new(lid.as_str(), Server::Lid),
            Self::Group(group) => Jid::new(group.as_str(), Server::Group),
        }
    }

    /// From the wire, without the device.
    #[must_use]
    pub fn of(jid: &Jid) -> Option<Self> {
        let user = jid.user.to_string();
        match jid.server {
            Server::Pn => Some(Self::Number(user)),
            Server::Lid => Some(Self::Lid(user)),
            Server::Group => Some(Self::Group(user)),
            _ => None,
        }
    }

    /// Whether the JID is a group's.
    #[must_use]
    pub fn is_group_jid(jid: &Jid) -> bool {
        jid.server == Server::Group
    }

    /// Whether it is a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }
}

fn is_number(digits: &str) -> bool {
    (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<Id, IdError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits: String =
        text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '\u{a0}')).collect();
    if is_number(&digits) { Ok(Id::Number(digits)) } else { Err(IdError::Number) }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((user, server)) = text.trim().split_once('@') else {
            return number(text.trim());
        };
        let person = user.split_once(':').map_or(user, |(user, _)| user);
        let digits = |user: &str, also: &str| {
            user.starts_with(|c: char| c.is_ascii_digit())
                && user.len() <= 64
                && user.chars().all(|c| c.is_ascii_digit() || also.contains(c))
        };
        match server {
            "c.us" | "s.whatsapp.net" => number(person),
            "lid" if digits(person, "") => Ok(Self::Lid(person.to_owned())),
            "lid" => Err(IdError::User("lid")),
            "g.us" if digits(user, "-") => Ok(Self::Group(user.to_owned())),
            "g.us" => Err(IdError::User("g.us")),
            _ => Err(IdError::Server),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => write!(f, "{digits}@c.us"),
            Self::Lid(lid) => write!(f, "{lid}@lid"),
            Self::Group(group) => write!(f, "{group}@g.us"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn numbers_are_parsed_in_any_spelling() {
        for text in ["+1 555 010-0001", "15550100001@c.us", "15550100001:7@s.whatsapp.net"] {
            assert_eq!(text.parse(), Ok(Id::Number("15550100001".to_owned())), "{text}");
        }
    }
}
