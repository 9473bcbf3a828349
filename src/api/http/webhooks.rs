//! Webhooks: the endpoints, their attempts and dead letters, and replay. The same operations serve
//! `/webhooks`, for all webhooks of the key, and `/devices/{id}/webhooks`, for those of one device.
//!
//! A webhook of all devices exists for keys of all devices only. Creating or changing one needs `events:read`
//! as well, because its receiver gets events.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Offsets, Page, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Alias, Body, DeviceOrAll, Query, Report, Request, Webhook};
use super::paging::{LIMIT, OFFSET, default_limit, move_page};
use super::routes::below_device;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{EndpointId, SECRET_OVERLAP_MS};
use crate::service::{Replay, ServiceError, Services, WebhookStatus};

mod requests;
mod responses;

pub(super) use self::requests::CreateWebhook;
use self::requests::{ChangeWebhook, ReplayRequest, RotateRequest};
pub(super) use self::responses::CreatedWebhookObject;
use self::responses::{
    AttemptObject, BeforeAttempt, DeadLetterObject, DeletedWebhook, ReplayedWebhook, RotatedObject,
    ShowOutcome, TestReportObject, WebhookObject, public_outcome,
};

/// The operations of this file, for all devices and for one.
pub fn routes() -> OpenApiRouter<ApiState> {
    let read = |routes| guarded(Scope::DevicesRead, &[404], routes);
    let write = |routes| guarded(Scope::DevicesWrite, &[404, 409], routes);
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(list)))
        .routes(read(below_device(routes!(list))))
        .routes(write(routes!(create)))
        .routes(write(below_device(routes!(create))))
        .routes(read(routes!(show)))
        .routes(read(below_device(routes!(show))))
        .routes(write(routes!(change)))
        .routes(write(below_device(routes!(change))))
        .routes(write(routes!(remove)))
        .routes(write(below_device(routes!(remove))))
        .routes(write(routes!(rotate)))
        .routes(write(below_device(routes!(rotate))))
        .routes(guarded(Scope::DevicesWrite, &[404], routes!(test)))
        .routes(guarded(Scope::DevicesWrite, &[404], below_device(routes!(test))))
        .routes(read(routes!(attempts)))
        .routes(read(below_device(routes!(attempts))))
        .routes(read(routes!(dead_letters)))
        .routes(read(below_device(routes!(dead_letters))))
        .routes(write(routes!(replay)))
        .routes(write(below_device(routes!(replay))))
}

/// A webhook receives events: the key must be allowed to read them.
fn require_events_scope(caller: &Caller) -> Result<(), ApiError> {
    if caller.0.grant.allows(Scope::EventsRead) {
        Ok(())
    } else {
        Err(ApiError::MissingScope(Scope::EventsRead))
    }
}

/// A webhook of the key, and of this device if the path names one. Any other does not exist for the key.
async fn authorize(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
) -> Result<WebhookStatus, ApiError> {
    let status = services.webhooks.webhook(id).await?;
    let own = status.endpoint.device.as_ref();
    let is_below = device.is_none_or(|device| own == Some(device));
    let is_reached = own.map_or(caller.devices().is_none(), |own| caller.reach(own).is_ok());
    if is_below && is_reached { Ok(status) } else { Err(ServiceError::WebhookNotFound.into()) }
}

/// The webhook as the key may see it.
fn shown(caller: &Caller, status: WebhookStatus) -> WebhookObject {
    let object = WebhookObject::from(status);
    if caller.0.grant.allows(Scope::DevicesWrite) { object } else { object.masked() }
}

/// The words that the key may see. The log has the outcome for operators.
fn outcomes_for(caller: &Caller) -> ShowOutcome {
    if caller.devices().is_none() { |outcome| outcome } else { public_outcome }
}

