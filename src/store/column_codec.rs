//! Converts domain values to and from column values.

use std::str::FromStr;

use rusqlite::{Row, RowIndex};
use serde::Serialize;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use super::error::StoreError;
use crate::domain::clock::Millis;

/// Parses a text column as `T`.
pub(super) fn parsed<T: FromStr>(
    row: &Row<'_>,
    column: impl RowIndex,
    what: &'static str,
) -> Result<T, StoreError> {
    text(row, column)?.parse().map_err(|_| StoreError::Unreadable(what))
}

/// Parses a nullable text column as `T`.
pub(super) fn parsed_if_any<T: FromStr>(
    row: &Row<'_>,
    column: impl RowIndex,
    what: &'static str,
) -> Result<Option<T>, StoreError> {
    let text = text_if_any(row, column)?;
    text.map(|text| text.parse().map_err(|_| StoreError::Unreadable(what))).transpose()
}

/// A text column, without a copy.
pub(super) fn text<'r>(row: &'r Row<'_>, column: impl RowIndex) -> Result<&'r str, StoreError> {
    text_if_any(row, column)?.ok_or(StoreError::Unreadable("text column"))
}

/// A nullable text column, without a copy.
pub(super) fn text_if_any<'r>(
    row: &'r Row<'_>,
    column: impl RowIndex,
) -> Result<Option<&'r str>, StoreError> {
    row.get_ref(column)?.as_str_or_null().map_err(|_| StoreError::Unreadable("text column"))
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
pub(super) fn from_word<T: DeserializeOwned>(
    word: impl AsRef<str>,
    what: &'static str,
) -> Result<T, StoreError> {
    let word: StrDeserializer<'_, WordError> = word.as_ref().into_deserializer();
    T::deserialize(word).map_err(|_| StoreError::Unreadable(what))
}

/// Reads a nullable time column.
pub(super) fn time_if_any(row: &Row<'_>, column: impl RowIndex) -> Result<Option<Millis>, StoreError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Millis))
}
