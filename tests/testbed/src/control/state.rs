//! Actions on chats and messages on the account's own phone.

use serde_json::{Map, Value, json};
use wacore_binary::Jid;

use super::fields::Fields;
use super::{Answer, Call, Refusal, WAIT, confirmed};
use crate::id::Id;
use crate::phone::app_state::{MessageRef, PhoneAction};
use crate::server::app_state::apply_on_phone;

const CHANGES: [&str; 5] = ["archive", "pin", "mute", "clear", "delete"];
/// Messages that one call can mark as read.
const MAX_READ: usize = 1_000;
const MAX_ID: usize = 256;

impl Call {
    /// `{ chatId, archive | pin | mute | clear | delete }`.
    pub(super) async fn chat(&self, map: &Map<String, Value>) -> Answer {
        let allowed = ["chatId", "archive", "pin", "mute", "clear", "delete"];
        let fields = Fields::new("", map, &allowed)?;
        let chat = self.jid(&fields.required("chatId", fields.id("chatId")?)?)?;
        let mut given = CHANGES.into_iter().filter(|name| fields.value(name).is_some());
        let one = || format!("give one of {}", CHANGES.join(", "));
        let name = given.next().ok_or_else(|| fields.wrong("chatId", one()))?;
        if let Some(second) = given.next() {
            return Err(fields.wrong(second, one()));
        }
        let phone_action = match name {
            "archive" => PhoneAction::Archive(chat, on(&fields, name)?),
            "pin" => PhoneAction::Pin(chat, on(&fields, name)?),
            "mute" => PhoneAction::Mute(chat, mute(&fields)?),
            "clear" => confirmed_action(&fields, name, PhoneAction::Clear(chat))?,
            _ => confirmed_action(&fields, name, PhoneAction::Delete(chat))?,
        };
        self.perform(phone_action).await
    }

    /// Stars a message or removes its star.
    pub(super) async fn star(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId", "on"])?;
        let message = self.message(&fields)?;
        self.perform(PhoneAction::Star(message, fields.flag("on")?.unwrap_or(true))).await
    }

    /// Deletes a message for the account only.
    pub(super) async fn delete(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["messageId"])?;
        self.perform(PhoneAction::DeleteForMe(self.message(&fields)?)).await
    }

    /// Marks a chat as read, or only some of its messages.
    pub(super) async fn read(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["chatId", "networkIds"])?;
        let chat = self.jid(&fields.required("chatId", fields.id("chatId")?)?)?;
        let ids = fields.texts("networkIds", MAX_READ, MAX_ID)?;
        if ids.is_empty() {
            return self.perform(PhoneAction::Read(chat, true)).await;
        }
        self.linked()?;
        let receivers = crate::server::receipts::read_on_phone(&self.account, &chat, &ids).await;
        confirmed(receivers, WAIT).await?;
        Ok(json!({}))
    }

    async fn perform(&self, phone_action: PhoneAction) -> Answer {
        self.linked()?;
        let receivers = apply_on_phone(&self.account, &[phone_action]).await;
        let receivers =
            receivers.map_err(|error| Refusal::impossible("network_full", format!("{error:#}")))?;
        confirmed(receivers, WAIT).await?;
        Ok(json!({}))
    }

    fn message(&self, fields: &Fields<'_>) -> Result<MessageRef, Refusal> {
        let id = fields.message_id("messageId")?;
        let participant = id.participant.as_ref().map(|member| self.jid(member)).transpose()?;
        Ok(MessageRef { chat: self.jid(&id.chat)?, id: id.id, from_me: id.from_me, participant })
    }

    /// A chat's JID as the account's devices see it.
    fn jid(&self, id: &Id) -> Result<Jid, Refusal> {
        match id {
            Id::Group(_) => Ok(id.jid()),
            person => {
                let (account, _) = self.account_of("chatId", person)?;
                let hidden = self.account.lock().hides(&account.number);
                Ok(if hidden { account.lid_jid(0) } else { account.jid(0) })
            }
        }
    }
}

fn on(fields: &Fields<'_>, name: &str) -> Result<bool, Refusal> {
    fields.required(name, fields.flag(name)?)
}

/// `true` mutes forever, `false` unmutes, a time mutes until then.
fn mute(fields: &Fields<'_>) -> Result<Option<Option<i64>>, Refusal> {
    match fields.value("mute") {
        Some(Value::Bool(on)) => Ok(on.then_some(None)),
        _ => match fields.time("mute") {
            Ok(until) => Ok(Some(until.and_then(|until| i64::try_from(until).ok()))),
            Err(_) => Err(fields.wrong("mute", "must be true, false or a time in milliseconds")),
        },
    }
}

fn confirmed_action(
    fields: &Fields<'_>,
    name: &str,
    phone_action: PhoneAction,
) -> Result<PhoneAction, Refusal> {
    if on(fields, name)? { Ok(phone_action) } else { Err(fields.wrong(name, "can only be true")) }
}
