//! The requests of webhooks. Unknown fields are refused, because an absent field means more than none.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::responses::MASK;
use crate::api::http::error::ApiError;
use crate::api::http::input::loose::non_empty;
use crate::api::http::input::{Report, Request};
use crate::api::http::schema;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{Format, Ordering, Subscription};
use crate::service::{NewWebhook, Replay, WebhookChange};

/// Further fields of a webhook's object, which a client may send back without effect.
const READ_ONLY: &[&str] = &[
    "id",
    "deviceId",
    "secret",
    "previousSecretUntil",
    "disabledReason",
    "disabledAt",
    "failingSince",
    "lastFailureAt",
    "lastDeliveryAt",
    "waiting",
    "deadLetters",
    "declared",
    "createdAt",
];

/// The format of delivered events.
#[derive(ToSchema)]
#[schema(as = WebhookFormat, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
pub enum FormatWord {
    Wharf,
    Waha,
    Wwebjs,
}

/// The ordering of deliveries.
#[derive(ToSchema)]
#[schema(as = WebhookOrdering, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
pub enum OrderingWord {
    Device,
    Chat,
    None,
}

/// A webhook to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "url": "https://hooks.example.com/wharf", "events": ["message", "message:ack"], "exclude": ["groups", "status"], "headers": { "Authorization": "Bearer <token>" } }))]
pub struct CreateWebhook {
    /// The device of its events; all devices when absent. Ignored below a device.
    #[schema(schema_with = schema::device_id, required = false)]
    pub device_id: Option<DeviceId>,
    /// Its name.
    #[schema(max_length = 128)]
    name: Option<String>,
    /// The address to deliver to: http or https, without user name and password. Private addresses need
    /// `net.allow_private`.
    #[schema(min_length = 1, max_length = 2048, pattern = "^https?://.+")]
    url: String,
    /// Event names of the format; `*` for all, `message:*` for a prefix. All events when absent.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// Event names to exclude, and the kinds of chats `groups`, `status` and `newsletters`.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    exclude: Option<Vec<String>>,
    /// The format of the events; `wharf` when absent.
    #[schema(value_type = Option<FormatWord>)]
    format: Option<Format>,
    /// `device`, the default: each event waits for the previous one of its device. `chat`: of its chat. `none`: no event
    /// waits.
    #[schema(value_type = Option<OrderingWord>)]
    ordering: Option<Ordering>,
    /// Further headers of the requests, such as `Authorization`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Option<BTreeMap<String, String>>,
    /// The signing secret: `whsec_` and base64 of 24 to 64 bytes; for `waha` and `wwebjs` any text. Generated when absent.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(max_length = 256)]
    secret: Option<String>,
    /// The timeout of an attempt; that of the settings when absent.
    #[schema(minimum = 1000, maximum = 60000)]
    timeout_ms: Option<u32>,
    /// The trusted certificate authorities of its server, as PEM; those of the system when absent.
    #[schema(max_length = 65536)]
    custom_ca: Option<String>,
    /// Whether the webhook is enabled; `true` by default.
    enabled: Option<bool>,
}

impl Request for CreateWebhook {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);

    /// A timeout of 0 means that of the settings, as in changes.
    fn is_absent(field: &str, value: &Value) -> bool {
        value.is_null() || field == "timeoutMs" && value == 0
    }
}

impl CreateWebhook {
    /// The use case's input.
    pub fn into_new(self, device: Option<DeviceId>) -> NewWebhook {
        let default = Subscription::default();
        NewWebhook {
            device,
            name: self.name.unwrap_or_default(),
            url: self.url,
            subscription: Subscription {
                events: self.events.unwrap_or(default.events),
                exclude: self.exclude.unwrap_or(default.exclude),
            },
            format: self.format.unwrap_or_default(),
            ordering: self.ordering.unwrap_or_default(),
            headers: self.headers.unwrap_or_default(),
            secret: self.secret,
            timeout_ms: self.timeout_ms,
            custom_ca: self.custom_ca.filter(|pem| !pem.is_empty()),
            disabled: self.enabled == Some(false),
            declared: None,
        }
    }
}

/// A change of a webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "events": ["message"], "enabled": true }))]
pub struct ChangeWebhook {
    /// Its name.
    #[schema(max_length = 128)]
    name: Option<String>,
    /// The address to deliver to. The masked form of the answer keeps the stored one. Queued deliveries are attempted at
    /// once. For another host the stored headers must be given again.
    #[schema(max_length = 2048, pattern = "^https?://.+")]
    url: Option<String>,
    /// Event names.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// Event names and kinds of chats to exclude.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    exclude: Option<Vec<String>>,
    /// The format of the events.
    #[schema(value_type = Option<FormatWord>)]
    format: Option<Format>,
    /// The ordering of deliveries.
    #[schema(value_type = Option<OrderingWord>)]
    ordering: Option<Ordering>,
    /// All further headers. A header with a masked value keeps the stored one.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Option<BTreeMap<String, String>>,
    /// The timeout of an attempt; 0: that of the settings.
    #[schema(minimum = 0, maximum = 60000)]
    timeout_ms: Option<u32>,
    /// The trusted certificate authorities as PEM; empty: those of the system.
    #[schema(max_length = 65536)]
    custom_ca: Option<String>,
    /// Whether the webhook is enabled. A disabled one gets no new deliveries and keeps the queued ones. Enabling it
    /// resets its failures and attempts queued deliveries at once. A declared webhook accepts this change only, until its
    /// declaration changes.
    enabled: Option<bool>,
}

