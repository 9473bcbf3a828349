//! A message on its way to the device, and how the journal keeps it.
//!
//! Its file stays outside the daemon's media store until it is handed over, so that a message may wait for
//! as long as it likes. Here is only where the bytes come from.

use std::io;

use serde::{Deserialize, Serialize};

use super::entries::Copy;
use super::journal::Snapshot;
use super::replay::{each_line, label, parse};
use crate::domain::clock::Millis;
use crate::domain::content::{ContactCard, Content, Location, Poll};
use crate::domain::device::Account;
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::{Incoming, Quoted};

/// A message for the device.
#[derive(Debug, Clone)]
pub(super) struct NetworkMessage {
    /// Its content is [`Content::Text`] while the file is enclosed.
    pub(super) message: Incoming,
    pub(super) file: Option<NetworkAttachment>,
}

/// A file that belongs to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkAttachment {
    /// As what it is sent; as its content suggests, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<MediaKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    pub(super) bytes: Bytes,
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub(super) enum Bytes {
    /// They are kept beside the journal.
    Kept(Kept),
    /// They are made up when they are needed, the same ones each time.
    MadeUp { mimetype: String, seed: u64, size: u64 },
}

/// A file that is kept beside the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Names it.
    pub(super) file: u64,
    pub(super) size: u64,
}

impl NetworkMessage {
    /// A message without a file.
    pub(super) fn bare(message: Incoming) -> Self {
        Self { message, file: None }
    }

    /// The file that is kept for it.
    pub(super) fn kept(&self) -> Option<Kept> {
        match self.file.as_ref()?.bytes {
            Bytes::Kept(kept) => Some(kept),
            Bytes::MadeUp { .. } => None,
        }
    }

    /// How many bytes its file has.
    pub(super) fn file_size(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| match file.bytes {
            Bytes::Kept(Kept { size, .. }) | Bytes::MadeUp { size, .. } => size,
        })
    }

    /// Roughly the bytes that it takes in memory.
    pub(super) fn text_len(&self) -> usize {
        let content = match &self.message.content {
            Content::Contacts(cards) => cards.iter().map(|c| c.vcard.len() + c.display_name.len()).sum(),
            Content::Poll(poll) => poll.name.len() + poll.options.iter().map(String::len).sum::<usize>(),
            Content::Location(place) => place.description.as_ref().map_or(0, String::len),
            Content::Text | Content::Media(_) | Content::Template(_) | Content::Other(_) => 0,
        };
        let quoted = self.message.quoted.as_ref().map_or(0, |quoted| quoted.body.len());
        self.message.body.len() + content + quoted + self.message.mentions.len() * 32
    }
}

/// A message for the device, as a line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// Numbers all messages of this journal; what is acknowledged is found by it.
    pub(super) no: u64,
    network_id: NetworkId,
    chat: Jid,
    from: Jid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    from_me: bool,
    body: String,
    #[serde(default, skip_serializing_if = "WrittenContent::is_text")]
    content: WrittenContent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<NetworkAttachment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quoted: Option<WrittenQuote>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Jid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
    timestamp: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notify_name: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenContent {
    #[default]
    Text,
    Location(Location),
    Contacts(Vec<ContactCard>),
    Poll(Poll),
    Other(MessageType),
}

impl WrittenContent {
    fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WrittenQuote {
    id: MessageId,
    author: Jid,
    body: String,
}

impl Written {
    /// The line of a message; what is in the daemon's store already is not the network's to keep.
    pub(super) fn new(no: u64, letter: &NetworkMessage) -> Self {
        let message = letter.message.clone();
        let content = match message.content {
            Content::Text | Content::Media(_) | Content::Template(_) => WrittenContent::Text,
            Content::Location(place) => WrittenContent::Location(place),
            Content::Contacts(cards) => WrittenContent::Contacts(cards),
            Content::Poll(poll) => WrittenContent::Poll(poll),
            Content::Other(kind) => WrittenContent::Other(kind),
        };
        let quoted = message.quoted.map(|Quoted { id, author, body }| WrittenQuote { id, author, body });
        Self {
            no,
            network_id: message.network_id,
            chat: message.chat,
            from: message.from,
            from_me: message.from_me,
            body: message.body,
            content,
            file: letter.file.clone(),
            quoted,
            mentions: message.mentions,
            forwarded: message.forwarded,
            timestamp: message.timestamp,
            notify_name: message.notify_name,
        }
    }

    pub(super) fn into_letter(self) -> NetworkMessage {
        let content = match self.content {
            WrittenContent::Text => Content::Text,
            WrittenContent::Location(place) => Content::Location(place),
            WrittenContent::Contacts(cards) => Content::Contacts(cards),
            WrittenContent::Poll(poll) => Content::Poll(poll),
            WrittenContent::Other(kind) => Content::Other(kind),
        };
        let quoted = self.quoted.map(|WrittenQuote { id, author, body }| Quoted { id, author, body });
        let text = Incoming::text(self.network_id, self.chat, self.from, self.body, self.timestamp);
        let message = Incoming {
            from_me: self.from_me,
            content,
            quoted,
            mentions: self.mentions,
            forwarded: self.forwarded,
            notify_name: self.notify_name,
            ..text
        };
        NetworkMessage { message, file: self.file }
    }
}

/// What is known of a message that somebody quotes.
#[derive(Debug, Clone)]
pub(super) struct Quote {
    pub(super) chat: Jid,
    pub(super) network_id: NetworkId,
    /// Whether the account wrote it.
    pub(super) from_me: Option<bool>,
    /// The member of a group who wrote it.
    pub(super) participant: Option<Jid>,
}

impl Quote {
    /// The quoted message, when `author` wrote it.
    pub(super) fn by(&self, from_me: bool, author: Jid, body: String) -> Quoted {
        let participant = (self.chat.is_group() && !from_me).then(|| author.clone());
        let id =
            MessageId { from_me, chat: self.chat.clone(), network: self.network_id.clone(), participant };
        Quoted { id, author, body }
    }

    fn fits(&self, chat: &Jid, network_id: &NetworkId, from_me: bool, author: &Jid) -> bool {
        *chat == self.chat
            && *network_id == self.network_id
            && self.from_me.is_none_or(|wanted| wanted == from_me)
            && self.participant.as_ref().is_none_or(|wanted| wanted == author)
    }
}

/// Finds the newest message that a quote may mean. Blocks.
pub(super) fn quoted(
    snapshot: Snapshot,
    device: &DeviceId,
    account: Option<&Account>,
    quote: &Quote,
) -> io::Result<Option<Quoted>> {
    let mut found = None;
    let me = account.and_then(Account::jid);
    let mentioned =
        |line: &[u8]| std::str::from_utf8(line).is_ok_and(|line| line.contains(quote.network_id.as_str()));
    for (file, len) in snapshot.files {
        each_line(file, len, |line| match label(line) {
            Some((id, "sent")) if id == device.as_str() && mentioned(line) => {
                let (Some(copy), Some(me)) = (parse::<Copy>(line), &me) else { return };
                if quote.fits(&copy.to, &copy.network_id, true, me) {
                    found = Some(quote.by(true, me.clone(), copy.body));
                }
            }
            Some((id, "incoming")) if id == device.as_str() && mentioned(line) => {
                let Some(entry) = parse::<Written>(line) else { return };
                if quote.fits(&entry.chat, &entry.network_id, entry.from_me, &entry.from) {
                    found = Some(quote.by(entry.from_me, entry.from, entry.body));
                }
            }
            _ => {}
        })?;
    }
    Ok(found)
}
