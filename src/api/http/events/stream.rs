//! The event log as server-sent events (WHATWG HTML, 9.2 "Server-sent events").
//!
//! Invariants: a client reconnects with the position that it has received, also when a filter hides entries
//! or no event occurs for long; a stream ends with its key and with a drain; a slow client costs the cursor's
//! bounded buffer.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use axum::response::sse::Event;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::stream_reader::{KEEPALIVE, RETRY, StreamReader};
use crate::api::StreamPermit;
use crate::api::http::error::ApiError;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{Cursor, Item, LogEntry, Principal, Resync, Services};

/// The selected entries of a stream.
pub struct Selection {
    /// Entries after this position; new entries only, if absent.
    pub since: Option<i64>,
    /// Only events of these types; all types, if empty.
    pub types: Vec<String>,
    /// Whether ephemeral events are included.
    pub ephemeral: bool,
}

/// Opens a stream of a device's events.
///
/// # Errors
/// When there is no such device, or the store fails.
pub async fn open(
    services: Services,
    (principal, operator): (Arc<Principal>, OperatorId),
    permit: StreamPermit,
    device: DeviceId,
    selection: Selection,
) -> Result<Response, ApiError> {
    // Subscribed before the cursor, so that no revocation is missed.
    let keys = services.access.key_changes();
    let (cursor, resync) = services.logs.follow(&device, selection.since).await?;
    let first = Event::default().comment(format!("logId={}", services.logs.log_id(&device)));
    let first = match resync {
        Some(resync) => resync_event(first, &services, &device, resync),
        // A client that disconnects before the first event has a position.
        None => first.id(cursor.position().to_string()),
    };
    let sent = cursor.position();
    let next_keepalive = Instant::now() + KEEPALIVE;
    let reader = Reader {
        services,
        principal,
        operator,
        device,
        keys,
        cursor,
        selection,
        first: Some(first.retry(RETRY)),
        sent,
        next_keepalive,
        _permit: permit,
    };
    Ok(StreamReader::into_response(reader))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResyncPayload<'a> {
    oldest_seq: i64,
    newest_seq: i64,
    device_id: &'a str,
    timestamp: Millis,
}

fn resync_event(event: Event, services: &Services, device: &DeviceId, resync: Resync) -> Event {
    let Resync { oldest_seq, newest_seq } = resync;
    let payload =
        ResyncPayload { oldest_seq, newest_seq, device_id: device.as_str(), timestamp: services.now() };
    let data = serde_json::to_string(&payload).unwrap_or_default();
    event.id(newest_seq.to_string()).event("resync").data(data)
}

/// An event with a position only, which clients do not dispatch.
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
    selection: Selection,
    first: Option<Event>,
    /// The last position that was sent to the client.
    sent: i64,
    next_keepalive: Instant,
    _permit: StreamPermit,
}

impl StreamReader for Reader {
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let soft = self.services.tasks().soft().clone();
        loop {
            let timer = self.expiry().map_or(self.next_keepalive, |expiry| expiry.min(self.next_keepalive));
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
                    if timer == self.next_keepalive {
                        return Some(self.keepalive());
                    }
                }
                item = self.cursor.next() => match item? {
                    Item::Logged(entry) if self.selects_entry(&entry) => {
                        self.sent = entry.seq;
                        return Some(log_event(&entry));
                    }
                    Item::Live(entry) if self.selects_ephemeral(entry.kind) => {
                        return Some(Event::default().event(entry.kind).data(entry.payload.get()));
                    }
                    Item::Logged(_) | Item::Live(_) => {}
                }
            }
        }
    }
}

impl Reader {
    /// When the key expires, if that is before the next keepalive.
    fn expiry(&self) -> Option<Instant> {
        let left = self.principal.expires_at?.since(self.services.now()).max(0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        (left < KEEPALIVE).then(|| Instant::now() + left)
    }

    fn keepalive(&mut self) -> Event {
        self.next_keepalive = Instant::now() + KEEPALIVE;
        let position = self.cursor.position();
        if position == self.sent {
            return Event::default().comment("");
        }
        self.sent = position;
        position_event(position)
    }

    fn selects(&self, kind: &str) -> bool {
        self.selection.types.is_empty() || self.selection.types.iter().any(|selected| selected == kind)
    }

    fn selects_ephemeral(&self, kind: &str) -> bool {
        self.selection.ephemeral && self.selects(kind)
    }

    fn selects_entry(&self, entry: &LogEntry) -> bool {
        self.selects(&entry.kind)
            && !self.services.notify.is_kept_from(
                &self.operator,
                &self.device,
                &entry.kind,
                entry.payload.get(),
            )
    }
}