impl Request for ChangeWebhook {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(READ_ONLY);

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        if object.remove("secret").is_some_and(|secret| secret != MASK) {
            report.error("secret", "is replaced by POST /webhooks/{wid}/rotate");
        }
    }
}

impl ChangeWebhook {
    /// The use case's input.
    pub fn into_change(self) -> WebhookChange {
        WebhookChange {
            name: self.name,
            url: self.url,
            events: self.events,
            exclude: self.exclude,
            format: self.format,
            ordering: self.ordering,
            headers: self.headers,
            timeout_ms: self.timeout_ms.map(|ms| (ms > 0).then_some(ms)),
            custom_ca: self.custom_ca.map(|pem| (!pem.is_empty()).then_some(pem)),
            enabled: self.enabled,
        }
    }
}

/// How to rotate a secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "keepMs": 86_400_000 }))]
pub struct RotateRequest {
    /// The new secret; generated when absent.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(max_length = 256)]
    pub secret: Option<String>,
    /// How long the previous secret signs too, in milliseconds; a day by default, thirty days at most.
    #[schema(minimum = 0, maximum = 2_592_000_000i64)]
    pub keep_ms: Option<i64>,
}

impl Request for RotateRequest {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);
}

/// The deliveries to replay: exactly one of `id`, `dead`, and `from` with `to`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "dead": true }))]
pub struct ReplayRequest {
    /// This dead letter.
    #[schema(minimum = 1)]
    id: Option<i64>,
    /// All dead letters.
    dead: Option<bool>,
    /// The device of the log, for `from` and `to` of a webhook of all devices.
    #[schema(schema_with = schema::device_id, required = false)]
    device_id: Option<DeviceId>,
    /// The first entry of the log.
    #[schema(minimum = 1)]
    from: Option<i64>,
    /// The last entry of the log.
    #[schema(minimum = 1)]
    to: Option<i64>,
}

impl Request for ReplayRequest {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);

    fn check(&self, report: &mut Report) {
        let range = self.from.is_some() || self.to.is_some();
        let given = [self.id.is_some(), self.dead == Some(true), range];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            report.error("request", "must have exactly one of id, dead: true, and from with to");
        } else if range && (self.from.is_none() || self.to.is_none()) {
            let missing = if self.from.is_none() { "from" } else { "to" };
            report.error(missing, "is required: a range has a beginning and an end");
        }
    }
}

impl ReplayRequest {
    /// The use case's input; `own` is the device of the webhook.
    ///
    /// # Errors
    /// When a range of a webhook of all devices names no device.
    pub fn into_replay(self, own: Option<DeviceId>) -> Result<Replay, ApiError> {
        match (self.id, self.from.zip(self.to)) {
            (Some(id), _) => Ok(Replay::One(id)),
            (None, Some((from, to))) => {
                let device = self.device_id.or(own);
                let device = device
                    .ok_or_else(|| ApiError::field("deviceId", "is required: the device of the log"))?;
                Ok(Replay::Range { device, from, to })
            }
            (None, None) => Ok(Replay::AllDead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::input::request_tests::{body_of, invalid_fields};
    use serde_json::json;

    #[test]
    fn every_invalid_field_is_named() {
        let body = json!({ "events": "message", "format": "xml", "headers": { "a": 1 }, "timeoutMs": -1 });
        let expected = ["events", "format", "headers.a", "timeoutMs", "url"];
        assert_eq!(invalid_fields::<CreateWebhook>(body), expected);
        assert_eq!(invalid_fields::<CreateWebhook>(json!({ "url": "" })), ["url"]);
        assert_eq!(invalid_fields::<ChangeWebhook>(json!({ "event": [] })), ["event"]);
        assert_eq!(invalid_fields::<ChangeWebhook>(json!({ "secret": "abc" })), ["secret"]);
        assert!(body_of::<ChangeWebhook>(json!({ "secret": MASK, "declared": false })).is_ok());
    }

    #[test]
    fn replay_without_exactly_one_target_is_refused() {
        for body in [json!({}), json!({ "id": 1, "dead": true }), json!({ "dead": false })] {
            assert_eq!(invalid_fields::<ReplayRequest>(body), ["request"]);
        }
        assert_eq!(invalid_fields::<ReplayRequest>(json!({ "from": 1 })), ["to"]);
        let range: ReplayRequest = body_of(json!({ "from": 1, "to": 5 })).unwrap();
        assert!(range.into_replay(None).is_err());
        let all: ReplayRequest = body_of(json!({ "dead": true })).unwrap();
        assert_eq!(all.into_replay(None).unwrap(), Replay::AllDead);
    }
}
