//! Reads a typed request: other spellings, the limits of its schema, then `serde`. A request's struct is its
//! OpenAPI schema as well, and a refusal names every invalid field by its path.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::rules::{Rules, rules_of_body, rules_of_query};
use crate::api::http::error::{ApiError, FieldError};
use crate::domain::suggestion::suggest;

/// Unknown fields that a refusal names.
const MAX_UNKNOWN: usize = 8;
/// Longest name of an unknown field that a refusal repeats, in characters.
const MAX_NAME_CHARS: usize = 64;

/// A field, and the other names that clients use for it, in order of preference.
pub type Alias = (&'static str, &'static [&'static str]);

/// A request: a JSON object, or the fields of a query. `null` counts as absent, in a query also an empty value.
pub trait Request: DeserializeOwned {
    /// Other names of fields. One counts only where the field itself is absent.
    const ALIASES: &'static [Alias] = &[];
    /// For requests that reject unknown fields: fields that they accept without effect.
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = None;
    /// Fields whose documented limit is the default of a setting: the handler checks them.
    const LIMIT_IS_A_SETTING: &'static [&'static str] = &[];

    /// Whether a field counts as absent.
    fn is_absent(_field: &str, value: &Value) -> bool {
        value.is_null()
    }

    /// Rewrites other spellings of the request before its limits are checked.
    fn normalize(_object: &mut Map<String, Value>, _report: &mut Report) {}

    /// Checks the rules that no limit of one field expresses, once every field is valid by itself.
    fn check(&self, _report: &mut Report) {}
}

/// The invalid fields of a request, by the names that the client used.
#[derive(Debug, Default)]
pub struct Report {
    errors: Vec<FieldError>,
    renamed: Vec<(&'static str, &'static str)>,
}

impl Report {
    /// Adds an invalid field.
    pub fn error(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Names errors of `field` after `given`, where the client wrote the value.
    pub fn rename(&mut self, field: &'static str, given: &'static str) {
        self.renamed.push((field, given));
    }

    fn into_error(mut self) -> ApiError {
        for (field, given) in &self.renamed {
            for error in &mut self.errors {
                if let Some(rest) = error.field.strip_prefix(field)
                    && (rest.is_empty() || rest.starts_with(['.', '[']))
                {
                    error.field = format!("{given}{rest}");
                }
            }
        }
        ApiError::Invalid(self.errors)
    }
}

/// Reads the fields of a query.
///
/// # Errors
/// [`ApiError::Invalid`] with every invalid field.
pub fn read_query<T: Request + IntoParams + 'static>(query: &str) -> Result<T, ApiError> {
    read(query_fields(query), &rules_of_query::<T>())
}

/// Reads a JSON object.
///
/// # Errors
/// [`ApiError::Invalid`] with every invalid field.
pub fn read_body<T: Request + ToSchema + 'static>(object: Map<String, Value>) -> Result<T, ApiError> {
    read(object, &rules_of_body::<T>())
}

/// A name that is repeated has a list of values.
fn query_fields(query: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        let value = Value::String(value.into_owned());
        match fields.get_mut(&*name) {
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(fields.insert(name.into_owned(), value)),
        }
    }
    fields
}

fn read<T: Request>(mut object: Map<String, Value>, rules: &Rules) -> Result<T, ApiError> {
    let mut report = Report::default();
    object.retain(|field, value| !T::is_absent(field, value));
    let aliases = resolve_aliases(T::ALIASES, &mut object);
    T::normalize(&mut object, &mut report);
    report.renamed.extend(aliases);
    if let Some(accepted) = T::REJECT_UNKNOWN {
        reject_unknown(rules, accepted, "", &object, &mut report);
    }
    rules.check(&mut object, T::LIMIT_IS_A_SETTING, &mut report.errors);
    let request = deserialize::<T>(object, &mut report.errors);
    if let Some(request) = request.filter(|_| report.errors.is_empty()) {
        request.check(&mut report);
        if report.errors.is_empty() {
            return Ok(request);
        }
    }
    Err(report.into_error())
}

