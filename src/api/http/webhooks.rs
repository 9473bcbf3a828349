//! Webhooks: where events are pushed to, what came of it, and once more.
//!
//! The same operations stand under `/webhooks`, for all webhooks that the key reaches, and under a device
//! ([`of_device`]), for its own. A webhook of all devices is there for keys of all devices alone. Whoever makes or
//! changes one gets events, so that needs `events:read` as well.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Offsets, Page, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Fields, FromFields, Query, Webhook};
use super::paging::{Window, limit, window};
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::EndpointId;
use crate::service::{Replay, ServiceError, Services, WebhookStatus};

mod objects;
mod of_device;
mod requests;

pub(super) use self::objects::CreatedWebhookObject;
use self::objects::{
    AttemptObject, BeforeAttempt, DeadLetterObject, DeletedWebhook, ReplayedWebhook, RotatedObject,
    TestReportObject, WebhookObject,
};
use self::requests::{ChangeWebhook, ReplayRequest, RotateRequest};
pub(super) use self::requests::{CreateWebhook, WebhookOfDevice};

/// The operations of this file and its parts.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(list)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(create)))
        .routes(guarded(Scope::DevicesRead, &[404], routes!(show)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(change)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(remove)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(rotate)))
        .routes(guarded(Scope::DevicesWrite, &[404], routes!(test)))
        .routes(guarded(Scope::DevicesRead, &[404], routes!(attempts)))
        .routes(guarded(Scope::DevicesRead, &[404], routes!(dead_letters)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(replay)))
        .merge(of_device::routes())
}

/// Whoever gets events pushed may as well read them.
fn may_hear(caller: &Caller) -> Result<(), ApiError> {
    if caller.0.grant.allows(Scope::EventsRead) {
        Ok(())
    } else {
        Err(ApiError::MissingScope(Scope::EventsRead))
    }
}

/// A webhook that the key reaches, below this device if one is named. Any other does not exist for it.
async fn reached(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
) -> Result<WebhookStatus, ApiError> {
    let status = services.webhooks.webhook(id).await?;
    let own = status.endpoint.device.as_ref();
    let below = device.is_none_or(|device| own == Some(device));
    let within = own.map_or(caller.devices().is_none(), |own| caller.reach(own).is_ok());
    if below && within { Ok(status) } else { Err(ServiceError::WebhookNotFound.into()) }
}

/// List webhooks
#[utoipa::path(get, path = "/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses((status = 200, description = "The webhooks of the key's devices, and for a key of all devices those of all; oldest first", body = Success<Vec<WebhookObject>>)))]
async fn list(
    caller: Caller,
    State(services): State<Services>,
) -> Result<Success<Vec<WebhookObject>>, ApiError> {
    let webhooks = services.webhooks.webhooks(caller.devices()).await?;
    Ok(Success::new(webhooks.into_iter().map(WebhookObject::from).collect()))
}

/// Make a webhook
///
/// For the events of all devices, or of one. The secret is shown once. Needs the scope `events:read` too.
#[utoipa::path(post, path = "/webhooks", operation_id = "createWebhook", tag = "webhooks",
    request_body = CreateWebhook,
    responses((status = 201, description = "The webhook, with the only copy of its secret", body = Success<CreatedWebhookObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Body(body): Body<CreateWebhook>,
) -> Result<Created<CreatedWebhookObject>, ApiError> {
    let device = body.device_id.clone();
    make(&services, &caller, device, body).await
}

async fn make(
    services: &Services,
    caller: &Caller,
    device: Option<DeviceId>,
    body: CreateWebhook,
) -> Result<Created<CreatedWebhookObject>, ApiError> {
    may_hear(caller)?;
    match &device {
        Some(device) => caller.reach(device)?,
        None if caller.devices().is_some() => return Err(ApiError::DeviceNotAllowed),
        None => {}
    }
    Ok(Created(services.webhooks.create_webhook(body.into_new(device)).await?.into()))
}

/// Show a webhook
#[utoipa::path(get, path = "/webhooks/{wid}", operation_id = "getWebhook", tag = "webhooks",
    responses((status = 200, description = "The webhook, without what is secret of it", body = Success<WebhookObject>)))]
async fn show(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
) -> Result<Success<WebhookObject>, ApiError> {
    Ok(Success::new(reached(&services, &caller, None, &id).await?.into()))
}

/// Change a webhook
///
/// It counts for what is sent from now on. Needs the scope `events:read` too.
#[utoipa::path(patch, path = "/webhooks/{wid}", operation_id = "changeWebhook", tag = "webhooks",
    request_body = Option<ChangeWebhook>,
    responses((status = 200, description = "The webhook as it now is", body = Success<WebhookObject>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
    Body(body): Body<ChangeWebhook>,
) -> Result<Success<WebhookObject>, ApiError> {
    alter(&services, &caller, None, &id, body).await
}

async fn alter(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
    body: ChangeWebhook,
) -> Result<Success<WebhookObject>, ApiError> {
    may_hear(caller)?;
    reached(services, caller, device, id).await?;
    Ok(Success::new(services.webhooks.change_webhook(id, body.into_change()).await?.into()))
}

/// Delete a webhook
///
/// What waits for it, and its dead letters, go with it.
#[utoipa::path(delete, path = "/webhooks/{wid}", operation_id = "deleteWebhook", tag = "webhooks",
    responses((status = 200, description = "It is gone", body = Success<DeletedWebhook>)))]
async fn remove(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
) -> Result<Success<DeletedWebhook>, ApiError> {
    reached(&services, &caller, None, &id).await?;
    services.webhooks.delete_webhook(&id).await?;
    Ok(Success::new(DeletedWebhook::new(id)))
}

