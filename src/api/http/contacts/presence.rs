//! Subscribes to a contact's presence, as the socket request `presence:subscribe` does.
//!
//! The network then reports the contact as `presence` events, which the event log does not hold.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Contact as ContactParam, Device};
use crate::domain::access::Scope;
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::MessagesSend, &[409, 422], routes!(subscribe)))
}

/// The contact whose presence the network reports from now on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PresenceSubscribed {
    /// The contact's id.
    contact_id: String,
}

/// Subscribe to a contact's presence
///
/// The network then reports it as `presence` events to sockets, and to event streams with `ephemeral=true`.
#[utoipa::path(post, path = "/devices/{id}/contacts/{cid}/presence/subscribe", operation_id = "subscribePresence",
    tag = "contacts", responses((status = 200, description = "The network accepted it", body = Success<PresenceSubscribed>)))]
async fn subscribe(
    State(services): State<Services>,
    Device(device): Device,
    ContactParam(contact): ContactParam,
) -> Result<Success<PresenceSubscribed>, ApiError> {
    services.messaging.subscribe_presence(&device, &contact).await?;
    Ok(Success::new(PresenceSubscribed { contact_id: contact.to_string() }))
}
