//! `chat`: the account changes a chat on another device.
//!
//! A request makes exactly one change.

use serde_json::{Map, Value};

use crate::domain::clock::Millis;
use crate::engine::simulator::fields::Fields;
use crate::engine::{ChatChange, EngineEvent, SettingError};

const CHANGES: [&str; 5] = ["archive", "pin", "mute", "clear", "delete"];

/// `{ chatId, archive | pin | mute | clear | delete }`.
pub(super) fn chat(map: &Map<String, Value>) -> Result<EngineEvent, SettingError> {
    let names = ["chatId", "archive", "pin", "mute", "clear", "delete"];
    let fields = Fields::new("", map, &names)?;
    let chat = fields.required("chatId", fields.jid("chatId")?)?;
    let mut given = CHANGES.into_iter().filter(|name| fields.value(name).is_some());
    let one = || format!("give one of {}", CHANGES.join(", "));
    let name = given.next().ok_or_else(|| fields.wrong("chatId", one()))?;
    if let Some(second) = given.next() {
        return Err(fields.wrong(second, one()));
    }
    let change = match name {
        "archive" => ChatChange::Archive(on(&fields, name)?),
        "pin" => ChatChange::Pin(on(&fields, name)?),
        "mute" => ChatChange::Mute(mute(&fields)?),
        "clear" => only_true(&fields, name, ChatChange::Clear)?,
        _ => only_true(&fields, name, ChatChange::Delete)?,
    };
    Ok(EngineEvent::Chat { chat, change })
}

fn on(fields: &Fields<'_>, name: &str) -> Result<bool, SettingError> {
    fields.required(name, fields.flag(name)?)
}

/// `true` has no end, `false` unmutes, and a time is the end.
fn mute(fields: &Fields<'_>) -> Result<Option<Option<Millis>>, SettingError> {
    match fields.value("mute") {
        Some(Value::Bool(on)) => Ok(on.then_some(None)),
        _ => match fields.time("mute") {
            Ok(until) => Ok(Some(until)),
            Err(_) => Err(fields.wrong("mute", "must be true, false or a time in milliseconds")),
        },
    }
}

fn only_true(fields: &Fields<'_>, name: &str, change: ChatChange) -> Result<ChatChange, SettingError> {
    if on(fields, name)? { Ok(change) } else { Err(fields.wrong(name, "can only be true")) }
}
