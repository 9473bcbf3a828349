//! Linking by a code that is typed on the phone.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, Device, Fields, FromFields};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::DevicesWrite, &[409, 422], routes!(pairing_code)))
}

/// The phone to link.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "phoneNumber": "+1 555 010 0001" }))]
struct Phone {
    /// Its number with the country code.
    #[schema(
        min_length = 5,
        max_length = 40,
        pattern = r"^\+?([ ().-]*[0-9]){5,15}[ ().-]*$",
        example = "+1 555 010 0001"
    )]
    phone_number: String,
}

impl FromFields for Phone {
    fn read(fields: &mut Fields) -> Option<Self> {
        let wanted = fields.parsed::<Jid>("phoneNumber");
        let wanted =
            fields.require("phoneNumber", wanted, "the number of the phone, with its country code")?;
        let Some(digits) = wanted.phone() else {
            fields.wrong("phoneNumber", "must be a phone number with its country code, such as +15550100001");
            return None;
        };
        Some(Self { phone_number: digits.to_owned() })
    }
}

/// What to type on the phone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PairingCode {
    /// The code.
    #[schema(example = "ABCD-1234")]
    code: String,
    /// Until when it can be typed, in milliseconds since 1970; no longer than codes to scan are shown.
    #[schema(value_type = i64)]
    expires_at: Millis,
}

/// Ask for a pairing code
///
/// To be typed on the phone in place of scanning a QR code, while the device is waiting for that.
#[utoipa::path(post, path = "/devices/{id}/pairing-code", operation_id = "createPairingCode", tag = "devices",
    request_body = Phone,
    responses((status = 200, description = "The code", body = Success<PairingCode>)))]
async fn pairing_code(
    State(services): State<Services>,
    Device(id): Device,
    Body(Phone { phone_number }): Body<Phone>,
) -> Result<Success<PairingCode>, ApiError> {
    let (code, expires_at) = services.fleet.pairing_code(&id, &phone_number).await?;
    Ok(Success::new(PairingCode { code, expires_at }))
}
