//! Why a request of a chat socket failed.

use serde_json::{Value as Json, json};

use crate::service::ErrorKind;
use crate::service::operator_chat::ChatError;

/// Longest event name in an error, in characters.
const NAME_MAX_CHARS: usize = 64;

/// A failed request, as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChatRequestError {
    pub(super) code: &'static str,
    pub(super) sentence: String,
    /// The client's own id of the message that was not sent.
    pub(super) temp_id: Option<Json>,
}

impl ChatRequestError {
    pub(super) fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), temp_id: None }
    }

    pub(super) fn overloaded() -> Self {
        Self::new(
            "overloaded",
            "too many requests of this socket are waiting; wait for answers before sending more",
        )
    }

    pub(super) fn unknown_event(name: &str) -> Self {
        Self::new("unknown_event", format!("there is no event named {:?}", bounded_name(name)))
    }

    pub(super) fn invalid(field: &str, message: &str) -> Self {
        Self::new("invalid_field", format!("{field} {message}"))
    }

    /// As a callback's argument.
    pub(super) fn as_answer(&self) -> Json {
        json!({ "success": false, "error": self.sentence, "code": self.code })
    }
}

impl From<ChatError> for ChatRequestError {
    fn from(error: ChatError) -> Self {
        if error.kind() == ErrorKind::Internal {
            tracing::error!(error = &error as &dyn std::error::Error, "chat request failed");
        }
        Self::new(error.code(), error.to_string())
    }
}

/// The beginning of an event name.
pub(super) fn bounded_name(name: &str) -> String {
    name.chars().take(NAME_MAX_CHARS).collect()
}
