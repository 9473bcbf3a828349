//! What is asked of webhooks.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::responses::MASK;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Fields, FromFields};
use crate::api::http::schema;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{Format, Ordering, SECRET_OVERLAP_MS, Subscription};
use crate::service::{NewWebhook, Replay, WebhookChange};

const MAX_URL: usize = 2_048;
const MAX_ENTRIES: usize = 100;
const MAX_SECRET: usize = 256;
const MAX_CA: usize = 65_536;
const MAX_NAME: usize = 128;
const LONGEST_TIMEOUT: i64 = 60_000;
/// The longest that a secret that was replaced signs too: thirty days.
const LONGEST_KEEP_MS: i64 = 30 * 86_400_000;

/// What can be said when a webhook is made, and changed.
const CHANGEABLE: [&str; 10] =
    ["name", "url", "events", "exclude", "format", "ordering", "headers", "timeoutMs", "customCa", "enabled"];

/// What else is shown of a webhook, and changes nothing when it is given back.
const SHOWN: [&str; 12] = [
    "id",
    "deviceId",
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

/// In whose words events are pushed.
#[derive(ToSchema)]
#[schema(as = WebhookFormat, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
pub enum FormatWord {
    Wharf,
    Waha,
    Wwebjs,
}

/// What a delivery waits for.
#[derive(ToSchema)]
#[schema(as = WebhookOrdering, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
pub enum OrderingWord {
    Device,
    Chat,
    None,
}

/// A webhook to be made.
#[derive(Debug, Clone, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "url": "https://hooks.example.com/wharf", "events": ["message", "message:ack"], "exclude": ["groups", "status"], "headers": { "Authorization": "Bearer <token>" } }))]
pub struct CreateWebhook {
    /// Whose events it gets; those of all devices, when left out. Below a device it is that device.
    #[schema(schema_with = schema::device_id, required = false)]
    pub device_id: Option<DeviceId>,
    /// What people call it.
    #[schema(max_length = 128)]
    name: Option<String>,
    /// Where to: http or https, without user name and password. Private addresses only where `net.allow_private`
    /// has them.
    #[schema(max_length = 2048, pattern = "^https?://.+")]
    url: String,
    /// Names of events in the words of the format; `*` for all, `message:*` for all that begin so. All, when left out.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// Names that are not pushed all the same, and the kinds of chats `groups`, `status` and `newsletters`.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    exclude: Option<Vec<String>>,
    /// In whose words; `wharf`, when left out.
    #[schema(value_type = Option<FormatWord>)]
    format: Option<Format>,
    /// `device`, the default: each event waits for the one before it of its device. `chat`: of its chat. `none`: for
    /// nothing.
    #[schema(value_type = Option<OrderingWord>)]
    ordering: Option<Ordering>,
    /// Headers that it gets besides, such as `Authorization`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Option<BTreeMap<String, String>>,
    /// What signs: `whsec_` and base64 of 24 to 64 bytes; for `waha` and `wwebjs` any text. Made here, when left out.
    #[schema(max_length = 256)]
    secret: Option<String>,
    /// How long a try may take; as the settings say, when left out.
    #[schema(minimum = 1000, maximum = 60000)]
    timeout_ms: Option<u32>,
    /// The only certificates that its server may stand on, as PEM; the system's, when left out.
    #[schema(max_length = 65536)]
    custom_ca: Option<String>,
    /// Whether it gets anything at first; it does, when left out.
    enabled: Option<bool>,
}

impl FromFields for CreateWebhook {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.only(&[&CHANGEABLE[..], &["deviceId", "secret"]].concat());
        let url = fields.text("url", MAX_URL).filter(|url| !url.is_empty());
        let url = fields.require("url", url, "where to push events");
        let common = Common::read(fields);
        let device_id = fields.parsed("deviceId");
        let secret = fields.text("secret", MAX_SECRET).filter(|secret| !secret.is_empty());
        Some(Self {
            device_id,
            name: common.name,
            url: url?,
            events: common.events,
            exclude: common.exclude,
            format: common.format,
            ordering: common.ordering,
            headers: common.headers,
            secret,
            timeout_ms: common.timeout_ms.filter(|ms| *ms > 0),
            custom_ca: common.custom_ca.filter(|pem| !pem.is_empty()),
            enabled: common.enabled,
        })
    }
}

impl CreateWebhook {
    /// For the use case.
    pub fn into_new(self, device: Option<DeviceId>) -> NewWebhook {
        let usual = Subscription::default();
        NewWebhook {
            device,
            name: self.name.unwrap_or_default(),
            url: self.url,
            subscription: Subscription {
                events: self.events.unwrap_or(usual.events),
                exclude: self.exclude.unwrap_or(usual.exclude),
            },
            format: self.format.unwrap_or_default(),
            ordering: self.ordering.unwrap_or_default(),
            headers: self.headers.unwrap_or_default(),
            secret: self.secret,
            timeout_ms: self.timeout_ms,
            custom_ca: self.custom_ca,
            disabled: self.enabled == Some(false),
            declared: None,
        }
    }
}

