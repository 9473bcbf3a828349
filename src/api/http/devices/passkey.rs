//! Linking with a passkey: the pending step, the response of a browser, and the confirmation of the code.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::DeviceObject;
use crate::api::http::ApiState;
use crate::api::http::envelope::{Created, Success};
use crate::api::http::error::ApiError;
use crate::api::http::guard::{guarded, guarded_or_ticket};
use crate::api::http::input::{Body, Device, JsonObject, Request};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::passkey::{MAX_RESPONSE_BYTES, OPEN_URL, PasskeyStep};
use crate::domain::state::State as DeviceState;
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded_or_ticket(Scope::DevicesWrite, &[409, 422], routes!(show)))
        .routes(guarded_or_ticket(Scope::DevicesWrite, &[409, 413, 422, 429], routes!(respond)))
        .routes(guarded(Scope::DevicesWrite, &[409, 422], routes!(confirm)))
        .routes(guarded(Scope::DevicesWrite, &[409, 422], routes!(cancel)))
        .routes(guarded(Scope::DevicesWrite, &[409, 422], routes!(create_ticket)))
}

/// The step of a link with a passkey that waits for a person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyStage {
    /// `signature` or `confirmation`.
    #[schema(value_type = StageWord)]
    stage: &'static str,
    /// When the step ends the attempt.
    #[schema(value_type = i64)]
    expires_at: Millis,
}

/// A step of a link with a passkey.
#[derive(ToSchema)]
#[schema(as = PasskeyStageName, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the values of `stage`")]
enum StageWord {
    Signature,
    Confirmation,
}

impl PasskeyStage {
    /// The step that a device waits in, if it does.
    #[must_use]
    pub fn of(state: &DeviceState) -> Option<Self> {
        match state {
            DeviceState::Passkey { step, expires_at, .. } => {
                Some(Self { stage: step.name(), expires_at: *expires_at })
            }
            _ => None,
        }
    }
}

/// The pending step with its content.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PasskeyObject {
    /// `signature` or `confirmation`.
    #[schema(value_type = StageWord)]
    stage: &'static str,
    /// The `PublicKeyCredentialRequestOptions` of the network, for `navigator.credentials.get`; with the stage
    /// `signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable = false, required = false)]
    options: Option<Map<String, Value>>,
    /// The code that the phone shows too; with the stage `confirmation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "ABCD-1234")]
    code: Option<String>,
    /// The page on which a browser can sign; with the stage `signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false, example = "https://web.whatsapp.com/")]
    open_url: Option<&'static str>,
    /// When the step ends the attempt.
    #[schema(value_type = i64)]
    expires_at: Millis,
}

/// Show the pending step of a link with a passkey
///
/// 409 `no_passkey_pending` when the device waits for none.
#[utoipa::path(get, path = "/devices/{id}/passkey", operation_id = "getPasskey", tag = "devices",
    responses((status = 200, description = "The step", body = Success<PasskeyObject>)))]
async fn show(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Success<PasskeyObject>, ApiError> {
    let pending = services.fleet.pending_passkey(&id).await?;
    let (stage, expires_at) = (pending.step.name(), pending.expires_at);
    let (options, code) = match pending.step {
        PasskeyStep::Signature { options } => (Some(options), None),
        PasskeyStep::Confirmation { code } => (None, Some(code)),
    };
    let open_url = options.is_some().then_some(OPEN_URL);
    Ok(Success::new(PasskeyObject { stage, options, code, open_url, expires_at }))
}

/// A signature, as `PublicKeyCredential.toJSON()` gives it.
#[derive(ToSchema)]
#[schema(as = PasskeyResponse, rename_all = "camelCase", example = json!({
    "id": "a2V5LTE", "rawId": "a2V5LTE", "type": "public-key",
    "response": { "clientDataJSON": "eyJ0eXBlIjoi…", "authenticatorData": "SZYN5YgO…", "signature": "MEUCIQ…" },
}))]
#[expect(dead_code, reason = "describes the body")]
struct PasskeyResponse {
    /// The id of the credential in base64url.
    id: String,
    /// The same as `id`.
    raw_id: String,
    /// The signed data in base64url: `clientDataJSON`, `authenticatorData`, `signature`, `userHandle`.
    #[schema(value_type = Object)]
    response: Map<String, Value>,
}

