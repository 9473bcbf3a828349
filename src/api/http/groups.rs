//! Groups: list, create, one, and what is done to one.

use axum::extract::State;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Offsets, Page, Success};
use super::error::ApiError;
use super::guard::guarded;
use super::input::{Body, Device, Fields, FromFields, Group as GroupParam, Query};
use super::paging::{Window, window};
use super::schema::{self, ParticipantObject};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::group::{Group, Participant};
use crate::domain::jid::{Jid, JidKind};
use crate::service::{GroupQuery, ListedGroup, Services};

mod changes;

const SEARCH_CHARS: usize = 256;
/// As many characters as phones allow.
const SUBJECT_CHARS: usize = 100;
const MAX_PARTICIPANTS: usize = 256;

/// The operations of this file and its part.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesRead, &[422], routes!(list)))
        .routes(guarded(Scope::MessagesSend, &[409, 422], routes!(create)))
        .routes(guarded(Scope::MessagesRead, &[422], routes!(show)))
        .merge(changes::routes())
}

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
#[serde(rename_all = "camelCase")]
pub struct GroupObject {
    /// Its id, which is also its chat's.
    #[schema(example = "120363000000000001@g.us")]
    id: String,
    /// The same, as events name it.
    group_id: String,
    /// Its name.
    subject: String,
    /// What it is about.
    description: Option<String>,
    /// Who made it.
    #[schema(example = "15550100099@c.us")]
    owner: Option<String>,
    /// When it was made.
    #[schema(value_type = Option<i64>)]
    created_at: Option<Millis>,
    /// How many are in it, our account included.
    #[schema(minimum = 0)]
    participant_count: i64,
    /// Who is in it; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ParticipantObject>>, nullable = false)]
    participants: Option<Vec<Participant>>,
}

impl GroupObject {
    fn new(group: Group, participant_count: i64, participants: Option<Vec<Participant>>) -> Self {
        Self {
            id: group.id.to_string(),
            group_id: group.id.to_string(),
            subject: group.subject,
            description: group.description,
            owner: group.owner.map(|owner| owner.to_string()),
            created_at: group.created_at,
            participant_count,
            participants,
        }
    }
}

impl From<ListedGroup> for GroupObject {
    fn from(listed: ListedGroup) -> Self {
        Self::new(listed.group, listed.size, None)
    }
}

impl From<Group> for GroupObject {
    fn from(mut group: Group) -> Self {
        let participants = std::mem::take(&mut group.participants);
        Self::new(group, i64::try_from(participants.len()).unwrap_or(i64::MAX), Some(participants))
    }
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListGroups {
    /// Whose name or id holds this text. `q` is accepted too.
    #[param(max_length = 256)]
    search: Option<String>,
    /// At most so many. `take` and `pageSize` are accepted too.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// After so many. `skip` is accepted too, and `page` from 1.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl FromFields for ListGroups {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.given(&["search", "q"]);
        let search = fields.text(name, SEARCH_CHARS).filter(|text| !text.is_empty());
        let Window { limit, offset } = window(fields);
        Some(Self { search, limit, offset })
    }
}

/// List groups
///
/// Those that the account is in, by name.
#[utoipa::path(get, path = "/devices/{id}/groups", operation_id = "listGroups", tag = "groups",
    params(ListGroups),
    responses((status = 200, description = "Groups", body = Page<GroupObject, Offsets>)))]
async fn list(
    State(services): State<Services>,
    Device(device): Device,
    Query(ListGroups { search, limit, offset }): Query<ListGroups>,
) -> Result<Page<GroupObject, Offsets>, ApiError> {
    let (groups, total) = services.messaging.groups(&device, GroupQuery { search, limit, offset }).await?;
    let offsets = Offsets::new(total, groups.len(), limit, offset);
    Ok(Page::new(groups.into_iter().map(GroupObject::from).collect(), offsets))
}

/// People, each once. Notes what is wrong with them.
fn people(fields: &mut Fields) -> Option<Vec<Jid>> {
    let ids = fields.list("participants", MAX_PARTICIPANTS).filter(|ids: &Vec<Jid>| !ids.is_empty());
    let mut ids = fields.require("participants", ids, "a list of 1 to 256 people")?;
    for (index, id) in ids.iter().enumerate() {
        if !matches!(id.kind(), JidKind::Person | JidKind::Lid) {
            fields
                .wrong(format!("participants[{index}]"), "must be a person: …@c.us, …@lid or a phone number");
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Some(ids)
}

/// A name that is not blank.
fn subject(fields: &mut Fields) -> Option<String> {
    let name = fields.given(&["subject", "name"]);
    let text = fields.text(name, SUBJECT_CHARS).filter(|text| !text.trim().is_empty());
    fields.require(name, text, "the group's name, 1 to 100 characters")
}

/// A group to make.
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "subject": "Friends", "participants": ["15550100001@c.us", "15550100002@c.us"] }))]
struct CreateGroup {
    /// Its name. `name` is accepted too.
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
    /// Who is in it besides our account.
    #[schema(schema_with = schema::participant_ids)]
    participants: Vec<Jid>,
}

impl FromFields for CreateGroup {
    fn read(fields: &mut Fields) -> Option<Self> {
        let (subject, participants) = (subject(fields), people(fields));
        Some(Self { subject: subject?, participants: participants? })
    }
}

/// Make a group
#[utoipa::path(post, path = "/devices/{id}/groups", operation_id = "createGroup", tag = "groups",
    request_body = CreateGroup,
    responses((status = 201, description = "The group", body = Success<GroupObject>)))]
async fn create(
    State(services): State<Services>,
    Device(device): Device,
    Body(CreateGroup { subject, participants }): Body<CreateGroup>,
) -> Result<Created<GroupObject>, ApiError> {
    Ok(Created(services.messaging.create_group(&device, subject, participants).await?.into()))
}

/// Show a group
#[utoipa::path(get, path = "/devices/{id}/groups/{gid}", operation_id = "getGroup", tag = "groups",
    responses((status = 200, description = "The group, with who is in it", body = Success<GroupObject>)))]
async fn show(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
) -> Result<Success<GroupObject>, ApiError> {
    Ok(Success::new(services.messaging.group(&device, &group).await?.into()))
}
