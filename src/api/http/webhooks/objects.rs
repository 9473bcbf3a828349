//! Webhooks and what came of them, as they are shown: never with what is secret of them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::requests::{FormatWord, OrderingWord};
use crate::domain::clock::Millis;
use crate::domain::webhook::{DisabledReason, EndpointId, Format, Ordering};
use crate::service::{CreatedWebhook, DeadLetter, RotatedWebhook, TestReport, WebhookAttempt, WebhookStatus};

/// What stands in place of what is secret.
pub(super) const MASK: &str = "********";

/// Why a webhook gets nothing.
#[derive(ToSchema)]
#[schema(as = WebhookDisabledReason, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document")]
enum ReasonWord {
    Operator,
    Gone,
    Failing,
}

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
#[serde(rename_all = "camelCase")]
pub struct WebhookObject {
    /// Its id.
    #[schema(value_type = String, example = "wh_3f0a8c5e9b7d41261122")]
    id: EndpointId,
    /// Whose events it gets; those of all devices, when `null`.
    device_id: Option<String>,
    /// What people call it.
    #[schema(example = "Orders")]
    name: String,
    /// Where to, with what its query says masked.
    #[schema(example = "https://hooks.example.com/wharf")]
    url: String,
    /// Names of events, in the words of the format.
    #[schema(example = json!(["message", "message:ack"]))]
    events: Vec<String>,
    /// Names and kinds of chats that are left out.
    #[schema(example = json!(["groups", "status"]))]
    exclude: Vec<String>,
    /// In whose words.
    #[schema(value_type = FormatWord)]
    format: Format,
    /// In which order.
    #[schema(value_type = OrderingWord)]
    ordering: Ordering,
    /// Headers that it gets besides, with masked values.
    #[schema(example = json!({ "Authorization": "********" }))]
    headers: BTreeMap<String, &'static str>,
    /// Masked.
    #[schema(value_type = String, example = "********")]
    secret: &'static str,
    /// Until when the secret before signs too.
    #[schema(value_type = Option<i64>)]
    previous_secret_until: Option<Millis>,
    /// How long a try may take, where the settings do not say it.
    timeout_ms: Option<u32>,
    /// The only certificates that its server may stand on, as PEM; the system's, when `null`.
    custom_ca: Option<String>,
    /// Whether it gets anything.
    #[schema(example = true)]
    enabled: bool,
    /// Why it gets nothing: `operator` switched it off, it answered 410 (`gone`), or nothing reached it for days
    /// (`failing`).
    #[schema(value_type = Option<ReasonWord>)]
    disabled_reason: Option<DisabledReason>,
    /// Since when it gets nothing.
    #[schema(value_type = Option<i64>)]
    disabled_at: Option<Millis>,
    /// Since when nothing has reached it, although something should have.
    #[schema(value_type = Option<i64>)]
    failing_since: Option<Millis>,
    /// When something last did not reach it.
    #[schema(value_type = Option<i64>)]
    last_failure_at: Option<Millis>,
    /// When something last reached it, to within a minute.
    #[schema(value_type = Option<i64>)]
    last_delivery_at: Option<Millis>,
    /// Deliveries that wait.
    #[schema(minimum = 0)]
    waiting: i64,
    /// Events that did not reach it in any try.
    #[schema(minimum = 0)]
    dead_letters: i64,
    /// Whether a file declares it: then only that file changes it, but for `enabled`.
    #[schema(example = false)]
    declared: bool,
    /// When it was made.
    #[schema(value_type = i64)]
    created_at: Millis,
}

impl From<WebhookStatus> for WebhookObject {
    fn from(status: WebhookStatus) -> Self {
        let WebhookStatus { endpoint, waiting, dead, previous_until } = status;
        let (disabled_reason, disabled_at) = endpoint.disabled.unzip();
        Self {
            enabled: endpoint.disabled.is_none(),
            id: endpoint.id,
            device_id: endpoint.device.map(String::from),
            name: endpoint.name,
            url: endpoint.url,
            events: endpoint.subscription.events,
            exclude: endpoint.subscription.exclude,
            format: endpoint.format,
            ordering: endpoint.ordering,
            headers: endpoint.header_names.into_iter().map(|name| (name, MASK)).collect(),
            secret: MASK,
            previous_secret_until: previous_until,
            timeout_ms: endpoint.timeout_ms,
            custom_ca: endpoint.custom_ca,
            disabled_reason,
            disabled_at,
            failing_since: endpoint.failing_since,
            last_failure_at: endpoint.failed_at,
            last_delivery_at: endpoint.delivered_at,
            waiting,
            dead_letters: dead,
            declared: endpoint.declared.is_some(),
            created_at: endpoint.created_at,
        }
    }
}

/// A webhook that was made. Its `secret` is the real one, and shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedWebhook)]
#[serde(rename_all = "camelCase")]
pub struct CreatedWebhookObject {
    /// What signs. It is not shown again.
    #[schema(example = "whsec_<base64>")]
    signing_secret: String,
    /// The webhook.
    webhook: WebhookObject,
}

impl From<CreatedWebhook> for CreatedWebhookObject {
    fn from(created: CreatedWebhook) -> Self {
        Self { signing_secret: created.secret, webhook: created.status.into() }
    }
}

