//! The answers of webhooks. Secrets, header values and queries are masked.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::requests::{FormatWord, OrderingWord};
use crate::domain::clock::Millis;
use crate::domain::webhook::{DisabledReason, EndpointId, Format, Ordering};
use crate::service::{CreatedWebhook, DeadLetter, RotatedWebhook, TestReport, WebhookAttempt, WebhookStatus};

/// The placeholder of secret values.
pub(super) const MASK: &str = "********";

/// The reason why a webhook is disabled.
#[derive(ToSchema)]
#[schema(as = WebhookDisabledReason, rename_all = "snake_case")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
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
    /// The device of its events; all devices when `null`.
    device_id: Option<String>,
    /// Its name.
    #[schema(example = "Orders")]
    name: String,
    /// Its address, with a masked query, and for keys without `devices:write` with a masked path too.
    #[schema(example = "https://hooks.example.com/wharf")]
    url: String,
    /// Its event names.
    #[schema(example = json!(["message", "message:ack"]))]
    events: Vec<String>,
    /// The excluded event names and kinds of chats.
    #[schema(example = json!(["groups", "status"]))]
    exclude: Vec<String>,
    /// The format of its events.
    #[schema(value_type = FormatWord)]
    format: Format,
    /// The ordering of its deliveries.
    #[schema(value_type = OrderingWord)]
    ordering: Ordering,
    /// Its further headers, with masked values.
    #[schema(example = json!({ "Authorization": "********" }))]
    headers: BTreeMap<String, &'static str>,
    /// The masked secret.
    #[schema(value_type = String, example = "********")]
    secret: &'static str,
    /// The time until which the previous secret signs too.
    #[schema(value_type = Option<i64>)]
    previous_secret_until: Option<Millis>,
    /// The timeout of an attempt; that of the settings when `null`.
    timeout_ms: Option<u32>,
    /// The trusted certificate authorities of its server, as PEM; those of the system when `null`.
    custom_ca: Option<String>,
    /// Whether it is enabled.
    #[schema(example = true)]
    enabled: bool,
    /// Why it is disabled: by an operator (`operator`), after an answer 410 (`gone`), or after days of failures
    /// (`failing`).
    #[schema(value_type = Option<ReasonWord>)]
    disabled_reason: Option<DisabledReason>,
    /// The time since which it is disabled.
    #[schema(value_type = Option<i64>)]
    disabled_at: Option<Millis>,
    /// The time of the first failure since its last success.
    #[schema(value_type = Option<i64>)]
    failing_since: Option<Millis>,
    /// The time of its last failure.
    #[schema(value_type = Option<i64>)]
    last_failure_at: Option<Millis>,
    /// The time of its last success, to within a minute.
    #[schema(value_type = Option<i64>)]
    last_delivery_at: Option<Millis>,
    /// The number of queued deliveries.
    #[schema(minimum = 0)]
    waiting: i64,
    /// The number of dead letters.
    #[schema(minimum = 0)]
    dead_letters: i64,
    /// Whether a file declares it: then only `enabled` can be changed here.
    #[schema(example = false)]
    declared: bool,
    /// The time of its creation.
    #[schema(value_type = i64)]
    created_at: Millis,
}

impl WebhookObject {
    /// Masks the path of the address too, which is the secret of some receivers. For keys without `devices:write`.
    pub fn masked(mut self) -> Self {
        let origin = url::Url::parse(&self.url).map(|url| url.origin().ascii_serialization());
        self.url = origin.map_or_else(|_| MASK.to_owned(), |origin| format!("{origin}/{MASK}"));
        self
    }
}

/// Converts an outcome to the word that a key may see.
pub(super) type ShowOutcome = fn(&str) -> &str;

