//! The content of a message besides its text. A message has at most one kind of content.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::jid::Jid;
use super::media::{Media, MediaHash, MediaKind, StoredMedia};
use super::message::MessageType;

/// A geographic location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// In degrees, -90 to 90.
    pub latitude: f64,
    /// In degrees, -180 to 180.
    pub longitude: f64,
    /// The name of the location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactCard {
    /// The contact's display name.
    pub display_name: String,
    /// The card in vCard 3.0 format (RFC 2426).
    pub vcard: String,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// The question.
    pub name: String,
    /// The distinct answers, in display order.
    pub options: Vec<String>,
    /// Whether a voter may select several answers.
    pub allow_multiple_answers: bool,
    /// The current votes, one entry for each voter.
    #[serde(default)]
    pub votes: Vec<PollVote>,
}

/// The vote of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollVote {
    /// The person who voted.
    pub voter: Jid,
    /// The selected answers; empty after the voter removed the vote.
    pub options: Vec<String>,
    /// When the person last voted.
    pub timestamp: Millis,
}

/// A message template that the network approved, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The name of the template at the network.
    pub name: String,
    /// The language of the template at the network, such as `en_US`.
    pub language: String,
    /// The parameters, in the network's own format.
    #[serde(default)]
    pub components: Vec<serde_json::Value>,
}

/// The content of a message. The body of the message holds its text or the caption of its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Only text.
    Text,
    /// A file.
    Media(Attachment),
    /// A geographic location.
    Location(Location),
    /// Contact cards, at least one.
    Contacts(Vec<ContactCard>),
    /// A poll.
    Poll(Poll),
    /// A template; the body has the rendered text if it is available.
    Template(Template),
    /// Content that this version does not support, with its message type.
    Other(MessageType),
}

/// A file in the media store, with the kind and name under which it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// How the recipient's app shows the file.
    pub kind: MediaKind,
    /// The file.
    pub file: StoredMedia,
    /// The file name that the sender gave.
    pub filename: Option<String>,
}

impl Content {
    /// The hash of the file, if the content has one.
    #[must_use]
    pub fn file(&self) -> Option<&MediaHash> {
        if let Self::Media(attachment) = self { Some(&attachment.file.hash) } else { None }
    }

    /// The type of a message with this content.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Text | Self::Template(_) => MessageType::Chat,
            Self::Media(attachment) => attachment.kind.message_type(),
            Self::Location(_) => MessageType::Location,
            Self::Contacts(_) => MessageType::Vcard,
            Self::Poll(_) => MessageType::PollCreation,
            Self::Other(kind) => *kind,
        }
    }
}

impl From<Attachment> for Media {
    fn from(attachment: Attachment) -> Self {
        let Attachment { kind, file, filename } = attachment;
        Self { kind, file, filename, available: true, links: None }
    }
}

impl ContactCard {
    /// Builds a card from a received vCard. Without a given name, the `FN` property is the display name.
    #[must_use]
    pub fn of_vcard(vcard: String, name: Option<String>) -> Self {
        let formatted = vcard.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            let key = key.split(';').next().unwrap_or(key);
            key.eq_ignore_ascii_case("FN").then(|| value.trim().replace("\\,", ",").replace("\\;", ";"))
        });
        Self { display_name: name.or(formatted).unwrap_or_default(), vcard }
    }

    /// A card for a phone number. The `waid` parameter lets phones find the WhatsApp account.
    #[must_use]
    pub fn of_person(person: &Jid, name: Option<String>, organization: Option<&str>) -> Self {
        let display_name = name.unwrap_or_else(|| person.as_name());
        let formatted = escaped(&display_name);
        let organization = organization.map(|o| format!("ORG:{}\r\n", escaped(o))).unwrap_or_default();
        let digits = person.phone().unwrap_or_default();
        let vcard = format!(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;{formatted};;;\r\nFN:{formatted}\r\n{organization}\
             TEL;type=CELL;type=VOICE;waid={digits}:+{digits}\r\nEND:VCARD"
        );
        Self { display_name, vcard }
    }
}

/// Escapes a text value of a vCard (RFC 2426, section 4), so that it cannot add a property line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vcard_name_cannot_break_its_line() {
        let person = "15550100001@c.us".parse().unwrap();
        let card = ContactCard::of_person(&person, Some("A;B,\r\nTEL:1".into()), Some("Shop"));
        assert_eq!(card.vcard.lines().count(), 7, "{}", card.vcard);
        assert!(
            card.vcard.contains("FN:A\\;B\\,\\nTEL:1\r\n")
                && card.vcard.contains("waid=15550100001:+15550100001")
        );
        assert_eq!(ContactCard::of_vcard(card.vcard, None).display_name, "A;B,\\nTEL:1");
    }
}