/// A secret that was replaced.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedSecret)]
#[serde(rename_all = "camelCase")]
pub struct RotatedObject {
    /// What signs from now on. It is not shown again.
    #[schema(example = "whsec_<base64>")]
    signing_secret: String,
    /// Until when the one before signs too.
    #[schema(value_type = i64, example = 1_767_312_000_000_i64)]
    previous_secret_until: Millis,
}

impl From<RotatedWebhook> for RotatedObject {
    fn from(rotated: RotatedWebhook) -> Self {
        Self { signing_secret: rotated.secret, previous_secret_until: rotated.previous_until }
    }
}

/// A webhook that is gone.
#[derive(Serialize, ToSchema)]
pub struct DeletedWebhook {
    /// Its id.
    #[schema(value_type = String, example = "wh_3f0a8c5e9b7d41261122")]
    id: EndpointId,
    /// `true`.
    deleted: bool,
}

impl DeletedWebhook {
    /// This one.
    pub fn new(id: EndpointId) -> Self {
        Self { id, deleted: true }
    }
}

/// What a test came to.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookTest)]
#[serde(rename_all = "camelCase")]
pub struct TestReportObject {
    /// Whether the receiver took it: a 2xx.
    #[schema(example = true)]
    delivered: bool,
    /// As in the tries.
    #[schema(value_type = String, example = "delivered")]
    outcome: &'static str,
    /// The status of the answer, where there was one.
    #[schema(example = 204)]
    status: Option<u16>,
    /// How long it took.
    #[schema(minimum = 0)]
    duration_ms: i64,
}

impl From<TestReport> for TestReportObject {
    fn from(report: TestReport) -> Self {
        let TestReport { delivered, outcome, status, duration_ms } = report;
        Self { delivered, outcome, status, duration_ms }
    }
}

/// One try.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
#[serde(rename_all = "camelCase")]
pub struct AttemptObject {
    /// Grows with each try.
    #[schema(minimum = 1, example = 17)]
    id: i64,
    /// When it began.
    #[schema(value_type = i64, example = 1_767_225_600_000_i64)]
    at: Millis,
    /// Whose event; `null` for a test of a webhook of all devices.
    device_id: Option<String>,
    /// Its position in that log; `null` for a test.
    #[schema(example = 4)]
    seq: Option<i64>,
    /// The format's name of the event.
    #[schema(example = "message")]
    event: String,
    /// The header `webhook-id`, the same in each try.
    #[schema(example = "evt_01KDVDNA00PJTYX3N8Q2V9B4WE")]
    webhook_id: String,
    /// Which try this was, from 1.
    #[schema(minimum = 1, example = 1)]
    attempt: u32,
    /// `delivered` (a 2xx), `rejected` (another 4xx), `gone` (410), `throttled` (429), `server_error` (5xx),
    /// `redirected` (3xx), `bad_answer`, `timeout`, `unreachable`, `no_address`, `address_refused`, `not_set_up` or
    /// `event_gone`.
    #[schema(example = "delivered")]
    outcome: String,
    /// The status of the answer, where there was one.
    #[schema(example = 204)]
    status: Option<u16>,
    /// How long it took.
    #[schema(minimum = 0)]
    duration_ms: i64,
    /// When it is tried again; `null` when it is not.
    #[schema(value_type = Option<i64>)]
    next_attempt_at: Option<Millis>,
}

impl From<WebhookAttempt> for AttemptObject {
    fn from(attempt: WebhookAttempt) -> Self {
        let (device_id, seq) = attempt.event.map(|(device, seq)| (device.into(), seq)).unzip();
        Self {
            id: attempt.id,
            at: attempt.at,
            device_id,
            seq,
            event: attempt.name,
            webhook_id: attempt.message_id,
            attempt: attempt.attempt,
            outcome: attempt.outcome,
            status: attempt.status,
            duration_ms: attempt.duration_ms,
            next_attempt_at: attempt.next_at,
        }
    }
}

/// Where a page of tries stands.
#[derive(Serialize, ToSchema)]
pub struct BeforeAttempt {
    /// What to give as `before` for older ones; `null` at the end.
    #[schema(example = 17)]
    pub before: Option<i64>,
}

/// An event that did not reach a webhook in any try.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterObject {
    /// Names it, to replay it.
    #[schema(minimum = 1, example = 9)]
    id: i64,
    /// Whose event.
    #[schema(example = "shop")]
    device_id: String,
    /// Its position in that log.
    #[schema(example = 4)]
    seq: i64,
    /// The format's name of the event.
    #[schema(example = "message")]
    event: String,
    /// How often it was tried.
    #[schema(minimum = 0, example = 8)]
    attempts: u32,
    /// What the last try came to.
    #[schema(example = "server_error")]
    last_error: Option<String>,
    /// Since when it is tried no more.
    #[schema(value_type = i64, example = 1_767_325_600_000_i64)]
    dead_at: Millis,
}

impl From<DeadLetter> for DeadLetterObject {
    fn from(dead: DeadLetter) -> Self {
        Self {
            id: dead.key.number(),
            device_id: dead.device.into(),
            seq: dead.seq,
            event: dead.name,
            attempts: dead.attempts,
            last_error: dead.last_error,
            dead_at: dead.dead_at,
        }
    }
}

/// How many deliveries were put back, or waited and are tried now.
#[derive(Serialize, ToSchema)]
pub struct ReplayedWebhook {
    /// So many.
    #[schema(minimum = 0, example = 3)]
    pub replayed: usize,
}
