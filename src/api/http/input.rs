//! Extractors: the query, the body and the path of a request, refused in the API's own words.
//!
//! Clients are loose: a POST without a body or without a content type is fine, and ids in paths come
//! percent-encoded or bare.

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request as HttpRequest};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::error::ApiError;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::notify::RuleId;
use crate::domain::webhook::EndpointId;

pub mod loose;
mod request;
mod rules;

#[cfg(test)]
pub(in crate::api) use request::tests as request_tests;
pub use request::{Alias, Report, Request, read_body as read_object, read_query, reject_unknown_in};

/// Longest `Idempotency-Key`.
const IDEMPOTENCY_KEY_MAX: usize = 255;
/// A refused body is read up to this multiple of its limit, so that the client can read the answer.
const DISCARDED_LIMITS: usize = 4;

/// The fields of the query.
pub struct Query<T>(pub T);

impl<T: Request + IntoParams + 'static, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// The fields of a JSON object in the body; an empty body is an empty object.
pub struct Body<T>(pub T);

impl<T: Request + ToSchema + 'static> FromRequest<ApiState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &ApiState) -> Result<Self, ApiError> {
        let JsonObject(object) = JsonObject::from_request(request, state).await?;
        read_object(object).map(Self)
    }
}

/// Any JSON object in the body; an empty body is an empty object.
pub struct JsonObject(pub Map<String, Value>);

impl FromRequest<ApiState> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &ApiState) -> Result<Self, ApiError> {
        match AnyJson::from_request(request, state).await?.0 {
            Value::Null => Ok(Self(Map::new())),
            Value::Object(object) => Ok(Self(object)),
            _ => Err(ApiError::field("request", "must be a JSON object")),
        }
    }
}

/// Any JSON in the body; `null` when the body is empty.
pub struct AnyJson(pub Value);

impl FromRequest<ApiState> for AnyJson {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &ApiState) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = read_body(request, state.config.body_limit).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Null));
        }
        if !is_json {
            return Err(ApiError::NotJson);
        }
        parse_json(&bytes).map(Self)
    }
}

/// Whether the content type is JSON or absent.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type.is_empty()
        || media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn parse_json(bytes: &[u8]) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ApiError::InvalidJson(format!("it is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    serde_json::from_str(text).map_err(|error| ApiError::InvalidJson(error.to_string()))
}

/// The whole body, if it is not larger than `limit` bytes.
///
/// # Errors
/// [`ApiError::TooLarge`], or the error of reading the body.
pub async fn read_body(request: HttpRequest, limit: usize) -> Result<Vec<u8>, ApiError> {
    let headers = request.headers();
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let waits_for_leave = headers.contains_key(EXPECT);
    let too_large = declared.is_some_and(|length| length > limit);
    if too_large && waits_for_leave {
        return Err(ApiError::TooLarge(limit));
    }
    let mut chunks = request.into_body().into_data_stream();
    let mut body = Vec::new();
    let mut discarded = 0;
    while let Some(chunk) = chunks.next().await {
        let broken = |_| ApiError::InvalidJson("the body ended early".to_owned());
        let chunk = chunk.map_err(broken)?;
        if too_large || body.len() + chunk.len() > limit {
            discarded += chunk.len();
            if discarded > limit.saturating_mul(DISCARDED_LIMITS) {
                break;
            }
        } else if discarded == 0 {
            body.extend_from_slice(&chunk);
        }
    }
    if too_large || discarded > 0 { Err(ApiError::TooLarge(limit)) } else { Ok(body) }
}

/// The device that the path names. The guard has checked that the key reaches it.
pub struct Device(pub DeviceId);
/// The device that the path names, for operations that also exist for all devices.
pub struct DeviceOrAll(pub Option<DeviceId>);
/// The chat that the path names.
pub struct Chat(pub Jid);
/// The chat that the path names, for operations that also exist without one.
pub struct ChatOrAny(pub Option<Jid>);
/// The contact that the path names.
pub struct Contact(pub Jid);
/// The group that the path names.
pub struct Group(pub Jid);
/// The message that the path names.
pub struct Message(pub MessageId);
/// The API key that the path names.
pub struct Key(pub String);
/// The webhook that the path names.
pub struct Webhook(pub EndpointId);
/// The notification rule that the path names.
pub struct NotificationRule(pub RuleId);
/// The push subscription that the path names.
pub struct PushSubscription(pub String);
/// The message of operator chat that the path names.
pub struct ChatMessageParam(pub String);
/// The conversation of operator chat that the path names.
pub struct ConversationParam(pub String);
/// The uploaded file of operator chat that the path names.
pub struct ChatFileParam(pub String);
/// The notification of operator chat that the path names.
pub struct ChatNotificationParam(pub String);
/// The user of operator chat that the path names.
pub struct ChatUserParam(pub String);
/// The user of operator chat that the path of a native call names.
pub struct OperatorParam(pub String);
/// The simulator request that the path names.
pub struct Call(pub String);

macro_rules! from_path {
    ($($read:ident $extractor:ident = $name:literal;)*) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $extractor {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                $read(parts, state, $name).await.map(Self)
            }
        }
    )*};
}

