//! Writes messages to the account, or from the account on its phone.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::content::content;
use super::fields::Fields;
use super::{Answer, Call, MAX_BODY, Refusal, WAIT, confirmed};
use crate::id::Id;
use crate::phone::outbound::{Content, OutboundMessage, Quote};
use crate::server::message_store::RecentMessage;
use crate::server::messages;
use crate::server::phone_messages::{self, Addressing, Destination, PhoneMessage};
use crate::server::state::Account;

const FIELDS: [&str; 21] = [
    "from",
    "fromMe",
    "groupId",
    "author",
    "body",
    "type",
    "media",
    "location",
    "contact",
    "contacts",
    "poll",
    "networkId",
    "timestamp",
    "quotedNetworkId",
    "quotedFromMe",
    "quotedParticipant",
    "quotedBody",
    "mentions",
    "forwarded",
    "notifyName",
    "naming",
];
const NAMINGS: [&str; 3] = ["number", "lid", "lid_alone"];
const MAX_ID: usize = 256;
const MAX_NAME: usize = 100;
const MAX_MENTIONS: usize = 1_024;

/// The author and chat of a message.
pub(super) struct Writer {
    pub(super) author: Arc<Account>,
    pub(super) addressing: Addressing,
    pub(super) place: Destination,
    /// Chat and author as the account sees them.
    pub(super) chat: Id,
    pub(super) who: Id,
}