/// The webhook that a device is made with: as [`CreateWebhook`], or its URL alone.
#[derive(Debug)]
pub struct WebhookOfDevice(pub CreateWebhook);

impl WebhookOfDevice {
    /// From the field `webhook`; `None` where nothing is said, or something is wrong.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        if !fields.says_anything("webhook") {
            return None;
        }
        let object = match fields.any("webhook")? {
            Value::String(url) => [("url".to_owned(), Value::String(url))].into_iter().collect(),
            Value::Object(object) => object,
            _ => {
                fields.wrong("webhook", "must be a URL, or an object with a url");
                return None;
            }
        };
        match Fields::of_json(object).parse::<CreateWebhook>() {
            Ok(webhook) => Some(Self(webhook)),
            Err(ApiError::Invalid(errors)) => {
                for error in errors {
                    fields.wrong(format!("webhook.{}", error.field), error.message);
                }
                None
            }
            Err(_) => None,
        }
    }
}

/// A change to a webhook.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "events": ["message"], "enabled": true }))]
pub struct ChangeWebhook {
    /// What people call it.
    #[schema(max_length = 128)]
    name: Option<String>,
    /// Where to. Written as it is shown, it stays. What waits is tried there at once. With another host, headers that
    /// were stored must be given again.
    #[schema(max_length = 2048, pattern = "^https?://.+")]
    url: Option<String>,
    /// Names of events.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// Names and kinds of chats that are left out.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    exclude: Option<Vec<String>>,
    /// In whose words.
    #[schema(value_type = Option<FormatWord>)]
    format: Option<Format>,
    /// In which order.
    #[schema(value_type = Option<OrderingWord>)]
    ordering: Option<Ordering>,
    /// All headers that it gets besides. One whose value is masked stays as it is.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Option<BTreeMap<String, String>>,
    /// How long a try may take; 0: as the settings say.
    #[schema(minimum = 0, maximum = 60000)]
    timeout_ms: Option<u32>,
    /// Certificates as PEM; empty: the system's.
    #[schema(max_length = 65536)]
    custom_ca: Option<String>,
    /// Whether it gets anything. While it does not, nothing new waits for it, and what waits stays. Switching it on
    /// again ends what failures did to it, and what waits is tried at once. Of a webhook that a file declares this
    /// alone can be changed, until the declaration changes.
    enabled: Option<bool>,
}

impl FromFields for ChangeWebhook {
    fn read(fields: &mut Fields) -> Option<Self> {
        if fields.any("secret").is_some_and(|secret| secret != MASK) {
            fields.wrong("secret", "is replaced by POST /webhooks/{wid}/rotate");
        }
        fields.only(&[&CHANGEABLE[..], &SHOWN[..]].concat());
        let url = fields.text("url", MAX_URL);
        let common = Common::read(fields);
        Some(Self {
            name: common.name,
            url,
            events: common.events,
            exclude: common.exclude,
            format: common.format,
            ordering: common.ordering,
            headers: common.headers,
            timeout_ms: common.timeout_ms,
            custom_ca: common.custom_ca,
            enabled: common.enabled,
        })
    }
}

impl ChangeWebhook {
    /// For the use case.
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

/// What can be said when a webhook is made and when it is changed.
struct Common {
    name: Option<String>,
    events: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    format: Option<Format>,
    ordering: Option<Ordering>,
    headers: Option<BTreeMap<String, String>>,
    timeout_ms: Option<u32>,
    custom_ca: Option<String>,
    enabled: Option<bool>,
}

impl Common {
    fn read(fields: &mut Fields) -> Self {
        let timeout = fields.integer("timeoutMs", &(0..=LONGEST_TIMEOUT));
        Self {
            name: fields.text("name", MAX_NAME),
            events: fields.list("events", MAX_ENTRIES),
            exclude: fields.list("exclude", MAX_ENTRIES),
            format: fields.word("format", &Format::ALL),
            ordering: fields.word("ordering", &Ordering::ALL),
            headers: read_headers(fields),
            timeout_ms: timeout.and_then(|ms| u32::try_from(ms).ok()),
            custom_ca: fields.text("customCa", MAX_CA),
            enabled: fields.boolean("enabled"),
        }
    }
}

fn read_headers(fields: &mut Fields) -> Option<BTreeMap<String, String>> {
    let given = fields.object("headers")?;
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        match value {
            Value::String(value) => drop(headers.insert(name, value)),
            _ => fields.wrong(format!("headers.{}", name.escape_debug()), "must be a string"),
        }
    }
    Some(headers)
}

