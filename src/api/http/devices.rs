//! Devices: list, create, show, change, delete.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Device, Fields, FromFields, Query};
use super::schema::{self, DashboardWord, DeviceStatsObject, StateWord};
use super::webhooks::{CreateWebhook, CreatedWebhookObject, WebhookOfDevice};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::device::DeviceStats;
use crate::domain::ids::DeviceId;
use crate::domain::state::State as DeviceState;
use crate::service::fleet::devices::last_seen;
use crate::service::{DeviceChange, DeviceView, NewDevice, Services};

mod lifecycle;
mod pairing;
mod qr;

const NAME_CHARS: usize = 128;

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
    /// What people call it.
    #[schema(example = "Corner shop")]
    name: String,
    /// The engine that connects it.
    engine: String,
    /// One of `ready`, `qr`, `connecting`, `disconnected`, `error`.
    #[schema(value_type = DashboardWord)]
    status: &'static str,
    /// Where it is in its life: `created`, `connecting`, `qr`, `pairing`, `ready`, `reconnecting`, `stopped`,
    /// `logged_out` or `failed`.
    #[schema(value_type = StateWord)]
    state: &'static str,
    /// Why it is in this state, where there is a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    /// The account's phone number in digits, once linked.
    phone_number: Option<String>,
    /// The account's display name, once linked.
    client_name: Option<String>,
    /// When it was last online.
    #[schema(value_type = Option<i64>)]
    last_seen: Option<Millis>,
    /// When it was created.
    #[schema(value_type = i64)]
    created_at: Millis,
    /// What a phone has to scan, while it is waiting for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    qr: Option<String>,
    /// Its counts.
    #[schema(value_type = DeviceStatsObject)]
    stats: DeviceStats,
    /// Its settings.
    settings: Map<String, Value>,
}

impl DeviceObject {
    /// As it is now.
    #[must_use]
    pub fn new(view: DeviceView, now: Millis) -> Self {
        let DeviceView { device, stats } = view;
        let last_seen = last_seen(&device, now);
        let (phone_number, client_name) =
            device.account.map(|account| (account.phone_number, account.client_name)).unzip();
        let qr = if let DeviceState::Qr { code, .. } = &device.state { Some(code.clone()) } else { None };
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

/// A device to be created.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "id": "corner-shop", "name": "Corner shop", "engine": "simulator" }))]
struct CreateDevice {
    /// Its id; a UUID when left out.
    #[schema(schema_with = schema::device_id, required = false)]
    id: Option<DeviceId>,
    /// What people call it; its id when left out.
    #[schema(max_length = 128)]
    name: Option<String>,
    /// Its engine; the configured one when left out.
    #[schema(max_length = 64, example = "simulator")]
    engine: Option<String>,
    /// Its settings.
    #[schema(value_type = Option<Object>)]
    settings: Map<String, Value>,
    /// A webhook of it, to be made with it; a URL alone does as well.
    #[schema(value_type = Option<CreateWebhook>)]
    #[expect(dead_code, reason = "for the document; see WithWebhook")]
    webhook: (),
}

impl FromFields for CreateDevice {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            id: fields.parsed("id"),
            name: fields.text("name", NAME_CHARS).filter(|name| !name.is_empty()),
            engine: fields.text("engine", 64).filter(|engine| !engine.is_empty()),
            settings: fields.object("settings").unwrap_or_default(),
            webhook: (),
        })
    }
}

/// A body, and the webhook that it wants to be made with.
struct WithWebhook<T> {
    body: T,
    webhook: Option<WebhookOfDevice>,
}

impl<T: FromFields> FromFields for WithWebhook<T> {
    fn read(fields: &mut Fields) -> Option<Self> {
        let webhook = WebhookOfDevice::read(fields);
        T::read(fields).map(|body| Self { body, webhook })
    }
}

/// A device, and the webhook that was made with it.
#[derive(Serialize, ToSchema)]
#[schema(as = DeviceWithWebhook)]
struct DeviceWithWebhook {
    /// The device.
    #[serde(flatten)]
    device: DeviceObject,
    /// The webhook, with the only copy of its secret, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    webhook: Option<CreatedWebhookObject>,
}

async fn make_webhook(
    services: &Services,
    device: &DeviceId,
    webhook: Option<WebhookOfDevice>,
) -> Result<Option<CreatedWebhookObject>, ApiError> {
    let Some(WebhookOfDevice(webhook)) = webhook else { return Ok(None) };
    let created = services.webhooks.create_webhook(webhook.into_new(Some(device.clone()))).await?;
    Ok(Some(created.into()))
}

