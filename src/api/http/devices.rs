//! Devices: list, create, show, change, delete.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::loose::non_empty;
use super::input::{Body, Device, Query, Report, Request, reject_unknown_in};
use super::schema::{self, DashboardWord, DeviceStatsObject, StateWord};
use super::webhooks::{CreateWebhook, CreatedWebhookObject};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::device::DeviceStats;
use crate::domain::ids::DeviceId;
use crate::domain::state::State as DeviceState;
use crate::service::fleet::devices::last_seen;
use crate::service::{DeviceChange, DeviceView, NewDevice, Services};

mod lifecycle;
mod pairing;
mod passkey;
mod qr;

use self::passkey::PasskeyStage;

/// The operations of this file and its parts.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(list)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(create)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(show)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(change)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(delete)))
        .merge(lifecycle::routes())
        .merge(pairing::routes())
        .merge(passkey::routes())
        .merge(qr::routes())
}

/// A device.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
#[serde(rename_all = "camelCase")]
pub struct DeviceObject {
    /// Its id.
    id: String,
    /// The same, under its older name.
    device_id: String,
    /// Its name.
    #[schema(example = "Corner shop")]
    name: String,
    /// The engine that connects it.
    engine: String,
    /// One of `ready`, `qr`, `connecting`, `disconnected`, `error`.
    #[schema(value_type = DashboardWord)]
    status: &'static str,
    /// Its state: `created`, `connecting`, `qr`, `passkey`, `pairing`, `ready`, `reconnecting`, `stopped`,
    /// `logged_out` or `failed`.
    #[schema(value_type = StateWord)]
    state: &'static str,
    /// The reason of this state, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    /// The account's phone number in digits, once linked.
    phone_number: Option<String>,
    /// The account's display name, once linked.
    client_name: Option<String>,
    /// The last time it was online.
    #[schema(value_type = Option<i64>)]
    last_seen: Option<Millis>,
    /// The time of its creation.
    #[schema(value_type = i64)]
    created_at: Millis,
    /// The code for a phone to scan, while the device waits for a scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    qr: Option<String>,
    /// The step of a link with a passkey that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    passkey: Option<PasskeyStage>,
    /// Its counters.
    #[schema(value_type = DeviceStatsObject)]
    stats: DeviceStats,
    /// Its settings.
    settings: Map<String, Value>,
}

impl DeviceObject {
    /// The object of a device at this time.
    #[must_use]
    pub fn new(view: DeviceView, now: Millis) -> Self {
        let DeviceView { device, stats } = view;
        let last_seen = last_seen(&device, now);
        let (phone_number, client_name) =
            device.account.map(|account| (account.phone_number, account.client_name)).unzip();
        let qr = if let DeviceState::Qr { code, .. } = &device.state { Some(code.clone()) } else { None };
        let passkey = PasskeyStage::of(&device.state);
        Self {
            id: device.id.to_string(),
            device_id: device.id.into(),
            name: device.name,
            engine: device.engine,
            status: device.state.rest_status(),
            state: device.state.name(),
            reason: device.state.reason().map(crate::domain::reason::Reason::code),
            phone_number,
            client_name,
            last_seen,
            created_at: device.created_at,
            qr,
            passkey,
            stats,
            settings: device.settings,
        }
    }
}

/// List devices
#[utoipa::path(get, path = "/devices", operation_id = "listDevices", tag = "devices",
    responses((status = 200, description = "The devices of the key, oldest first", body = Success<Vec<DeviceObject>>)))]
async fn list(
    caller: Caller,
    State(services): State<Services>,
) -> Result<Success<Vec<DeviceObject>>, ApiError> {
    let views = services.fleet.devices(caller.devices()).await?;
    let now = services.now();
    Ok(Success::new(views.into_iter().map(|view| DeviceObject::new(view, now)).collect()))
}

/// A device to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "id": "corner-shop", "name": "Corner shop", "engine": "simulator" }))]
struct CreateDevice {
    /// Its id; a UUID when absent.
    #[schema(schema_with = schema::device_id, required = false)]
    id: Option<DeviceId>,
    /// Its name; its id when absent.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(max_length = 128)]
    name: Option<String>,
    /// Its engine; the configured one when absent.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(max_length = 64, example = "simulator")]
    engine: Option<String>,
    /// Its settings.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    settings: Map<String, Value>,
    /// A webhook of the device. Its URL alone is accepted too.
    webhook: Option<CreateWebhook>,
}

impl Request for CreateDevice {
    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        normalize_webhook(object, report);
    }
}

/// The field `webhook`: a URL alone becomes an object, and empty values become absent.
fn normalize_webhook(object: &mut Map<String, Value>, report: &mut Report) {
    match object.get_mut("webhook") {
        Some(Value::String(url)) if !url.is_empty() => {
            let webhook = [("url".to_owned(), Value::String(std::mem::take(url)))];
            object.insert("webhook".to_owned(), webhook.into_iter().collect());
        }
        Some(Value::Object(webhook)) if !webhook.is_empty() => {
            reject_unknown_in::<CreateWebhook>("webhook", webhook, report);
        }
        Some(Value::Number(_) | Value::Bool(true)) => {
            report.error("webhook", "must be a URL, or an object with a url");
            object.remove("webhook");
        }
        Some(Value::Array(list)) if !list.is_empty() => {}
        _ => drop(object.remove("webhook")),
    }
}

