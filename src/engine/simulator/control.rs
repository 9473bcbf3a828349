//! The control API: a test or a demonstration moves the phone, the contacts and the network's faults.
//!
//! Bodies are checked to the letter: an unknown field is an error that names it. What later versions bring
//! (media, reactions, edits, calls) answers [`ControlError::NotBuilt`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::device::{Device, Scan, ScanError};
use super::faults::{Fault, FaultKind};
use super::fields::Fields;
use super::journal::JournalError;
use super::network::{AcceptError, Network};
use super::queue::Due;
use super::script;
use crate::domain::ack::Ack;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::{Jid, JidKind};
use crate::domain::message::MessageType;
use crate::engine::{
    ControlError, ControlVerb, EngineEvent, Incoming, IncomingReceipt, SendError, SettingError,
};

/// The longest text in bytes.
pub(super) const MAX_BODY: usize = 65_536;
/// How long a call waits for the daemon's acknowledgement.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// The last millisecond of the year 9999.
const MAX_TIME: u64 = 253_402_300_799_999;
const MAX_NAME: usize = 100;
const MAX_QR: usize = 1_024;
const MAX_ID: usize = 1_024;

/// What the calls need.
pub(super) struct Control<'a> {
    pub(super) network: &'a Network,
    pub(super) clock: &'a dyn Clock,
    pub(super) random: &'a dyn Random,
}

impl Control<'_> {
    /// Serves one call.
    pub(super) async fn serve(
        &self,
        id: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError> {
        self.network.ready().await.map_err(storage)?;
        let name = match verb {
            ControlVerb::Get("network") => return self.show(id).await,
            ControlVerb::Delete("network") => {
                self.network.forget(id, false).await.map_err(storage)?;
                return Ok(json!({}));
            }
            ControlVerb::Post(name) => name,
            ControlVerb::Get(_) | ControlVerb::Delete(_) => return Err(ControlError::NotFound),
        };
        let map = match body {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            _ => {
                return Err(invalid(SettingError {
                    field: "body".to_owned(),
                    message: "must be an object".to_owned(),
                }));
            }
        };
        let device = self.network.device(id);
        match name {
            "scan" => scan(&device, &map).await,
            "incoming" => self.incoming(&device, &map).await,
            "receipt" => self.receipt(&device, &map).await,
            "typing" => typing(&device, &map).await,
            "presence" => presence(&device, &map).await,
            "fault" => fault(&device, &map),
            "reaction" => Err(ControlError::NotBuilt("reaction")),
            "edit" => Err(ControlError::NotBuilt("edit")),
            "revoke" => Err(ControlError::NotBuilt("revoke")),
            "call" => Err(ControlError::NotBuilt("call")),
            _ => Err(ControlError::NotFound),
        }
    }

    async fn show(&self, id: &DeviceId) -> Result<Value, ControlError> {
        let view = self.network.view(id).await.map_err(storage)?;
        serde_json::to_value(view).map_err(|_| ControlError::Storage)
    }

    async fn incoming(&self, device: &Arc<Device>, map: &Map<String, Value>) -> Result<Value, ControlError> {
        let mut message = self.message(map)?;
        if !device.is_linked() {
            return Err(not_linked());
        }
        message.notify_name = device.settings().and_then(|s| script::name_of(&s, &message.from));
        if message.chat.is_group() {
            device.learn_member(&message.chat, &message.from);
        }
        let id = MessageId {
            from_me: false,
            chat: message.chat.clone(),
            network: message.network_id.clone(),
            participant: message.chat.is_group().then(|| message.from.clone()),
        };
        let (sender, receiver) = oneshot::channel();
        self.network.accept(device, message, Some(sender)).await.map_err(|error| match error {
            AcceptError::Full => {
                impossible("network_full", "as many messages wait for this device as may; connect it first")
            }
            AcceptError::Journal(error) => storage(error),
        })?;
        match timeout(ACK_WAIT, receiver).await {
            Ok(Ok(result)) => result.map_err(storage)?,
            Ok(Err(_)) | Err(_) => return Err(not_acknowledged()),
        }
        Ok(json!({ "messageId": id.to_string() }))
    }

    fn message(&self, map: &Map<String, Value>) -> Result<Incoming, ControlError> {
        let fields = Fields::new("", map, &INCOMING).map_err(invalid)?;
        only_text(&fields)?;
        let (chat, from) = sender(&fields).map_err(invalid)?;
        let body =
            fields.text("body", MAX_BODY).and_then(|body| fields.required("body", body)).map_err(invalid)?;
        let network_id = self.network_id(&fields).map_err(invalid)?;
        let timestamp = time(&fields, "timestamp").map_err(invalid)?.unwrap_or_else(|| self.clock.now());
        Ok(Incoming::text(network_id, chat, from, body.to_owned(), timestamp))
    }

    fn network_id(&self, fields: &Fields<'_>) -> Result<NetworkId, SettingError> {
        match fields.text("networkId", MAX_ID)? {
            None => Ok(NetworkId::random(self.random)),
            Some(text) => text.parse().map_err(|error| fields.wrong("networkId", format!("{error}"))),
        }
    }

    async fn receipt(&self, device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
        let fields = Fields::new("", map, &["messageId", "ack", "participant"]).map_err(invalid)?;
        let receipt = receipt(&fields, self.clock.now()).map_err(invalid)?;
        if !device.is_linked() {
            return Err(not_linked());
        }
        told(device, EngineEvent::Receipt(receipt)).await
    }
}

