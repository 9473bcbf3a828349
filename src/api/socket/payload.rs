//! Reads the payload of a client event. Pure.
//!
//! Every event has one JSON object, or none. Binary data, several arguments and other types are refused,
//! by the name of the field where possible.

use axum::body::Bytes;
use serde_json::{Map, Value as Json};
use socketioxide::handler::Value;

use super::request_error::{NAME_MAX_CHARS, RequestError};

/// The name of the argument in errors.
const ARGUMENT: &str = "payload";

/// The size of a payload in bytes.
pub(super) fn size(payload: &Value) -> usize {
    match payload {
        Value::Str(text, attachments) => {
            let attached = attachments.iter().flatten().map(Bytes::len).sum::<usize>();
            text.len() + attached
        }
        Value::Bytes(bytes) => bytes.len(),
    }
}

/// The beginning of the event's name, if it can be read.
pub(super) fn event_name(payload: &Value) -> Option<String> {
    let arguments = serde_json::from_str::<Vec<Json>>(payload.as_str()?).ok()?;
    Some(arguments.first()?.as_str()?.chars().take(NAME_MAX_CHARS).collect())
}

/// The event's name and its argument, which is empty by default.
pub(super) fn read(payload: &Value) -> (String, Result<Map<String, Json>, RequestError>) {
    let (event, arguments) = arguments(payload);
    (event, arguments.and_then(argument))
}

/// The event's name and its arguments. Binary data is refused.
pub(super) fn arguments(payload: &Value) -> (String, Result<Vec<Json>, RequestError>) {
    let Value::Str(text, attachments) = payload else {
        return (String::new(), Err(RequestError::field(ARGUMENT, "must be JSON")));
    };
    let Ok(mut arguments) = serde_json::from_str::<Vec<Json>>(text) else {
        return (String::new(), Err(RequestError::field(ARGUMENT, "is not valid JSON")));
    };
    let event = match arguments.is_empty() {
        true => String::new(),
        false => arguments.remove(0).as_str().unwrap_or_default().to_owned(),
    };
    if attachments.as_ref().is_some_and(|attachments| !attachments.is_empty()) {
        let field = binary_field(&arguments).unwrap_or_else(|| ARGUMENT.to_owned());
        return (event, Err(RequestError::field(field, "must not be binary data")));
    }
    (event, Ok(arguments))
}

fn argument(mut arguments: Vec<Json>) -> Result<Map<String, Json>, RequestError> {
    if arguments.len() > 1 {
        let count = arguments.len();
        return Err(RequestError::field(ARGUMENT, format!("must be one object, not {count} arguments")));
    }
    match arguments.pop() {
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(body)) => Ok(body),
        Some(_) => Err(RequestError::field(ARGUMENT, "must be an object")),
    }
}

/// The path of the first placeholder of binary data; `None` for the argument itself.
fn binary_field(arguments: &[Json]) -> Option<String> {
    arguments.iter().filter_map(Json::as_object).filter(|body| !is_placeholder(body)).find_map(path_of_binary)
}

fn path_of_binary(body: &Map<String, Json>) -> Option<String> {
    body.iter().find_map(|(name, value)| match value {
        Json::Object(inner) if is_placeholder(inner) => Some(name.clone()),
        Json::Object(inner) => path_of_binary(inner).map(|rest| format!("{name}.{rest}")),
        Json::Array(list) => {
            let within = |value: &Json| {
                value.as_object().is_some_and(|o| is_placeholder(o) || path_of_binary(o).is_some())
            };
            list.iter().any(within).then(|| name.clone())
        }
        _ => None,
    })
}

fn is_placeholder(value: &Map<String, Json>) -> bool {
    value.get("_placeholder").is_some_and(|flag| flag == &Json::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &str) -> Value {
        Value::Str(json.to_owned().into(), None)
    }

    fn with_attachment(json: &str) -> Value {
        Value::Str(json.to_owned().into(), Some([b"abc".to_vec().into()].into()))
    }

    fn wrong_field(payload: &Value) -> String {
        let (_, body) = read(payload);
        body.unwrap_err().fields.remove(0).0
    }

    #[test]
    fn one_object_or_nothing_is_accepted() {
        let (event, body) = read(&text(r#"["message:send",{"to":"1"}]"#));
        assert_eq!((event.as_str(), body.unwrap().len()), ("message:send", 1));
        for nothing in [r#"["subscribe"]"#, r#"["subscribe",null]"#, r#"["subscribe",{}]"#] {
            let (event, body) = read(&text(nothing));
            assert_eq!((event.as_str(), body.unwrap().len()), ("subscribe", 0));
        }
    }

    #[test]
    fn other_payloads_are_refused_by_name() {
        for payload in [
            text(r#"["e",1]"#),
            text(r#"["e","x"]"#),
            text(r#"["e",[]]"#),
            text(r#"["e",{},{}]"#),
            text(r#"["e",{bad]"#),
            text("[]"),
            with_attachment(r#"["e",{"_placeholder":true,"num":0}]"#),
            Value::Bytes(Vec::new().into()),
        ] {
            if payload == text("[]") {
                assert!(read(&payload).1.unwrap().is_empty());
                continue;
            }
            assert_eq!(wrong_field(&payload), ARGUMENT, "{payload:?}");
        }
        let holder = r#"{"_placeholder":true,"num":0}"#;
        assert_eq!(wrong_field(&with_attachment(&format!(r#"["e",{{"to":"1","text":{holder}}}]"#))), "text");
        assert_eq!(
            wrong_field(&with_attachment(&format!(r#"["e",{{"media":{{"data":{holder}}}}}]"#))),
            "media.data"
        );
        assert_eq!(
            wrong_field(&with_attachment(&format!(r#"["e",{{"messageIds":[{holder}]}}]"#))),
            "messageIds"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(json in "\\PC{0,60}") {
            let _ = read(&text(&json));
            let _ = read(&with_attachment(&json));
            let _ = event_name(&text(&json));
        }
    }
}
