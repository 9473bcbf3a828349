//! Contacts: list, and what the network knows of a person.

use axum::extract::State;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Offsets, Page, Success};
use super::error::ApiError;
use super::guard::guarded;
use super::input::{Body, Contact as ContactParam, Device, Fields, FromFields, Query};
use super::paging::{Window, window};
use super::schema::{self, ContactObject};
use crate::domain::access::Scope;
use crate::domain::contact::Contact;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::{ContactQuery, Services};

const SEARCH_CHARS: usize = 256;
const MAX_CONTACT_IDS: usize = 100;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesRead, &[], routes!(list)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(find)))
        .routes(guarded(Scope::MessagesRead, &[409, 422], routes!(exists)))
        .routes(guarded(Scope::MessagesRead, &[409, 422], routes!(profile_picture)))
}

/// Which contacts to list.
#[derive(Debug, ToSchema, IntoParams)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "search": "Anna", "limit": 20 }))]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct FindContacts {
    /// Whose name, number or id holds this text. `q` is accepted too.
    #[schema(max_length = 256)]
    #[param(max_length = 256)]
    search: Option<String>,
    /// Only these.
    #[schema(schema_with = schema::contact_ids, required = false)]
    #[param(schema_with = schema::contact_ids, required = false, style = Form, explode = false)]
    contact_ids: Vec<Jid>,
    /// At most so many; 50 unless said. `take` and `pageSize` are accepted too.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// After so many. `skip` is accepted too, and `page` from 1.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000)]
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl FromFields for FindContacts {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.given(&["search", "q"]);
        let search = fields.text(name, SEARCH_CHARS).filter(|text| !text.is_empty());
        let contact_ids = fields.list("contactIds", MAX_CONTACT_IDS).unwrap_or_default();
        let Window { limit, offset } = window(fields);
        Some(Self { search, contact_ids, limit, offset })
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
/// As the list, with the question in the body.
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
    /// Who.
    contact_id: String,
    /// Whether they are.
    exists: bool,
}

/// Ask whether a person is on the network
#[utoipa::path(get, path = "/devices/{id}/contacts/{cid}/exists", operation_id = "contactExists", tag = "contacts",
    responses((status = 200, description = "Whether they are", body = Success<ContactExists>)))]
async fn exists(
    State(services): State<Services>,
    Device(device): Device,
    ContactParam(contact): ContactParam,
) -> Result<Success<ContactExists>, ApiError> {
    let exists = services.messaging.contact_exists(&device, &contact).await?;
    Ok(Success::new(ContactExists { contact_id: contact.to_string(), exists }))
}

/// A person's picture.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProfilePicture {
    /// Who.
    contact_id: String,
    /// Where it is, if there is one.
    profile_pic_url: Option<String>,
}

/// Ask for a person's picture
#[utoipa::path(get, path = "/devices/{id}/contacts/{cid}/profile-picture", operation_id = "getProfilePicture", tag = "contacts",
    responses((status = 200, description = "Where the picture is", body = Success<ProfilePicture>)))]
async fn profile_picture(
    State(services): State<Services>,
    Device(device): Device,
    ContactParam(contact): ContactParam,
) -> Result<Success<ProfilePicture>, ApiError> {
    let profile_pic_url = services.messaging.profile_picture(&device, &contact).await?;
    Ok(Success::new(ProfilePicture { contact_id: contact.to_string(), profile_pic_url }))
}
