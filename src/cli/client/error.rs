//! Errors of requests to the daemon, with their exit codes and hints.

use serde_json::Value;
use thiserror::Error;

use crate::cli::exit::Exit;
use crate::cli::output::clean;

/// A failed request to the daemon.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The URL is not valid for a daemon.
    #[error("{url} is not an http:// or https:// URL")]
    Url {
        /// The URL as given.
        url: String,
    },
    /// The key has characters that are not allowed in a header.
    #[error("the API key has characters that are not allowed in a key")]
    Key,
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client: {}", root_cause(.0))]
    Setup(#[source] reqwest::Error),
    /// No answer, or an incomplete one.
    #[error("cannot reach a daemon at {url}: {}", root_cause(source))]
    Unreachable {
        /// URL without path.
        url: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// No answer within the time limit.
    #[error("no answer from {url} within {seconds} s")]
    NoAnswer {
        /// URL without credentials.
        url: String,
        /// Time limit in seconds.
        seconds: u64,
    },
    /// The daemon rejected the request.
    #[error("{message}{}", details_beyond(message, details.as_ref()))]
    Refused {
        /// HTTP status.
        status: u16,
        /// Error sentence.
        message: String,
        /// Stable error code.
        code: String,
        /// Errors per field.
        details: Option<Value>,
        /// Seconds after which the request may be repeated.
        retry_after: Option<u64>,
        /// Whether a key was sent.
        with_key: bool,
    },
    /// The server at the URL is not a Wharf daemon.
    #[error("the server at {url} does not look like Wharf: {problem}")]
    NotWharf {
        /// URL without path.
        url: String,
        /// Reason of the rejection.
        problem: String,
    },
}

impl ClientError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Url { .. } | Self::Key => Exit::Usage,
            Self::Setup(_) | Self::NotWharf { .. } => Exit::Error,
            Self::Unreachable { .. } | Self::NoAnswer { .. } => Exit::Unreachable,
            Self::Refused { status, .. } => Exit::of_status(*status),
        }
    }

    /// The stable error code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Url { .. } => "invalid_url",
            Self::Key => "invalid_key",
            Self::Setup(_) => "client_setup",
            Self::Unreachable { .. } | Self::NoAnswer { .. } => "unreachable",
            Self::Refused { code, .. } => code,
            Self::NotWharf { .. } => "not_wharf",
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => {
                "Is it running? `wharf serve` starts it; `wharf doctor` checks more. Another address: --url or WHARF_URL."
            }
            Self::Refused { status: 401, with_key: false, .. } => {
                "Give a key with --key or WHARF_API_KEY. The first start of the daemon prints one, or writes it to admin.key in its data directory."
            }
            Self::Refused { status: 401, .. } => {
                "Check --key or WHARF_API_KEY: it may be mistyped, revoked or expired. `wharf keys list` lists the keys."
            }
            Self::Refused { status: 403, .. } => {
                "Use a key with more scopes or devices; `wharf keys create` creates one."
            }
            Self::Refused { retry_after: Some(seconds), .. } => {
                return Some(format!("Try again in {seconds} s."));
            }
            Self::NotWharf { .. } => "Check --url or WHARF_URL.",
            Self::Setup(_) => "https needs the system's certificates: apt-get install ca-certificates",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::NotWharf { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }
}

/// Returns the innermost error, which has the cause; the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Returns the details, unless the message already contains their only entry.
fn details_beyond(message: &str, details: Option<&Value>) -> String {
    match details {
        Some(Value::Array(items)) if items.len() == 1 => {
            let problem = items[0].get("message").and_then(Value::as_str);
            if problem.is_some_and(|problem| message.contains(problem)) {
                return String::new();
            }
        }
        _ => {}
    }
    details_text(details)
}

/// Formats `{ "field": "problem" }` or `[{ "field", "message" }]`, one line per field.
pub(super) fn details_text(details: Option<&Value>) -> String {
    let lines: Vec<String> = match details {
        Some(Value::Object(fields)) => {
            fields.iter().map(|(field, problem)| format!("{field}: {}", plain(problem))).collect()
        }
        Some(Value::Array(items)) => items.iter().map(item_text).collect(),
        _ => Vec::new(),
    };
    lines.iter().map(|line| format!("\n  {}", clean(line))).collect()
}

fn item_text(item: &Value) -> String {
    let problem = ["message", "problem", "error"].iter().find_map(|name| item.get(name));
    match (item.get("field"), problem) {
        (Some(field), Some(problem)) => format!("{}: {}", plain(field), plain(problem)),
        _ => plain(item),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn error_text_does_not_repeat_its_source() {
        let one = json!([{ "field": "deviceId", "message": "is required" }]);
        assert_eq!(details_beyond("deviceId is required", Some(&one)), "");
        assert_eq!(details_beyond("it cannot be", Some(&one)), "\n  deviceId: is required");
        let two = json!([{ "field": "a", "message": "is odd" }, { "field": "b", "message": "is no number" }]);
        let said = details_beyond("these fields are not valid: a, b", Some(&two));
        assert_eq!(said, "\n  a: is odd\n  b: is no number");
    }
}
