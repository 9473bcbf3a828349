//! The webhooks of one device.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{
    AttemptObject, BeforeAttempt, CreatedWebhookObject, DeadLetterObject, DeletedWebhook, ReplayedWebhook,
    RotatedObject, TestReportObject, WebhookObject,
};
use super::requests::{ChangeWebhook, CreateWebhook, ReplayRequest, RotateRequest};
use super::{AttemptsQuery, DeadLettersQuery, again, alter, dead, make, reached, renew, tried};
use crate::api::http::ApiState;
use crate::api::http::envelope::{Created, Offsets, Page, Success};
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Device, Query, Webhook};
use crate::domain::access::Scope;
use crate::service::Services;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(list)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(create)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(show)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(change)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(remove)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(rotate)))
        .routes(guarded(Scope::DevicesWrite, &[], routes!(test)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(attempts)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(dead_letters)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(replay)))
}

/// List a device's webhooks
#[utoipa::path(get, path = "/devices/{id}/webhooks", operation_id = "listDeviceWebhooks", tag = "webhooks",
    responses((status = 200, description = "The device's own webhooks, oldest first", body = Success<Vec<WebhookObject>>)))]
async fn list(
    State(services): State<Services>,
    Device(device): Device,
) -> Result<Success<Vec<WebhookObject>>, ApiError> {
    services.fleet.device(&device).await?;
    let webhooks = services.webhooks.webhooks(Some(&[device])).await?;
    Ok(Success::new(webhooks.into_iter().map(WebhookObject::from).collect()))
}

/// Make a webhook of a device
///
/// The secret is shown once. Needs the scope `events:read` too.
#[utoipa::path(post, path = "/devices/{id}/webhooks", operation_id = "createDeviceWebhook", tag = "webhooks",
    request_body = CreateWebhook,
    responses((status = 201, description = "The webhook, with the only copy of its secret", body = Success<CreatedWebhookObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Body(body): Body<CreateWebhook>,
) -> Result<Created<CreatedWebhookObject>, ApiError> {
    make(&services, &caller, Some(device), body).await
}

/// Show a webhook of a device
#[utoipa::path(get, path = "/devices/{id}/webhooks/{wid}", operation_id = "getDeviceWebhook", tag = "webhooks",
    responses((status = 200, description = "The webhook, without what is secret of it", body = Success<WebhookObject>)))]
async fn show(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
) -> Result<Success<WebhookObject>, ApiError> {
    Ok(Success::new(reached(&services, &caller, Some(&device), &id).await?.into()))
}

/// Change a webhook of a device
///
/// It counts for what is sent from now on. Needs the scope `events:read` too.
#[utoipa::path(patch, path = "/devices/{id}/webhooks/{wid}", operation_id = "changeDeviceWebhook", tag = "webhooks",
    request_body = Option<ChangeWebhook>,
    responses((status = 200, description = "The webhook as it now is", body = Success<WebhookObject>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
    Body(body): Body<ChangeWebhook>,
) -> Result<Success<WebhookObject>, ApiError> {
    alter(&services, &caller, Some(&device), &id, body).await
}

/// Delete a webhook of a device
///
/// What waits for it, and its dead letters, go with it.
#[utoipa::path(delete, path = "/devices/{id}/webhooks/{wid}", operation_id = "deleteDeviceWebhook", tag = "webhooks",
    responses((status = 200, description = "It is gone", body = Success<DeletedWebhook>)))]
async fn remove(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
) -> Result<Success<DeletedWebhook>, ApiError> {
    reached(&services, &caller, Some(&device), &id).await?;
    services.webhooks.delete_webhook(&id).await?;
    Ok(Success::new(DeletedWebhook::new(id)))
}

/// Replace the secret of a device's webhook
///
/// The one before signs too for a while. Needs the scope `events:read` too.
#[utoipa::path(post, path = "/devices/{id}/webhooks/{wid}/rotate", operation_id = "rotateDeviceWebhookSecret", tag = "webhooks",
    request_body = Option<RotateRequest>,
    responses((status = 200, description = "The only copy of the new secret", body = Success<RotatedObject>)))]
async fn rotate(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
    Body(body): Body<RotateRequest>,
) -> Result<Success<RotatedObject>, ApiError> {
    renew(&services, &caller, Some(&device), &id, body).await
}

/// Test a webhook of a device
///
/// Pushes an event `webhook:test` once and at once, also while the webhook is disabled.
#[utoipa::path(post, path = "/devices/{id}/webhooks/{wid}/test", operation_id = "testDeviceWebhook", tag = "webhooks",
    responses((status = 200, description = "What the receiver said, whatever that was", body = Success<TestReportObject>)))]
async fn test(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
) -> Result<Success<TestReportObject>, ApiError> {
    reached(&services, &caller, Some(&device), &id).await?;
    Ok(Success::new(services.webhooks.test_webhook(&id).await?.into()))
}

/// List what came of each try, of a device's webhook
#[utoipa::path(get, path = "/devices/{id}/webhooks/{wid}/attempts", operation_id = "listDeviceWebhookAttempts", tag = "webhooks",
    params(AttemptsQuery),
    responses((status = 200, description = "Tries, the newest first", body = Page<AttemptObject, BeforeAttempt>)))]
async fn attempts(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
    Query(query): Query<AttemptsQuery>,
) -> Result<Page<AttemptObject, BeforeAttempt>, ApiError> {
    tried(&services, &caller, Some(&device), &id, &query).await
}

/// List dead letters of a device's webhook
#[utoipa::path(get, path = "/devices/{id}/webhooks/{wid}/dead-letters", operation_id = "listDeviceDeadLetters", tag = "webhooks",
    params(DeadLettersQuery),
    responses((status = 200, description = "Dead letters, the newest first", body = Page<DeadLetterObject, Offsets>)))]
async fn dead_letters(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Page<DeadLetterObject, Offsets>, ApiError> {
    dead(&services, &caller, Some(&device), &id, &query).await
}

/// Deliver once more to a device's webhook
///
/// One dead letter, all of them, or part of the device's log.
#[utoipa::path(post, path = "/devices/{id}/webhooks/{wid}/replay", operation_id = "replayDeviceWebhook", tag = "webhooks",
    request_body = ReplayRequest,
    responses((status = 200, description = "How many deliveries were put back", body = Success<ReplayedWebhook>)))]
async fn replay(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Webhook(id): Webhook,
    Body(body): Body<ReplayRequest>,
) -> Result<Success<ReplayedWebhook>, ApiError> {
    again(&services, &caller, Some(&device), &id, body).await
}
