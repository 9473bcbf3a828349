//! Access to the inbox of a device, for API keys.

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
use crate::domain::operator_chat::inbox::{GrantSource, InboxGrant};
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::ChatRead, &[404], routes!(show))).routes(guarded(
        Scope::ChatWrite,
        &[404],
        routes!(replace),
    ))
}

/// Access of a user or a role to an inbox
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = InboxGrant)]
struct GrantObject {
    /// `<identity>:<user id>`, or `<identity>:role:<role>`; the identity is optional while there is one.
    #[schema(example = "desk:anna")]
    who: String,
    /// `read`, `reply` or `manage`; `reply` if absent.
    #[serde(default = "reply")]
    #[schema(required = false, example = "reply")]
    rights: String,
    /// `file` for a grant of the device's file, `token` for one of the user's newest token; absent for one of the API. A
    /// `PUT` leaves such grants as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "file")]
    source: Option<String>,
}

fn reply() -> String {
    "reply".to_owned()
}

/// Who may use the inbox of a device
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = InboxOperators, example = json!({ "operators": [{ "who": "desk:role:support", "rights": "reply" }] }))]
struct Operators {
    /// The grants.
    #[schema(max_items = 1000)]
    operators: Vec<GrantObject>,
}

impl Request for Operators {}

fn object(grants: &[InboxGrant]) -> Success<Operators> {
    let grant = |grant: &InboxGrant| GrantObject {
        who: grant.who.to_string(),
        rights: grant.rights.as_str().to_owned(),
        source: match grant.source {
            GrantSource::Api => None,
            GrantSource::File => Some("file".to_owned()),
            GrantSource::Token => Some("token".to_owned()),
        },
    };
    Success::new(Operators { operators: grants.iter().map(grant).collect() })
}

/// Show who may use the inbox of a device
#[utoipa::path(get, path = "/devices/{id}/operators", operation_id = "getInboxOperators", tag = "operator chat",
    responses((status = 200, description = "The grants", body = Success<Operators>)))]
async fn show(
    State(services): State<Services>,
    Device(device): Device,
) -> Result<Success<Operators>, ApiError> {
    let chat = services.chat.as_ref().ok_or(ApiError::NotFound)?;
    Ok(object(&chat.inbox_grants(&device).await?))
}

/// Replace who may use the inbox of a device
///
/// Grants of the device's file and of tokens stay. A user who is no longer named gets no event of the inbox from then on.
#[utoipa::path(put, path = "/devices/{id}/operators", operation_id = "putInboxOperators", tag = "operator chat",
    request_body = Operators,
    responses((status = 200, description = "The grants", body = Success<Operators>)))]
async fn replace(
    State(services): State<Services>,
    Device(device): Device,
    Body(body): Body<Operators>,
) -> Result<Success<Operators>, ApiError> {
    let chat = services.chat.as_ref().ok_or(ApiError::NotFound)?;
    let own = body.operators.into_iter().filter(|grant| grant.source.is_none());
    let grants: Vec<_> = own.map(|grant| (grant.who, grant.rights)).collect();
    Ok(object(&chat.set_inbox_grants(&device, &grants).await?))
}
