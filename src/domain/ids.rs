//! Identifiers of devices and messages. Parsing checks length and alphabet, so that every value is valid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::clock::Random;
use super::jid::{Jid, JidError};

/// The permanent id of a device: 1–64 characters of `A-Za-z0-9_-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

/// The text is not a device id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a device id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -")]
pub struct DeviceIdError;

impl DeviceId {
    /// A random (version 4) UUID.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0_u8; 16];
        random.fill(&mut bytes);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(DeviceIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for DeviceId {
    type Error = DeviceIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The network's id of a message: 1–256 visible ASCII characters without `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkId(String);

/// The text is not a network id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a network id has 1 to 256 visible ASCII characters without @")]
pub struct NetworkIdError;

impl NetworkId {
    /// A new id for an outgoing message, in the format of WhatsApp Web clients (`3EB0` and 18 hex digits).
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        use fmt::Write as _;
        let mut bytes = [0_u8; 9];
        random.fill(&mut bytes);
        let mut id = String::from("3EB0");
        for byte in bytes {
            let _ = write!(id, "{byte:02X}");
        }
        Self(id)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkId {
    type Err = NetworkIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_graphic() && c != '@';
        if text.is_empty() || text.len() > 256 || !text.chars().all(allowed) {
            return Err(NetworkIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NetworkId {
    type Error = NetworkIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NetworkId> for String {
    fn from(id: NetworkId) -> Self {
        id.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message's permanent id on the wire: `<fromMe>_<chatId>_<networkId>[_<participant>]`.
///
/// The id contains every field that deduplication compares (network id, chat, author, direction), so that two
/// copies of one message have the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId {
    /// Whether the message was sent by the device's own account.
    pub from_me: bool,
    /// The chat of the message.
    pub chat: Jid,
    /// The network's id of the message.
    pub network: NetworkId,
    /// The sender within a group.
    pub participant: Option<Jid>,
}

/// The reason why a text is not a message id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MessageIdError {
    /// A part of the id is missing.
    #[error("a message id has the form true_15550100001@c.us_3EB0A1B2C3")]
    Shape,
    /// The chat or participant is not a chat id.
    #[error("the chat in the message id is not valid: {0}")]
    Chat(#[from] JidError),
    /// The network id is not valid.
    #[error(transparent)]
    Network(#[from] NetworkIdError),
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (direction, rest) = text.split_once('_').ok_or(MessageIdError::Shape)?;
        let from_me = match direction {
            "true" => true,
            "false" => false,
            _ => return Err(MessageIdError::Shape),
        };
        let (chat, rest) = rest.split_once('_').ok_or(MessageIdError::Shape)?;
        if !chat.contains('@') {
            return Err(MessageIdError::Shape);
        }
        let (network, participant) = match rest.rsplit_once('_') {
            Some((network, tail)) if tail.contains('@') => (network, Some(tail.parse()?)),
            _ => (rest, None),
        };
        Ok(Self { from_me, chat: chat.parse()?, network: network.parse()?, participant })
    }
}

impl TryFrom<String> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.from_me, self.chat, self.network)?;
        match &self.participant {
            Some(participant) => write!(f, "_{participant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_round_trip() {
        for text in [
            "false_15550100001@c.us_BB886C09AEF9",
            "true_120363000000000001@g.us_3EB0A1_15550100001@c.us",
            "true_15550100001@c.us_wamid.HBgL_x=",
        ] {
            assert_eq!(text.parse::<MessageId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn invalid_message_ids_are_rejected() {
        for text in
            ["", "true", "yes_1@c.us_A", "true_15550100001@c.us", "true_15550100001_A", "true_x@c.us_A"]
        {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }

    #[test]
    fn device_ids_use_slug_alphabet() {
        assert!("shop-1_A".parse::<DeviceId>().is_ok());
        for text in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert_eq!(text.parse::<DeviceId>(), Err(DeviceIdError), "{text}");
        }
    }
}
