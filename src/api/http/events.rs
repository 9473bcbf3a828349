//! The event log of a device, by pages or as a stream of server-sent events; and the events of all devices.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::JsonBody;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Alias, Device, Query, Request};
use super::operator::Operator;
use super::paging::{LIMIT, MAX_LIMIT};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::LogEntry;

mod fleet_stream;
mod stream;
mod stream_reader;

pub(super) use stream_reader::{KEEPALIVE, RETRY, StreamReader};

pub(super) const fn max_limit() -> usize {
    MAX_LIMIT
}

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::EventsRead, &[], routes!(events))).routes(guarded(
        Scope::EventsRead,
        &[],
        routes!(fleet_events),
    ))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Only entries with a larger `seq`. A stream without it begins with new entries.
    #[param(value_type = Option<i64>, minimum = 0)]
    after: Option<i64>,
    /// The `logId` of the log that `after` is a position of. If the log is another one, the answer is as for a position
    /// that is no longer in the log.
    #[serde(rename = "logId")]
    #[param(value_type = Option<String>)]
    log_id: Option<String>,
    /// The most entries of a page; a stream has no limit.
    #[serde(default = "max_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: usize,
    /// Only these events, such as `message,message:ack`.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, max_items = 50, style = Form, explode = false)]
    types: Vec<String>,
    /// For a stream: also events that the log does not hold (`typing:start`, `typing:stop`, `presence`,
    /// `connection:status`, `chat:update`). They have no `id` and no `seq`, and are not repeated after an interruption.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    ephemeral: bool,
}

impl Request for EventQuery {
    const ALIASES: &'static [Alias] = &[LIMIT];
}

/// The header `Last-Event-ID`, which browsers send on reconnection.
pub(super) struct LastEventId(pub(super) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let value = parts.headers.get("last-event-id").filter(|value| !value.is_empty());
        let seq = value.map(|value| value.to_str().ok()?.parse().ok().filter(|seq: &i64| *seq >= 0));
        match seq {
            Some(None) => Err(ApiError::field("Last-Event-ID", "must be the id of an event of this stream")),
            seq => Ok(Self(seq.flatten())),
        }
    }
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventPage {
    /// `true`.
    success: bool,
    /// Entries, in order.
    data: Vec<EventEntry>,
    /// The id of the log. It changes when the database is replaced by an older copy.
    #[schema(example = "5f0c3a9be2d84471")]
    log_id: String,
    /// The oldest retained entry.
    oldest_seq: i64,
    /// The newest entry; 0 before the first.
    newest_seq: i64,
    /// The last examined entry: the `after` of the next request.
    next_after: i64,
    /// Whether more may follow.
    has_more: bool,
    /// Whether entries after `after` are no longer in the log, or `after` is beyond its end: reload over REST.
    resync: bool,
}

/// An entry of the log.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "seq": 4, "type": "ready", "timestamp": 1_767_225_600_000_i64,
    "payload": { "deviceId": "shop", "phoneNumber": "15550100099", "timestamp": 1_767_225_600_000_i64, "seq": 4 } }))]
struct EventEntry {
    /// Its position, which grows by one with each entry.
    #[schema(minimum = 1)]
    seq: i64,
    /// The event's name.
    #[schema(example = "message:ack")]
    r#type: String,
    /// The time of its append.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// The payload of the event, as sockets receive it.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
}

impl From<LogEntry> for EventEntry {
    fn from(entry: LogEntry) -> Self {
        Self { seq: entry.seq, r#type: entry.kind.into_owned(), timestamp: entry.at, payload: entry.payload }
    }
}

/// Read the event log
///
/// With `Accept: text/event-stream` the answer is a stream: `id` is the entry's `seq`, `event` its name, `data` its
/// payload. A client that reconnects with `Last-Event-ID` misses nothing. When those entries are no longer in the log,
/// the stream begins with `resync`: reload over REST. The stream ends when its key is revoked or expires. With
/// `ephemeral=true` it also carries events that the log does not hold, without `id` and `seq`.
#[utoipa::path(get, path = "/devices/{id}/events", operation_id = "readEvents", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<i64>, Header, description = "For a stream: the last entry that the client has. It overrides `after`", minimum = 0)),
    responses((status = 200, description = "Entries, or a stream of them",
        content((EventPage = "application/json"), (String = "text/event-stream", example = json!("id: 4\nevent: ready\ndata: {\"deviceId\":\"shop\",\"seq\":4}\n\n"))))))]
