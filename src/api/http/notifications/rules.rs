//! Notification rules, of all devices and of one. The same operations serve both paths; a rule of all devices
//! is for keys of all devices.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ActionWord, PriorityWord};
use crate::api::http::ApiState;
use crate::api::http::envelope::{Created, Success};
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{DeviceOrAll, JsonObject, NotificationRule};
use crate::api::http::routes::below_device;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, Rule, RuleId, RuleOrigin, RuleSpec};
use crate::service::{RuleChange, ServiceError, Services};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let read = |routes| guarded(Scope::DevicesRead, &[404], routes);
    let write = |routes| guarded(Scope::DevicesWrite, &[404, 409], routes);
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(list)))
        .routes(guarded(Scope::DevicesRead, &[], below_device(routes!(list))))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(create)))
        .routes(guarded(Scope::DevicesWrite, &[409], below_device(routes!(create))))
        .routes(read(routes!(show)))
        .routes(read(below_device(routes!(show))))
        .routes(write(routes!(change)))
        .routes(write(below_device(routes!(change))))
        .routes(write(routes!(remove)))
        .routes(write(below_device(routes!(remove))))
}

/// The origin of a rule.
#[derive(ToSchema)]
#[schema(as = NotificationRuleOrigin, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum OriginWord {
    File,
    Api,
    Settings,
    Default,
}

/// The kind of a chat.
#[derive(ToSchema)]
#[schema(as = NotificationChatKind, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum ChatKindWord {
    Group,
    Person,
}

/// Hours of the day.
#[derive(ToSchema)]
#[schema(as = NotificationHours, rename_all = "camelCase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
struct HoursObject {
    /// The beginning.
    #[schema(example = "09:00")]
    from: String,
    /// The end; on the next day if it is the earlier time.
    #[schema(example = "17:00")]
    to: String,
    /// The time zone, an IANA name; UTC when absent.
    #[schema(example = "Europe/Berlin", required = false)]
    time_zone: Option<String>,
}

/// The conditions of a rule. An absent condition always holds.
#[derive(ToSchema)]
#[schema(as = NotificationMatch, rename_all = "camelCase")]
#[schema(example = json!({ "events": ["message"], "text": "order*" }))]
#[expect(dead_code, reason = "only in the OpenAPI document")]
struct MatchObject {
    /// The trigger: `message`, `call`, `missed_call`, `offline`, `qr`, `error`, `message_failed`, `webhook_dead`,
    /// `webhook_disabled`, or a prefix with `*`.
    #[schema(required = false, max_items = 100)]
    events: Option<Vec<String>>,
    /// One of these devices.
    #[schema(required = false, max_items = 100)]
    devices: Option<Vec<String>>,
    /// One of these chats.
    #[schema(required = false, max_items = 100)]
    chats: Option<Vec<String>>,
    /// One of these people as the author.
    #[schema(required = false, max_items = 100)]
    people: Option<Vec<String>>,
    /// A group, or a chat with one person.
    #[schema(value_type = Option<ChatKindWord>, required = false)]
    r#in: Option<String>,
    /// The text contains this, or matches it with `*` for any characters; case is ignored.
    #[schema(required = false, max_length = 200)]
    text: Option<String>,
    /// Whether the device's account is mentioned.
    #[schema(required = false)]
    mention: Option<bool>,
    /// The time of day.
    #[schema(value_type = Option<HoursObject>, required = false)]
    hours: Option<()>,
    /// The least priority.
    #[schema(value_type = Option<PriorityWord>, required = false)]
    priority: Option<()>,
}

/// A rule. The first matching rule decides.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationRule)]
#[serde(rename_all = "camelCase")]
struct RuleObject {
    /// Its id.
    #[schema(example = "nr_3f0a8c5e9b7d41261122")]
    id: String,
    /// Its device; all devices when `null`.
    device_id: Option<String>,
    /// The order of rules: `file` and `api` rules of the device, `api` rules of all devices, rules of the `settings`, and
    /// built-in rules (`default`).
    #[schema(value_type = OriginWord, example = "api")]
    origin: RuleOrigin,
    /// Its name.
    #[schema(example = "orders")]
    name: String,
    /// Whether the rule is active.
    #[schema(example = true)]
    enabled: bool,
    /// Its conditions.
    #[serde(rename = "match")]
    #[schema(value_type = MatchObject)]
    matches: crate::domain::notify::Match,
    /// The actions for a match; none keep it silent.
    #[schema(value_type = Vec<ActionWord>, example = json!(["dashboard", "sound"]))]
    actions: Vec<crate::domain::notify::Action>,
    /// The priority of the notification; that of the trigger when `null`.
    #[schema(value_type = Option<PriorityWord>, example = "high")]
    priority: Option<crate::domain::notify::Priority>,
    /// The sound; that of the trigger when `null`.
    #[schema(example = "call")]
    sound: Option<String>,
    /// The volume, relative to that of the settings.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
    volume: Option<f32>,
    /// The command to run, one of `notify.commands`.
    #[schema(example = json!(null))]
    command: Option<String>,
    /// Coalesces events of the same chat within this time.
    #[schema(example = "10s")]
    group: Option<String>,
    /// Suppresses events within this time.
    #[schema(example = json!(null))]
    throttle: Option<String>,
    /// Whether the quiet hours of the settings apply.
    #[schema(example = true)]
    quiet: bool,
}

