//! Notifications: what people were told, and what each of them has read.
//!
//! Read and mute state is an operator's: of who a verified access token names, else of the API key with the label that
//! the token is. [`mutes`] and [`rules`] say what is told, [`push`] are browsers that want it,
//! [`sounds`] what is heard; [`test`] tries it out.

use axum::extract::State;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Page, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Device, Fields, FromFields, Query};
use super::operator::Operator;
use super::paging::{Window, window};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{ListedNotification, NotificationPage, NotificationQuery, Services};

mod mutes;
mod push;
mod rules;
mod sounds;
mod test;

pub(super) use self::sounds::assets;

/// Notifications that one request may mark as read.
const MAX_IDS: usize = 1_000;

/// The operations of this file and its parts.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::EventsRead, &[], routes!(list)))
        .routes(guarded(Scope::EventsRead, &[], routes!(list_of_device)))
        .routes(guarded(Scope::EventsRead, &[], routes!(read)))
        .merge(mutes::routes())
        .merge(test::routes())
        .merge(rules::routes())
        .merge(push::routes())
        .merge(sounds::routes())
}

/// How much a notification matters.
#[derive(ToSchema)]
#[schema(as = NotificationPriority, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
enum PriorityWord {
    Low,
    Normal,
    High,
}

/// What a rule may ask for.
#[derive(ToSchema)]
#[schema(as = NotificationAction, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
enum ActionWord {
    Dashboard,
    Desktop,
    Sound,
    Command,
    Webhook,
    Push,
}

/// A notification, as the event `notification` has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Notification)]
#[serde(rename_all = "camelCase")]
struct NotificationObject {
    /// Names it. One that grows keeps its id.
    #[schema(example = "shop-42")]
    id: String,
    /// Whose.
    device_id: String,
    /// What happened.
    #[schema(example = "message")]
    kind: String,
    /// How much it matters.
    #[schema(value_type = PriorityWord)]
    priority: &'static str,
    /// The first line.
    #[schema(example = "Anna (3 new messages)")]
    title: String,
    /// The rest.
    body: String,
    /// The name of the sound that goes with it.
    #[schema(example = "message")]
    sound: Option<String>,
    /// Where that sound is.
    #[schema(example = "/assets/sounds/message")]
    sound_url: Option<String>,
    /// The chat that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    chat_id: Option<String>,
    /// How many it stands for.
    #[schema(minimum = 1, example = 3)]
    count: u32,
    /// When it was told.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// Whether the operator has read it.
    #[schema(example = false)]
    read: bool,
}

impl From<ListedNotification> for NotificationObject {
    fn from(listed: ListedNotification) -> Self {
        let ListedNotification { device, shown, at, read } = listed;
        Self {
            id: shown.id,
            device_id: device.into(),
            kind: shown.kind,
            priority: shown.priority.as_str(),
            title: shown.title,
            body: shown.body,
            sound: shown.sound,
            sound_url: shown.sound_url,
            chat_id: shown.chat_id.map(|chat| chat.to_string()),
            count: shown.count,
            timestamp: at,
            read,
        }
    }
}

/// Where a page of notifications stands, and how many are left to be read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationPagination {
    /// Notifications in all.
    #[schema(minimum = 0)]
    total: i64,
    /// Those that the operator has not read.
    #[schema(minimum = 0)]
    unread: i64,
    /// On this page.
    #[schema(minimum = 0)]
    returned: usize,
    /// Asked for.
    #[schema(minimum = 1, maximum = 100)]
    limit: usize,
    /// Skipped.
    #[schema(minimum = 0)]
    offset: usize,
    /// Whether more follow.
    has_more: bool,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct NotificationsQuery {
    /// Only those that the operator has not read.
    #[param(value_type = Option<bool>)]
    unread: bool,
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// After so many.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl FromFields for NotificationsQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let unread = fields.boolean("unread").unwrap_or(false);
        let Window { limit, offset } = window(fields);
        Some(Self { unread, limit, offset })
    }
}

type Listing = Result<Page<NotificationObject, NotificationPagination>, ApiError>;

/// List notifications
///
/// Those of all devices of the key. The newest thousand of each device are kept.
#[utoipa::path(get, path = "/notifications", operation_id = "listNotifications", tag = "notifications",
    params(NotificationsQuery),
    responses((status = 200, description = "Notifications, the newest first", body = Page<NotificationObject, NotificationPagination>)))]
async fn list(
    caller: Caller,
    Operator(operator): Operator,
    State(services): State<Services>,
    Query(query): Query<NotificationsQuery>,
) -> Listing {
    listing(&services, operator, caller.devices().map(<[DeviceId]>::to_vec), query).await
}

/// List a device's notifications
#[utoipa::path(get, path = "/devices/{id}/notifications", operation_id = "listDeviceNotifications", tag = "notifications",
    params(NotificationsQuery),
    responses((status = 200, description = "Notifications, the newest first", body = Page<NotificationObject, NotificationPagination>)))]
async fn list_of_device(
    Operator(operator): Operator,
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<NotificationsQuery>,
) -> Listing {
    services.fleet.device(&device).await?;
    listing(&services, operator, Some(vec![device]), query).await
}

async fn listing(
    services: &Services,
    operator: OperatorId,
    devices: Option<Vec<DeviceId>>,
    query: NotificationsQuery,
) -> Listing {
    let NotificationsQuery { unread, limit, offset } = query;
    let found =
        services.notify.notifications(NotificationQuery { devices, operator, unread, limit, offset }).await?;
    let NotificationPage { page, total, unread } = found;
    let (returned, end) = (page.len(), i64::try_from(offset.saturating_add(page.len())).unwrap_or(i64::MAX));
    let has_more = returned > 0 && end < total;
    let pagination = NotificationPagination { total, unread, returned, limit, offset, has_more };
    Ok(Page::new(page.into_iter().map(NotificationObject::from).collect(), pagination))
}

/// What was read. Without ids: all of the device's.
#[derive(ToSchema)]
#[schema(example = json!({ "ids": ["shop-42"] }))]
struct ReadNotifications {
    /// Which ones.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    ids: Option<Vec<String>>,
}

impl FromFields for ReadNotifications {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.only(&["ids"]);
        Some(Self { ids: fields.list("ids", MAX_IDS) })
    }
}

/// What is left to be read.
#[derive(Serialize, ToSchema)]
struct Unread {
    /// Notifications of the device that the operator has not read.
    #[schema(minimum = 0)]
    unread: i64,
}

/// Mark notifications as read
///
/// For this operator alone. One that grows afterwards is unread again.
#[utoipa::path(post, path = "/devices/{id}/notifications/read", operation_id = "readNotifications", tag = "notifications",
    request_body = Option<ReadNotifications>,
    responses((status = 200, description = "How many are left", body = Success<Unread>)))]
async fn read(
    Operator(operator): Operator,
    State(services): State<Services>,
    Device(device): Device,
    Body(ReadNotifications { ids }): Body<ReadNotifications>,
) -> Result<Success<Unread>, ApiError> {
    Ok(Success::new(Unread { unread: services.notify.read_notifications(&operator, &device, ids).await? }))
}
