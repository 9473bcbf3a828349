//! Ids of chats and people. The API emits the `@c.us` form and accepts other spellings of phone numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The kind of chat that a [`Jid`] identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JidKind {
    /// A person, by phone number: `@c.us` (the network itself writes `@s.whatsapp.net`).
    Person,
    /// A group: `@g.us`.
    Group,
    /// A person, by hidden id: `@lid`.
    Lid,
    /// Status updates: `status@broadcast`.
    Status,
    /// A channel: `@newsletter`.
    Newsletter,
}

/// The id of a chat, which for a person is also the id of the contact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jid {
    kind: JidKind,
    user: Box<str>,
}

/// The prefix of placeholder ids. No network uses ids that begin with zeros.
const PLACEHOLDER_PREFIX: &str = "000";

/// Maximum length of an id of digits. An id of Meta is encoded as two digits for each character.
const MAX_DIGITS: usize = 256;

/// The reason why a text is not a chat id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JidError {
    /// The text is empty.
    #[error("a chat id is required")]
    Empty,
    /// The text is not a phone number.
    #[error("a phone number has 5 to 15 digits with its country code, such as +15550100001")]
    Number,
    /// The part before the `@` is not valid for this server.
    #[error("the part before @{0} is not valid")]
    User(&'static str),
    /// The part after the `@` is an unknown server.
    #[error("a chat id ends in @c.us, @g.us, @lid, @newsletter or is a phone number")]
    Server,
}

impl Jid {
    /// A person by phone number, in digits.
    ///
    /// # Errors
    /// When `digits` does not have 5 to 15 digits.
    pub fn person(digits: &str) -> Result<Self, JidError> {
        if !(5..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(JidError::Number);
        }
        Ok(Self { kind: JidKind::Person, user: digits.into() })
    }

    /// A placeholder for a person without a network id. It cannot collide with an id of a network.
    #[must_use]
    pub fn placeholder(number: u64) -> Self {
        Self { kind: JidKind::Lid, user: format!("{PLACEHOLDER_PREFIX}{number:020}").into() }
    }

    /// Whether this is a placeholder id.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.kind == JidKind::Lid && self.user.starts_with(PLACEHOLDER_PREFIX)
    }

    /// The kind of chat that this id identifies.
    #[must_use]
    pub fn kind(&self) -> JidKind {
        self.kind
    }

    /// Whether this is the id of a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.kind == JidKind::Group
    }

    /// The part before the `@`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The phone number in digits; `None` unless the id is a phone number.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        (self.kind == JidKind::Person).then_some(&*self.user)
    }

    /// The display name of a chat without a stored name: the phone number or the id.
    #[must_use]
    pub fn as_name(&self) -> String {
        self.phone().map_or_else(|| self.to_string(), |digits| format!("+{digits}"))
    }

    fn server(&self) -> &'static str {
        match self.kind {
            JidKind::Person => "c.us",
            JidKind::Group => "g.us",
            JidKind::Lid => "lid",
            JidKind::Status => "broadcast",
            JidKind::Newsletter => "newsletter",
        }
    }
}

/// Parses a phone number with separators, such as `+1 (555) 010-0001`.
fn bare_number(text: &str) -> Result<Jid, JidError> {
    let separator = |c: char| matches!(c, ' ' | '-' | '(' | ')' | '.' | '\u{a0}');
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Jid::person(text);
    }
    let digits: String = text.chars().filter(|c| !separator(*c)).collect();
    Jid::person(&digits)
}

/// Removes the device part of `user:device@server`, so that the id identifies the person.
fn without_device(user: &str) -> &str {
    user.split_once(':').map_or(user, |(user, _)| user)
}

fn digits_user(kind: JidKind, user: &str, server: &'static str, extra: &str) -> Result<Jid, JidError> {
    let allowed = |c: char| c.is_ascii_digit() || extra.contains(c);
    if user.is_empty()
        || user.len() > MAX_DIGITS
        || !user.chars().all(allowed)
        || !user.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(JidError::User(server));
    }
    Ok(Jid { kind, user: user.into() })
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(JidError::Empty);
        }
        let Some((user, server)) = text.split_once('@') else {
            return bare_number(text);
        };
        match server {
            "c.us" | "s.whatsapp.net" => bare_number(without_device(user)),
            "g.us" => digits_user(JidKind::Group, user, "g.us", "-"),
            "lid" => digits_user(JidKind::Lid, without_device(user), "lid", ""),
            "newsletter" => digits_user(JidKind::Newsletter, user, "newsletter", ""),
            "broadcast" if user == "status" => Ok(Self { kind: JidKind::Status, user: user.into() }),
            "broadcast" => Err(JidError::User("broadcast")),
            _ => Err(JidError::Server),
        }
    }
}

impl TryFrom<String> for Jid {
    type Error = JidError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Jid> for String {
    fn from(jid: Jid) -> Self {
        jid.to_string()
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.server())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn phone_number_spellings_are_parsed() {
        for text in [
            "+1 555 010-0001",
            "15550100001",
            "15550100001@c.us",
            "15550100001@s.whatsapp.net",
            "15550100001:7@s.whatsapp.net",
            " +1(555)010.0001 ",
        ] {
            let expected = "15550100001@c.us";
            let expected = if text.contains("010-0001") || text.contains("010.0001") {
                "15550100001@c.us"
            } else {
                expected
            };
            assert_eq!(text.parse::<Jid>().map(|j| j.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid_jid_is_rejected_with_reason() {
        assert_eq!("".parse::<Jid>(), Err(JidError::Empty));
        assert_eq!("hello".parse::<Jid>(), Err(JidError::Number));
        assert_eq!("12@c.us".parse::<Jid>(), Err(JidError::Number));
        assert_eq!("abc@g.us".parse::<Jid>(), Err(JidError::User("g.us")));
        assert_eq!("friends@broadcast".parse::<Jid>(), Err(JidError::User("broadcast")));
        assert_eq!("15550100001@example.org".parse::<Jid>(), Err(JidError::Server));
    }

    proptest! {
        #[test]
        fn parsed_jid_prints_canonically_without_panic(text in "\\PC{0,40}") {
            if let Ok(jid) = text.parse::<Jid>() {
                prop_assert_eq!(jid.to_string().parse::<Jid>(), Ok(jid));
            }
        }

        #[test]
        fn spellings_of_number_are_one_jid(digits in "[1-9][0-9]{6,14}") {
            let jid = Jid::person(&digits).unwrap();
            for text in [format!("+{digits}"), format!("{digits}@c.us"), format!("{digits}@s.whatsapp.net"), digits] {
                prop_assert_eq!(text.parse::<Jid>(), Ok(jid.clone()));
            }
        }

        #[test]
        fn stand_in_jids_round_trip(number in any::<u64>()) {
            let jid = Jid::placeholder(number);
            prop_assert!(jid.is_placeholder());
            prop_assert_eq!(jid.to_string().parse::<Jid>(), Ok(jid));
        }

        #[test]
        fn group_jids_round_trip(id in "[0-9]{5,18}(-[0-9]{5,10})?") {
            let text = format!("{id}@g.us");
            prop_assert_eq!(text.parse::<Jid>().unwrap().to_string(), text);
        }
    }
}
