//! The event log as server-sent events (WHATWG HTML, 9.2 "Server-sent events").
//!
//! Invariants: what a client has seen is what it comes back with, also where a filter hides entries or
//! nothing happens for long; a stream outlives neither its key nor a drain; a client that reads slowly
//! costs the cursor's bounded buffer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::http::error::ApiError;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{Cursor, Item, LogEntry, Principal, Resync, Services};

/// Between two signs of life: shorter than what proxies usually wait.
const BEAT: Duration = Duration::from_secs(15);
/// After how long a client should come back.
const RETRY: Duration = Duration::from_secs(2);
/// Keeps nginx from holding the stream back.
static UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Opens a stream of what comes after `since`, or of what comes.
///
/// # Errors
/// When there is no such device, or the store fails.
pub async fn open(
    services: Services,
    (principal, operator): (Arc<Principal>, OperatorId),
    device: DeviceId,
    since: Option<i64>,
    types: Vec<String>,
) -> Result<Response, ApiError> {
    // Subscribed before the cursor: no revocation falls in between.
    let keys = services.access.key_changes();
    let (cursor, resync) = services.logs.follow(&device, since).await?;
    let first = match resync {
        Some(resync) => resync_event(&services, &device, resync),
        // A client that loses the link before anything happened knows where it was.
        None => position_event(cursor.position()),
    };
    let told = cursor.position();
    let next_beat = Instant::now() + BEAT;
    let reader = Reader {
        services,
        principal,
        operator,
        device,
        keys,
        cursor,
        types,
        first: Some(first.retry(RETRY)),
        told,
        next_beat,
    };
    Ok(([UNBUFFERED.clone()], Sse::new(reader.stream())).into_response())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResyncPayload<'a> {
    oldest_seq: i64,
    newest_seq: i64,
    device_id: &'a str,
    timestamp: Millis,
}

fn resync_event(services: &Services, device: &DeviceId, resync: Resync) -> Event {
    let Resync { oldest_seq, newest_seq } = resync;
    let payload =
        ResyncPayload { oldest_seq, newest_seq, device_id: device.as_str(), timestamp: services.now() };
    let data = serde_json::to_string(&payload).unwrap_or_default();
    position_event(newest_seq).event("resync").data(data)
}

/// Tells a position and nothing else; clients do not see it as an event.
fn position_event(seq: i64) -> Event {
    Event::default().id(seq.to_string())
}

fn log_event(entry: &LogEntry) -> Event {
    position_event(entry.seq).event(&entry.kind).data(entry.payload.get())
}

struct Reader {
    services: Services,
    principal: Arc<Principal>,
    operator: OperatorId,
    device: DeviceId,
    keys: watch::Receiver<u64>,
    cursor: Cursor,
    types: Vec<String>,
    first: Option<Event>,
    /// The last position that the client was told.
    told: i64,
    next_beat: Instant,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures_util::stream::unfold(self, async |mut reader| {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
        .fuse()
    }

    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let soft = self.services.tasks().soft().clone();
        loop {
            let timer = self.expiry().map_or(self.next_beat, |expiry| expiry.min(self.next_beat));
            tokio::select! {
                biased;
                () = soft.cancelled() => return None,
                changed = self.keys.changed() => {
                    if changed.is_err() || !self.services.access.still_valid(&self.principal) {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(timer) => {
                    if !self.services.access.still_valid(&self.principal) {
                        return None;
                    }
                    if timer == self.next_beat {
                        return Some(self.beat());
                    }
                }
                item = self.cursor.next() => match item? {
                    Item::Logged(entry) if self.wants(&entry) => {
                        self.told = entry.seq;
                        return Some(log_event(&entry));
                    }
                    Item::Logged(_) | Item::Live(_) => {}
                }
            }
        }
    }

    /// When the key ends by itself, if that is before the next sign of life.
    fn expiry(&self) -> Option<Instant> {
        let left = self.principal.expires_at?.since(self.services.now()).max(0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        (left < BEAT).then(|| Instant::now() + left)
    }

    fn beat(&mut self) -> Event {
        self.next_beat = Instant::now() + BEAT;
        let position = self.cursor.position();
        if position == self.told {
            return Event::default().comment("");
        }
        self.told = position;
        position_event(position)
    }

    fn wants(&self, entry: &LogEntry) -> bool {
        let wanted = self.types.is_empty() || self.types.contains(&entry.kind);
        wanted
            && !self.services.notify.is_kept_from(
                &self.operator,
                &self.device,
                &entry.kind,
                entry.payload.get(),
            )
    }
}
