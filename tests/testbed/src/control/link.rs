//! Links a device by scanning a code or typing one on the phone.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{Answer, Refusal};
use crate::id::Id;
use crate::phone::keys;
use crate::scene::Settings;
use crate::server::World;
use crate::server::behaviour::Behaviour;
use crate::server::pairing::{LinkError, Linked};
use crate::server::scene_setup;

const MAX_QR: usize = 1_024;
const MAX_CODE: usize = 32;
const MAX_NAME: usize = 100;
/// The default name of a phone.
const CLIENT_NAME: &str = "Simulated phone";

/// The phone with this number scans the code that a client shows.
pub(super) async fn scan(world: &Arc<World>, map: &Map<String, Value>) -> Answer {
    let fields = Fields::new("", map, &["qr", "phoneNumber", "clientName", "world", "deviceId"])?;
    let qr = fields.text("qr", MAX_QR)?;
    let number = number(&fields)?;
    let name = prepare(world, &fields, &number)?;
    let qr = qr.ok_or_else(|| Refusal::impossible("no_qr", "the device shows no QR code now"))?;
    linked(world, &fields, world.scan(qr, &number).await, &name)
}

/// A code is typed on the phone with this number.
pub(super) async fn pair(world: &Arc<World>, map: &Map<String, Value>) -> Answer {
    let fields = Fields::new("", map, &["code", "phoneNumber", "clientName", "world", "deviceId"])?;
    let code = fields.required("code", fields.text("code", MAX_CODE)?)?;
    fields.required("phoneNumber", fields.value("phoneNumber"))?;
    let number = number(&fields)?;
    let name = prepare(world, &fields, &number)?;
    linked(world, &fields, world.type_code(&number, code).await, &name)
}

fn number(fields: &Fields<'_>) -> Result<String, Refusal> {
    match fields.id("phoneNumber")? {
        Some(Id::Number(number)) => Ok(number),
        Some(_) => Err(fields.wrong("phoneNumber", "must be a phone number such as +15550100001")),
        None => {
            let [high, low] = keys::bytes();
            Ok(format!("1555010{:04}", u16::from_be_bytes([high, low]) % 10_000))
        }
    }
}

/// Prepares the phone before the link, because the first login receives its name.
fn prepare(world: &World, fields: &Fields<'_>, number: &str) -> Result<String, Refusal> {
    let name = fields.text("clientName", MAX_NAME)?;
    let account = world.directory.get_or_create(number);
    let account = account.ok_or_else(|| fields.wrong("phoneNumber", "is not a registered number"))?;
    let before = account.lock().push_name.clone();
    let usual = if before.is_empty() { CLIENT_NAME } else { &before };
    let name = name.unwrap_or(usual).to_owned();
    let begun = match fields.value("world") {
        None => scene_setup::rename(&account, &name),
        Some(described) => {
            let settings = Settings::parse(described)
                .map_err(|error| fields.wrong("world", format!("is invalid: {error:#}")))?;
            account.lock().behaviour = Behaviour::of(described);
            scene_setup::apply(world, &account, settings, &name)
        }
    };
    let begun = begun.and_then(|()| scene_setup::seed_collections(&account));
    begun.map_err(|error| Refusal::impossible("network_full", format!("{error:#}")))?;
    Ok(name)
}

/// The answer. From now on calls accept the client's own device name instead of the number.
fn linked(world: &World, fields: &Fields<'_>, linked: Result<Linked, LinkError>, name: &str) -> Answer {
    match linked {
        Ok(Linked { number, lid, device, .. }) => {
            let account = world.directory.find(&number);
            if let (Some(called), Some(account)) = (fields.text("deviceId", MAX_NAME)?, account) {
                world.directory.link_as(called, &account);
            }
            Ok(json!({
                "phoneNumber": number, "clientName": name, "lid": format!("{lid}@lid"), "device": device,
            }))
        }
        Err(error) => Err(Refusal::impossible(error.code(), error.to_string())),
    }
}
