//! Converts domain values to and from column values.

use std::str::FromStr;

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::domain::clock::Millis;

/// Parses a text column as `T`.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: &str, what: &'static str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| StoreError::Unreadable(what))
}

/// Parses a nullable text column as `T`.
pub(super) fn parsed_if_any<T: FromStr>(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|_| StoreError::Unreadable(what))).transpose()
}

/// Parses a JSON column.
pub(super) fn from_json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable(what))
}

/// Serializes a value as JSON for a column.
pub(super) fn to_json<T: Serialize>(value: &T, what: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable(what))
}

/// Serializes an enum without data as its serde name, for a column of its own.
pub(super) fn to_word<T: Serialize>(value: &T, what: &'static str) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Unreadable(what)),
    }
}

/// Parses an enum without data from its serde name.
pub(super) fn from_word<T: DeserializeOwned>(word: String, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word)).map_err(|_| StoreError::Unreadable(what))
}

/// Reads a nullable time column.
pub(super) fn time_if_any(row: &Row<'_>, column: &str) -> Result<Option<Millis>, StoreError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Millis))
}
