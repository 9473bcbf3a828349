//! Rules of notifications: those of all devices, and those of one.

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
use crate::api::http::input::{Body, Device, Fields, FromFields, NotificationRule};
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, Rule, RuleId, RuleOrigin, RuleSpec};
use crate::service::{RuleChange, ServiceError, Services};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(list)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(create)))
        .routes(guarded(Scope::DevicesRead, &[404], routes!(show)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(change)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(remove)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(list_of_device)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(create_of_device)))
        .routes(guarded(Scope::DevicesRead, &[404], routes!(show_of_device)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(change_of_device)))
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(remove_of_device)))
}

/// Where a rule comes from.
#[derive(ToSchema)]
#[schema(as = NotificationRuleOrigin, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
enum OriginWord {
    File,
    Api,
    Settings,
    Default,
}

/// Groups, or people.
#[derive(ToSchema)]
#[schema(as = NotificationChatKind, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
enum ChatKindWord {
    Group,
    Person,
}

/// Hours of the day.
#[derive(ToSchema)]
#[schema(as = NotificationHours, rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document")]
struct HoursObject {
    /// From this time on.
    #[schema(example = "09:00")]
    from: String,
    /// Up to this one, over midnight where it is the earlier.
    #[schema(example = "17:00")]
    to: String,
    /// Where, by an IANA name; UTC, when left out.
    #[schema(example = "Europe/Berlin", required = false)]
    time_zone: Option<String>,
}

/// What a rule asks for. What is left out asks for nothing.
#[derive(ToSchema)]
#[schema(as = NotificationMatch, rename_all = "camelCase")]
#[schema(example = json!({ "events": ["message"], "text": "order*" }))]
#[expect(dead_code, reason = "for the document")]
struct MatchObject {
    /// What happened: `message`, `call`, `missed_call`, `offline`, `qr`, `error`, `message_failed`, `webhook_dead`,
    /// `webhook_disabled`, or a beginning with `*`.
    #[schema(required = false, max_items = 100)]
    events: Option<Vec<String>>,
    /// On one of these devices.
    #[schema(required = false, max_items = 100)]
    devices: Option<Vec<String>>,
    /// In one of these chats.
    #[schema(required = false, max_items = 100)]
    chats: Option<Vec<String>>,
    /// By one of these people.
    #[schema(required = false, max_items = 100)]
    people: Option<Vec<String>>,
    /// In a group, or in a chat with one person.
    #[schema(value_type = Option<ChatKindWord>, required = false)]
    r#in: Option<String>,
    /// The text holds this, or, with `*` for any characters, is like this; in upper or lower case.
    #[schema(required = false, max_length = 200)]
    text: Option<String>,
    /// Whether the device's account is mentioned.
    #[schema(required = false)]
    mention: Option<bool>,
    /// At this time of day.
    #[schema(value_type = Option<HoursObject>, required = false)]
    hours: Option<()>,
    /// Matters at least so much.
    #[schema(value_type = Option<PriorityWord>, required = false)]
    priority: Option<()>,
}

