//! The context and the errors of a control request, and the delivery of the events that it causes.
//!
//! A request that causes an event is answered when the daemon has the event, or with an error after a
//! timeout.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::domain::clock::{Clock, Random};
use crate::domain::jid::{Jid, JidKind};
use crate::engine::simulator::delivery_queue::Due;
use crate::engine::simulator::device::Device;
use crate::engine::simulator::fields::Fields;
use crate::engine::simulator::network::Network;
use crate::engine::{ControlError, EngineEvent, MediaStore, SettingError};

/// How long a request waits for the daemon.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(10);

/// The context of a control request.
pub(in super::super) struct Control<'a> {
    pub(in super::super) network: &'a Network,
    pub(in super::super) media: &'a dyn MediaStore,
    pub(in super::super) clock: &'a dyn Clock,
    pub(in super::super) random: &'a dyn Random,
}

/// Delivers an event to a linked device, now or when it is connected again.
pub(super) async fn deliver_linked(
    device: &Device,
    event: Result<EngineEvent, SettingError>,
) -> Result<Value, ControlError> {
    let event = event.map_err(invalid)?;
    if !device.is_linked() {
        return Err(not_linked());
    }
    deliver(device, event).await
}

/// Delivers an event to a connected device.
pub(super) async fn deliver_online(device: &Device, event: EngineEvent) -> Result<Value, ControlError> {
    if !device.is_online() {
        return Err(impossible("not_connected", "the device is not connected to its network"));
    }
    deliver(device, event).await
}

/// Schedules an event and waits until the daemon has it.
pub(super) async fn deliver(device: &Device, event: EngineEvent) -> Result<Value, ControlError> {
    let (sender, receiver) = oneshot::channel();
    if !device.schedule(Instant::now(), Due::event(event), Some(sender)) {
        return Err(impossible("network_full", "too many events wait for this device; connect it first"));
    }
    match timeout(ACK_WAIT, receiver).await {
        Ok(Ok(())) => Ok(json!({})),
        Ok(Err(_)) | Err(_) => Err(not_acknowledged()),
    }
}

/// The chat of a message and its author.
///
/// A group is named by `groupId`, or by `from` as in whatsapp-web.js; the member is then `author`, or `from`
/// where that is a person.
pub(super) fn sender(fields: &Fields<'_>) -> Result<(Jid, Jid), SettingError> {
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
    if !is_person(&member) {
        let field = if chat.is_group() { "author" } else { "from" };
        return Err(fields.wrong(field, "must be a person"));
    }
    Ok((chat, member))
}

/// A required field that names a person.
pub(super) fn person(fields: &Fields<'_>, name: &str) -> Result<Jid, SettingError> {
    let jid = fields.required(name, fields.jid(name)?)?;
    if is_person(&jid) { Ok(jid) } else { Err(fields.wrong(name, "must be a person")) }
}

fn is_person(jid: &Jid) -> bool {
    matches!(jid.kind(), JidKind::Person | JidKind::Lid)
}

pub(super) fn invalid(error: SettingError) -> ControlError {
    ControlError::Invalid { field: error.field, message: error.message }
}

pub(super) fn impossible(code: &'static str, message: &str) -> ControlError {
    ControlError::Impossible { code, message: message.to_owned() }
}

pub(super) fn not_linked() -> ControlError {
    impossible("not_linked", "no phone has linked this device")
}

pub(super) fn not_acknowledged() -> ControlError {
    impossible("not_acknowledged", "the device did not acknowledge it in time; it waits in the network")
}

/// Logs a failure of the ledger, the vault or the media store.
pub(super) fn storage<E: std::error::Error + 'static>(error: E) -> ControlError {
    tracing::error!(%error, source = ?error.source(), "the simulator could not store its state");
    ControlError::Storage
}