impl Call {
    /// Writes a message; see the module.
    pub(super) async fn incoming(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &FIELDS)?;
        let content = content(&fields, &self.world)?;
        self.linked()?;
        let from_me = fields.flag("fromMe")?.unwrap_or(false);
        let writer = if from_me { self.own(&fields)? } else { self.writer(&fields)? };
        let words = self.words(&fields, content, &writer.chat)?;
        let id = fields.text("networkId", MAX_ID)?.map_or_else(messages::new_id, str::to_owned);
        let at = fields.time("timestamp")?.and_then(|ms| i64::try_from(ms / 1_000).ok());
        let phone_message = PhoneMessage {
            author: Arc::clone(&writer.author),
            addressing: writer.addressing,
            place: writer.place.clone(),
            id: id.clone(),
            at: at.unwrap_or_else(wacore::time::now_secs),
            notify: fields.text("notifyName", MAX_NAME)?.map(str::to_owned).filter(|_| !from_me),
            message: words.message(),
        };
        self.remember(&writer, &id, &words);
        let size = match &words.content {
            Content::File(file) => file.length,
            _ => 0,
        };
        self.written(phone_message, size).await?;
        let member = (writer.chat.is_group() && !from_me).then(|| format!("_{}", writer.who));
        let message_id = format!("{from_me}_{}_{id}{}", writer.chat, member.unwrap_or_default());
        Ok(json!({ "messageId": message_id }))
    }

    /// Writes a message and waits until the companions have confirmed it; longer for a large file.
    pub(super) async fn written(&self, phone_message: PhoneMessage, bytes: u64) -> Result<(), Refusal> {
        let receivers = phone_messages::write(&self.account, phone_message).await.map_err(|error| {
            tracing::debug!(error = format!("{error:#}"), "could not write a message");
            let message = "as many messages wait for this device as may; connect it first";
            Refusal::impossible("network_full", message)
        })?;
        let wait = WAIT + std::time::Duration::from_millis(bytes / 4_194);
        confirmed(receivers, wait).await
    }

    /// The chat and author of a message to the account.
    ///
    /// A group is `groupId` or `from`; the author is then `author`, or `from` if that is a person.
    pub(super) fn writer(&self, fields: &Fields<'_>) -> Result<Writer, Refusal> {
        let from = fields.required("from", fields.id("from")?)?;
        let author = fields.id("author")?;
        let group = fields.id("groupId")?;
        if group.as_ref().is_some_and(|group| !group.is_group()) {
            return Err(fields.wrong("groupId", "must end in @g.us"));
        }
        let (group, who, field) = match (group, from.is_group()) {
            (Some(group), true) if group != from => {
                return Err(fields.wrong("groupId", "is not the group in from"));
            }
            (_, true) => (Some(from), fields.required("author", author)?, "author"),
            (Some(group), false) => (Some(group), author.unwrap_or(from), "author"),
            (None, false) if author.is_some() => {
                return Err(fields.wrong("author", "is for messages in a group"));
            }
            (None, false) => (None, from, "from"),
        };
        let (author, usual) = self.account_of(field, &who)?;
        let addressing = match fields.word("naming", &NAMINGS)? {
            Some("number") => Addressing::Number,
            Some("lid") => Addressing::Lid,
            Some(_) => Addressing::LidOnly,
            None => usual,
        };
        let who = self.visible_id(&author, addressing);
        let addressing = match &group {
            None => addressing,
            Some(group) => {
                let group = group.to_string();
                self.world.groups.meet(&self.account.number, &group, &author.number);
                phone_messages::addressing(&self.world, &self.account, &author, Some(&group))
            }
        };
        let place = group.as_ref().map_or(Destination::Direct, |group| Destination::Group(group.jid()));
        let chat = group.unwrap_or_else(|| who.clone());
        Ok(Writer { author, addressing, place, chat, who })
    }

    /// Records whether the account may see the author's number; returns the visible id.
    fn visible_id(&self, person: &Account, addressing: Addressing) -> Id {
        let hidden_numbers = &mut self.account.lock().hidden_numbers;
        if addressing == Addressing::LidOnly {
            hidden_numbers.insert(person.number.clone());
            return Id::Lid(person.lid.clone());
        }
        hidden_numbers.remove(&person.number);
        Id::Number(person.number.clone())
    }

    /// The chat in which the account writes on its phone.
    fn own(&self, fields: &Fields<'_>) -> Result<Writer, Refusal> {
        if fields.value("author").is_some() {
            return Err(fields.wrong("author", "is for messages of others"));
        }
        let chat = match fields.id("groupId")? {
            Some(group) => group,
            None => fields.required("from", fields.id("from")?)?,
        };
        let place = if chat.is_group() {
            Destination::Group(chat.jid())
        } else {
            self.account_of("from", &chat)?;
            Destination::Own(chat.jid())
        };
        let who = Id::Number(self.account.number.clone());
        Ok(Writer { author: Arc::clone(&self.account), addressing: Addressing::Number, place, chat, who })
    }

    fn words(&self, fields: &Fields<'_>, content: Content, chat: &Id) -> Result<OutboundMessage, Refusal> {
        let caption = fields.value("media").and_then(|media| media["caption"].as_str());
        let body = match fields.text_or_empty("body", MAX_BODY)? {
            Some(_) if caption.is_some() => {
                return Err(fields.wrong("body", "is for files without a caption"));
            }
            Some("") | None if content == Content::Text => {
                return Err(fields.wrong("body", "is required"));
            }
            given => given.or(caption).unwrap_or_default().to_owned(),
        };
        let mentions = fields.ids("mentions", MAX_MENTIONS)?;
        Ok(OutboundMessage {
            body,
            content,
            quote: self.quote(fields, chat)?,
            mentions: mentions.iter().map(Id::jid).collect(),
            forwarded: fields.flag("forwarded")?.unwrap_or(false),
        })
    }

    fn quote(&self, fields: &Fields<'_>, chat: &Id) -> Result<Option<Quote>, Refusal> {
        let Some(id) = fields.text("quotedNetworkId", MAX_ID)? else {
            let without = ["quotedFromMe", "quotedParticipant", "quotedBody"];
            return match without.into_iter().find(|name| fields.value(name).is_some()) {
                Some(name) => Err(fields.wrong(name, "is for a message with quotedNetworkId")),
                None => Ok(None),
            };
        };
        let participant = fields.id("quotedParticipant")?;
        if participant.is_some() && !chat.is_group() {
            return Err(fields.wrong("quotedParticipant", "is for messages in a group"));
        }
        let given = fields.text_or_empty("quotedBody", MAX_BODY)?.map(str::to_owned);
        let from_me = fields.flag("quotedFromMe")?;
        let recent = self.recent(chat, id);
        let fits = |(author, _): &(Id, String)| {
            from_me.is_none_or(|from_me| from_me == self.is_me(author))
                && participant.as_ref().is_none_or(|participant| participant == author)
        };
        let (author, body) = match recent.filter(fits) {
            Some((author, body)) => (author, given.unwrap_or(body)),
            None => {
                let author = match (from_me.unwrap_or(false), participant) {
                    (true, _) => Some(Id::Number(self.account.number.clone())),
                    (false, Some(participant)) => Some(participant),
                    (false, None) => (!chat.is_group()).then(|| chat.clone()),
                };
                let author = author.ok_or_else(|| {
                    let message = "is required: the network does not remember who wrote it";
                    fields.wrong("quotedParticipant", message)
                })?;
                (author, given.unwrap_or_default())
            }
        };
        Ok(Some(Quote { id: id.to_owned(), author: author.jid(), body }))
    }

    /// Author and text of a recent message.
    fn recent(&self, chat: &Id, id: &str) -> Option<(Id, String)> {
        let state = self.account.lock();
        if let Some(body) = state.network_view.body_of(chat, id) {
            return Some((Id::Number(self.account.number.clone()), body.to_owned()));
        }
        state.recent_messages.find(chat, id).map(|written| (written.author.clone(), written.body.clone()))
    }

    fn is_me(&self, id: &Id) -> bool {
        *id == Id::Number(self.account.number.clone())
    }

    fn remember(&self, writer: &Writer, id: &str, words: &OutboundMessage) {
        let written = RecentMessage {
            id: id.to_owned(),
            chat: writer.chat.clone(),
            author: writer.who.clone(),
            body: words.body.clone(),
        };
        let mut state = self.account.lock();
        state.recent_messages.remember(written);
        if let Content::Poll(_) = &words.content {
            let message = words.message();
            state.remember(id, &message, &writer.author.number, &writer.author.lid);
        }
    }
}
