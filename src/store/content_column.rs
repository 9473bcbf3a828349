//! The content of a message apart from its text, stored as one JSON column.

use serde::{Deserialize, Serialize};

use super::column_codec::{from_json, to_json};
use super::error::StoreError;
use crate::domain::content::{ContactCard, Location, Poll, Template};
use crate::domain::identity::ReferencesPeople;
use crate::domain::jid::Jid;
use crate::domain::media::{Media, MediaKind, StoredMedia};
use crate::domain::message::{Message, SentBy};

/// The column `content`. The file's description stays when the file itself was removed; votes and reactions
/// have tables of their own.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StoredContent {
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<StoredFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contacts: Vec<ContactCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<Poll>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<Template>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Jid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_by: Option<SentBy>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredFile {
    kind: MediaKind,
    file: StoredMedia,
    filename: Option<String>,
}

impl StoredContent {
    /// Serializes a message's content; `None` for a message with text only.
    pub(super) fn of(message: &Message) -> Result<Option<String>, StoreError> {
        let content = Self {
            media: message.media.as_ref().map(|media| StoredFile {
                kind: media.kind,
                file: media.file.clone(),
                filename: media.filename.clone(),
            }),
            location: message.location.clone(),
            contacts: message.contacts.clone(),
            poll: message.poll.clone().map(|poll| Poll { votes: Vec::new(), ..poll }),
            template: message.template.clone(),
            mentions: message.mentioned_ids.clone(),
            sent_by: message.sent_by.clone(),
        };
        let plain = content.media.is_none()
            && content.location.is_none()
            && content.contacts.is_empty()
            && content.poll.is_none()
            && content.template.is_none()
            && content.mentions.is_empty()
            && content.sent_by.is_none();
        if plain { Ok(None) } else { to_json(&content, "message content").map(Some) }
    }

    pub(super) fn read(text: Option<&str>) -> Result<Self, StoreError> {
        text.map_or_else(|| Ok(Self::default()), |text| from_json(text, "message content"))
    }

    /// Restores the content of its message.
    pub(super) fn into_message(self, message: &mut Message, file_is_there: bool) {
        message.has_media = self.media.is_some();
        message.media = self.media.map(|m| Media {
            kind: m.kind,
            file: m.file,
            filename: m.filename,
            available: file_is_there,
            links: None,
        });
        message.location = self.location;
        message.contacts = self.contacts;
        message.poll = self.poll;
        message.template = self.template;
        message.mentioned_ids = self.mentions;
        message.sent_by = self.sent_by;
    }
}

/// People in mentions; votes have a table of their own.
impl ReferencesPeople for StoredContent {
    fn each_person(&mut self, visit: &mut dyn FnMut(&mut Jid)) {
        self.mentions.each_person(visit);
    }
}

/// Visible content of a message apart from its text, for the search index.
pub(super) fn extra_text(message: &Message) -> Option<String> {
    let mut words: Vec<&str> = Vec::new();
    words.extend(message.media.iter().filter_map(|media| media.filename.as_deref()));
    words.extend(message.location.iter().filter_map(|place| place.description.as_deref()));
    words.extend(message.contacts.iter().map(|card| card.display_name.as_str()));
    if let Some(poll) = &message.poll {
        words.push(&poll.name);
        words.extend(poll.options.iter().map(String::as_str));
    }
    words.extend(message.template.iter().map(|template| template.name.as_str()));
    (!words.is_empty()).then(|| words.join("\n"))
}
