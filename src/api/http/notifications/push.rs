//! Web push subscriptions: the browsers of each operator.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::{Created, Success};
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, PushSubscription, Report, Request};
use crate::api::http::operator::Operator;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{NewSubscription, Services, ShownSubscription};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::EventsRead, &[], routes!(key)))
        .routes(guarded(Scope::EventsRead, &[], routes!(list)))
        .routes(guarded(Scope::EventsRead, &[409], routes!(subscribe)))
        .routes(guarded(Scope::EventsRead, &[404], routes!(unsubscribe)))
}

/// The key for web push subscriptions.
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
    responses((status = 200, description = "The key for subscriptions of browsers", body = Success<PushKey>)))]
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
    /// The origin of its push service.
    #[schema(example = "https://updates.push.example.com")]
    origin: String,
    /// Its name.
    #[schema(example = "Anna's laptop")]
    label: String,
    /// The devices of its notifications; all devices of the key when `null`.
    devices: Option<Vec<String>>,
    /// The time of its subscription.
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

/// A browser's `PushSubscription.toJSON()`, with optional fields.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "endpoint": "https://updates.push.example.com/abc", "keys": { "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "auth": "BTBZMqHH6r4Tts7J_aSIgg" }, "label": "Anna's laptop" }))]
struct SubscribePush {
    /// Its address at its push service.
    #[schema(max_length = 2048, pattern = "^https?://.+")]
    endpoint: String,
    /// Its keys.
    keys: PushKeys,
    /// Only notifications of these devices; of all devices of the key when absent.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    devices: Option<Vec<DeviceId>>,
    /// Its name.
    #[schema(max_length = 100)]
    label: Option<String>,
}

/// A browser's keys, in base64url.
#[derive(Deserialize, ToSchema)]
struct PushKeys {
    /// Its public key.
    #[schema(max_length = 256)]
    p256dh: String,
    /// Its secret.
    #[schema(max_length = 256)]
    auth: String,
}

impl Request for SubscribePush {
    fn check(&self, report: &mut Report) {
        let values = [
            ("endpoint", &self.endpoint),
            ("keys.p256dh", &self.keys.p256dh),
            ("keys.auth", &self.keys.auth),
        ];
        for (field, _) in values.into_iter().filter(|(_, value)| value.is_empty()) {
            report.error(field, "is required, as the browser gives it");
        }
    }
}

/// Subscribe a browser
///
/// It receives the notifications that rules push for the devices of this key, until it is unsubscribed or its push service
/// reports that it is gone. It replaces a subscription with the same address.
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

/// A removed subscription.
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
    responses((status = 200, description = "The subscription is removed", body = Success<Unsubscribed>)))]
async fn unsubscribe(
    Operator(operator): Operator,
    State(services): State<Services>,
    PushSubscription(id): PushSubscription,
) -> Result<Success<Unsubscribed>, ApiError> {
    services.notify.unsubscribe_push(&operator, &id).await?;
    Ok(Success::new(Unsubscribed { id, deleted: true }))
}
