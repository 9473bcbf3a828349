//! The native call for the times of answers in device inboxes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{UserObject, iso};
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Query, Request};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::response_times::ResponseSummary;

/// The default period: a week.
const PERIOD_MS: i64 = 7 * 24 * 3_600_000;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(user_or_key(Scope::ChatRead, &[404], routes!(show)))
}

/// The period.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ShowStats {
    /// Only the inbox of this device.
    device: Option<String>,
    /// The begin: ISO 8601, or milliseconds since 1970; a week before `to` if absent.
    from: Option<String>,
    /// The end: ISO 8601, or milliseconds since 1970; now if absent.
    to: Option<String>,
}

impl Request for ShowStats {}

fn time(field: &str, text: Option<&str>) -> Result<Option<Millis>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Some(Millis(number)));
    }
    let parsed = text.parse::<jiff::Timestamp>().map(|time| Millis(time.as_millisecond()));
    let wrong = "must be ISO 8601, such as 2026-11-22T10:00:00Z, or milliseconds since 1970";
    parsed.map(Some).map_err(|_| ApiError::field(field, wrong))
}

/// Answers in device inboxes
#[derive(Serialize, ToSchema)]
#[schema(as = InboxStats)]
#[serde(rename_all = "camelCase")]
struct StatsObject {
    /// The begin of the period.
    #[schema(example = "2026-11-15T10:00:00.000Z")]
    from: String,
    /// The end of the period.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    to: String,
    /// The conversations.
    conversations: CountsObject,
    /// How long contacts waited for the first answer since their conversation was opened.
    first_response: SummaryObject,
    /// How long contacts waited for any answer.
    response: SummaryObject,
    /// The answers by author, those with the most answers first.
    operators: Vec<AuthorStatsObject>,
}

/// Conversations of inboxes
#[derive(Serialize, ToSchema)]
#[schema(as = InboxCounts)]
struct CountsObject {
    /// Conversations that began in the period.
    #[schema(minimum = 0, example = 14)]
    created: i64,
    /// Open ones now.
    #[schema(minimum = 0, example = 5)]
    open: i64,
    /// Open ones without an assignee now.
    #[schema(minimum = 0, example = 2)]
    unassigned: i64,
    /// Open ones whose contact waits for an answer now.
    #[schema(minimum = 0, example = 1)]
    waiting: i64,
}

/// Waiting times in milliseconds; null without an answer
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseSummary)]
#[serde(rename_all = "camelCase")]
struct SummaryObject {
    /// The answers.
    #[schema(minimum = 0, example = 40)]
    count: usize,
    /// The mean.
    #[schema(example = 94_000)]
    average_ms: Option<i64>,
    /// Half of the contacts waited at most this long.
    #[schema(example = 61_000)]
    median_ms: Option<i64>,
    /// Nine of ten contacts waited at most this long.
    #[schema(example = 240_000)]
    p90_ms: Option<i64>,
}

impl SummaryObject {
    fn new(summary: ResponseSummary) -> Self {
        let ResponseSummary { count, average_ms, median_ms, p90_ms } = summary;
        Self { count, average_ms, median_ms, p90_ms }
    }
}

/// The answers of one author
#[derive(Serialize, ToSchema)]
#[schema(as = InboxAuthorStats)]
struct AuthorStatsObject {
    /// The author; `phone` and `api` for the phone and clients of the device API.
    user: UserObject,
    /// The waiting times.
    response: SummaryObject,
}

/// Show the times of answers
///
/// In the inboxes that the caller may see. Answers are kept for 400 days.
#[utoipa::path(get, path = "/stats/inbox", operation_id = "getInboxStats", tag = "operator chat",
    params(ShowStats),
    responses((status = 200, description = "The answers", body = Success<StatsObject>)))]
async fn show(
    NativeCaller { chat, caller }: NativeCaller,
    Query(query): Query<ShowStats>,
) -> Result<Success<StatsObject>, ApiError> {
    let device = query.device.as_deref().map(str::parse::<DeviceId>).transpose();
    let device = device.map_err(|error| ApiError::field("device", error.to_string()))?;
    let to = time("to", query.to.as_deref())?.unwrap_or_else(|| chat.current_time());
    let from = time("from", query.from.as_deref())?.unwrap_or_else(|| to.plus(-PERIOD_MS));
    let stats = chat.inbox_stats(caller, device, (from, to)).await?;
    let operators = stats.authors.iter().map(|(user, summary)| AuthorStatsObject {
        user: UserObject::new(user),
        response: SummaryObject::new(*summary),
    });
    Ok(Success::new(StatsObject {
        from: iso(from),
        to: iso(to),
        conversations: CountsObject {
            created: stats.conversations.created,
            open: stats.conversations.open,
            unassigned: stats.conversations.unassigned,
            waiting: stats.conversations.waiting,
        },
        first_response: SummaryObject::new(stats.first_responses),
        response: SummaryObject::new(stats.responses),
        operators: operators.collect(),
    }))
}
