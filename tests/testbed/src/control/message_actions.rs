//! Actions on existing messages.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::fields::{Fields, MessageId};
use super::{Answer, Call, MAX_BODY, Refusal, WAIT, confirmed};
use crate::id::Id;
use crate::phone::outbound;
use crate::server::messages;
use crate::server::offline;
use crate::server::phone_messages::{self, Addressing, Destination, PhoneMessage};
use crate::server::receipts::{self, Level};
use crate::server::state::Account;

/// Maximum length of an emoji in bytes; families and flags have many parts.
const MAX_EMOJI: usize = 64;
const MAX_OPTION: usize = 255;
const MAX_OPTIONS: usize = 12;
/// The server's code for an armed refusal: the recipient has never written to the account.
const REFUSED: u16 = 463;

impl Call {
    /// Sends a receipt for a message of the device.
    pub(super) async fn receipt(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId", "ack", "participant"])?;
        let id = fields.message_id("messageId")?;
        if !id.from_me {
            return Err(fields.wrong("messageId", "must be a message of the device, true_…"));
        }
        let level = fields.required("ack", fields.value("ack"))?.as_i64();
        let participant = fields.id("participant")?;
        if participant.is_some() && !id.chat.is_group() {
            return Err(fields.wrong("participant", "is for messages in a group"));
        }
        let (chat, participant) = (id.chat.jid(), participant.map(|member| member.jid()));
        let said = |level| receipts::receipt(&chat, &id.id, level, participant.as_ref());
        let (stanza, waits) = match level {
            Some(-1) => (receipts::ack(&chat, &id.id, Some(REFUSED)), false),
            Some(1) => (receipts::ack(&chat, &id.id, None), false),
            Some(2) => (said(Level::Delivered), true),
            Some(3) => (said(Level::Read), true),
            Some(4) => (said(Level::Played), true),
            _ => return Err(fields.wrong("ack", "must be -1, 1, 2, 3 or 4")),
        };
        self.linked()?;
        let receivers = offline::post(&self.account, &stanza, waits).await;
        confirmed(receivers, WAIT).await?;
        Ok(json!({}))
    }

    /// A person reacts; an empty `emoji` removes the reaction.
    pub(super) async fn reaction(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId", "from", "emoji", "timestamp"])?;
        let id = fields.message_id("messageId")?;
        let from = fields.person("from")?;
        let emoji = fields.required("emoji", fields.text_or_empty("emoji", MAX_EMOJI)?)?;
        let at = at(&fields)?;
        self.about(&id, "from", &from, at, |key| outbound::reaction(key, emoji, at)).await
    }

    /// A person votes in a poll; without `options` the vote is removed.
    pub(super) async fn vote(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId", "voter", "from", "options", "timestamp"])?;
        let id = fields.message_id("messageId")?;
        let field = if fields.value("voter").is_some() { "voter" } else { "from" };
        let voter = fields.person(field)?;
        let options = fields.texts("options", MAX_OPTIONS, MAX_OPTION)?;
        let at = at(&fields)?;
        let (person, _) = self.account_of(field, &voter)?;
        let vote = person.lock().vote(&id.id, &person, &options);
        let vote = match vote {
            Some(vote) => Some(vote),
            None => self.account.lock().vote(&id.id, &person, &options),
        };
        let (payload, iv) = vote
            .ok_or_else(|| Refusal::impossible("poll_unknown", "the voter's phone has not seen this poll"))?;
        self.about(&id, field, &voter, at, |key| outbound::vote(key, payload, iv, at)).await
    }

    /// The author edits the text.
    pub(super) async fn edit(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId", "body", "timestamp"])?;
        let id = fields.message_id("messageId")?;
        let body = fields.required("body", fields.text("body", MAX_BODY)?)?;
        let at = at(&fields)?;
        let author = self.author(&fields, &id)?;
        self.about(&id, "messageId", &author, at, |key| outbound::edit(key, body, at)).await
    }

    /// The author revokes the message.
    pub(super) async fn revoke(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId"])?;
        let id = fields.message_id("messageId")?;
        let author = self.author(&fields, &id)?;
        self.about(&id, "messageId", &author, wacore::time::now_millis(), outbound::revoke).await
    }

    /// The author of a message.
    fn author(&self, fields: &Fields<'_>, id: &MessageId) -> Result<Id, Refusal> {
        if id.from_me {
            return Ok(Id::Number(self.account.number.clone()));
        }
        if !id.chat.is_group() {
            return Ok(id.chat.clone());
        }
        let member = id.participant.clone();
        member.ok_or_else(|| fields.wrong("messageId", "must name the member of the group who wrote it"))
    }

    /// Writes a message that refers to another one.
    async fn about(
        &self,
        id: &MessageId,
        field: &str,
        who: &Id,
        at_ms: i64,
        say: impl FnOnce(wa::MessageKey) -> wa::Message,
    ) -> Answer {
        self.linked()?;
        let (author, usual) = self.account_of(field, who)?;
        let group = id.chat.is_group().then(|| id.chat.to_string());
        let addressing = match &group {
            None => usual,
            group => phone_messages::addressing(&self.world, &self.account, &author, group.as_deref()),
        };
        let own = Arc::ptr_eq(&author, &self.account);
        let phone_message = PhoneMessage {
            place: match (&id.chat, own) {
                (Id::Group(_), _) => Destination::Group(id.chat.jid()),
                (_, true) => Destination::Own(id.chat.jid()),
                (_, false) => Destination::Direct,
            },
            message: say(self.key(id, &author, addressing)),
            author,
            addressing,
            id: messages::new_id(),
            at: at_ms / 1_000,
            notify: None,
        };
        self.written(phone_message, 0).await?;
        Ok(json!({}))
    }

    /// A message's key from the view of a person's phone.
    fn key(&self, id: &MessageId, teller: &Arc<Account>, addressing: Addressing) -> wa::MessageKey {
        let own = Arc::ptr_eq(teller, &self.account);
        if id.chat.is_group() {
            let participant = match (&id.participant, id.from_me) {
                (_, true) => Some(self.account.jid(0)),
                (Some(member), false) => Some(member.jid()),
                (None, false) => None,
            };
            let theirs =
                participant.as_ref().is_some_and(|jid| *jid == teller.jid(0) || *jid == teller.lid_jid(0));
            return outbound::key(&id.chat.jid(), theirs, &id.id, participant.as_ref().filter(|_| !theirs));
        }
        let from_me = id.from_me == own;
        let me: Jid = match addressing {
            Addressing::Number => self.account.jid(0),
            Addressing::Lid | Addressing::LidOnly => self.account.lid_jid(0),
        };
        outbound::key(&if own { id.chat.jid() } else { me }, from_me, &id.id, None)
    }
}

fn at(fields: &Fields<'_>) -> Result<i64, Refusal> {
    let given = fields.time("timestamp")?.and_then(|ms| i64::try_from(ms).ok());
    Ok(given.unwrap_or_else(wacore::time::now_millis))
}
