//! What happens to messages that are there already.

use serde_json::{Map, Value};

use super::{MAX_BODY, person};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::engine::simulator::changes::MAX_EMOJI;
use crate::engine::simulator::fields::Fields;
use crate::engine::{EngineEvent, IncomingReceipt, SendError, SettingError};

/// The longest answer of a poll in bytes, and how many there may be.
pub(super) const MAX_OPTION: usize = 255;
pub(super) const MAX_OPTIONS: usize = 12;
/// Messages that are read at once.
const MAX_READ: usize = 1_000;

/// How far a message of the device came.
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

/// Somebody reacts; with an empty `emoji` they take it back.
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
    Ok(EngineEvent::Reaction { id, from_me: me == Some(&from), from, emoji, at })
}

/// Somebody votes in a poll; without `options` they take it back.
pub(super) fn vote(map: &Map<String, Value>, now: Millis) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "voter", "from", "options", "timestamp"])?;
    let id = fields.message_id("messageId")?;
    let voter = person(&fields, if fields.value("voter").is_some() { "voter" } else { "from" })?;
    let options = fields.texts("options", MAX_OPTIONS, MAX_OPTION)?;
    Ok(EngineEvent::Vote { id, voter, options, at: fields.time("timestamp")?.unwrap_or(now) })
}

/// The sender changes the text.
pub(super) fn edit(map: &Map<String, Value>, now: Millis) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "body", "timestamp"])?;
    let id = fields.message_id("messageId")?;
    let body = fields.required("body", fields.text("body", MAX_BODY)?)?.to_owned();
    Ok(EngineEvent::Edited { id, body, at: fields.time("timestamp")?.unwrap_or(now) })
}

/// The sender takes it back for everyone.
pub(super) fn revoke(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    Ok(EngineEvent::Revoked { id: Fields::new("", map, &["messageId"])?.message_id("messageId")? })
}

/// The account's phone stars it, or not any more.
pub(super) fn star(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["messageId", "on"])?;
    let id = fields.message_id("messageId")?;
    Ok(EngineEvent::Starred { id, on: fields.flag("on")?.unwrap_or(true) })
}

/// The account's phone removes it.
pub(super) fn delete_for_me(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    Ok(EngineEvent::DeletedForMe { id: Fields::new("", map, &["messageId"])?.message_id("messageId")? })
}

/// The account's phone reads a chat, up to now or only some messages.
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