impl From<Rule> for RuleObject {
    fn from(rule: Rule) -> Self {
        let RuleSpec {
            name,
            enabled,
            matches,
            actions,
            priority,
            sound,
            volume,
            command,
            group,
            throttle,
            quiet,
        } = rule.spec;
        Self {
            id: rule.id.to_string(),
            device_id: rule.device.map(String::from),
            origin: rule.origin,
            name,
            enabled,
            matches,
            actions,
            priority,
            sound,
            volume,
            command,
            group: group.map(|span| span.to_string()),
            throttle: throttle.map(|span| span.to_string()),
            quiet,
        }
    }
}

/// A rule to create, or the changes of a rule. A new rule needs `actions`.
#[derive(ToSchema)]
#[schema(as = NotificationRuleInput)]
#[schema(example = json!({ "name": "orders", "match": { "events": ["message"], "text": "order*" }, "actions": ["dashboard", "sound"], "priority": "high", "sound": "call", "group": "10s" }))]
#[expect(dead_code, reason = "only in the OpenAPI document")]
struct RuleInput {
    /// Its name.
    #[schema(max_length = 64, required = false)]
    name: Option<String>,
    /// Whether the rule is active; `true` by default.
    #[schema(required = false)]
    enabled: Option<bool>,
    /// Its conditions.
    #[schema(value_type = Option<MatchObject>, required = false)]
    r#match: Option<()>,
    /// The actions for a match; none keep it silent.
    #[schema(value_type = Option<Vec<ActionWord>>, required = false)]
    actions: Option<()>,
    /// The priority of the notification.
    #[schema(value_type = Option<PriorityWord>, required = false)]
    priority: Option<()>,
    /// The name of a sound.
    #[schema(max_length = 64, required = false)]
    sound: Option<String>,
    /// The volume, relative to that of the settings.
    #[schema(minimum = 0, maximum = 1, required = false)]
    volume: Option<f32>,
    /// The name of one of `notify.commands`; with the action `command`.
    #[schema(max_length = 64, required = false)]
    command: Option<String>,
    /// Coalesces events of the same chat within this time, such as `10s`.
    #[schema(max_length = 20, required = false)]
    group: Option<String>,
    /// Suppresses events within this time, such as `5m`.
    #[schema(max_length = 20, required = false)]
    throttle: Option<String>,
    /// Whether the quiet hours apply; `true` by default.
    #[schema(required = false)]
    quiet: Option<bool>,
}

/// A rule of all devices needs a key of all devices. So do actions on the daemon's own machine, also in rules
/// of one device. `before` is the rule to change.
fn authorize_change(
    caller: &Caller,
    device: Option<&DeviceId>,
    fields: &Map<String, Value>,
    before: Option<&Rule>,
) -> Result<(), ApiError> {
    if caller.devices().is_none() {
        return Ok(());
    }
    let is_local = match (fields.get("actions"), before) {
        (Some(Value::Array(words)), _) => Action::ALL
            .iter()
            .any(|(word, action)| action.runs_locally() && words.iter().any(|given| given == word)),
        (_, Some(rule)) => rule.spec.actions.iter().any(|action| action.runs_locally()),
        _ => false,
    };
    if device.is_none() || is_local { Err(ApiError::DeviceNotAllowed) } else { Ok(()) }
}

/// A key of some devices does not see rules of all devices that name devices, chats or people of others.
fn may_see(caller: &Caller, rule: &Rule) -> bool {
    let (Some(own), None) = (caller.devices(), &rule.device) else { return true };
    let conditions = &rule.spec.matches;
    match conditions.devices.as_slice() {
        [] => conditions.chats.is_empty() && conditions.people.is_empty(),
        devices => devices.iter().all(|device| own.contains(device)),
    }
}