/// Gives fields their own names, and returns which other names the client used.
fn resolve_aliases(aliases: &[Alias], object: &mut Map<String, Value>) -> Vec<(&'static str, &'static str)> {
    let mut used = Vec::new();
    for (field, others) in aliases {
        if object.contains_key(*field) {
            continue;
        }
        let given = others.iter().find_map(|other| object.remove(*other).map(|value| (*other, value)));
        if let Some((given, value)) = given {
            object.insert((*field).to_owned(), value);
            used.push((*field, given));
        }
    }
    used
}

/// Names the unknown fields of a nested request of type `T` at `path`.
pub fn reject_unknown_in<T: Request + ToSchema + 'static>(
    path: &str,
    object: &Map<String, Value>,
    report: &mut Report,
) {
    let accepted = T::REJECT_UNKNOWN.unwrap_or_default();
    reject_unknown(&rules_of_body::<T>(), accepted, &format!("{path}."), object, report);
}

/// Names each unknown field of an object at `path`. Where an absent field has a meaning, a misspelt one must
/// not count as absent.
fn reject_unknown(
    rules: &Rules,
    accepted: &[&str],
    path: &str,
    object: &Map<String, Value>,
    report: &mut Report,
) {
    let names: Vec<&str> = rules.names().chain(accepted.iter().copied()).collect();
    for name in object.keys().filter(|name| !names.contains(&name.as_str())).take(MAX_UNKNOWN) {
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        let hint = suggest(&name, names.iter().copied()).map(|name| format!("; did you mean {name}?"));
        let message = format!("is no field here{}", hint.unwrap_or_default());
        report.error(format!("{path}{}", name.escape_debug()), message);
    }
}

/// Reads the request without its invalid fields, so that `serde` finds further invalid ones.
fn deserialize<T: Request>(mut object: Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<T> {
    for error in &*errors {
        object.remove(error.field.split(['.', '[']).next().unwrap_or_default());
    }
    let mut value = Value::Object(object);
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(request) => return Some(request),
            Err(error) => error,
        };
        let removed = top_field(error.path()).and_then(|field| value.as_object_mut()?.remove(field));
        if removed.is_some() {
            errors.push(FieldError::new(error.path().to_string(), sentence(error.inner())));
        } else {
            // A field is absent: either it was invalid and is named already, or the rules do not require it.
            if errors.is_empty() {
                errors.push(FieldError::new("request", error.inner().to_string()));
            }
            return None;
        }
    }
}

fn top_field(path: &Path) -> Option<&str> {
    match path.iter().next()? {
        Segment::Map { key } => Some(key),
        _ => None,
    }
}

/// The requirement on a field's value, without the value that `serde` repeats: it may be long or secret.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(", expected ") {
        Some((problem, right))
            if problem.starts_with("invalid") || problem.starts_with("unknown variant") =>
        {
            format!("must be {}", right.replace('`', ""))
        }
        _ => format!("is not valid: {text}"),
    }
}

