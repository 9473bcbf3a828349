//! `[[chat.operators]]` of a device's file: who may use the inbox of the device.

use std::path::Path;

use toml::{Table, Value};

use super::{DeclaredError, invalid};

/// Access to the inbox of a device, declared by its file. The service of operator chat validates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredInboxGrant {
    /// `<identity>:<user id>`, or `<identity>:role:<role>`.
    pub who: String,
    /// `read`, `reply` or `manage`.
    pub rights: String,
}

pub(super) fn take(file: &Path, table: &mut Table) -> Result<Vec<DeclaredInboxGrant>, DeclaredError> {
    let mut chat = match table.remove("chat") {
        None => return Ok(Vec::new()),
        Some(Value::Table(chat)) => chat,
        Some(_) => return Err(invalid(file, "chat", "must be a table")),
    };
    let list = match chat.remove("operators") {
        None => Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid(file, "chat.operators", "must be written as [[chat.operators]]")),
    };
    if !chat.is_empty() {
        return Err(invalid(file, "chat", "has only [[chat.operators]]; `bridge` is in [settings.chat]"));
    }
    list.into_iter().enumerate().map(|(index, value)| read(file, index, value)).collect()
}

fn read(file: &Path, index: usize, value: Value) -> Result<DeclaredInboxGrant, DeclaredError> {
    let path = format!("chat.operators[{index}]");
    let wrong = || invalid(file, &path, "must be { who = \"<identity>:<user id>\", rights = \"reply\" }");
    let Value::Table(mut grant) = value else { return Err(wrong()) };
    let Some(Value::String(who)) = grant.remove("who") else { return Err(wrong()) };
    let rights = match grant.remove("rights") {
        None => "reply".to_owned(),
        Some(Value::String(rights)) => rights,
        Some(_) => return Err(wrong()),
    };
    if grant.is_empty() { Ok(DeclaredInboxGrant { who, rights }) } else { Err(wrong()) }
}