/// List the webhooks
///
/// Those of the key's devices, and for a key of all devices also those of all devices; or those of one device.
#[utoipa::path(get, path = "/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses((status = 200, description = "Webhooks, the oldest first", body = Success<Vec<WebhookObject>>)))]
async fn list(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
) -> Result<Success<Vec<WebhookObject>>, ApiError> {
    let webhooks = match device {
        Some(device) => {
            services.fleet.device(&device).await?;
            services.webhooks.webhooks(Some(&[device])).await?
        }
        None => services.webhooks.webhooks(caller.devices()).await?,
    };
    Ok(Success::new(webhooks.into_iter().map(|status| shown(&caller, status)).collect()))
}

/// Create a webhook
///
/// For the events of all devices, or of one. The secret is shown once. Needs the scope `events:read` too.
#[utoipa::path(post, path = "/webhooks", operation_id = "createWebhook", tag = "webhooks",
    request_body = CreateWebhook,
    responses((status = 201, description = "The webhook, with the only copy of its secret", body = Success<CreatedWebhookObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Body(body): Body<CreateWebhook>,
) -> Result<Created<CreatedWebhookObject>, ApiError> {
    require_events_scope(&caller)?;
    let device = device.or_else(|| body.device_id.clone());
    match &device {
        Some(device) => caller.reach(device)?,
        None if caller.devices().is_some() => return Err(ApiError::DeviceNotAllowed),
        None => {}
    }
    Ok(Created(services.webhooks.create_webhook(body.into_new(device)).await?.into()))
}

/// Show a webhook
#[utoipa::path(get, path = "/webhooks/{wid}", operation_id = "getWebhook", tag = "webhooks",
    responses((status = 200, description = "The webhook, without its secrets", body = Success<WebhookObject>)))]
async fn show(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
) -> Result<Success<WebhookObject>, ApiError> {
    let status = authorize(&services, &caller, device.as_ref(), &id).await?;
    Ok(Success::new(shown(&caller, status)))
}

/// Change a webhook
///
/// The changes apply to later attempts. Needs the scope `events:read` too.
#[utoipa::path(patch, path = "/webhooks/{wid}", operation_id = "changeWebhook", tag = "webhooks",
    request_body = Option<ChangeWebhook>,
    responses((status = 200, description = "The changed webhook", body = Success<WebhookObject>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
    Body(body): Body<ChangeWebhook>,
) -> Result<Success<WebhookObject>, ApiError> {
    require_events_scope(&caller)?;
    authorize(&services, &caller, device.as_ref(), &id).await?;
    Ok(Success::new(services.webhooks.change_webhook(&id, body.into_change()).await?.into()))
}

/// Delete a webhook
///
/// Its queued deliveries and dead letters are deleted too.
#[utoipa::path(delete, path = "/webhooks/{wid}", operation_id = "deleteWebhook", tag = "webhooks",
    responses((status = 200, description = "The webhook is deleted", body = Success<DeletedWebhook>)))]
async fn remove(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
) -> Result<Success<DeletedWebhook>, ApiError> {
    authorize(&services, &caller, device.as_ref(), &id).await?;
    services.webhooks.delete_webhook(&id).await?;
    Ok(Success::new(DeletedWebhook::new(id)))
}

/// Rotate the secret of a webhook
///
/// The previous secret signs too for a while, so that the receiver can be changed without a gap. Header styles with one
/// signature use the new secret at once. Needs the scope `events:read` too.
#[utoipa::path(post, path = "/webhooks/{wid}/rotate", operation_id = "rotateWebhookSecret", tag = "webhooks",
    request_body = Option<RotateRequest>,
    responses((status = 200, description = "The only copy of the new secret", body = Success<RotatedObject>)))]
async fn rotate(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
    Body(RotateRequest { secret, keep_ms }): Body<RotateRequest>,
) -> Result<Success<RotatedObject>, ApiError> {
    require_events_scope(&caller)?;
    authorize(&services, &caller, device.as_ref(), &id).await?;
    Ok(Success::new(
        services.webhooks.rotate_webhook(&id, secret, keep_ms.unwrap_or(SECRET_OVERLAP_MS)).await?.into(),
    ))
}

