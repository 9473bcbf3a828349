//! Maps errors to status codes and bodies. Every failure has the same body; no request of a client causes a
//! 500; internal errors are logged here, once, and not shown.

use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use crate::api::TooManyStreams;
use crate::domain::access::Scope;
use crate::domain::operator_chat::app_event::InvalidAppEvent;
use crate::service::operator_chat::ChatError;
use crate::service::{ErrorKind, ServiceError};

/// Seconds after which a client may repeat a request that timed out or found no room.
const RETRY_AFTER_TIMEOUT: u64 = 5;

/// An error of a request.
#[derive(Debug, Error)]
pub enum ApiError {
    /// An error of a use case.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// An error of operator chat.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The user token is missing or not valid.
    #[error("Authentication error")]
    UserTokenInvalid,
    /// The keys that verify user tokens cannot be fetched.
    #[error("Server configuration error")]
    UserKeysUnavailable,
    /// Invalid fields, at least one.
    #[error("{}", fields_sentence(.0))]
    Invalid(Vec<FieldError>),
    /// The body is not JSON.
    #[error("the request body is not JSON: {0}")]
    InvalidJson(String),
    /// There is no key.
    #[error("an API key is required: send it as X-API-KEY or as Authorization: Bearer")]
    KeyMissing,
    /// The key is unknown, wrong, revoked or expired.
    #[error("{0}")]
    KeyInvalid(crate::service::AuthError),
    /// Too many failed logins of one address.
    #[error("too many requests with invalid API keys came from this address")]
    TooManyFailedTries {
        /// Seconds to wait.
        retry_after_seconds: u64,
    },
    /// The key has as many event streams and Socket.IO sessions as it may have.
    #[error(
        "the API key has {} event streams and Socket.IO sessions, the most that server.max_streams_per_key and server.max_connections allow; close one first", .0.0
    )]
    TooManyStreams(TooManyStreams),
    /// The key lacks a scope.
    #[error("the API key lacks the scope {0}")]
    MissingScope(Scope),
    /// The key is for other devices, whether the device exists or not.
    #[error(
        "the API key is limited to other devices; requests for all devices, and for the actions desktop, sound and command, need a key of all devices"
    )]
    DeviceNotAllowed,
    /// There is no valid `Host` header, or more than one.
    #[error("the request must have one valid Host header")]
    HostInvalid,
    /// The daemon listens on loopback, and the request is for another name.
    #[error(
        "the daemon listens on a loopback address and does not serve this Host; set server.public_url, or list a proxy in server.trusted_proxies"
    )]
    HostNotAllowed,
    /// A page of another origin asks for a session.
    #[error("only pages of the daemon's own origin may sign in; see server.public_url")]
    ForeignOrigin,
    /// No operation has this path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The device shows no code.
    #[error("the device is not waiting for a scan")]
    NoQr,
    /// The path has other methods.
    #[error("this path does not support this method; see the Allow header")]
    MethodNotAllowed,
    /// The body is too large.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// An uploaded file of operator chat is too large.
    #[error("the file has {file_size} bytes; it can have at most {max_size} (chat.upload_max_bytes)")]
    FileTooLarge {
        /// Its size in bytes.
        file_size: u64,
        /// The largest size in bytes.
        max_size: u64,
    },
    /// A file in the body is too large; it must be uploaded.
    #[error("media.data holds more than {0} bytes; upload the file and send its mediaId")]
    DataTooLarge(usize),
    /// The file has none of the requested bytes.
    #[error("the file has {0} bytes; the requested range begins after them")]
    RangeNotSatisfiable(u64),
    /// A signed address that is invalid or revoked.
    #[error("this address is no longer valid; read the message again for a new one")]
    SignatureInvalid,
    /// A ticket of another attempt or device, or one that has ended.
    #[error("this ticket is not valid; create a new one while the device waits for a passkey")]
    TicketInvalid,
    /// The body has another type.
    #[error("the request body must be JSON: send it with Content-Type: application/json")]
    NotJson,
    /// A form instead of a file.
    #[error("the request body must be the file itself, not a form: send it as curl --data-binary @file does")]
    Form,
    /// A later version implements it.
    #[error("{0} is not implemented")]
    NotBuilt(String),
    /// The time limit passed.
    #[error("the request took too long")]
    Timeout,
    /// A bug; the log has details.
    #[error("internal error; the log has details")]
    Internal,
}

/// An invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name, or its path inside another field.
    #[schema(example = "limit")]
    pub field: String,
    /// The valid values of the field.
    #[schema(example = "must be a whole number from 1 to 100")]
    pub message: String,
}

impl FieldError {
    /// The field, and what it must be.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The body of every failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// `false`.
    #[schema(value_type = bool, example = false)]
    success: bool,
    /// The error, as a sentence.
    error: String,
    /// The error, as a stable code.
    #[schema(example = "invalid_field", pattern = "^[a-z0-9_]+$")]
    code: &'static str,
    /// For `invalid_field`: each invalid field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    details: Vec<FieldError>,
    /// For `file_too_large`: the size of the file in bytes.
    #[serde(rename = "fileSize", skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 0)]
    file_size: Option<u64>,
    /// For `file_too_large`: the largest size in bytes.
    #[serde(rename = "maxSize", skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 0)]
    max_size: Option<u64>,
}

