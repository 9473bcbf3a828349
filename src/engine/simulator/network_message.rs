//! A message of a simulated contact that is not delivered yet, and the quotation of an earlier one.
//!
//! Given files are in the media store before the message is accepted. A fake file is described only, and
//! generated when the message is delivered.

use serde::{Deserialize, Serialize};

use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::engine::{Incoming, Quoted};

/// A message for the device, as the vault stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkMessage {
    #[serde(flatten)]
    pub(super) message: Incoming,
    /// Its content is [`Content::Text`] until this file is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<NetworkAttachment>,
}

/// A file that is generated when its message is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkAttachment {
    /// The kind as which it is sent; `None` derives it from the content.
    pub(super) kind: Option<MediaKind>,
    pub(super) filename: Option<String>,
    pub(super) mimetype: String,
    pub(super) seed: u64,
    pub(super) size: u64,
}

impl From<Incoming> for NetworkMessage {
    fn from(message: Incoming) -> Self {
        Self { message, file: None }
    }
}

impl NetworkMessage {
    /// Roughly the bytes that it occupies in memory.
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

/// The permanent id of a message.
pub(super) fn id_of(message: &Incoming) -> MessageId {
    let by_member = message.chat.is_group() && !message.from_me;
    MessageId {
        from_me: message.from_me,
        chat: message.chat.clone(),
        network: message.network_id.clone(),
        participant: by_member.then(|| message.from.clone()),
    }
}

/// The attributes that identify a quoted message.
#[derive(Debug, Clone)]
pub(super) struct Quote {
    pub(super) chat: Jid,
    pub(super) network_id: NetworkId,
    /// Whether the account wrote it; `None` matches both.
    pub(super) from_me: Option<bool>,
    /// The member of a group who wrote it; `None` matches every member.
    pub(super) participant: Option<Jid>,
}

impl Quote {
    /// The quoted message, written by `author`.
    pub(super) fn by(&self, from_me: bool, author: Jid, body: String) -> Quoted {
        let participant = (self.chat.is_group() && !from_me).then(|| author.clone());
        let id =
            MessageId { from_me, chat: self.chat.clone(), network: self.network_id.clone(), participant };
        Quoted { id, author, body }
    }

    /// Whether the author of a message with this chat and id is the quoted one.
    pub(super) fn matches(&self, from_me: bool, author: &Jid) -> bool {
        self.from_me.is_none_or(|quoted| quoted == from_me)
            && self.participant.as_ref().is_none_or(|quoted| quoted == author)
    }

    /// The quotation of this message, if it is the quoted one.
    pub(super) fn of(&self, message: &Incoming) -> Option<Quoted> {
        let is_same = message.chat == self.chat
            && message.network_id == self.network_id
            && self.matches(message.from_me, &message.from);
        is_same.then(|| self.by(message.from_me, message.from.clone(), message.body.clone()))
    }
}
