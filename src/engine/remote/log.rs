//! The upstream's event log: entries in their order, from any position that it still reaches back to.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::client::{Ask, Client, Trouble};
use super::convert::wire::{WireEntry, WireLogPage};
use crate::engine::ByteStream;
use crate::net::sse::SseParser;

/// Entries on one page.
const PAGE: usize = 100;
/// A stream is opened anew after so long; nothing is missed in between.
const STREAM_LASTS: Duration = Duration::from_secs(15 * 60);
/// Servers give a sign of life more often than this.
const LONGEST_SILENCE: Duration = Duration::from_secs(45);
/// What one stream may carry, in bytes.
const STREAM_LIMIT: u64 = 8 << 30;

/// An item of a stream.
#[derive(Debug)]
pub(super) enum StreamItem {
    /// An entry of the log.
    Entry(Box<WireEntry>),
    /// An event that the log does not hold.
    Ephemeral {
        /// The event's name.
        name: String,
        /// The event's payload.
        payload: Value,
    },
    /// The log does not reach back to the requested position.
    Resync,
    /// An event that is not JSON.
    Unreadable,
}

/// An open stream of server-sent events.
pub(super) struct EventStream {
    bytes: ByteStream,
    parser: SseParser,
    ready: VecDeque<StreamItem>,
}

/// A page of the log after a position.
pub(super) async fn page(client: &Client, after: i64) -> Result<WireLogPage, Trouble> {
    let page = client.ask(Ask::get(&["events"]).query("after", &after).query("limit", &PAGE)).await?;
    WireLogPage::deserialize(page).map_err(|_| Trouble::Garbled)
}

impl EventStream {
    /// Opens the log after a position.
    pub(super) async fn open_log(client: &Client, after: i64) -> Result<Self, Trouble> {
        let headers = vec![("Last-Event-ID".to_owned(), after.to_string())];
        Self::open(client, Vec::new(), headers, STREAM_LASTS).await
    }

    /// Opens a stream of ephemeral events of these types.
    pub(super) async fn open_ephemeral(
        client: &Client,
        types: &str,
        max_age: Duration,
    ) -> Result<Self, Trouble> {
        let query = vec![("ephemeral", "true".to_owned()), ("types", types.to_owned())];
        Self::open(client, query, Vec::new(), max_age).await
    }

    async fn open(
        client: &Client,
        query: Vec<(&str, String)>,
        mut headers: Vec<(String, String)>,
        max_age: Duration,
    ) -> Result<Self, Trouble> {
        headers.push(("Accept".to_owned(), "text/event-stream".to_owned()));
        let answer = client.stream(&["events"], query, headers, (max_age, STREAM_LIMIT)).await?;
        Ok(Self { bytes: answer.body, parser: SseParser::default(), ready: VecDeque::new() })
    }

    /// The next item. None when the stream ends or breaks: what comes after the last item is read from there on.
    pub(super) async fn next(&mut self) -> Option<StreamItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let piece = tokio::time::timeout(LONGEST_SILENCE, self.bytes.next()).await.ok()??.ok()?;
            let events = self.parser.push(&piece).ok()?;
            self.ready.extend(events.into_iter().map(|event| item(event.name, &event.data)));
        }
    }

    /// Whether an item is here already.
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
    fn stream_items_are_told_apart_by_their_seq() {
        let entry = item("ready".to_owned(), r#"{"seq":4,"timestamp":5,"phoneNumber":"1"}"#);
        assert!(matches!(entry, StreamItem::Entry(entry) if entry.seq == 4 && entry.timestamp == 5));
        for told in [r#"{"oldestSeq":7,"newestSeq":9}"#, "{}", ""] {
            assert!(matches!(item("resync".to_owned(), told), StreamItem::Resync), "{told}");
        }
        assert!(matches!(item("ready".to_owned(), "no JSON"), StreamItem::Unreadable));
        let presence = item("presence".to_owned(), r#"{"online":true}"#);
        assert!(matches!(presence, StreamItem::Ephemeral { name, .. } if name == "presence"));
    }
}