/// How to replace a secret.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "keepMs": 86_400_000 }))]
pub struct RotateRequest {
    /// The new secret; made here, when left out.
    #[schema(max_length = 256)]
    pub secret: Option<String>,
    /// For how long the one before signs too; a day, when left out.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 2_592_000_000i64)]
    pub keep_ms: i64,
}

impl FromFields for RotateRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.only(&["secret", "keepMs"]);
        Some(Self {
            secret: fields.text("secret", MAX_SECRET).filter(|secret| !secret.is_empty()),
            keep_ms: fields.integer("keepMs", &(0..=LONGEST_KEEP_MS)).unwrap_or(SECRET_OVERLAP_MS),
        })
    }
}

/// What to deliver once more: exactly one of `id`, `dead`, and `from` with `to`.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "dead": true }))]
pub struct ReplayRequest {
    /// This dead letter.
    #[schema(minimum = 1)]
    id: Option<i64>,
    /// All dead letters.
    dead: Option<bool>,
    /// Whose log, with `from` and `to`, where the webhook is of all devices.
    #[schema(schema_with = schema::device_id, required = false)]
    device_id: Option<DeviceId>,
    /// From this entry of the log.
    #[schema(minimum = 1)]
    from: Option<i64>,
    /// To this one.
    #[schema(minimum = 1)]
    to: Option<i64>,
}

impl FromFields for ReplayRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.only(&["id", "dead", "deviceId", "from", "to"]);
        let numbers = 1..=i64::MAX;
        let request = Self {
            id: fields.integer("id", &numbers),
            dead: fields.boolean("dead").filter(|dead| *dead),
            device_id: fields.parsed("deviceId"),
            from: fields.integer("from", &numbers),
            to: fields.integer("to", &numbers),
        };
        let range = request.from.is_some() || request.to.is_some();
        let said = [request.id.is_some(), request.dead.is_some(), range];
        if said.iter().filter(|said| **said).count() != 1 {
            fields.wrong("request", "must say exactly one of id, dead: true, and from with to");
            return None;
        }
        if range && (request.from.is_none() || request.to.is_none()) {
            let missing = if request.from.is_none() { "from" } else { "to" };
            fields.require::<()>(missing, None, "a range has a beginning and an end");
            return None;
        }
        Some(request)
    }
}

impl ReplayRequest {
    /// For the use case; `own` is the device of the webhook.
    ///
    /// # Errors
    /// When a range names no device, and the webhook is of all.
    pub fn into_replay(self, own: Option<DeviceId>) -> Result<Replay, ApiError> {
        match (self.id, self.from.zip(self.to)) {
            (Some(id), _) => Ok(Replay::One(id)),
            (None, Some((from, to))) => {
                let device = self.device_id.or(own);
                let device =
                    device.ok_or_else(|| ApiError::field("deviceId", "is required: whose log is meant"))?;
                Ok(Replay::Range { device, from, to })
            }
            (None, None) => Ok(Replay::AllDead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse<T: FromFields>(body: Value) -> Result<T, ApiError> {
        let Value::Object(object) = body else { panic!("not an object") };
        Fields::of_json(object).parse()
    }

    fn wrong<T: FromFields + std::fmt::Debug>(body: Value) -> Vec<String> {
        let Err(ApiError::Invalid(errors)) = parse::<T>(body) else { panic!("accepted") };
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn every_wrong_field_is_named() {
        let body = json!({ "events": "message", "format": "xml", "headers": { "a": 1 }, "timeoutMs": -1 });
        assert_eq!(wrong::<CreateWebhook>(body), ["url", "timeoutMs", "events", "format", "headers.a"]);
    }

    #[test]
    fn a_replay_is_of_one_thing() {
        for body in [json!({}), json!({ "id": 1, "dead": true }), json!({ "dead": false })] {
            assert_eq!(wrong::<ReplayRequest>(body), ["request"]);
        }
        assert_eq!(wrong::<ReplayRequest>(json!({ "from": 1 })), ["to"]);
        let range: ReplayRequest = parse(json!({ "from": 1, "to": 5 })).unwrap();
        assert!(range.into_replay(None).is_err());
        let all: ReplayRequest = parse(json!({ "dead": true })).unwrap();
        assert_eq!(all.into_replay(None).unwrap(), Replay::AllDead);
    }

    #[test]
    fn the_webhook_of_a_device_is_a_url_or_an_object() {
        let read = |value: Value| {
            let Value::Object(object) = json!({ "webhook": value }) else { panic!("not an object") };
            WebhookOfDevice::read(&mut Fields::of_json(object)).map(|webhook| webhook.0.url)
        };
        assert_eq!(read(json!("https://a.example/")).as_deref(), Some("https://a.example/"));
        assert_eq!(read(json!({ "url": "https://a.example/" })).as_deref(), Some("https://a.example/"));
        for nothing in [json!(null), json!(""), json!({}), json!(5), json!({ "events": ["*"] })] {
            assert_eq!(read(nothing), None);
        }
    }
}
