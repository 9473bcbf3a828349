//! Reads the fields of client events, for all dialects. Ids may be texts or numbers; absent and null are equal.

use serde_json::{Map, Value as Json};

use super::request_error::ChatRequestError;

/// A field, or why it is invalid.
pub(super) type Decoded<T> = Result<T, ChatRequestError>;

pub(super) fn invalid(field: &str, message: &str) -> ChatRequestError {
    ChatRequestError::invalid(field, message)
}

pub(super) fn object(argument: Json) -> Decoded<Map<String, Json>> {
    match argument {
        Json::Object(fields) => Ok(fields),
        _ => Err(invalid("payload", "must be an object")),
    }
}

/// An id: a text or a whole number.
pub(super) fn id(value: &Json, field: &str) -> Decoded<String> {
    match value {
        Json::String(text) if !text.is_empty() => Ok(text.clone()),
        Json::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        _ => Err(invalid(field, "must be an id")),
    }
}

pub(super) fn ids(value: &Json, field: &str, most: usize) -> Decoded<Vec<String>> {
    let list = value.as_array().ok_or_else(|| invalid(field, "must be a list of ids"))?;
    if list.len() > most {
        return Err(invalid(field, &format!("must have at most {most} ids")));
    }
    list.iter().map(|value| id(value, field)).collect()
}

pub(super) fn given<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    fields.get(name).filter(|value| !value.is_null())
}

pub(super) fn required(fields: &Map<String, Json>, name: &str) -> Decoded<String> {
    id(given(fields, name).unwrap_or(&Json::Null), name)
}

pub(super) fn optional_text(fields: &Map<String, Json>, name: &str) -> Decoded<Option<String>> {
    match given(fields, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(name, "must be a text")),
    }
}

/// The client's own id of a message.
pub(super) fn temp_id(fields: &Map<String, Json>) -> Decoded<Option<Json>> {
    match given(fields, "tempId") {
        None => Ok(None),
        Some(id @ (Json::String(_) | Json::Number(_))) => Ok(Some(id.clone())),
        Some(_) => Err(invalid("tempId", "must be a text or a number")),
    }
}
