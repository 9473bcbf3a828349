//! What a message consists of besides its text.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::jid::Jid;
use super::media::{Media, MediaHash, MediaKind, StoredMedia};
use super::message::MessageType;

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactCard {
    /// What people call them.
    pub display_name: String,
    /// The card itself, as RFC 2426 (vCard 3.0) has it.
    pub vcard: String,
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// The question.
    pub name: String,
    /// The answers, in order; no two are the same.
    pub options: Vec<String>,
    /// Whether one person may choose several.
    pub allow_multiple_answers: bool,
    /// What people chose so far.
    #[serde(default)]
    pub votes: Vec<PollVote>,
}

/// What one person chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollVote {
    /// Who.
    pub voter: Jid,
    /// Which answers; none when they took their choice back.
    pub options: Vec<String>,
    /// When.
    pub timestamp: Millis,
}

/// A text that the network approved beforehand, with what fills its gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// What it is called there.
    pub name: String,
    /// Its language there, such as `en_US`.
    pub language: String,
    /// What fills its gaps, in the network's own form.
    #[serde(default)]
    pub components: Vec<serde_json::Value>,
}

/// What a message consists of. The text itself, or a file's caption, is the message's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Nothing but the text.
    Text,
    /// A file.
    Media(Attachment),
    /// A place.
    Location(Location),
    /// Contact cards, at least one.
    Contacts(Vec<ContactCard>),
    /// A poll.
    Poll(Poll),
    /// A template; the body says what the person reads, as far as it is known.
    Template(Template),
    /// Something this version does not know; the type says as much as is known.
    Other(MessageType),
}

/// A file that is in the store, as what it is sent, and its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// As what.
    pub kind: MediaKind,
    /// The file.
    pub file: StoredMedia,
    /// What the sender calls it.
    pub filename: Option<String>,
}

impl Content {
    /// The file, where it has one.
    #[must_use]
    pub fn file(&self) -> Option<&MediaHash> {
        if let Self::Media(attachment) = self { Some(&attachment.file.hash) } else { None }
    }

    /// The type of a message that consists of this.
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
    /// From a card that somebody else wrote; its `FN` is the name where none is given.
    #[must_use]
    pub fn of_vcard(vcard: String, name: Option<String>) -> Self {
        let formatted = vcard.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            let key = key.split(';').next().unwrap_or(key);
            key.eq_ignore_ascii_case("FN").then(|| value.trim().replace("\\,", ",").replace("\\;", ";"))
        });
        Self { display_name: name.or(formatted).unwrap_or_default(), vcard }
    }

    /// A card for a person by phone number, with the parameter by which phones find their account.
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

/// A text value of a card (RFC 2426, section 4): no text can end its line.
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