impl ApiError {
    /// One invalid field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Service(error) => status_of(error.kind()),
            Self::Chat(error) => status_of(error.kind()),
            Self::UserTokenInvalid => StatusCode::UNAUTHORIZED,
            Self::UserKeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Invalid(_) | Self::InvalidJson(_) | Self::HostInvalid => StatusCode::BAD_REQUEST,
            Self::KeyMissing | Self::KeyInvalid(_) => StatusCode::UNAUTHORIZED,
            Self::MissingScope(_)
            | Self::DeviceNotAllowed
            | Self::SignatureInvalid
            | Self::TicketInvalid
            | Self::ForeignOrigin
            | Self::HostNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoQr => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) | Self::DataTooLarge(_) | Self::FileTooLarge { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::NotJson | Self::Form => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyFailedTries { .. } | Self::TooManyStreams(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotBuilt(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Service(error) => error.code(),
            Self::Chat(error) => error.code(),
            Self::UserTokenInvalid => "unauthorized",
            Self::UserKeysUnavailable => "keys_unavailable",
            Self::Invalid(_) => "invalid_field",
            Self::InvalidJson(_) => "invalid_json",
            Self::KeyMissing => "unauthorized",
            Self::KeyInvalid(_) => "invalid_api_key",
            Self::TooManyFailedTries { .. } => "too_many_failed_tries",
            Self::TooManyStreams(_) => "too_many_streams",
            Self::MissingScope(_) => "missing_scope",
            Self::DeviceNotAllowed => "device_not_allowed",
            Self::HostInvalid => "invalid_host",
            Self::HostNotAllowed => "host_not_allowed",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotFound => "not_found",
            Self::NoQr => "no_qr",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge(_) | Self::DataTooLarge(_) => "too_large",
            Self::FileTooLarge { .. } => "file_too_large",
            Self::RangeNotSatisfiable(_) => "range_not_satisfiable",
            Self::SignatureInvalid => "invalid_signature",
            Self::TicketInvalid => "ticket_invalid",
            Self::NotJson | Self::Form => "unsupported_media_type",
            Self::NotBuilt(_) => "not_implemented",
            Self::Timeout => "timeout",
            Self::Internal => "internal_error",
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Service(error) => error.retry_after_seconds(),
            Self::Chat(error) => error.retry_after_seconds(),
            Self::TooManyFailedTries { retry_after_seconds } => Some(*retry_after_seconds),
            Self::Timeout | Self::TooManyStreams(_) => Some(RETRY_AFTER_TIMEOUT),
            _ => None,
        }
    }

    /// The body of the answer.
    pub(super) fn body(self) -> ErrorBody {
        let (code, error) = (self.code(), self.to_string());
        let (file_size, max_size) = match self {
            Self::FileTooLarge { file_size, max_size } => (Some(file_size), Some(max_size)),
            _ => (None, None),
        };
        let details = match self {
            Self::Service(ServiceError::Invalid { field, message }) => vec![FieldError { field, message }],
            Self::Chat(ChatError::Invalid { field, message }) => {
                vec![FieldError { field: field.to_owned(), message }]
            }
            Self::Chat(ChatError::Event(ref event)) => {
                let field = if matches!(event, InvalidAppEvent::Data) { "data" } else { "event" };
                vec![FieldError::new(field, event.to_string())]
            }
            Self::Chat(ChatError::Assigned { assignee: Some(assignee) }) => {
                vec![FieldError { field: "assignee".to_owned(), message: assignee }]
            }
            Self::Invalid(fields) => fields,
            _ => Vec::new(),
        };
        ErrorBody { success: false, error, code, details, file_size, max_size }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::TooManyStreams(_) = self {
            // An authenticated connection counts against the limit of all connections while it is idle.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wharf\""));
        }
        headers
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Impossible => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::NotBuilt => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn fields_sentence(fields: &[FieldError]) -> String {
    match fields {
        [one] => format!("{} {}", one.field, one.message),
        many => {
            let names: Vec<&str> = many.iter().map(|error| error.field.as_str()).collect();
            format!("these fields are not valid: {}", names.join(", "))
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let failure: Option<&dyn std::error::Error> = match &self {
            Self::Service(error) if error.kind() == ErrorKind::Internal => Some(error),
            Self::Chat(error) if error.kind() == ErrorKind::Internal => Some(error),
            _ => None,
        };
        if let Some(error) = failure {
            tracing::error!(error, "request failed");
        }
        (self.status(), self.headers(), Json(self.body())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(error: ApiError) -> serde_json::Value {
        serde_json::to_value(error.body()).unwrap()
    }

    #[test]
    fn invalid_fields_have_details() {
        let one = json(ApiError::field("limit", "must be a whole number from 1 to 100"));
        assert_eq!(
            one,
            serde_json::json!({
                "success": false, "code": "invalid_field",
                "error": "limit must be a whole number from 1 to 100",
                "details": [{ "field": "limit", "message": "must be a whole number from 1 to 100" }],
            })
        );
        let both = ApiError::Invalid(vec![FieldError::new("a", "x"), FieldError::new("b", "y")]);
        assert_eq!(json(both)["error"], "these fields are not valid: a, b");
        let service = json(ServiceError::invalid("engine", "is not known").into());
        assert_eq!(service["details"][0]["field"], "engine");
        assert!(json(ApiError::NotFound).get("details").is_none());
    }

    #[test]
    fn throttled_requests_have_retry_after() {
        let header = |error: ApiError| error.into_response().headers().get(RETRY_AFTER).cloned();
        assert_eq!(header(ApiError::TooManyFailedTries { retry_after_seconds: 7 }).unwrap(), "7");
        assert_eq!(header(ServiceError::OutboxFull(3).into()).unwrap(), "30");
        assert_eq!(header(ApiError::NotFound), None);
    }
}
