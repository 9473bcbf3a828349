//! Events about people: typing, presence, calls and contact data.
//!
//! All but contact data need a connected device.

use serde_json::{Map, Value, json};

use super::request::{Control, deliver_online, invalid, person, sender};
use crate::domain::contact::ContactUpdate;
use crate::domain::event::{CallStatus, TypingKind};
use crate::domain::ids::NetworkId;
use crate::domain::jid::JidKind;
use crate::engine::simulator::device::Device;
use crate::engine::simulator::fields::Fields;
use crate::engine::{ControlError, EngineEvent, SettingError};

const MAX_CALL_ID: usize = 128;
const MAX_NAME: usize = 100;

/// The network reports the names and the hidden id of a person.
pub(super) fn contact(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    let fields = Fields::new("", map, &["id", "lid", "name", "pushname"])?;
    let id = person(&fields, "id")?;
    let lid = fields.jid("lid")?;
    if lid.as_ref().is_some_and(|lid| lid.kind() != JidKind::Lid || id.kind() != JidKind::Person) {
        return Err(fields.wrong("lid", "must end in @lid, for an id that is a number"));
    }
    Ok(EngineEvent::Contacts(vec![ContactUpdate {
        address_book_name: fields.text("name", MAX_NAME)?.map(str::to_owned),
        pushname: fields.text("pushname", MAX_NAME)?.map(str::to_owned),
        lid,
        id,
    }]))
}

/// A person starts or stops typing.
pub(super) async fn typing(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["from", "kind", "on", "groupId", "author"]).map_err(invalid)?;
    let (chat, from) = sender(&fields).map_err(invalid)?;
    let kind = match fields.value("kind") {
        None => TypingKind::Text,
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| invalid(fields.wrong("kind", "must be text or audio")))?,
    };
    let on = fields.flag("on").map_err(invalid)?.unwrap_or(true);
    deliver_online(device, EngineEvent::Typing { chat, from, kind, on }).await
}

/// A person goes online or offline.
pub(super) async fn presence(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["from", "online", "lastSeen"]).map_err(invalid)?;
    let contact = person(&fields, "from").map_err(invalid)?;
    let online = fields.flag("online").map_err(invalid)?.unwrap_or(true);
    let last_seen = fields.time("lastSeen").map_err(invalid)?;
    deliver_online(device, EngineEvent::Presence { contact, online, last_seen }).await
}

/// A person calls, or the call ends.
pub(super) async fn call(
    control: &Control<'_>,
    device: &Device,
    map: &Map<String, Value>,
) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["from", "video", "status", "callId"]).map_err(invalid)?;
    let from = person(&fields, "from").map_err(invalid)?;
    let video = fields.flag("video").map_err(invalid)?.unwrap_or(false);
    let status = match fields.value("status") {
        None => CallStatus::Ringing,
        Some(value) => serde_json::from_value(value.clone()).map_err(|_| {
            invalid(fields.wrong("status", "must be ringing, accepted, rejected, missed or ended"))
        })?,
    };
    let given = fields.text("callId", MAX_CALL_ID).map_err(invalid)?;
    let call_id = given.map_or_else(|| NetworkId::random(control.random).to_string(), str::to_owned);
    deliver_online(device, EngineEvent::Call { call_id: call_id.clone(), from, video, status }).await?;
    Ok(json!({ "callId": call_id }))
}