/// Test a webhook
///
/// Delivers an event `webhook:test` once and immediately, even while the webhook is disabled.
#[utoipa::path(post, path = "/webhooks/{wid}/test", operation_id = "testWebhook", tag = "webhooks",
    responses((status = 200, description = "The result of the attempt, also of a failed one", body = Success<TestReportObject>)))]
async fn test(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
) -> Result<Success<TestReportObject>, ApiError> {
    authorize(&services, &caller, device.as_ref(), &id).await?;
    let report = services.webhooks.test_webhook(&id).await?;
    Ok(Success::new(TestReportObject::new(&report, outcomes_for(&caller))))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AttemptsQuery {
    /// The most entries of a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// Only attempts before the one with this id.
    #[param(value_type = Option<i64>, minimum = 1, example = 1)]
    before: Option<i64>,
}

impl Request for AttemptsQuery {
    const ALIASES: &'static [Alias] = &[LIMIT];
}

/// List the attempts of a webhook
#[utoipa::path(get, path = "/webhooks/{wid}/attempts", operation_id = "listWebhookAttempts", tag = "webhooks",
    params(AttemptsQuery),
    responses((status = 200, description = "Attempts, the newest first", body = Page<AttemptObject, BeforeAttempt>)))]
async fn attempts(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
    Query(query): Query<AttemptsQuery>,
) -> Result<Page<AttemptObject, BeforeAttempt>, ApiError> {
    authorize(&services, &caller, device.as_ref(), &id).await?;
    let attempts = services.webhooks.webhook_attempts(&id, query.before, query.limit).await?;
    let is_full = attempts.len() == query.limit;
    let before = attempts.last().map(|attempt| attempt.id).filter(|_| is_full);
    let show = outcomes_for(&caller);
    let page = attempts.into_iter().map(|attempt| AttemptObject::new(attempt, show)).collect();
    Ok(Page::new(page, BeforeAttempt { before }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeadLettersQuery {
    /// The most entries of a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The entries to skip.
    #[serde(default)]
    #[param(minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl Request for DeadLettersQuery {
    const ALIASES: &'static [Alias] = &[LIMIT, OFFSET];

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        move_page(object, report);
    }
}

/// List the dead letters of a webhook
///
/// Events whose delivery was given up.
#[utoipa::path(get, path = "/webhooks/{wid}/dead-letters", operation_id = "listDeadLetters", tag = "webhooks",
    params(DeadLettersQuery),
    responses((status = 200, description = "Dead letters, the newest first", body = Page<DeadLetterObject, Offsets>)))]
async fn dead_letters(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Page<DeadLetterObject, Offsets>, ApiError> {
    authorize(&services, &caller, device.as_ref(), &id).await?;
    let found = services.webhooks.dead_letters(&id, query.limit, query.offset).await?;
    let offsets = Offsets::new(found.total, found.page.len(), query.limit, query.offset);
    let show = outcomes_for(&caller);
    let page = found.page.into_iter().map(|dead| DeadLetterObject::new(dead, show)).collect();
    Ok(Page::new(page, offsets))
}

/// Replay deliveries of a webhook
///
/// One dead letter, all of them, or a range of a device's log, whatever the earlier result. Each delivery keeps its
/// `webhook-id`, so that a receiver can deduplicate. Replayed deliveries keep their order and do not wait for new events.
#[utoipa::path(post, path = "/webhooks/{wid}/replay", operation_id = "replayWebhook", tag = "webhooks",
    request_body = ReplayRequest,
    responses((status = 200, description = "The number of replayed deliveries", body = Success<ReplayedWebhook>)))]
async fn replay(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Webhook(id): Webhook,
    Body(body): Body<ReplayRequest>,
) -> Result<Success<ReplayedWebhook>, ApiError> {
    let status = authorize(&services, &caller, device.as_ref(), &id).await?;
    let replay = body.into_replay(status.endpoint.device)?;
    if let Replay::Range { device, .. } = &replay {
        caller.reach(device)?;
    }
    let replayed = services.webhooks.replay_webhook(&id, replay).await?;
    Ok(Success::new(ReplayedWebhook { replayed }))
}