/// The rule of this id, of this device or of all. Any other does not exist for the key.
fn authorize(
    caller: &Caller,
    services: &Services,
    device: Option<&DeviceId>,
    id: &RuleId,
) -> Result<Rule, ApiError> {
    let rule = services.notify.notify_rule(id)?;
    let is_visible = rule.device.as_ref() == device && may_see(caller, &rule);
    if is_visible { Ok(rule) } else { Err(ServiceError::RuleNotFound.into()) }
}

/// List the notification rules
///
/// In the order of their evaluation: the rules of all devices, or all rules that apply to one. A key of some devices does
/// not see rules that name devices, chats or people of others.
#[utoipa::path(get, path = "/notifications/rules", operation_id = "listNotificationRules", tag = "notifications",
    responses((status = 200, description = "Rules, those of the settings and the built-in ones included", body = Success<Vec<RuleObject>>)))]
async fn list(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
) -> Result<Success<Vec<RuleObject>>, ApiError> {
    if let Some(device) = &device {
        services.fleet.device(device).await?;
    }
    let rules = services.notify.notify_rules(device.as_ref());
    let visible = rules.into_iter().filter(|rule| may_see(&caller, rule));
    Ok(Success::new(visible.map(RuleObject::from).collect()))
}

/// Create a notification rule
///
/// A rule of all devices needs a key of all devices, and so do the actions `desktop`, `sound` and `command`, which run on
/// the daemon's own machine. Rules of devices are evaluated first, then older rules first.
#[utoipa::path(post, path = "/notifications/rules", operation_id = "createNotificationRule", tag = "notifications",
    request_body = RuleInput,
    responses((status = 201, description = "The rule", body = Success<RuleObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    JsonObject(fields): JsonObject,
) -> Result<Created<RuleObject>, ApiError> {
    authorize_change(&caller, device.as_ref(), &fields, None)?;
    Ok(Created(services.notify.create_notify_rule(device, &fields).await?.into()))
}

/// Show a notification rule
#[utoipa::path(get, path = "/notifications/rules/{rid}", operation_id = "getNotificationRule", tag = "notifications",
    responses((status = 200, description = "The rule", body = Success<RuleObject>)))]
async fn show(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    NotificationRule(id): NotificationRule,
) -> Result<Success<RuleObject>, ApiError> {
    Ok(Success::new(authorize(&caller, &services, device.as_ref(), &id)?.into()))
}

/// Change a notification rule
///
/// Absent fields stay as they are; `null` resets a field to its default. Rules of files, of the settings and of the
/// binary cannot be changed here. A rule with actions on the daemon's own machine needs a key of all devices.
#[utoipa::path(patch, path = "/notifications/rules/{rid}", operation_id = "changeNotificationRule", tag = "notifications",
    request_body = RuleInput,
    responses((status = 200, description = "The changed rule", body = Success<RuleObject>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    NotificationRule(id): NotificationRule,
    JsonObject(fields): JsonObject,
) -> Result<Success<RuleObject>, ApiError> {
    if device.is_none() {
        authorize_change(&caller, None, &fields, None)?;
    }
    let before = authorize(&caller, &services, device.as_ref(), &id)?;
    authorize_change(&caller, device.as_ref(), &fields, Some(&before))?;
    Ok(Success::new(services.notify.change_notify_rule(&id, RuleChange(fields)).await?.into()))
}

/// A deleted rule.
#[derive(Serialize, ToSchema)]
struct DeletedRule {
    /// Its id.
    #[schema(example = "nr_3f0a8c5e9b7d41261122")]
    id: String,
    /// `true`.
    deleted: bool,
}

/// Delete a notification rule
#[utoipa::path(delete, path = "/notifications/rules/{rid}", operation_id = "deleteNotificationRule", tag = "notifications",
    responses((status = 200, description = "The rule is deleted", body = Success<DeletedRule>)))]
async fn remove(
    caller: Caller,
    State(services): State<Services>,
    DeviceOrAll(device): DeviceOrAll,
    NotificationRule(id): NotificationRule,
) -> Result<Success<DeletedRule>, ApiError> {
    if device.is_none() {
        authorize_change(&caller, None, &Map::new(), None)?;
    }
    authorize(&caller, &services, device.as_ref(), &id)?;
    services.notify.delete_notify_rule(&id).await?;
    Ok(Success::new(DeletedRule { id: id.to_string(), deleted: true }))
}
