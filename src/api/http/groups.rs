//! Groups: list, create, show. Changes have a file of their own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Offsets, Page, Success};
use super::error::ApiError;
use super::guard::guarded;
use super::input::loose::distinct;
use super::input::{Alias, Body, Device, Group as GroupParam, Query, Report, Request};
use super::paging::{LIMIT, OFFSET, SEARCH, default_limit, move_page};
use super::schema::{self, ParticipantObject};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::group::{Group, Participant};
use crate::domain::jid::{Jid, JidKind};
use crate::service::{GroupQuery, ListedGroup, Services};

mod changes;

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
    /// Its description.
    description: Option<String>,
    /// The person who created it.
    #[schema(example = "15550100099@c.us")]
    owner: Option<String>,
    /// The time of its creation.
    #[schema(value_type = Option<i64>)]
    created_at: Option<Millis>,
    /// The number of its members, our account included.
    #[schema(minimum = 0)]
    participant_count: i64,
    /// Its members; absent in lists.
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

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListGroups {
    /// Only groups whose name or id contains this text. `q` is accepted too.
    #[param(max_length = 256)]
    search: Option<String>,
    /// The most entries of a page. `take` and `pageSize` are accepted too.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The entries to skip. `skip` is accepted too, and `page` from 1.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl Request for ListGroups {
    const ALIASES: &'static [Alias] = &[SEARCH, LIMIT, OFFSET];

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        move_page(object, report);
    }
}

/// List groups
///
/// The groups of the account, by name.
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

/// Another name of `subject`.
const SUBJECT: Alias = ("subject", &["name"]);

/// Participants are people, and at least one.
fn check_participants(participants: &[Jid], report: &mut Report) {
    if participants.is_empty() {
        report.error("participants", "is required: a list of 1 to 256 people");
    }
    for (index, id) in participants.iter().enumerate() {
        if !matches!(id.kind(), JidKind::Person | JidKind::Lid) {
            let right = "must be a person: …@c.us, …@lid or a phone number";
            report.error(format!("participants[{index}]"), right);
        }
    }
}

/// A group to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "subject": "Friends", "participants": ["15550100001@c.us", "15550100002@c.us"] }))]
struct CreateGroup {
    /// Its name. `name` is accepted too.
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
    /// Its members besides our account.
    #[schema(schema_with = schema::participant_ids)]
    participants: Vec<Jid>,
}

impl Request for CreateGroup {
    const ALIASES: &'static [Alias] = &[SUBJECT];

    fn check(&self, report: &mut Report) {
        check_participants(&self.participants, report);
    }
}

/// Create a group
#[utoipa::path(post, path = "/devices/{id}/groups", operation_id = "createGroup", tag = "groups",
    request_body = CreateGroup,
    responses((status = 201, description = "The group", body = Success<GroupObject>)))]
async fn create(
    State(services): State<Services>,
    Device(device): Device,
    Body(CreateGroup { subject, participants }): Body<CreateGroup>,
) -> Result<Created<GroupObject>, ApiError> {
    Ok(Created(services.messaging.create_group(&device, subject, distinct(participants)).await?.into()))
}

/// Show a group
#[utoipa::path(get, path = "/devices/{id}/groups/{gid}", operation_id = "getGroup", tag = "groups",
    responses((status = 200, description = "The group with its members", body = Success<GroupObject>)))]
async fn show(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
) -> Result<Success<GroupObject>, ApiError> {
    Ok(Success::new(services.messaging.group(&device, &group).await?.into()))
}