/// Replace a webhook's secret
///
/// The one before signs too for a while, so that its receiver can change at leisure. Header styles with room for one
/// signature have the new one's at once. Needs the scope `events:read` too.
#[utoipa::path(post, path = "/webhooks/{wid}/rotate", operation_id = "rotateWebhookSecret", tag = "webhooks",
    request_body = Option<RotateRequest>,
    responses((status = 200, description = "The only copy of the new secret", body = Success<RotatedObject>)))]
async fn rotate(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
    Body(body): Body<RotateRequest>,
) -> Result<Success<RotatedObject>, ApiError> {
    renew(&services, &caller, None, &id, body).await
}

async fn renew(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
    body: RotateRequest,
) -> Result<Success<RotatedObject>, ApiError> {
    may_hear(caller)?;
    reached(services, caller, device, id).await?;
    Ok(Success::new(services.webhooks.rotate_webhook(id, body.secret, body.keep_ms).await?.into()))
}

/// Test a webhook
///
/// Pushes an event `webhook:test` once and at once, also while the webhook is disabled.
#[utoipa::path(post, path = "/webhooks/{wid}/test", operation_id = "testWebhook", tag = "webhooks",
    responses((status = 200, description = "What the receiver said, whatever that was", body = Success<TestReportObject>)))]
async fn test(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
) -> Result<Success<TestReportObject>, ApiError> {
    reached(&services, &caller, None, &id).await?;
    Ok(Success::new(services.webhooks.test_webhook(&id).await?.into()))
}

/// Tries before this one, at most so many.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AttemptsQuery {
    /// At most so many.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// Only tries before the one with this id.
    #[param(value_type = Option<i64>, minimum = 1, example = 1)]
    before: Option<i64>,
}

impl FromFields for AttemptsQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let limit = limit(fields, super::paging::DEFAULT_LIMIT);
        Some(Self { limit, before: fields.integer("before", &(1..=i64::MAX)) })
    }
}

/// List what came of each try
#[utoipa::path(get, path = "/webhooks/{wid}/attempts", operation_id = "listWebhookAttempts", tag = "webhooks",
    params(AttemptsQuery),
    responses((status = 200, description = "Tries, the newest first", body = Page<AttemptObject, BeforeAttempt>)))]
async fn attempts(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
    Query(query): Query<AttemptsQuery>,
) -> Result<Page<AttemptObject, BeforeAttempt>, ApiError> {
    tried(&services, &caller, None, &id, &query).await
}

async fn tried(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
    query: &AttemptsQuery,
) -> Result<Page<AttemptObject, BeforeAttempt>, ApiError> {
    reached(services, caller, device, id).await?;
    let attempts = services.webhooks.webhook_attempts(id, query.before, query.limit).await?;
    let more = attempts.len() == query.limit;
    let before = attempts.last().map(|attempt| attempt.id).filter(|_| more);
    let page = attempts.into_iter().map(AttemptObject::from).collect();
    Ok(Page::new(page, BeforeAttempt { before }))
}

#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeadLettersQuery {
    /// At most so many.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// After so many.
    #[param(minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl FromFields for DeadLettersQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let Window { limit, offset } = window(fields);
        Some(Self { limit, offset })
    }
}

/// List dead letters
///
/// Events that did not reach the webhook in any try.
#[utoipa::path(get, path = "/webhooks/{wid}/dead-letters", operation_id = "listDeadLetters", tag = "webhooks",
    params(DeadLettersQuery),
    responses((status = 200, description = "Dead letters, the newest first", body = Page<DeadLetterObject, Offsets>)))]
async fn dead_letters(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Page<DeadLetterObject, Offsets>, ApiError> {
    dead(&services, &caller, None, &id, &query).await
}

async fn dead(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
    query: &DeadLettersQuery,
) -> Result<Page<DeadLetterObject, Offsets>, ApiError> {
    reached(services, caller, device, id).await?;
    let found = services.webhooks.dead_letters(id, query.limit, query.offset).await?;
    let offsets = Offsets::new(found.total, found.page.len(), query.limit, query.offset);
    Ok(Page::new(found.page.into_iter().map(DeadLetterObject::from).collect(), offsets))
}

/// Deliver once more
///
/// One dead letter, all of them, or part of a device's log, whatever became of it. Each keeps its `webhook-id`, so
/// that a receiver knows what it has. What is delivered again keeps its order, and waits for nothing new.
#[utoipa::path(post, path = "/webhooks/{wid}/replay", operation_id = "replayWebhook", tag = "webhooks",
    request_body = ReplayRequest,
    responses((status = 200, description = "How many deliveries were put back", body = Success<ReplayedWebhook>)))]
async fn replay(
    caller: Caller,
    State(services): State<Services>,
    Webhook(id): Webhook,
    Body(body): Body<ReplayRequest>,
) -> Result<Success<ReplayedWebhook>, ApiError> {
    again(&services, &caller, None, &id, body).await
}

async fn again(
    services: &Services,
    caller: &Caller,
    device: Option<&DeviceId>,
    id: &EndpointId,
    body: ReplayRequest,
) -> Result<Success<ReplayedWebhook>, ApiError> {
    let status = reached(services, caller, device, id).await?;
    let replay = body.into_replay(status.endpoint.device)?;
    if let Replay::Range { device, .. } = &replay {
        caller.reach(device)?;
    }
    let replayed = services.webhooks.replay_webhook(id, replay).await?;
    Ok(Success::new(ReplayedWebhook { replayed }))
}
