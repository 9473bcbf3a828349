//! The events of all devices of a key as server-sent events.
//!
//! Invariants: a stream has nothing of a device outside its key's list; it ends with its key or dashboard session
//! and with a drain; a client that fell behind gets `resync` and reads the logs by pages.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use axum::response::sse::Event;
use tokio::sync::watch;
use tokio::time::Instant;

use super::stream_reader::{KEEPALIVE, RETRY, StreamReader};
use crate::api::StreamPermit;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{FleetCursor, FleetItem, Principal, Services};

/// The selected events; all of the key's devices, where a list is empty.
pub struct FleetSelection {
    /// The names of events.
    pub types: Vec<String>,
    /// The devices of the events.
    pub devices: Vec<DeviceId>,
}

/// Opens a stream of the events of all devices.
pub async fn open(
    services: Services,
    (principal, operator): (Arc<Principal>, OperatorId),
    permit: StreamPermit,
    selection: FleetSelection,
) -> Response {
    // Subscribed before the cursor, so that no revocation is missed.
    let keys = services.access.key_changes();
    let cursor = services.logs.follow_all().await;
    let next_keepalive = Instant::now() + KEEPALIVE;
    let first = Some(Event::default().comment("").retry(RETRY));
    let reader = FleetReader {
        services,
        principal,
        operator,
        keys,
        cursor,
        selection,
        first,
        next_keepalive,
        _permit: permit,
    };
    reader.into_response()
}

struct FleetReader {
    services: Services,
    principal: Arc<Principal>,
    operator: OperatorId,
    keys: watch::Receiver<u64>,
    cursor: FleetCursor,
    selection: FleetSelection,
    first: Option<Event>,
    next_keepalive: Instant,
    _permit: StreamPermit,
}

impl StreamReader for FleetReader {
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
                        self.next_keepalive = Instant::now() + KEEPALIVE;
                        return Some(Event::default().comment(""));
                    }
                }
                item = self.cursor.next() => {
                    if let Some(event) = self.event(&item?) {
                        return Some(event);
                    }
                }
            }
        }
    }
}

impl FleetReader {
    /// When the key expires, if that is before the next keepalive.
    fn expiry(&self) -> Option<Instant> {
        let left = self.principal.expires_at?.since(self.services.now());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        (left < KEEPALIVE).then(|| Instant::now() + left)
    }

    fn event(&self, item: &FleetItem) -> Option<Event> {
        match item {
            FleetItem::Gap => {
                let data = format!("{{\"timestamp\":{}}}", self.services.now().0);
                Some(Event::default().event("resync").data(data))
            }
            FleetItem::Created(device, entry) => self
                .selects(device, entry.kind)
                .then(|| Event::default().event(entry.kind).data(entry.payload.get())),
            FleetItem::Logged(device, entry) => {
                let payload = entry.payload.get();
                let notify = &self.services.notify;
                let selects = self.selects(device, &entry.kind)
                    && !notify.is_kept_from(&self.operator, device, &entry.kind, payload);
                selects.then(|| Event::default().event(&entry.kind).data(payload))
            }
        }
    }

    fn selects(&self, device: &DeviceId, kind: &str) -> bool {
        let FleetSelection { types, devices } = &self.selection;
        self.principal.grant.reaches(device)
            && (types.is_empty() || types.iter().any(|selected| selected == kind))
            && (devices.is_empty() || devices.contains(device))
    }
}