const INCOMING: [&str; 10] = [
    "from",
    "body",
    "type",
    "media",
    "location",
    "groupId",
    "author",
    "networkId",
    "timestamp",
    "quotedNetworkId",
];

fn only_text(fields: &Fields<'_>) -> Result<(), ControlError> {
    if let Some(value) = fields.value("type") {
        let kind = serde_json::from_value::<MessageType>(value.clone());
        match kind {
            Ok(MessageType::Chat) => {}
            Ok(_) => return Err(ControlError::NotBuilt("type")),
            Err(_) => return Err(invalid(fields.wrong("type", "must be a message type such as chat"))),
        }
    }
    for later in ["media", "location", "quotedNetworkId"] {
        if fields.value(later).is_some() {
            return Err(ControlError::NotBuilt(later));
        }
    }
    Ok(())
}

/// The chat that a message stands in, and who wrote it.
///
/// A group is named by `groupId`, or by `from` as whatsapp-web.js has it; the member is then `author`, or
/// `from` where that is a person.
fn sender(fields: &Fields<'_>) -> Result<(Jid, Jid), SettingError> {
    let from = fields.required("from", fields.jid("from")?)?;
    let author = fields.jid("author")?;
    let group = fields.jid("groupId")?;
    if group.as_ref().is_some_and(|group| !group.is_group()) {
        return Err(fields.wrong("groupId", "must end in @g.us"));
    }
    let (chat, member) = match (group, from.is_group()) {
        (Some(group), true) if group != from => {
            return Err(fields.wrong("groupId", "is not the group in from"));
        }
        (_, true) => (from, fields.required("author", author)?),
        (Some(group), false) => (group, author.unwrap_or(from)),
        (None, false) if author.is_some() => return Err(fields.wrong("author", "is for messages in a group")),
        (None, false) => (from.clone(), from),
    };
    if !matches!(member.kind(), JidKind::Person | JidKind::Lid) {
        let field = if chat.is_group() { "author" } else { "from" };
        return Err(fields.wrong(field, "must be a person"));
    }
    Ok((chat, member))
}

fn time(fields: &Fields<'_>, name: &str) -> Result<Option<Millis>, SettingError> {
    let ms = fields.integer(name, 0..=MAX_TIME)?;
    Ok(ms.and_then(|ms| i64::try_from(ms).ok()).map(Millis))
}