/// The outcome for a key of some devices only: it must not reveal the private network.
pub(super) fn public_outcome(outcome: &str) -> &str {
    match outcome {
        "address_refused" | "no_address" => "unreachable",
        other => other,
    }
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

/// A created webhook, with the only copy of its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedWebhook)]
#[serde(rename_all = "camelCase")]
pub struct CreatedWebhookObject {
    /// The signing secret. It is not shown again.
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

/// A rotated secret.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedSecret)]
#[serde(rename_all = "camelCase")]
pub struct RotatedObject {
    /// The new signing secret. It is not shown again.
    #[schema(example = "whsec_<base64>")]
    signing_secret: String,
    /// The time until which the previous secret signs too.
    #[schema(value_type = i64, example = 1_767_312_000_000_i64)]
    previous_secret_until: Millis,
}

impl From<RotatedWebhook> for RotatedObject {
    fn from(rotated: RotatedWebhook) -> Self {
        Self { signing_secret: rotated.secret, previous_secret_until: rotated.previous_until }
    }
}

/// A deleted webhook.
#[derive(Serialize, ToSchema)]
pub struct DeletedWebhook {
    /// Its id.
    #[schema(value_type = String, example = "wh_3f0a8c5e9b7d41261122")]
    id: EndpointId,
    /// `true`.
    deleted: bool,
}

impl DeletedWebhook {
    /// The webhook with this id.
    pub fn new(id: EndpointId) -> Self {
        Self { id, deleted: true }
    }
}

/// The result of a test.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookTest)]
#[serde(rename_all = "camelCase")]
pub struct TestReportObject {
    /// Whether the receiver answered 2xx.
    #[schema(example = true)]
    delivered: bool,
    /// The outcome, as in attempts.
    #[schema(example = "delivered")]
    outcome: String,
    /// The status of the answer, if there was one.
    #[schema(example = 204)]
    status: Option<u16>,
    /// The duration of the attempt.
    #[schema(minimum = 0)]
    duration_ms: i64,
}

impl TestReportObject {
    /// The report, with its outcome as the key may see it.
    pub fn new(report: &TestReport, show: ShowOutcome) -> Self {
        let TestReport { delivered, outcome, status, duration_ms } = *report;
        Self { delivered, outcome: show(outcome).to_owned(), status, duration_ms }
    }
}

/// One attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
#[serde(rename_all = "camelCase")]
pub struct AttemptObject {
    /// Its id, which grows with each attempt.
    #[schema(minimum = 1, example = 17)]
    id: i64,
    /// The time of its beginning.
    #[schema(value_type = i64, example = 1_767_225_600_000_i64)]
    at: Millis,
    /// The device of the event; `null` for a test of a webhook of all devices.
    device_id: Option<String>,
    /// The event's position in the log; `null` for a test.
    #[schema(example = 4)]
    seq: Option<i64>,
    /// The name of the event in the webhook's format.
    #[schema(example = "message")]
    event: String,
    /// The header `webhook-id`, the same in each attempt.
    #[schema(example = "evt_01KDVDNA00PJTYX3N8Q2V9B4WE")]
    webhook_id: String,
    /// The number of the attempt, from 1.
    #[schema(minimum = 1, example = 1)]
    attempt: u32,
    /// `delivered` (a 2xx), `rejected` (another 4xx), `gone` (410), `throttled` (429), `server_error` (5xx),
    /// `redirected` (3xx), `bad_answer`, `timeout`, `unreachable`, `no_address`, `address_refused`, `not_set_up` or
    /// `event_gone`. For keys of some devices only, `no_address` and `address_refused` are `unreachable`.
    #[schema(example = "delivered")]
    outcome: String,
    /// The status of the answer, if there was one.
    #[schema(example = 204)]
    status: Option<u16>,
    /// The duration of the attempt.
    #[schema(minimum = 0)]
    duration_ms: i64,
    /// The time of the next attempt; `null` without one.
    #[schema(value_type = Option<i64>)]
    next_attempt_at: Option<Millis>,
}

impl AttemptObject {
    /// The attempt, with its outcome as the key may see it.
    pub fn new(attempt: WebhookAttempt, show: ShowOutcome) -> Self {
        let (device_id, seq) = attempt.event.map(|(device, seq)| (device.into(), seq)).unzip();
        Self {
            id: attempt.id,
            at: attempt.at,
            device_id,
            seq,
            event: attempt.name,
            webhook_id: attempt.message_id,
            attempt: attempt.attempt,
            outcome: show(&attempt.outcome).to_owned(),
            status: attempt.status,
            duration_ms: attempt.duration_ms,
            next_attempt_at: attempt.next_at,
        }
    }
}

/// The position of a page of attempts.
#[derive(Serialize, ToSchema)]
pub struct BeforeAttempt {
    /// The value of `before` for older attempts; `null` at the end.
    #[schema(example = 17)]
    pub before: Option<i64>,
}

/// An event whose delivery was given up.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterObject {
    /// Its id, for a replay.
    #[schema(minimum = 1, example = 9)]
    id: i64,
    /// The device of the event.
    #[schema(example = "shop")]
    device_id: String,
    /// The event's position in the log.
    #[schema(example = 4)]
    seq: i64,
    /// The name of the event in the webhook's format.
    #[schema(example = "message")]
    event: String,
    /// The number of attempts.
    #[schema(minimum = 0, example = 8)]
    attempts: u32,
    /// The outcome of the last attempt.
    #[schema(example = "server_error")]
    last_error: Option<String>,
    /// The time when it was given up.
    #[schema(value_type = i64, example = 1_767_325_600_000_i64)]
    dead_at: Millis,
}

impl DeadLetterObject {
    /// The dead letter, with its outcome as the key may see it.
    pub fn new(dead: DeadLetter, show: ShowOutcome) -> Self {
        Self {
            id: dead.key.number(),
            device_id: dead.device.into(),
            seq: dead.seq,
            event: dead.name,
            attempts: dead.attempts,
            last_error: dead.last_error.map(|outcome| show(&outcome).to_owned()),
            dead_at: dead.dead_at,
        }
    }
}

/// The result of a replay.
#[derive(Serialize, ToSchema)]
pub struct ReplayedWebhook {
    /// The number of deliveries that are attempted again.
    #[schema(minimum = 0, example = 3)]
    pub replayed: usize,
}
