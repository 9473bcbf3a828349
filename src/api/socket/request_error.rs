//! Errors of client events, as an answer or as the event `error`. Codes and fields are those of REST.

use serde_json::{Value as Json, json};

use super::reply::Request;
use crate::api::http::ApiError;
use crate::service::ServiceError;

/// The code of a request with invalid fields, as in REST.
const INVALID: &str = "invalid_field";
/// Longest event name in an answer, in characters.
pub(super) const NAME_MAX_CHARS: usize = 64;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestError {
    /// The stable code.
    pub(super) code: &'static str,
    /// The sentence.
    pub(super) error: String,
    /// The invalid fields, and what they must be.
    pub(super) fields: Vec<(String, String)>,
}

impl RequestError {
    pub(super) fn new(code: &'static str, error: impl Into<String>) -> Self {
        Self { code, error: error.into(), fields: Vec::new() }
    }

    /// One invalid field.
    pub(super) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![(field.into(), message.into())])
    }

    fn fields(fields: Vec<(String, String)>) -> Self {
        let sentences: Vec<_> = fields.iter().map(|(field, message)| format!("{field} {message}")).collect();
        Self { code: INVALID, error: sentences.join("; "), fields }
    }

    pub(super) fn overloaded() -> Self {
        Self::new(
            "overloaded",
            "too many requests of this socket are waiting; wait for answers before sending more",
        )
    }

    pub(super) fn unknown_event(name: &str) -> Self {
        let name: String = name.chars().take(NAME_MAX_CHARS).collect();
        Self::new("unknown_event", format!("there is no event named {name:?}"))
    }

    /// As a callback's argument.
    pub(super) fn as_answer(&self) -> Json {
        let mut answer = json!({ "success": false, "error": self.error, "code": self.code });
        self.put_details(&mut answer);
        answer
    }

    /// As the payload of an `error` event.
    pub(super) fn as_event(&self, request: &Request<'_>) -> Json {
        let mut event = json!({
            "timestamp": request.at,
            "message": self.error,
            "code": self.code,
            "event": request.event.chars().take(NAME_MAX_CHARS).collect::<String>(),
        });
        if let Some(device) = request.device {
            event["deviceId"] = json!(device);
        }
        self.put_details(&mut event);
        event
    }

    fn put_details(&self, into: &mut Json) {
        if self.fields.is_empty() {
            return;
        }
        let detail = |(field, message): &(String, String)| json!({ "field": field, "message": message });
        into["details"] = self.fields.iter().map(detail).collect();
    }
}

impl From<ServiceError> for RequestError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Invalid { field, message } => Self::field(field, message),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

impl From<ApiError> for RequestError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Invalid(fields) => {
                Self::fields(fields.into_iter().map(|error| (error.field, error.message)).collect())
            }
            ApiError::Service(error) => error.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}
