//! Linking by a code that the user types on the phone.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, Device, Request};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::DevicesWrite, &[409, 422], routes!(pairing_code)))
}

/// The phone to link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "phoneNumber": "+1 555 010 0001" }))]
struct Phone {
    /// Its number with the country code.
    #[schema(
        value_type = String,
        min_length = 5,
        max_length = 40,
        pattern = r"^\+?([ ().-]*[0-9]){5,15}[ ().-]*$",
        example = "+1 555 010 0001"
    )]
    phone_number: Jid,
}

impl Request for Phone {}

/// The code to type on the phone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PairingCode {
    /// The code.
    #[schema(example = "ABCD-1234")]
    code: String,
    /// The end of its validity, in milliseconds since the epoch: not later than that of the codes to scan.
    #[schema(value_type = i64)]
    expires_at: Millis,
}

/// Create a pairing code
///
/// The user types it on the phone instead of scanning a QR code. The device must wait for a link.
#[utoipa::path(post, path = "/devices/{id}/pairing-code", operation_id = "createPairingCode", tag = "devices",
    request_body = Phone,
    responses((status = 200, description = "The code", body = Success<PairingCode>)))]
async fn pairing_code(
    State(services): State<Services>,
    Device(id): Device,
    Body(Phone { phone_number }): Body<Phone>,
) -> Result<Success<PairingCode>, ApiError> {
    let digits = phone_number.phone().ok_or_else(|| {
        let right = "must be a phone number with its country code, such as +15550100001";
        ApiError::field("phoneNumber", right)
    })?;
    let (code, expires_at) = services.fleet.pairing_code(&id, digits).await?;
    Ok(Success::new(PairingCode { code, expires_at }))
}
