//! Notifications of operators: list and mark as read. The operator is the user of a verified access token,
//! else the API key with the label of the token; each operator has a read and mute state of its own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Page, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Alias, Body, Device, DeviceOrAll, Query, Report, Request};
use super::operator::Operator;
use super::paging::{LIMIT, OFFSET, default_limit, move_page};
use super::routes::below_device;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{ListedNotification, NotificationPage, NotificationQuery, Services};

mod mutes;
mod push;
mod rules;
mod sounds;
mod test;

pub(super) use self::sounds::assets;

/// The operations of this file and its parts.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::EventsRead, &[], routes!(list)))
        .routes(guarded(Scope::EventsRead, &[], below_device(routes!(list))))
        .routes(guarded(Scope::EventsRead, &[], routes!(read)))
        .merge(mutes::routes())
        .merge(test::routes())
        .merge(rules::routes())
        .merge(push::routes())
        .merge(sounds::routes())
}

/// The priority of a notification.
#[derive(ToSchema)]
#[schema(as = NotificationPriority, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum PriorityWord {
    Low,
    Normal,
    High,
}

/// An action of a rule.
#[derive(ToSchema)]
#[schema(as = NotificationAction, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
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
    /// Its id. A coalesced notification keeps it.
    #[schema(example = "shop-42")]
    id: String,
    /// Its device.
    device_id: String,
    /// The kind of its trigger.
    #[schema(example = "message")]
    kind: String,
    /// Its priority.
    #[schema(value_type = PriorityWord)]
    priority: &'static str,
    /// Its first line.
    #[schema(example = "Anna (3 new messages)")]
    title: String,
    /// Its other lines.
    body: String,
    /// The name of its sound.
    #[schema(example = "message")]
    sound: Option<String>,
    /// The address of its sound.
    #[schema(example = "/assets/sounds/message")]
    sound_url: Option<String>,
    /// Its chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    chat_id: Option<String>,
    /// The number of events that it counts.
    #[schema(minimum = 1, example = 3)]
    count: u32,
    /// The time of the notification.
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

/// The position of a page of notifications, and the number of unread ones.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationPagination {
    /// All notifications.
    #[schema(minimum = 0)]
    total: i64,
    /// Notifications that the operator has not read.
    #[schema(minimum = 0)]
    unread: i64,
    /// Entries on this page.
    #[schema(minimum = 0)]
    returned: usize,
    /// The limit of the request.
    #[schema(minimum = 1, maximum = 100)]
    limit: usize,
    /// Skipped entries.
    #[schema(minimum = 0)]
    offset: usize,
    /// Whether more follow.
    has_more: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NotificationsQuery {
    /// Only notifications that the operator has not read.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    unread: bool,
    /// The most entries of a page.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The entries to skip.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl Request for NotificationsQuery {
    const ALIASES: &'static [Alias] = &[LIMIT, OFFSET];

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        move_page(object, report);
    }
}

/// List notifications
///
/// The notifications of the key's devices, or of one. The newest thousand of each device are kept.
#[utoipa::path(get, path = "/notifications", operation_id = "listNotifications", tag = "notifications",
    params(NotificationsQuery),
    responses((status = 200, description = "Notifications, the newest first", body = Page<NotificationObject, NotificationPagination>)))]
async fn list(
    caller: Caller,
    Operator(operator): Operator,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    Query(NotificationsQuery { unread, limit, offset }): Query<NotificationsQuery>,
) -> Result<Page<NotificationObject, NotificationPagination>, ApiError> {
    let devices = match device {
        Some(device) => {
            services.fleet.device(&device).await?;
            Some(vec![device])
        }
        None => caller.devices().map(<[DeviceId]>::to_vec),
    };
    let found =
        services.notify.notifications(NotificationQuery { devices, operator, unread, limit, offset }).await?;
    let NotificationPage { page, total, unread } = found;
    let (returned, end) = (page.len(), i64::try_from(offset.saturating_add(page.len())).unwrap_or(i64::MAX));
    let has_more = returned > 0 && end < total;
    let pagination = NotificationPagination { total, unread, returned, limit, offset, has_more };
    Ok(Page::new(page.into_iter().map(NotificationObject::from).collect(), pagination))
}

/// The notifications to mark as read; all of the device without ids.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "ids": ["shop-42"] }))]
struct ReadNotifications {
    /// Only these notifications.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    ids: Option<Vec<String>>,
}

impl Request for ReadNotifications {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);
}

/// The number of unread notifications.
#[derive(Serialize, ToSchema)]
struct Unread {
    /// Notifications of the device that the operator has not read.
    #[schema(minimum = 0)]
    unread: i64,
}

/// Mark notifications as read
///
/// For this operator only. A notification that counts another event later is unread again.
#[utoipa::path(post, path = "/devices/{id}/notifications/read", operation_id = "readNotifications", tag = "notifications",
    request_body = Option<ReadNotifications>,
    responses((status = 200, description = "The number of unread notifications", body = Success<Unread>)))]
async fn read(
    Operator(operator): Operator,
    State(services): State<Services>,
    Device(device): Device,
    Body(ReadNotifications { ids }): Body<ReadNotifications>,
) -> Result<Success<Unread>, ApiError> {
    Ok(Success::new(Unread { unread: services.notify.read_notifications(&operator, &device, ids).await? }))
}
