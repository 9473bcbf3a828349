//! The control API of the simulator: moves the phone and the contacts, arms faults, shows the ledger.
//!
//! Unknown fields of a body are rejected by name.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::request::{deliver_linked, invalid, not_linked, storage};
use super::device::Device;
use super::faults::{Fault, FaultKind};
use super::fields::Fields;
use crate::engine::{ControlContext, ControlError, ControlVerb, SettingError};

mod chats;
mod content;
mod groups;
mod incoming;
mod messages;
mod people;
mod phone;
mod request;

pub(super) use self::request::Control;

/// Serves a request.
pub(super) async fn serve(
    control: &Control<'_>,
    context: &ControlContext,
    verb: ControlVerb<'_>,
    body: Value,
) -> Result<Value, ControlError> {
    let network = control.network;
    let name = match verb {
        ControlVerb::Get("network") => return network.view(&context.device).await.map_err(storage),
        ControlVerb::Delete("network") => {
            network.clear_record(&context.device).await.map_err(storage)?;
            return Ok(json!({}));
        }
        ControlVerb::Post(name) => name,
        ControlVerb::Get(_) | ControlVerb::Delete(_) => return Err(ControlError::NotFound),
    };
    let map = match body {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        _ => {
            let (field, message) = ("body".to_owned(), "must be an object".to_owned());
            return Err(invalid(SettingError { field, message }));
        }
    };
    let device = network.device(&context.device, &context.vault, control.media).await.map_err(storage)?;
    let now = control.clock.now();
    match name {
        "scan" => phone::scan(&device, &map).await,
        "pair" => phone::pair(&device, &map).await,
        "incoming" => incoming::incoming(control, &device, &map).await,
        "receipt" => deliver_linked(&device, messages::receipt(&map, now)).await,
        "reaction" => deliver_linked(&device, messages::reaction(&map, device.me().as_ref(), now)).await,
        "vote" => deliver_linked(&device, messages::vote(&map, now)).await,
        "edit" => deliver_linked(&device, messages::edit(&map, now)).await,
        "revoke" => deliver_linked(&device, messages::revoke(&map)).await,
        "star" => deliver_linked(&device, messages::star(&map)).await,
        "delete" => deliver_linked(&device, messages::delete_for_me(&map)).await,
        "read" => deliver_linked(&device, messages::read(&map)).await,
        "group" => groups::change(control, &device, &map).await,
        "chat" => deliver_linked(&device, chats::chat(&map)).await,
        "call" => people::call(control, &device, &map).await,
        "typing" => people::typing(&device, &map).await,
        "contact" => deliver_linked(&device, people::contact(&map)).await,
        "presence" => people::presence(&device, &map).await,
        "fault" => arm_fault(&device, &map),
        _ => Err(ControlError::NotFound),
    }
}

fn arm_fault(device: &Device, map: &Map<String, Value>) -> Result<Value, ControlError> {
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
