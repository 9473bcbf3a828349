//! The control API: a test or a demonstration moves the phone, the contacts and the network's faults.
//!
//! Bodies are checked to the letter: an unknown field is an error that names it. A call that tells the device
//! something answers once the daemon has it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::delivery_queue::Due;
use super::device::Device;
use super::faults::{Fault, FaultKind};
use super::fields::Fields;
use super::journal::JournalError;
use super::network::Network;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::ids::DeviceId;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{ControlError, ControlVerb, EngineEvent, SettingError};

mod chats;
mod content;
mod groups;
mod incoming;
mod messages;
mod people;
mod phone;

/// The longest text in bytes.
pub(super) const MAX_BODY: usize = 65_536;
/// How long a call waits for the daemon's acknowledgement.
const ACK_WAIT: Duration = Duration::from_secs(10);

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
            "scan" => phone::scan(&device, &map).await,
            "pair" => phone::pair(&device, &map).await,
            "incoming" => self.incoming(&device, &map).await,
            "receipt" => self.deliver_linked(&device, messages::receipt(&map, self.now())).await,
            "reaction" => {
                self.deliver_linked(&device, messages::reaction(&map, device.me().as_ref(), self.now())).await
            }
            "vote" => self.deliver_linked(&device, messages::vote(&map, self.now())).await,
            "edit" => self.deliver_linked(&device, messages::edit(&map, self.now())).await,
            "revoke" => self.deliver_linked(&device, messages::revoke(&map)).await,
            "star" => self.deliver_linked(&device, messages::star(&map)).await,
            "delete" => self.deliver_linked(&device, messages::delete_for_me(&map)).await,
            "read" => self.deliver_linked(&device, messages::read(&map)).await,
            "group" => self.group(&device, &map).await,
            "chat" => self.deliver_linked(&device, chats::chat(&map)).await,
            "call" => self.call(&device, &map).await,
            "typing" => people::typing(&device, &map).await,
            "contact" => self.deliver_linked(&device, people::contact(&map)).await,
            "presence" => people::presence(&device, &map).await,
            "fault" => fault(&device, &map),
            _ => Err(ControlError::NotFound),
        }
    }

    async fn show(&self, id: &DeviceId) -> Result<Value, ControlError> {
        let view = self.network.view(id).await.map_err(storage)?;
        serde_json::to_value(view).map_err(|_| ControlError::Storage)
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Tells a linked device something, now or when it is back.
    async fn deliver_linked(
        &self,
        device: &Device,
        event: Result<EngineEvent, SettingError>,
    ) -> Result<Value, ControlError> {
        let event = event.map_err(invalid)?;
        if !device.is_linked() {
            return Err(not_linked());
        }
        deliver_now(device, event).await
    }
}

/// Tells what only a connected device can hear.
async fn deliver_online(device: &Device, event: EngineEvent) -> Result<Value, ControlError> {
    if !device.is_online() {
        return Err(impossible("not_connected", "the device is not connected to its network"));
    }
    deliver_now(device, event).await
}

/// Has the session tell the daemon, and waits until it took it.
async fn deliver_now(device: &Device, event: EngineEvent) -> Result<Value, ControlError> {
    let (sender, receiver) = oneshot::channel();
    if !device.schedule(Instant::now(), Due::event(event), Some(sender)) {
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

/// A field that must name a person.
fn person(fields: &Fields<'_>, name: &str) -> Result<Jid, SettingError> {
    let jid = fields.required(name, fields.jid(name)?)?;
    match jid.kind() {
        JidKind::Person | JidKind::Lid => Ok(jid),
        _ => Err(fields.wrong(name, "must be a person")),
    }
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
    impossible("not_acknowledged", "the device did not take it in time; it waits in the network")
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn storage(error: JournalError) -> ControlError {
    tracing::error!(%error, source = ?std::error::Error::source(&error), "the simulated network's journal failed");
    ControlError::Storage
}