from_path! {
    path_param Device = "id";
    optional_path_param DeviceOrAll = "id";
    path_param Chat = "chatId";
    optional_path_param ChatOrAny = "chatId";
    path_param Contact = "cid";
    path_param Message = "mid";
    path_param Key = "keyId";
    path_param Webhook = "wid";
    path_param NotificationRule = "rid";
    path_param PushSubscription = "pid";
    path_param ChatMessageParam = "chatMessageId";
    path_param ConversationParam = "conversationId";
    path_param ChatFileParam = "chatFileId";
    path_param ChatNotificationParam = "chatNotificationId";
    path_param ChatUserParam = "userId";
    path_param OperatorParam = "operatorId";
    path_param Call = "call";
}

impl<S: Send + Sync> FromRequestParts<S> for Group {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id: Jid = path_param(parts, state, "gid").await?;
        if id.is_group() { Ok(Self(id)) } else { Err(ApiError::field("gid", "must be a group: …@g.us")) }
    }
}

async fn path_param<T, S>(parts: &mut Parts, state: &S, name: &str) -> Result<T, ApiError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    S: Send + Sync,
{
    optional_path_param(parts, state, name).await?.ok_or(ApiError::Internal)
}

async fn optional_path_param<T, S>(parts: &mut Parts, state: &S, name: &str) -> Result<Option<T>, ApiError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    S: Send + Sync,
{
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| ApiError::field("path", "has percent-encoding that is not UTF-8"))?;
    let text = params.iter().find(|(found, _)| *found == name).map(|(_, value)| value);
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error: T::Err| ApiError::field(name, format!("is not valid: {error}")))
}

/// The header `Idempotency-Key`.
pub struct IdempotencyHeader(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let visible = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = |text: &&str| (1..=IDEMPOTENCY_KEY_MAX).contains(&text.len());
        match value.to_str().ok().filter(visible).filter(fits) {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => {
                let right = format!("must have 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters");
                Err(ApiError::field("Idempotency-Key", right))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_its_content_type_or_none() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(is_json(&HeaderMap::new()));
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json", ""] {
            assert!(with(good), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            assert!(!with(bad), "{bad}");
        }
    }

    #[test]
    fn invalid_json_is_refused_with_its_position() {
        let says = |bytes: &[u8]| parse_json(bytes).unwrap_err().to_string();
        assert_eq!(says(b"{\"a\": }"), "the request body is not JSON: expected value at line 1 column 7");
        assert_eq!(says(b"{\"a\":\"\xff\"}"), "the request body is not JSON: it is not UTF-8 from byte 6 on");
        assert!(says("[".repeat(500).as_bytes()).contains("recursion limit"));
    }

    #[tokio::test]
    async fn body_over_its_limit_is_refused() {
        let request = |body: &'static str| HttpRequest::new(axum::body::Body::from(body));
        assert_eq!(read_body(request("12345"), 5).await.unwrap(), b"12345");
        assert!(matches!(read_body(request("123456"), 5).await, Err(ApiError::TooLarge(5))));
        let mut patient = request("123456");
        patient.headers_mut().insert(EXPECT, "100-continue".parse().unwrap());
        patient.headers_mut().insert(CONTENT_LENGTH, "6".parse().unwrap());
        assert!(matches!(read_body(patient, 5).await, Err(ApiError::TooLarge(5))));
    }
}