/// A rule. The first that matches decides.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationRule)]
#[serde(rename_all = "camelCase")]
struct RuleObject {
    /// Its id.
    #[schema(example = "nr_3f0a8c5e9b7d41261122")]
    id: String,
    /// Whose; of all devices, when `null`.
    device_id: Option<String>,
    /// `file` and `api` rules of the device are asked first, then `api` rules of all, those of the `settings` and those
    /// of the binary (`default`).
    #[schema(value_type = OriginWord, example = "api")]
    origin: RuleOrigin,
    /// What people call it.
    #[schema(example = "orders")]
    name: String,
    /// Whether it counts.
    #[schema(example = true)]
    enabled: bool,
    /// What it asks for.
    #[serde(rename = "match")]
    #[schema(value_type = MatchObject)]
    matches: crate::domain::notify::Match,
    /// What becomes of what matches; nothing: it is silent.
    #[schema(value_type = Vec<ActionWord>, example = json!(["dashboard", "sound"]))]
    actions: Vec<crate::domain::notify::Action>,
    /// How much it matters then; as it is, when `null`.
    #[schema(value_type = Option<PriorityWord>, example = "high")]
    priority: Option<crate::domain::notify::Priority>,
    /// The sound; that of what happened, when `null`.
    #[schema(example = "call")]
    sound: Option<String>,
    /// How loud, on top of the settings.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
    volume: Option<f32>,
    /// Which of `notify.commands` is run.
    #[schema(example = json!(null))]
    command: Option<String>,
    /// What follows in the same chat within this time is counted into one.
    #[schema(example = "10s")]
    group: Option<String>,
    /// What follows within this time is left out.
    #[schema(example = json!(null))]
    throttle: Option<String>,
    /// Whether it keeps to the quiet hours of the settings.
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

/// A rule to be made, or what changes of one. To make one, `actions` are needed.
#[derive(ToSchema)]
#[schema(as = NotificationRuleInput)]
#[schema(example = json!({ "name": "orders", "match": { "events": ["message"], "text": "order*" }, "actions": ["dashboard", "sound"], "priority": "high", "sound": "call", "group": "10s" }))]
#[expect(dead_code, reason = "for the document")]
struct RuleInput {
    /// What people call it.
    #[schema(max_length = 64, required = false)]
    name: Option<String>,
    /// Whether it counts; it does, when left out.
    #[schema(required = false)]
    enabled: Option<bool>,
    /// What it asks for.
    #[schema(value_type = Option<MatchObject>, required = false)]
    r#match: Option<()>,
    /// What becomes of what matches; nothing: it is silent.
    #[schema(value_type = Option<Vec<ActionWord>>, required = false)]
    actions: Option<()>,
    /// How much it matters then.
    #[schema(value_type = Option<PriorityWord>, required = false)]
    priority: Option<()>,
    /// A sound's name.
    #[schema(max_length = 64, required = false)]
    sound: Option<String>,
    /// How loud, on top of the settings.
    #[schema(minimum = 0, maximum = 1, required = false)]
    volume: Option<f32>,
    /// The name of one of `notify.commands`; with the action `command`.
    #[schema(max_length = 64, required = false)]
    command: Option<String>,
    /// What follows in the same chat within this time is counted into one, such as `10s`.
    #[schema(max_length = 20, required = false)]
    group: Option<String>,
    /// What follows within this time is left out, such as `5m`.
    #[schema(max_length = 20, required = false)]
    throttle: Option<String>,
    /// Whether it keeps to the quiet hours; it does, when left out.
    #[schema(required = false)]
    quiet: Option<bool>,
}

/// The fields of a rule; the service says which cannot be.
struct RuleFields(Map<String, Value>);

impl FromFields for RuleFields {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.all()))
    }
}

/// A rule of all devices is for keys of all devices.
fn may_set(caller: &Caller) -> Result<(), ApiError> {
    if caller.devices().is_some() { Err(ApiError::DeviceNotAllowed) } else { Ok(()) }
}

/// What happens on the daemon's own machine is not for keys of some devices, not for theirs either. `before` is the
/// rule that is changed.
fn may_ask(caller: &Caller, fields: &Map<String, Value>, before: Option<&Rule>) -> Result<(), ApiError> {
    if caller.devices().is_none() {
        return Ok(());
    }
    let of_machine = match (fields.get("actions"), before) {
        (Some(Value::Array(words)), _) => Action::ALL
            .iter()
            .any(|(word, action)| action.is_of_the_machine() && words.iter().any(|given| given == word)),
        (_, Some(rule)) => rule.spec.actions.iter().any(|action| action.is_of_the_machine()),
        _ => false,
    };
    if of_machine { Err(ApiError::DeviceNotAllowed) } else { Ok(()) }
}

