//! Reads the fields of a query or a JSON object one by one, and collects all that is wrong with them.
//!
//! Pure. `null` counts as absent, and so does an empty value in a query, whose values are strings; fields
//! that nobody reads are ignored, but where [`Fields::only`] is asked.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::api::http::error::{ApiError, FieldError};
use crate::domain::suggestion::suggest;

/// Largest number up to which every whole one has a floating-point form of its own.
const EXACT: f64 = 9_007_199_254_740_991.0;

/// What a request says, field by field.
pub trait FromFields: Sized {
    /// Reads the fields; `None` only when something was found wrong.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// A request's fields, and what was wrong with those read so far.
#[derive(Debug)]
pub struct Fields {
    values: Map<String, Value>,
    from_query: bool,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Those of a JSON object.
    #[must_use]
    pub fn of_json(values: Map<String, Value>) -> Self {
        Self { values, from_query: false, errors: Vec::new() }
    }

    /// Those of a query; a name that is repeated has a list of values.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let mut values = Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Value::String(value.into_owned());
            match values.get_mut(&*name) {
                Some(Value::Array(list)) => list.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
                None => drop(values.insert(name.into_owned(), value)),
            }
        }
        Self { values, from_query: true, errors: Vec::new() }
    }

    /// Reads all of `T`.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each wrong field.
    pub fn parse<T: FromFields>(mut self) -> Result<T, ApiError> {
        let read = T::read(&mut self);
        if !self.errors.is_empty() {
            return Err(ApiError::Invalid(self.errors));
        }
        // Not reached with `None`: whoever reads it has said what is wrong.
        read.ok_or(ApiError::Internal)
    }

    /// Notes that a field is wrong.
    pub fn wrong(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Notes that a field is missing, unless it was found wrong.
    pub fn require<T>(&mut self, field: &str, value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() && !self.errors.iter().any(|error| error.field == field) {
            self.wrong(field, format!("is required: {what}"));
        }
        value
    }

    /// The first of these names that is given, else the first name.
    pub fn given<'n>(&self, names: &[&'n str]) -> &'n str {
        let given = names.iter().find(|name| self.get(name).is_some());
        given.or(names.first()).copied().unwrap_or_default()
    }

    /// Notes each field that is none of these: where leaving one out means more, a misspelt one must not count as that.
    pub fn only(&mut self, known: &[&str]) {
        let unknown: Vec<String> =
            self.values.keys().filter(|name| !known.contains(&name.as_str())).take(8).cloned().collect();
        for name in unknown {
            let name: String = name.chars().take(64).collect();
            let hint = suggest(&name, known.iter().copied()).map(|known| format!("; did you mean {known}?"));
            self.wrong(
                name.escape_debug().to_string(),
                format!("is no field here{}", hint.unwrap_or_default()),
            );
        }
    }

    /// All fields, whatever they are; the service says which cannot be.
    pub fn all(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.values)
    }

    fn get(&self, field: &str) -> Option<&Value> {
        let is_absent = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => self.from_query && text.is_empty(),
            _ => false,
        };
        self.values.get(field).filter(|value| !is_absent(value))
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.get(field)?;
        self.values.remove(field)
    }

    /// A string of at most so many characters.
    pub fn text(&mut self, field: &str, max_chars: usize) -> Option<String> {
        match self.take(field)? {
            Value::String(text) if text.chars().count() <= max_chars => Some(text),
            Value::String(_) => {
                self.wrong(field, format!("is longer than {max_chars} characters"));
                None
            }
            other => {
                self.wrong(field, self.must_be_one("a string", &other));
                None
            }
        }
    }

    /// A string in a form of its own.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, field: &str) -> Option<T> {
        let text = self.text(field, 1_024)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(field, format!("is not valid: {error}"));
                None
            }
        }
    }

    /// One of these words.
    pub fn word<T: Copy>(&mut self, field: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(field, 1_024)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(field, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    /// A whole number in this range.
    pub fn integer(&mut self, field: &str, range: &RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(field)?;
        let number = match &value {
            Value::String(text) if self.from_query => text.trim().parse().ok(),
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            _ => None,
        };
        if number.is_none_or(|number| !range.contains(&number)) {
            let (least, most) = (range.start(), range.end());
            let right = match *most {
                i64::MAX => format!("a whole number, at least {least}"),
                most => format!("a whole number from {least} to {most}"),
            };
            self.wrong(field, self.must_be_one(&right, &value));
            return None;
        }
        number
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, field: &str) -> Option<bool> {
        let value = self.take(field)?;
        match &value {
            Value::Bool(yes) => return Some(*yes),
            Value::String(text) if self.from_query => match text.as_str() {
                "true" | "1" => return Some(true),
                "false" | "0" => return Some(false),
                _ => {}
            },
            _ => {}
        }
        self.wrong(field, self.must_be_one("true or false", &value));
        None
    }

    /// Whether a field is given at all.
    pub fn is_given(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// Whatever it is; the service says whether it can be.
    pub fn any(&mut self, field: &str) -> Option<Value> {
        self.take(field)
    }

    /// An object.
    pub fn object(&mut self, field: &str) -> Option<Map<String, Value>> {
        match self.take(field)? {
            Value::Object(object) => Some(object),
            _ => {
                self.wrong(field, "must be an object");
                None
            }
        }
    }

    /// Whether a field says anything, whatever that is: not empty, null or false.
    pub fn says_anything(&self, field: &str) -> bool {
        self.get(field).is_some_and(|value| match value {
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(object) => !object.is_empty(),
            Value::Bool(yes) => *yes,
            Value::Null | Value::Number(_) => true,
        })
    }

    /// A list of at most so many strings, each in a form of its own. In a query it is separated by commas,
    /// or its name is repeated. `None` when absent or wrong.
    pub fn list<T: FromStr<Err: Display>>(&mut self, field: &str, max: usize) -> Option<Vec<T>> {
        let texts = match self.take(field)? {
            Value::String(text) if self.from_query => split(&text),
            Value::Array(list) if list.iter().all(Value::is_string) => {
                let texts = list.iter().filter_map(Value::as_str);
                if self.from_query {
                    texts.flat_map(split).collect()
                } else {
                    texts.map(str::to_owned).collect()
                }
            }
            _ => {
                self.wrong(field, "must be a list of strings");
                return None;
            }
        };
        if texts.len() > max {
            self.wrong(field, format!("has more than {max} entries"));
            return None;
        }
        let before = self.errors.len();
        let mut parsed = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(value) => parsed.push(value),
                Err(error) => self.wrong(format!("{field}[{index}]"), format!("is not valid: {error}")),
            }
        }
        (self.errors.len() == before).then_some(parsed)
    }

    /// As [`Fields::list`], and one alone may be given as it is.
    pub fn one_or_more<T: FromStr<Err: Display>>(&mut self, field: &str, max: usize) -> Option<Vec<T>> {
        if !self.from_query && self.get(field).is_some_and(Value::is_string) {
            return self.parsed(field).map(|one| vec![one]);
        }
        self.list(field, max)
    }

    fn must_be_one(&self, right: &str, found: &Value) -> String {
        if self.from_query && found.is_array() {
            return "is given more than once".to_owned();
        }
        format!("must be {right}")
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn whole(float: f64) -> Option<i64> {
    if float.fract() != 0.0 || float.abs() > EXACT {
        return None;
    }
    format!("{float:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DeviceId;
    use proptest::prelude::*;
    use serde_json::json;

    fn json(value: Value) -> Fields {
        let Value::Object(object) = value else { panic!("not an object") };
        Fields::of_json(object)
    }

    fn messages(fields: &Fields) -> Vec<String> {
        fields.errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect()
    }

    #[test]
    fn numbers_of_a_query_are_strings_and_kept_in_range() {
        let mut fields = Fields::of_query("limit=20&offset=x&page=0&empty=&twice=1&twice=2");
        assert_eq!(fields.integer("limit", &(1..=100)), Some(20));
        assert_eq!(fields.integer("empty", &(1..=100)), None);
        for field in ["offset", "page", "twice"] {
            assert_eq!(fields.integer(field, &(1..=100)), None);
        }
        assert_eq!(
            messages(&fields),
            [
                "offset must be a whole number from 1 to 100",
                "page must be a whole number from 1 to 100",
                "twice is given more than once"
            ]
        );
    }

    #[test]
    fn json_has_types() {
        let mut fields = json(
            json!({ "n": "5", "whole": 5.0, "half": 5.5, "big": 1e300, "t": 5, "b": "true", "null": null }),
        );
        assert_eq!(fields.integer("whole", &(0..=9)), Some(5));
        assert_eq!(fields.integer("null", &(0..=9)), None);
        for field in ["n", "half", "big"] {
            assert_eq!(fields.integer(field, &(0..=i64::MAX)), None);
        }
        assert_eq!((fields.text("t", 9), fields.boolean("b")), (None, None));
        assert_eq!(
            messages(&fields),
            [
                "n must be a whole number, at least 0",
                "half must be a whole number, at least 0",
                "big must be a whole number, at least 0",
                "t must be a string",
                "b must be true or false"
            ]
        );
    }

    #[test]
    fn lists_come_with_commas_or_as_lists_and_name_the_wrong_entry() {
        let list = |mut fields: Fields| fields.list::<DeviceId>("ids", 3).map(|ids| ids.len());
        assert_eq!(list(Fields::of_query("ids=a,b,%20c,")), Some(3));
        assert_eq!(list(Fields::of_query("ids=a&ids=b,c")), Some(3));
        assert_eq!(list(json(json!({ "ids": ["a"] }))), Some(1));
        let mut fields = json(json!({ "ids": ["a", "ä"] }));
        assert_eq!(fields.list::<DeviceId>("ids", 3), None);
        assert!(messages(&fields)[0].starts_with("ids[1] is not valid: a device id"));
        for wrong in [json!("a"), json!([5]), json!(["a", "b", "c", "d"])] {
            let mut fields = json(json!({ "ids": wrong }));
            fields.list::<DeviceId>("ids", 3);
            assert_eq!(fields.errors.len(), 1);
        }
    }

    #[test]
    fn older_names_stand_for_newer_ones() {
        assert_eq!(Fields::of_query("q=x").given(&["search", "q"]), "q");
        assert_eq!(Fields::of_query("search=&q=x").given(&["search", "q"]), "q");
        assert_eq!(Fields::of_query("").given(&["search", "q"]), "search");
    }

    #[test]
    fn what_is_required_is_named_once() {
        let mut fields = json(json!({ "a": 5 }));
        let a = fields.text("a", 9);
        fields.require("a", a, "a text");
        fields.require::<()>("b", None, "a text");
        assert_eq!(messages(&fields), ["a must be a string", "b is required: a text"]);
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "\\PC{0,60}") {
            let mut fields = Fields::of_query(&query);
            let names: Vec<String> = fields.values.keys().cloned().collect();
            for name in names {
                fields.integer(&name, &(0..=5));
                fields.list::<DeviceId>(&name, 2);
            }
        }
    }
}
