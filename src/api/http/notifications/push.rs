//! Browsers that want notifications pushed, each operator's own.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::{Created, Success};
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Fields, FromFields, PushSubscription};
use crate::api::http::operator::Operator;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{NewSubscription, Services, ShownSubscription};

const MAX_URL: usize = 2_048;
const MAX_KEY: usize = 256;
const MAX_LABEL: usize = 100;
const MAX_DEVICES: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::EventsRead, &[], routes!(key)))
        .routes(guarded(Scope::EventsRead, &[], routes!(list)))
        .routes(guarded(Scope::EventsRead, &[409], routes!(subscribe)))
        .routes(guarded(Scope::EventsRead, &[404], routes!(unsubscribe)))
}

/// What browsers subscribe with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PushKey {
    /// `applicationServerKey` of `pushManager.subscribe`.
    #[schema(
        example = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
    )]
    public_key: String,
}

/// Show the key of web push
#[utoipa::path(get, path = "/notifications/push/key", operation_id = "getPushKey", tag = "notifications",
    responses((status = 200, description = "The key that browsers subscribe with", body = Success<PushKey>)))]
async fn key(State(services): State<Services>) -> Result<Success<PushKey>, ApiError> {
    Ok(Success::new(PushKey { public_key: services.notify.push_key()? }))
}

/// A browser.
#[derive(Serialize, ToSchema)]
#[schema(as = PushSubscription)]
#[serde(rename_all = "camelCase")]
struct SubscriptionObject {
    /// Its id.
    #[schema(example = "np_3f0a8c5e9b7d41261122")]
    id: String,
    /// The push service that it is reached by.
    #[schema(example = "https://updates.push.example.com")]
    origin: String,
    /// What people call it.
    #[schema(example = "Anna's laptop")]
    label: String,
    /// Of which devices; of all that the key reaches, when `null`.
    devices: Option<Vec<String>>,
    /// When it was made.
    #[schema(value_type = i64)]
    created_at: Millis,
}

impl From<ShownSubscription> for SubscriptionObject {
    fn from(shown: ShownSubscription) -> Self {
        let ShownSubscription { id, origin, label, devices, created_at } = shown;
        let devices = devices.map(|devices| devices.into_iter().map(String::from).collect());
        Self { id, origin, label, devices, created_at }
    }
}

/// List your browsers
#[utoipa::path(get, path = "/notifications/push", operation_id = "listPushSubscriptions", tag = "notifications",
    responses((status = 200, description = "The operator's browsers, oldest first", body = Success<Vec<SubscriptionObject>>)))]
async fn list(
    Operator(operator): Operator,
    State(services): State<Services>,
) -> Result<Success<Vec<SubscriptionObject>>, ApiError> {
    let all = services.notify.push_subscriptions(&operator).await?;
    Ok(Success::new(all.into_iter().map(SubscriptionObject::from).collect()))
}

/// What a browser's `PushSubscription.toJSON()` has, and perhaps more.
#[derive(ToSchema)]
#[schema(example = json!({ "endpoint": "https://updates.push.example.com/abc", "keys": { "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "auth": "BTBZMqHH6r4Tts7J_aSIgg" }, "label": "Anna's laptop" }))]
struct SubscribePush {
    /// Its address at its push service.
    #[schema(max_length = 2048, pattern = "^https?://.+")]
    endpoint: String,
    /// Its keys.
    keys: PushKeys,
    /// Of these devices; of all that the key reaches, when left out.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    devices: Option<Vec<DeviceId>>,
    /// What people call it.
    #[schema(max_length = 100)]
    label: Option<String>,
}

/// A browser's keys, in base64url.
#[derive(ToSchema)]
struct PushKeys {
    /// Its public key.
    #[schema(max_length = 256)]
    p256dh: String,
    /// Its secret.
    #[schema(max_length = 256)]
    auth: String,
}

impl FromFields for SubscribePush {
    fn read(fields: &mut Fields) -> Option<Self> {
        let endpoint = fields.text("endpoint", MAX_URL).filter(|url| !url.is_empty());
        let endpoint = fields.require("endpoint", endpoint, "the browser's address at its push service");
        let keys = fields.object("keys");
        let keys = fields.require("keys", keys, "{ p256dh, auth } of the browser");
        let devices = fields.list("devices", MAX_DEVICES);
        let label = fields.text("label", MAX_LABEL);
        let keys = keys.and_then(|keys| {
            let mut key = |name: &str| {
                let text = keys.get(name).and_then(serde_json::Value::as_str);
                let text = text.filter(|text| (1..=MAX_KEY).contains(&text.len())).map(str::to_owned);
                if text.is_none() {
                    fields.wrong(format!("keys.{name}"), "is required: base64url, as the browser gives it");
                }
                text
            };
            let (p256dh, auth) = (key("p256dh"), key("auth"));
            Some(PushKeys { p256dh: p256dh?, auth: auth? })
        });
        Some(Self { endpoint: endpoint?, keys: keys?, devices, label })
    }
}

/// Subscribe a browser
///
/// It gets what rules push, of the devices that this key reaches, until it is unsubscribed or its push service says
/// that it is gone. One with the same address gives way.
#[utoipa::path(post, path = "/notifications/push", operation_id = "subscribePush", tag = "notifications",
    request_body = SubscribePush,
    responses((status = 201, description = "The browser", body = Success<SubscriptionObject>)))]
async fn subscribe(
    caller: Caller,
    Operator(operator): Operator,
    State(services): State<Services>,
    Body(body): Body<SubscribePush>,
) -> Result<Created<SubscriptionObject>, ApiError> {
    body.devices.iter().flatten().try_for_each(|device| caller.reach(device))?;
    let new = NewSubscription {
        endpoint: body.endpoint,
        p256dh: body.keys.p256dh,
        auth: body.keys.auth,
        devices: body.devices,
        label: body.label.unwrap_or_default(),
    };
    Ok(Created(services.notify.subscribe_push(&operator, &caller.0.key_id, new).await?.into()))
}

/// A browser that is forgotten.
#[derive(Serialize, ToSchema)]
struct Unsubscribed {
    /// Its id.
    #[schema(example = "np_3f0a8c5e9b7d41261122")]
    id: String,
    /// `true`.
    deleted: bool,
}

/// Unsubscribe a browser
#[utoipa::path(delete, path = "/notifications/push/{pid}", operation_id = "unsubscribePush", tag = "notifications",
    responses((status = 200, description = "It is forgotten", body = Success<Unsubscribed>)))]
async fn unsubscribe(
    Operator(operator): Operator,
    State(services): State<Services>,
    PushSubscription(id): PushSubscription,
) -> Result<Success<Unsubscribed>, ApiError> {
    services.notify.unsubscribe_push(&operator, &id).await?;
    Ok(Success::new(Unsubscribed { id, deleted: true }))
}
