//! Field types and defaults for clients that write values in several ways.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::rules::whole;

/// The default of flags that are on unless the client turns them off.
pub const fn yes() -> bool {
    true
}

/// A value in its textual form.
///
/// # Errors
/// When the text is not a valid value.
pub fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// A list of values in their textual form.
///
/// # Errors
/// When one of the texts is not a valid value.
pub fn parsed_list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let texts = Vec::<Parsed<T>>::deserialize(deserializer)?;
    Ok(texts.into_iter().map(|Parsed(value)| value).collect())
}

struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer).map(Self)
    }
}

/// A text; an empty one counts as absent.
///
/// # Errors
/// When the value is not a text.
pub fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// Each value once, in the order of the first.
pub fn distinct<T: Clone + Eq + Hash>(mut list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    list.retain(|value| seen.insert(value.clone()));
    list
}

/// Makes a list of a field that has one value; returns whether it did.
pub fn wrap_in_list(object: &mut Map<String, Value>, field: &str) -> bool {
    match object.get_mut(field) {
        None | Some(Value::Array(_)) => false,
        Some(value) => {
            *value = Value::Array(vec![value.take()]);
            true
        }
    }
}

/// Makes numbers of fields whose value is a number as text.
pub fn unquote_numbers(object: &mut Map<String, Value>, fields: &[&str]) {
    for field in fields {
        let Some(value) = object.get_mut(*field) else { continue };
        let Some(text) = value.as_str().map(str::trim) else { continue };
        if let Ok(number) = text.parse::<i64>() {
            *value = number.into();
        } else if let Ok(number) = text.parse::<f64>() {
            *value = whole(&number.into()).map_or(number.into(), Value::from);
        }
    }
}