#[cfg(test)]
pub(in crate::api) mod tests {
    use super::*;
    use crate::domain::ids::DeviceId;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    /// The invalid fields of a body with their errors.
    pub(in crate::api) fn problems<T: Request + ToSchema + 'static>(body: Value) -> Vec<String> {
        refusal(body_of::<T>(body)).iter().map(|error| format!("{} {}", error.field, error.message)).collect()
    }

    /// The invalid fields of a body.
    pub(in crate::api) fn invalid_fields<T: Request + ToSchema + 'static>(body: Value) -> Vec<String> {
        refusal(body_of::<T>(body)).into_iter().map(|error| error.field).collect()
    }

    pub(in crate::api) fn body_of<T: Request + ToSchema + 'static>(body: Value) -> Result<T, ApiError> {
        let Value::Object(object) = body else { panic!("{body} is not an object") };
        read_body(object)
    }

    fn refusal<T>(read: Result<T, ApiError>) -> Vec<FieldError> {
        match read {
            Err(ApiError::Invalid(errors)) => errors,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[expect(dead_code, reason = "serde reads the fields")]
    #[derive(Debug, Deserialize, ToSchema, IntoParams)]
    #[serde(rename_all = "camelCase")]
    #[into_params(parameter_in = Query, rename_all = "camelCase")]
    struct Sample {
        #[schema(minimum = 1, maximum = 100)]
        #[param(minimum = 1, maximum = 100)]
        limit: Option<i64>,
        #[serde(default)]
        flag: bool,
        #[schema(max_length = 3)]
        #[param(max_length = 3)]
        text: Option<String>,
        #[schema(value_type = Option<Vec<String>>, max_items = 3)]
        #[param(value_type = Option<Vec<String>>, max_items = 3)]
        ids: Option<Vec<DeviceId>>,
        number: Option<f64>,
        #[serde(default)]
        #[schema(value_type = Option<Inner>)]
        #[param(value_type = Option<String>)]
        inner: Option<Inner>,
    }

    #[expect(dead_code, reason = "serde reads the fields")]
    #[derive(Debug, Deserialize, ToSchema)]
    struct Inner {
        /// The first field. It is required.
        a: String,
        #[schema(minimum = 0)]
        b: i64,
    }

    impl Request for Sample {
        const ALIASES: &'static [Alias] = &[("text", &["body", "words"])];
    }

    #[test]
    fn query_values_are_strings_and_checked() {
        let read = |query: &str| read_query::<Sample>(query);
        let sample = read("limit=%2020%20&flag=1&text=a&ids=a,%20b,&number=1.5").unwrap();
        assert_eq!((sample.limit, sample.flag, sample.number), (Some(20), true, Some(1.5)));
        assert_eq!(sample.ids.unwrap().len(), 2);
        assert_eq!(read("ids=a&ids=b,c").unwrap().ids.unwrap().len(), 3);
        let absent = read("limit=&text=").unwrap();
        assert_eq!((absent.limit, absent.flag, absent.text), (None, false, None));
        for (query, message) in [
            ("limit=0", "limit must be a whole number from 1 to 100"),
            ("limit=x", "limit must be a whole number from 1 to 100"),
            ("limit=1&limit=2", "limit is given more than once"),
            ("flag=yes", "flag must be true or false"),
            ("text=abcd", "text is longer than 3 characters"),
            ("ids=a,b,c,d", "ids has more than 3 entries"),
        ] {
            let refused = refusal(read(query));
            assert_eq!(format!("{} {}", refused[0].field, refused[0].message), message, "{query}");
        }
    }

    #[test]
    fn body_values_have_types() {
        let read = |body: Value| body_of::<Sample>(body).unwrap();
        assert_eq!(read(json!({ "limit": 5.0, "text": null, "unknown": 1 })).limit, Some(5));
        let wrong = json!({ "limit": "5", "flag": "true", "text": 5, "ids": "a", "number": "x" });
        assert_eq!(
            problems::<Sample>(wrong),
            [
                "flag must be true or false",
                "ids must be a list",
                "limit must be a whole number from 1 to 100",
                "number must be a number",
                "text must be a string",
            ]
        );
        for limit in [json!(1e300), json!(5.5), json!(101), json!(true)] {
            assert_eq!(invalid_fields::<Sample>(json!({ "limit": limit })), ["limit"]);
        }
    }

    #[test]
    fn every_invalid_field_is_named_by_its_path() {
        let wrong = json!({ "limit": 0, "ids": ["a", "ä"], "inner": { "b": -1 } });
        assert_eq!(
            problems::<Sample>(wrong)[..3],
            [
                "inner.a is required: the first field",
                "inner.b must be a whole number, at least 0",
                "limit must be a whole number from 1 to 100",
            ]
        );
        assert_eq!(
            invalid_fields::<Sample>(json!({ "limit": 0, "ids": ["a", "ä"], "inner": 5 })),
            ["inner", "limit", "ids[1]"]
        );
        assert_eq!(invalid_fields::<Sample>(json!({ "inner": { "a": null, "b": 1 } })), ["inner.a"]);
    }

    #[test]
    fn other_names_count_where_the_field_is_absent() {
        let text = |body: Value| body_of::<Sample>(body).unwrap().text;
        assert_eq!(text(json!({ "body": "b" })).as_deref(), Some("b"));
        assert_eq!(text(json!({ "text": null, "words": "w" })).as_deref(), Some("w"));
        assert_eq!(text(json!({ "text": "t", "body": 5 })).as_deref(), Some("t"));
        assert_eq!(invalid_fields::<Sample>(json!({ "words": 5 })), ["words"]);
    }

    proptest! {
        #[test]
        fn reading_a_query_never_panics(query in "(limit|flag|text|ids|number|x)?=?\\PC{0,30}(&(limit|ids)=\\PC{0,9}){0,2}") {
            let _ = read_query::<Sample>(&query);
        }
    }
}