/// A device, and the webhook that was created with it.
#[derive(Serialize, ToSchema)]
#[schema(as = DeviceWithWebhook)]
struct DeviceWithWebhook {
    /// The device.
    #[serde(flatten)]
    device: DeviceObject,
    /// The webhook that the request had, with the only copy of its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    webhook: Option<CreatedWebhookObject>,
}

/// A webhook receives events: its creator must be allowed to read them.
fn may_create(caller: &Caller, webhook: Option<&CreateWebhook>) -> Result<(), ApiError> {
    match webhook {
        Some(_) if !caller.0.grant.allows(Scope::EventsRead) => {
            Err(ApiError::MissingScope(Scope::EventsRead))
        }
        _ => Ok(()),
    }
}

/// Create a device
///
/// It starts to connect at once. A key that is limited to devices must name one of them as `id`. An invalid webhook is
/// refused before anything is created; a webhook needs the scope `events:read` too.
#[utoipa::path(post, path = "/devices", operation_id = "createDevice", tag = "devices",
    request_body = Option<CreateDevice>,
    responses((status = 201, description = "The device, which is connecting", body = Success<DeviceWithWebhook>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Body(CreateDevice { id, name, engine, settings, webhook }): Body<CreateDevice>,
) -> Result<Created<DeviceWithWebhook>, ApiError> {
    may_create(&caller, webhook.as_ref())?;
    match &id {
        Some(id) => caller.reach(id)?,
        None if caller.devices().is_some() => return Err(ApiError::DeviceNotAllowed),
        None => {}
    }
    let webhook = webhook.map(|webhook| webhook.into_new(None));
    let (view, webhook) =
        services.fleet.create_device_with(NewDevice { id, name, engine, settings }, webhook).await?;
    let webhook = webhook.map(CreatedWebhookObject::from);
    Ok(Created(DeviceWithWebhook { device: DeviceObject::new(view, services.now()), webhook }))
}

/// Show a device
#[utoipa::path(get, path = "/devices/{id}", operation_id = "getDevice", tag = "devices",
    responses((status = 200, description = "The device", body = Success<DeviceObject>)))]
async fn show(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Success<DeviceObject>, ApiError> {
    let view = services.fleet.device(&id).await?;
    Ok(Success::new(DeviceObject::new(view, services.now())))
}

/// A change to a device.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "Corner shop", "settings": { "outbox": { "minDelay": 500 } } }))]
struct ChangeDevice {
    /// The new name.
    #[schema(min_length = 1, max_length = 128, pattern = r"\S")]
    name: Option<String>,
    /// Settings to change, key by key at the top level; `null` removes one. They apply from the next connection.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// Another webhook of the device. Its URL alone is accepted too.
    webhook: Option<CreateWebhook>,
}

impl Request for ChangeDevice {
    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        normalize_webhook(object, report);
    }
}

/// Change a device
///
/// Settings of the device's file in the devices directory cannot be changed here. A webhook is added to those of the
/// device, and needs the scope `events:read` too.
#[utoipa::path(patch, path = "/devices/{id}", operation_id = "changeDevice", tag = "devices",
    request_body = Option<ChangeDevice>,
    responses((status = 200, description = "The changed device", body = Success<DeviceWithWebhook>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    Device(id): Device,
    Body(ChangeDevice { name, settings, webhook }): Body<ChangeDevice>,
) -> Result<Success<DeviceWithWebhook>, ApiError> {
    may_create(&caller, webhook.as_ref())?;
    let view = services.fleet.update_device(&id, DeviceChange { name, settings }).await?;
    let webhook = match webhook {
        Some(webhook) => {
            Some(services.webhooks.create_webhook(webhook.into_new(Some(id.clone()))).await?.into())
        }
        None => None,
    };
    Ok(Success::new(DeviceWithWebhook { device: DeviceObject::new(view, services.now()), webhook }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct DeleteDevice {
    /// Keeps its messages, chats, contacts and events.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    keep_messages: bool,
}

impl Request for DeleteDevice {}

/// A deleted device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeletedDevice {
    /// Its id.
    id: String,
    /// `true`.
    deleted: bool,
    /// The ids of the API keys whose last device it was. They grant nothing any more, also not for a later device with
    /// this id.
    #[schema(example = json!(["k3v9x2m7q1zd"]))]
    keys_without_devices: Vec<String>,
}

/// Delete a device
///
/// A linked device is logged out. Its data is removed. Keys and push subscriptions of the device do not apply to a later
/// device with the same id.
#[utoipa::path(delete, path = "/devices/{id}", operation_id = "deleteDevice", tag = "devices",
    params(DeleteDevice),
    responses((status = 200, description = "The device is deleted", body = Success<DeletedDevice>)))]
async fn delete(
    State(services): State<Services>,
    Device(id): Device,
    Query(query): Query<DeleteDevice>,
) -> Result<Success<DeletedDevice>, ApiError> {
    let keys_without_devices = services.fleet.delete_device(&id, query.keep_messages).await?;
    Ok(Success::new(DeletedDevice { id: id.into(), deleted: true, keys_without_devices }))
}