async fn scan(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["qr", "phoneNumber", "clientName"]).map_err(invalid)?;
    let qr = fields.text("qr", MAX_QR).map_err(invalid)?;
    let (done, scanned) = oneshot::channel();
    let scan = Scan {
        phone_number: phone_number(&fields).map_err(invalid)?,
        client_name: fields.text("clientName", MAX_NAME).map_err(invalid)?.map(str::to_owned),
        done: Some(done),
    };
    device.scan(qr, scan, Instant::now()).map_err(|error| match error {
        ScanError::NoCode => impossible("no_qr", "the device shows no QR code now"),
        ScanError::Expired => impossible("qr_expired", "this QR code is no longer valid"),
        ScanError::Unknown => impossible("qr_unknown", "this is not the QR code that the device shows"),
    })?;
    match timeout(ACK_WAIT, scanned).await {
        Ok(Ok(account)) => serde_json::to_value(account).map_err(|_| ControlError::Storage),
        Ok(Err(_)) | Err(_) => Err(not_acknowledged()),
    }
}

fn phone_number(fields: &Fields<'_>) -> Result<Option<String>, SettingError> {
    match fields.jid("phoneNumber")? {
        None => Ok(None),
        Some(jid) => match jid.phone() {
            Some(phone) => Ok(Some(phone.to_owned())),
            None => Err(fields.wrong("phoneNumber", "must be a phone number such as +15550100001")),
        },
    }
}

fn receipt(fields: &Fields<'_>, now: Millis) -> Result<IncomingReceipt, SettingError> {
    let text = fields.required("messageId", fields.text("messageId", MAX_ID)?)?;
    let id: MessageId = text.parse().map_err(|error| fields.wrong("messageId", format!("{error}")))?;
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
    Ok(IncomingReceipt { chat: id.chat, network_id: id.network, ack, participant, timestamp: now, error })
}

async fn typing(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["from", "kind", "on", "groupId", "author"]).map_err(invalid)?;
    let (chat, from) = sender(&fields).map_err(invalid)?;
    let kind = match fields.value("kind") {
        None => TypingKind::Text,
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| invalid(fields.wrong("kind", "must be text or audio")))?,
    };
    let on = fields.flag("on").map_err(invalid)?.unwrap_or(true);
    told_live(device, EngineEvent::Typing { chat, from, kind, on }).await
}

async fn presence(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["from", "online", "lastSeen"]).map_err(invalid)?;
    let (_, contact) = sender(&fields).map_err(invalid)?;
    let online = fields.flag("online").map_err(invalid)?.unwrap_or(true);
    let last_seen = time(&fields, "lastSeen").map_err(invalid)?;
    told_live(device, EngineEvent::Presence { contact, online, last_seen }).await
}

/// Tells what only a connected device can hear.
async fn told_live(device: &Device, event: EngineEvent) -> Result<Value, ControlError> {
    if !device.is_online() {
        return Err(impossible("not_connected", "the device is not connected to its network"));
    }
    told(device, event).await
}

/// Has the session tell the daemon, and waits until it took it.
async fn told(device: &Device, event: EngineEvent) -> Result<Value, ControlError> {
    let (sender, receiver) = oneshot::channel();
    if !device.note(Instant::now(), Due::Tell(event), Some(sender)) {
        return Err(impossible(
            "network_full",
            "as many events wait for this device as may; connect it first",
        ));
    }
    match timeout(ACK_WAIT, receiver).await {
        Ok(Ok(())) => Ok(json!({})),
        Ok(Err(_)) | Err(_) => Err(not_acknowledged()),
    }
}

fn fault(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &["kind", "count", "durationMs", "value"]).map_err(invalid)?;
    let now = Instant::now();
    let fault = Fault::parse(&fields, now).map_err(invalid)?;
    if matches!(fault.kind, FaultKind::LogOut | FaultKind::Ban) && !device.is_linked() {
        return Err(not_linked());
    }
    let kind = fault.kind.as_str();
    device.arm(fault, now);
    Ok(json!({ "kind": kind }))
}

fn invalid(error: SettingError) -> ControlError {
    ControlError::Invalid { field: error.field, message: error.message }
}

fn impossible(code: &'static str, message: &str) -> ControlError {
    ControlError::Impossible { code, message: message.to_owned() }
}

fn not_linked() -> ControlError {
    impossible("not_linked", "no phone has linked this device")
}

fn not_acknowledged() -> ControlError {
    impossible("not_acknowledged", "the device did not take it within 10 s; it waits in the network")
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn storage(error: JournalError) -> ControlError {
    tracing::error!(%error, source = ?std::error::Error::source(&error), "the simulated network's journal failed");
    ControlError::Storage
}