async fn events(
    caller: Caller,
    Operator(operator): Operator,
    State(state): State<ApiState>,
    Device(device): Device,
    Query(query): Query<EventQuery>,
    LastEventId(last): LastEventId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if accepts_stream(&headers) {
        let who = (Arc::clone(&caller.0), operator);
        let EventQuery { after, log_id, types, ephemeral, .. } = query;
        let since = state.services.logs.client_position(&device, last.or(after), log_id.as_deref());
        let selection = stream::Selection { since, types, ephemeral };
        let permit = state.streams.admit(&who.0.key_id, None).map_err(ApiError::TooManyStreams)?;
        return stream::open(state.services.clone(), who, permit, device, selection).await;
    }
    let logs = &state.services.logs;
    let after = logs.client_position(&device, query.after, query.log_id.as_deref()).unwrap_or(0);
    let (entries, range, next_after) = logs.events(&device, after, query.limit, &query.types).await?;
    Ok(JsonBody(EventPage {
        success: true,
        data: entries.into_iter().map(EventEntry::from).collect(),
        log_id: logs.log_id(&device),
        oldest_seq: range.oldest,
        newest_seq: range.newest,
        next_after,
        has_more: next_after < range.newest,
        resync: !range.covers(after),
    })
    .into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FleetEventQuery {
    /// Only these events, such as `message,state`; all, when absent.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, max_items = 50, style = Form, explode = false)]
    types: Vec<String>,
    /// Only events of these devices; all devices of the key, when absent.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, max_items = 1000, style = Form, explode = false)]
    devices: Vec<DeviceId>,
}

impl Request for FleetEventQuery {}

/// Follow the events of all devices
///
/// A stream of the entries of all logs of the key's devices from now on, as sockets of `/devices` receive them after
/// `events:tail`, and of `device:created`. It has no `id` and does not resume: close gaps with `GET
/// …/devices/{id}/events?after=`. A client that fell behind gets `resync`. The stream ends when its key is revoked or
/// expires.
#[utoipa::path(get, path = "/events", operation_id = "followEvents", tag = "events",
    params(FleetEventQuery),
    responses((status = 200, description = "A stream of events", body = serde_json::Value, content_type = "text/event-stream",
        example = json!("event: ready\ndata: {\"deviceId\":\"shop\",\"seq\":4}\n\n"))))]
async fn fleet_events(
    caller: Caller,
    Operator(operator): Operator,
    State(state): State<ApiState>,
    Query(query): Query<FleetEventQuery>,
) -> Result<Response, ApiError> {
    query.devices.iter().try_for_each(|device| caller.reach(device))?;
    let FleetEventQuery { types, devices } = query;
    let selection = fleet_stream::FleetSelection { types, devices };
    let permit = state.streams.admit(&caller.0.key_id, None).map_err(ApiError::TooManyStreams)?;
    let who = (Arc::clone(&caller.0), operator);
    Ok(fleet_stream::open(state.services.clone(), who, permit, selection).await)
}

pub(super) fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|media| {
        media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_needs_its_media_type() {
        let accept = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            accepts_stream(&headers)
        };
        assert!(accept("text/event-stream"));
        assert!(accept("application/json;q=0.5, Text/Event-Stream; charset=utf-8"));
        assert!(!accept("*/*"));
        assert!(!accepts_stream(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn invalid_last_event_id_is_refused() {
        let read = async |value: &str| {
            let request = axum::http::Request::builder().header("last-event-id", value).body(()).unwrap();
            LastEventId::from_request_parts(&mut request.into_parts().0, &()).await.map(|id| id.0).ok()
        };
        assert_eq!(read("42").await, Some(Some(42)));
        assert_eq!(read("").await, Some(None));
        assert_eq!(read("-1").await, None);
        assert_eq!(read("x").await, None);
    }
}