/// Whoever gets events pushed may as well read them.
fn may_make(caller: &Caller, webhook: Option<&WebhookOfDevice>) -> Result<(), ApiError> {
    match webhook {
        Some(_) if !caller.0.grant.allows(Scope::EventsRead) => {
            Err(ApiError::MissingScope(Scope::EventsRead))
        }
        _ => Ok(()),
    }
}

/// Create a device
///
/// It starts to connect at once. A key that is limited to devices has to name one of them as `id`. A webhook that cannot
/// be is refused before anything is made; one needs the scope `events:read` too.
#[utoipa::path(post, path = "/devices", operation_id = "createDevice", tag = "devices",
    request_body = Option<CreateDevice>,
    responses((status = 201, description = "The device, which is connecting", body = Success<DeviceWithWebhook>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Body(body): Body<WithWebhook<CreateDevice>>,
) -> Result<Created<DeviceWithWebhook>, ApiError> {
    let WithWebhook { body: CreateDevice { id, name, engine, settings, .. }, webhook } = body;
    may_make(&caller, webhook.as_ref())?;
    match &id {
        Some(id) => caller.reach(id)?,
        None if caller.devices().is_some() => return Err(ApiError::DeviceNotAllowed),
        None => {}
    }
    let webhook = webhook.map(|WebhookOfDevice(webhook)| webhook.into_new(None));
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
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "name": "Corner shop", "settings": { "outbox": { "minDelay": 500 } } }))]
struct ChangeDevice {
    /// The new name.
    #[schema(min_length = 1, max_length = 128, pattern = r"\S")]
    name: Option<String>,
    /// Settings to be set, key by key at the top level; `null` removes one. They count from the next
    /// connection on.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// One more webhook of it; a URL alone does as well.
    #[schema(value_type = Option<CreateWebhook>)]
    #[expect(dead_code, reason = "for the document; see WithWebhook")]
    webhook: (),
}

impl FromFields for ChangeDevice {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (name, settings) = (fields.text("name", NAME_CHARS), fields.object("settings"));
        Some(Self { name, settings, webhook: () })
    }
}

/// Change a device
///
/// What the device's file in the devices directory sets cannot be changed here. A webhook is added to those that the
/// device has, and needs the scope `events:read` too.
#[utoipa::path(patch, path = "/devices/{id}", operation_id = "changeDevice", tag = "devices",
    request_body = Option<ChangeDevice>,
    responses((status = 200, description = "The device as it now is", body = Success<DeviceWithWebhook>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    Device(id): Device,
    Body(body): Body<WithWebhook<ChangeDevice>>,
) -> Result<Success<DeviceWithWebhook>, ApiError> {
    let WithWebhook { body: ChangeDevice { name, settings, .. }, webhook } = body;
    may_make(&caller, webhook.as_ref())?;
    let view = services.fleet.update_device(&id, DeviceChange { name, settings }).await?;
    let webhook = make_webhook(&services, &id, webhook).await?;
    Ok(Success::new(DeviceWithWebhook { device: DeviceObject::new(view, services.now()), webhook }))
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct DeleteDevice {
    /// Whether its messages, chats, contacts and events stay.
    #[param(value_type = Option<bool>, default = false)]
    keep_messages: bool,
}

impl FromFields for DeleteDevice {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { keep_messages: fields.boolean("keepMessages").unwrap_or(false) })
    }
}

/// A device that is gone.
#[derive(Serialize, ToSchema)]
struct DeletedDevice {
    /// Its id.
    id: String,
    /// `true`.
    deleted: bool,
}

/// Delete a device
///
/// It is logged out where it is linked, and its data is removed.
#[utoipa::path(delete, path = "/devices/{id}", operation_id = "deleteDevice", tag = "devices",
    params(DeleteDevice),
    responses((status = 200, description = "It is gone", body = Success<DeletedDevice>)))]
async fn delete(
    State(services): State<Services>,
    Device(id): Device,
    Query(query): Query<DeleteDevice>,
) -> Result<Success<DeletedDevice>, ApiError> {
    services.fleet.delete_device(&id, query.keep_messages).await?;
    Ok(Success::new(DeletedDevice { id: id.into(), deleted: true }))
}