/// Whether a key may see a rule: to one of some devices, a rule of all devices that names devices, chats or people
/// would tell of other tenants, unless all of its devices are the key's.
fn may_see(caller: &Caller, rule: &Rule) -> bool {
    let (Some(own), None) = (caller.devices(), &rule.device) else { return true };
    let wanted = &rule.spec.matches;
    match wanted.devices.as_slice() {
        [] => wanted.chats.is_empty() && wanted.people.is_empty(),
        devices => devices.iter().all(|device| own.contains(device)),
    }
}

fn shown(caller: &Caller, rules: Vec<Rule>) -> Success<Vec<RuleObject>> {
    Success::new(rules.into_iter().filter(|rule| may_see(caller, rule)).map(RuleObject::from).collect())
}

/// The rule of this id, of this device or of all. Any other is not there.
fn reached(
    caller: &Caller,
    services: &Services,
    device: Option<&DeviceId>,
    id: &RuleId,
) -> Result<Rule, ApiError> {
    let rule = services.notify.notify_rule(id)?;
    let is_there = rule.device.as_ref() == device && may_see(caller, &rule);
    if is_there { Ok(rule) } else { Err(ServiceError::RuleNotFound.into()) }
}

/// List rules of notifications
///
/// Those of all devices, in the order in which they are asked. A key of some devices does not see rules that name others'
/// devices, chats or people.
#[utoipa::path(get, path = "/notifications/rules", operation_id = "listNotificationRules", tag = "notifications",
    responses((status = 200, description = "Rules, those of the settings and of the binary included", body = Success<Vec<RuleObject>>)))]
async fn list(caller: Caller, State(services): State<Services>) -> Success<Vec<RuleObject>> {
    shown(&caller, services.notify.notify_rules(None))
}

/// Make a rule of notifications
///
/// For all devices; for keys of all devices alone. It is asked after the rules of devices and after those made before.
#[utoipa::path(post, path = "/notifications/rules", operation_id = "createNotificationRule", tag = "notifications",
    request_body = RuleInput,
    responses((status = 201, description = "The rule", body = Success<RuleObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Body(RuleFields(fields)): Body<RuleFields>,
) -> Result<Created<RuleObject>, ApiError> {
    may_set(&caller)?;
    Ok(Created(services.notify.create_notify_rule(None, &fields).await?.into()))
}

/// Show a rule of notifications
#[utoipa::path(get, path = "/notifications/rules/{rid}", operation_id = "getNotificationRule", tag = "notifications",
    responses((status = 200, description = "The rule", body = Success<RuleObject>)))]
async fn show(
    caller: Caller,
    State(services): State<Services>,
    NotificationRule(id): NotificationRule,
) -> Result<Success<RuleObject>, ApiError> {
    Ok(Success::new(reached(&caller, &services, None, &id)?.into()))
}

/// Change a rule of notifications
///
/// What is left out stays; what is `null` becomes what it is without being set. Rules of files, of the settings and of
/// the binary are changed there.
#[utoipa::path(patch, path = "/notifications/rules/{rid}", operation_id = "changeNotificationRule", tag = "notifications",
    request_body = RuleInput,
    responses((status = 200, description = "The rule as it now is", body = Success<RuleObject>)))]
async fn change(
    caller: Caller,
    State(services): State<Services>,
    NotificationRule(id): NotificationRule,
    Body(RuleFields(fields)): Body<RuleFields>,
) -> Result<Success<RuleObject>, ApiError> {
    may_set(&caller)?;
    reached(&caller, &services, None, &id)?;
    Ok(Success::new(services.notify.change_notify_rule(&id, RuleChange(fields)).await?.into()))
}

/// A rule that is gone.
#[derive(Serialize, ToSchema)]
struct DeletedRule {
    /// Its id.
    #[schema(example = "nr_3f0a8c5e9b7d41261122")]
    id: String,
    /// `true`.
    deleted: bool,
}

impl DeletedRule {
    fn new(id: &RuleId) -> Success<Self> {
        Success::new(Self { id: id.to_string(), deleted: true })
    }
}