/// The network has the signature. The next event of the device has its answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignatureSent {
    /// The device.
    #[schema(value_type = String)]
    device_id: DeviceId,
}

/// Answer with the signature of a passkey
///
/// 422 `passkey_response_invalid` names the field that is wrong; the attempt stays open.
#[utoipa::path(post, path = "/devices/{id}/passkey/response", operation_id = "answerPasskey", tag = "devices",
    request_body = PasskeyResponse,
    responses((status = 200, description = "The network has the signature", body = Success<SignatureSent>)))]
async fn respond(
    State(services): State<Services>,
    Device(id): Device,
    JsonObject(response): JsonObject,
) -> Result<Success<SignatureSent>, ApiError> {
    if Value::Object(response.clone()).to_string().len() > MAX_RESPONSE_BYTES {
        return Err(ApiError::TooLarge(MAX_RESPONSE_BYTES));
    }
    services.fleet.answer_passkey(&id, &response).await?;
    Ok(Success::new(SignatureSent { device_id: id }))
}

/// The code that a person compared with the phone.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "code": "ABCD-1234" }))]
struct ComparedCode {
    /// The code. If it is no longer the pending one, nothing is confirmed.
    #[schema(max_length = 16, required = false, example = "ABCD-1234")]
    code: Option<String>,
}

impl Request for ComparedCode {}

/// Confirm that the phone shows the same code
///
/// 409 `passkey_code_changed` when another code is pending than the one that was compared.
#[utoipa::path(post, path = "/devices/{id}/passkey/confirm", operation_id = "confirmPasskey", tag = "devices",
    request_body = ComparedCode,
    responses((status = 200, description = "The device, whose link is being completed", body = Success<DeviceObject>)))]
async fn confirm(
    State(services): State<Services>,
    Device(id): Device,
    Body(ComparedCode { code }): Body<ComparedCode>,
) -> Result<Success<DeviceObject>, ApiError> {
    services.fleet.confirm_passkey(&id, code.as_deref()).await?;
    device(&services, &id).await
}

/// Cancel a link with a passkey
///
/// The device stops; `start` shows a new QR code.
#[utoipa::path(post, path = "/devices/{id}/passkey/cancel", operation_id = "cancelPasskey", tag = "devices",
    responses((status = 200, description = "The stopped device", body = Success<DeviceObject>)))]
async fn cancel(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Success<DeviceObject>, ApiError> {
    services.fleet.cancel_passkey(&id).await?;
    device(&services, &id).await
}

async fn device(services: &Services, id: &DeviceId) -> Result<Success<DeviceObject>, ApiError> {
    Ok(Success::new(DeviceObject::new(services.fleet.device(id).await?, services.now())))
}

/// A secret for a browser extension.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TicketObject {
    /// The secret. It allows reading the options and answering them, in the header `X-Passkey-Ticket`.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    ticket: String,
    /// When it ends.
    #[schema(value_type = i64)]
    expires_at: Millis,
}

/// Create a ticket for a browser extension
///
/// It is valid for 10 minutes and for the pending attempt only.
#[utoipa::path(post, path = "/devices/{id}/passkey/ticket", operation_id = "createPasskeyTicket", tag = "devices",
    responses((status = 201, description = "The ticket", body = Success<TicketObject>)))]
async fn create_ticket(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Created<TicketObject>, ApiError> {
    let ticket = services.fleet.create_passkey_ticket(&id).await?;
    Ok(Created(TicketObject { ticket: ticket.ticket, expires_at: ticket.expires_at }))
}
