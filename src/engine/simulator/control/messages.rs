//! Events about existing messages: receipts, reactions, votes, edits, revocations, stars and reads.
//!
//! The functions only parse; whether the message exists is the daemon's concern.

use serde_json::{Map, Value};

use super::request::person;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::engine::simulator::content::{MAX_BODY, MAX_EMOJI};
use crate::engine::simulator::fields::Fields;
use crate::engine::{EngineEvent, IncomingChange, IncomingReceipt, SendError, SettingError};

/// The longest option of a poll in bytes, and the number of options.
pub(super) const MAX_OPTION: usize = 255;
pub(super) const MAX_OPTIONS: usize = 12;
/// The number of messages in one `read`.
const MAX_READ: usize = 1_000;

/// A receipt for a message of the device.
pub(super) fn receipt(map: &Map<String, Value>, now: Millis) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "ack", "participant"])?;
    let id = fields.message_id("messageId")?;
    if !id.from_me {
        return Err(fields.wrong("messageId", "must be a message of the device, true_…"));
    }
    let level = fields.required("ack", fields.value("ack"))?.as_i64();
    let ack = level.and_then(|level| Ack::try_from(level).ok()).filter(|ack| *ack != Ack::Pending);
    let ack = ack.ok_or_else(|| fields.wrong("ack", "must be -1, 1, 2, 3 or 4"))?;
    let participant = fields.jid("participant")?;
    if participant.is_some() && !id.chat.is_group() {
        return Err(fields.wrong("participant", "is for messages in a group"));
    }
    let error = (ack == Ack::Error).then(|| SendError {
        code: "refused_by_network",
        message: "the network refused the message".to_owned(),
    });
    let (chat, network_id) = (id.chat, id.network);
    let receipt = IncomingReceipt { chat, network_id, ack, participant, timestamp: now, error };
    Ok(EngineEvent::Receipt(receipt))
}

/// A reaction; an empty `emoji` removes it.
pub(super) fn reaction(
    map: &Map<String, Value>,
    me: Option<&Jid>,
    now: Millis,
) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "from", "emoji", "timestamp"])?;
    let id = fields.message_id("messageId")?;
    let from = person(&fields, "from")?;
    let emoji = fields.required("emoji", fields.text_or_empty("emoji", MAX_EMOJI)?)?.to_owned();
    let at = fields.time("timestamp")?.unwrap_or(now);
    Ok(EngineEvent::MessageChange(IncomingChange::Reaction {
        id,
        from_me: me == Some(&from),
        from,
        emoji,
        at,
    }))
}

/// A vote in a poll; empty `options` remove it.
pub(super) fn vote(map: &Map<String, Value>, now: Millis) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "voter", "from", "options", "timestamp"])?;
    let id = fields.message_id("messageId")?;
    let voter = person(&fields, if fields.value("voter").is_some() { "voter" } else { "from" })?;
    let options = fields.texts("options", MAX_OPTIONS, MAX_OPTION)?;
    Ok(EngineEvent::MessageChange(IncomingChange::Vote {
        id,
        voter,
        options,
        at: fields.time("timestamp")?.unwrap_or(now),
    }))
}

/// An edit of the text by its sender.
pub(super) fn edit(map: &Map<String, Value>, now: Millis) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "body", "timestamp"])?;
    let id = fields.message_id("messageId")?;
    let body = fields.required("body", fields.text("body", MAX_BODY)?)?.to_owned();
    Ok(EngineEvent::MessageChange(IncomingChange::Edited {
        id,
        body,
        at: fields.time("timestamp")?.unwrap_or(now),
    }))
}

/// A revocation for everyone.
pub(super) fn revoke(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    Ok(EngineEvent::MessageChange(IncomingChange::Revoked {
        id: Fields::new("", map, &["messageId"])?.message_id("messageId")?,
    }))
}

/// The account's phone stars or unstars the message.
pub(super) fn star(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "on"])?;
    let id = fields.message_id("messageId")?;
    Ok(EngineEvent::MessageChange(IncomingChange::Starred { id, on: fields.flag("on")?.unwrap_or(true) }))
}

/// The account's phone deletes the message for itself.
pub(super) fn delete_for_me(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    Ok(EngineEvent::MessageChange(IncomingChange::DeletedForMe {
        id: Fields::new("", map, &["messageId"])?.message_id("messageId")?,
    }))
}

/// The account's phone reads some messages of a chat, or all.
pub(super) fn read(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["chatId", "networkIds"])?;
    let chat = fields.required("chatId", fields.jid("chatId")?)?;
    let ids = fields.texts("networkIds", MAX_READ, 256)?;
    let parsed = ids.iter().enumerate().map(|(at, id)| {
        let id: Result<NetworkId, _> = id.parse();
        id.map_err(|error| fields.wrong(&format!("networkIds[{at}]"), format!("{error}")))
    });
    Ok(EngineEvent::ReadElsewhere { chat, messages: parsed.collect::<Result<_, _>>()? })
}