/// Delete a rule of notifications
#[utoipa::path(delete, path = "/notifications/rules/{rid}", operation_id = "deleteNotificationRule", tag = "notifications",
    responses((status = 200, description = "It is gone", body = Success<DeletedRule>)))]
async fn remove(
    caller: Caller,
    State(services): State<Services>,
    NotificationRule(id): NotificationRule,
) -> Result<Success<DeletedRule>, ApiError> {
    may_set(&caller)?;
    reached(&caller, &services, None, &id)?;
    services.notify.delete_notify_rule(&id).await?;
    Ok(DeletedRule::new(&id))
}

/// List a device's rules of notifications
///
/// All that its happenings are held against, in order; those of all devices included.
#[utoipa::path(get, path = "/devices/{id}/notifications/rules", operation_id = "listDeviceNotificationRules", tag = "notifications",
    responses((status = 200, description = "Rules", body = Success<Vec<RuleObject>>)))]
async fn list_of_device(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
) -> Result<Success<Vec<RuleObject>>, ApiError> {
    services.fleet.device(&device).await?;
    Ok(shown(&caller, services.notify.notify_rules(Some(&device))))
}

/// Make a rule of notifications of a device
///
/// The actions `desktop`, `sound` and `command` happen on the daemon's own machine: only with a key of all devices.
#[utoipa::path(post, path = "/devices/{id}/notifications/rules", operation_id = "createDeviceNotificationRule", tag = "notifications",
    request_body = RuleInput,
    responses((status = 201, description = "The rule", body = Success<RuleObject>)))]
async fn create_of_device(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    Body(RuleFields(fields)): Body<RuleFields>,
) -> Result<Created<RuleObject>, ApiError> {
    may_ask(&caller, &fields, None)?;
    Ok(Created(services.notify.create_notify_rule(Some(device), &fields).await?.into()))
}

/// Show a rule of notifications of a device
#[utoipa::path(get, path = "/devices/{id}/notifications/rules/{rid}", operation_id = "getDeviceNotificationRule", tag = "notifications",
    responses((status = 200, description = "The rule", body = Success<RuleObject>)))]
async fn show_of_device(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    NotificationRule(id): NotificationRule,
) -> Result<Success<RuleObject>, ApiError> {
    Ok(Success::new(reached(&caller, &services, Some(&device), &id)?.into()))
}

/// Change a rule of notifications of a device
///
/// What is left out stays; what is `null` becomes what it is without being set. One that does something on the daemon's
/// own machine afterwards is only changed with a key of all devices.
#[utoipa::path(patch, path = "/devices/{id}/notifications/rules/{rid}", operation_id = "changeDeviceNotificationRule", tag = "notifications",
    request_body = RuleInput,
    responses((status = 200, description = "The rule as it now is", body = Success<RuleObject>)))]
async fn change_of_device(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    NotificationRule(id): NotificationRule,
    Body(RuleFields(fields)): Body<RuleFields>,
) -> Result<Success<RuleObject>, ApiError> {
    let before = reached(&caller, &services, Some(&device), &id)?;
    may_ask(&caller, &fields, Some(&before))?;
    Ok(Success::new(services.notify.change_notify_rule(&id, RuleChange(fields)).await?.into()))
}

/// Delete a rule of notifications of a device
#[utoipa::path(delete, path = "/devices/{id}/notifications/rules/{rid}", operation_id = "deleteDeviceNotificationRule", tag = "notifications",
    responses((status = 200, description = "It is gone", body = Success<DeletedRule>)))]
async fn remove_of_device(
    caller: Caller,
    State(services): State<Services>,
    Device(device): Device,
    NotificationRule(id): NotificationRule,
) -> Result<Success<DeletedRule>, ApiError> {
    reached(&caller, &services, Some(&device), &id)?;
    services.notify.delete_notify_rule(&id).await?;
    Ok(DeletedRule::new(&id))
}
