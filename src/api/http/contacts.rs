//! Contacts: list, whether a person is on the network, and profile pictures.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Offsets, Page, Success};
use super::error::ApiError;
use super::guard::guarded;
use super::input::{Alias, Body, Contact as ContactParam, Device, Query, Report, Request};
use super::paging::{LIMIT, OFFSET, SEARCH, default_limit, move_page};
use super::schema::{self, ContactObject};
use crate::domain::access::Scope;
use crate::domain::contact::Contact;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::{ContactQuery, Services};

mod presence;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesRead, &[], routes!(list)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(find)))
        .routes(guarded(Scope::MessagesRead, &[409, 422], routes!(exists)))
        .routes(guarded(Scope::MessagesRead, &[409, 422], routes!(profile_picture)))
        .merge(presence::routes())
}

/// The contacts to list.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "search": "Anna", "limit": 20 }))]
#[into_params(parameter_in = Query)]
struct FindContacts {
    /// Only contacts whose name, number or id contains this text. `q` is accepted too.
    #[schema(max_length = 256)]
    #[param(max_length = 256)]
    search: Option<String>,
    /// Only these contacts.
    #[serde(default)]
    #[schema(schema_with = schema::contact_ids, required = false)]
    #[param(schema_with = schema::contact_ids, required = false, style = Form, explode = false)]
    contact_ids: Vec<Jid>,
    /// The most entries of a page; 50 by default. `take` and `pageSize` are accepted too.
    #[serde(default = "default_limit")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The entries to skip. `skip` is accepted too, and `page` from 1.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000)]
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl Request for FindContacts {
    const ALIASES: &'static [Alias] = &[SEARCH, LIMIT, OFFSET];

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        move_page(object, report);
    }
}

/// List contacts
#[utoipa::path(get, path = "/devices/{id}/contacts", operation_id = "listContacts", tag = "contacts",
    params(FindContacts),
    responses((status = 200, description = "Contacts by name", body = Page<ContactObject, Offsets>)))]
async fn list(
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<FindContacts>,
) -> Result<Page<Contact, Offsets>, ApiError> {
    page(&services, &device, query).await
}

/// Find contacts
///
/// As the list, with the query in the body.
#[utoipa::path(post, path = "/devices/{id}/contacts", operation_id = "findContacts", tag = "contacts",
    request_body = Option<FindContacts>,
    responses((status = 200, description = "Contacts by name", body = Page<ContactObject, Offsets>)))]
async fn find(
    State(services): State<Services>,
    Device(device): Device,
    Body(query): Body<FindContacts>,
) -> Result<Page<Contact, Offsets>, ApiError> {
    page(&services, &device, query).await
}

async fn page(
    services: &Services,
    device: &DeviceId,
    query: FindContacts,
) -> Result<Page<Contact, Offsets>, ApiError> {
    let FindContacts { search, contact_ids, limit, offset } = query;
    let search = search.filter(|text| !text.is_empty());
    let (contacts, total) = services
        .messaging
        .contacts(device, ContactQuery { search, only: contact_ids, limit, offset })
        .await?;
    let offsets = Offsets::new(total, contacts.len(), limit, offset);
    Ok(Page::new(contacts, offsets))
}

/// Whether a person is on the network.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ContactExists {
    /// The person.
    contact_id: String,
    /// Whether the person is on the network.
    exists: bool,
}

/// Check whether a person is on the network
#[utoipa::path(get, path = "/devices/{id}/contacts/{cid}/exists", operation_id = "contactExists", tag = "contacts",
    responses((status = 200, description = "Whether the person is on the network", body = Success<ContactExists>)))]
async fn exists(
    State(services): State<Services>,
    Device(device): Device,
    ContactParam(contact): ContactParam,
) -> Result<Success<ContactExists>, ApiError> {
    let exists = services.messaging.contact_exists(&device, &contact).await?;
    Ok(Success::new(ContactExists { contact_id: contact.to_string(), exists }))
}

/// The profile picture of a person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProfilePicture {
    /// The person.
    contact_id: String,
    /// The address of the picture, if there is one.
    profile_pic_url: Option<String>,
}

/// Show the profile picture of a person
#[utoipa::path(get, path = "/devices/{id}/contacts/{cid}/profile-picture", operation_id = "getProfilePicture", tag = "contacts",
    responses((status = 200, description = "The address of the picture", body = Success<ProfilePicture>)))]
async fn profile_picture(
    State(services): State<Services>,
    Device(device): Device,
    ContactParam(contact): ContactParam,
) -> Result<Success<ProfilePicture>, ApiError> {
    let profile_pic_url = services.messaging.profile_picture(&device, &contact).await?;
    Ok(Success::new(ProfilePicture { contact_id: contact.to_string(), profile_pic_url }))
}
