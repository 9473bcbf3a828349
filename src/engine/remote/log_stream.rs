//! The upstream's events, by pages of its log or as a stream of server-sent events.
//!
//! A stream ends without an error: the reader continues by pages from its position.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::client::{RemoteClient, RemoteFailure};
use super::convert::wire::{WireEntry, WireLogPage};
use crate::engine::ByteStream;
use crate::net::Method;
use crate::net::sse::SseParser;

/// Entries on one page.
const PAGE_ENTRIES: usize = 100;
/// Servers send a comment more often than this.
const MAX_SILENCE: Duration = Duration::from_secs(45);
/// The limit for one stream, in bytes.
const MAX_STREAM_BYTES: u64 = 8 << 30;
/// A stream of the log is replaced after this time.
const LOG_MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// A stream of ephemeral events is replaced after this time; events in between are lost.
const EPHEMERAL_MAX_AGE: Duration = Duration::from_secs(6 * 60 * 60);

/// An item of a stream.
#[derive(Debug)]
pub(super) enum StreamItem {
    /// An entry of the log.
    Entry(Box<WireEntry>),
    /// An event that is not in the log.
    Ephemeral { name: String, payload: Value },
    /// The log does not reach back to the requested position.
    Resync,
    /// An event that is not JSON.
    Unreadable,
}

/// An open stream.
pub(super) struct EventStream {
    bytes: ByteStream,
    parser: SseParser,
    ready: VecDeque<StreamItem>,
}

/// A page of the log after a position.
pub(super) async fn page(client: &RemoteClient, after: i64) -> Result<WireLogPage, RemoteFailure> {
    let request =
        client.request(Method::GET, &["events"]).query("after", &after).query("limit", &PAGE_ENTRIES);
    WireLogPage::deserialize(client.whole(request).await?).map_err(|_| RemoteFailure::malformed())
}

impl EventStream {
    /// Opens the log after a position.
    pub(super) async fn open_log(client: &RemoteClient, after: i64) -> Result<Self, RemoteFailure> {
        let request = client.request(Method::GET, &["events"]).header("Last-Event-ID", after.to_string());
        let request = request.header("Accept", "text/event-stream").timeout(LOG_MAX_AGE);
        Ok(Self::of(client.stream(request, MAX_STREAM_BYTES).await?.body))
    }

    /// Opens a stream of ephemeral events of these types.
    pub(super) async fn open_ephemeral(client: &RemoteClient, types: &str) -> Result<Self, RemoteFailure> {
        let request =
            client.request(Method::GET, &["events"]).query("ephemeral", &true).query("types", types);
        let request = request.header("Accept", "text/event-stream").timeout(EPHEMERAL_MAX_AGE);
        Ok(Self::of(client.stream(request, MAX_STREAM_BYTES).await?.body))
    }

    fn of(bytes: ByteStream) -> Self {
        Self { bytes, parser: SseParser::default(), ready: VecDeque::new() }
    }

    /// The next item; `None` when the stream ended or broke. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<StreamItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let piece = tokio::time::timeout(MAX_SILENCE, self.bytes.next()).await.ok()??.ok()?;
            let events = self.parser.push(&piece).ok()?;
            self.ready.extend(events.into_iter().map(|event| item(event.name, &event.data)));
        }
    }

    /// Whether an item is available without waiting.
    pub(super) fn has_next(&self) -> bool {
        !self.ready.is_empty()
    }
}

fn item(name: String, data: &str) -> StreamItem {
    if name == "resync" {
        return StreamItem::Resync;
    }
    let Ok(payload) = serde_json::from_str::<Value>(data) else { return StreamItem::Unreadable };
    let Some(seq) = payload["seq"].as_i64() else { return StreamItem::Ephemeral { name, payload } };
    let timestamp = payload["timestamp"].as_i64().unwrap_or(0);
    StreamItem::Entry(Box::new(WireEntry { seq, kind: name, timestamp, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_a_seq_and_other_items_none() {
        let entry = item("ready".to_owned(), r#"{"seq":4,"timestamp":5,"phoneNumber":"1"}"#);
        assert!(matches!(entry, StreamItem::Entry(entry) if entry.seq == 4 && entry.timestamp == 5));
        for data in [r#"{"oldestSeq":7,"newestSeq":9}"#, "{}", ""] {
            assert!(matches!(item("resync".to_owned(), data), StreamItem::Resync), "{data}");
        }
        assert!(matches!(item("ready".to_owned(), "no JSON"), StreamItem::Unreadable));
        let presence = item("presence".to_owned(), r#"{"online":true}"#);
        assert!(matches!(presence, StreamItem::Ephemeral { name, .. } if name == "presence"));
    }
}
