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

/// Something that a stream of the log brought.
#[derive(Debug)]
pub(super) enum Item {
    /// An entry.
    Entry(Box<WireEntry>),
    /// The log no longer reaches back to where we were.
    Resync,
    /// Something that cannot be read.
    Odd,
}

/// An open stream.
pub(super) struct LogStream {
    bytes: ByteStream,
    parser: SseParser,
    ready: VecDeque<Item>,
}

/// A page of the log after a position.
pub(super) async fn page(client: &Client, after: i64) -> Result<WireLogPage, Trouble> {
    let page = client.ask(Ask::get(&["events"]).query("after", &after).query("limit", &PAGE)).await?;
    WireLogPage::deserialize(page).map_err(|_| Trouble::Garbled)
}

impl LogStream {
    /// Opens the log after a position.
    pub(super) async fn open(client: &Client, after: i64) -> Result<Self, Trouble> {
        let headers = vec![
            ("Accept".to_owned(), "text/event-stream".to_owned()),
            ("Last-Event-ID".to_owned(), after.to_string()),
        ];
        let bounds = (STREAM_LASTS, STREAM_LIMIT);
        let answer = client.stream(&["events"], Vec::new(), headers, bounds).await?;
        Ok(Self { bytes: answer.body, parser: SseParser::default(), ready: VecDeque::new() })
    }

    /// The next item. None when the stream ends or breaks: what comes after the last item is read from there on.
    pub(super) async fn next(&mut self) -> Option<Item> {
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

fn item(kind: String, data: &str) -> Item {
    if kind == "resync" {
        return Item::Resync;
    }
    entry(kind, data).map_or(Item::Odd, |entry| Item::Entry(Box::new(entry)))
}

fn entry(kind: String, data: &str) -> Option<WireEntry> {
    let payload: Value = serde_json::from_str(data).ok()?;
    let (seq, timestamp) = (payload["seq"].as_i64()?, payload["timestamp"].as_i64().unwrap_or(0));
    Some(WireEntry { seq, kind, timestamp, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_brings_is_told_apart() {
        let entry = item("ready".to_owned(), r#"{"seq":4,"timestamp":5,"phoneNumber":"1"}"#);
        assert!(matches!(entry, Item::Entry(entry) if entry.seq == 4 && entry.timestamp == 5));
        for told in [r#"{"oldestSeq":7,"newestSeq":9}"#, "{}", ""] {
            assert!(matches!(item("resync".to_owned(), told), Item::Resync), "{told}");
        }
        assert!(matches!(item("ready".to_owned(), "no JSON"), Item::Odd));
        assert!(matches!(item("ready".to_owned(), r#"{"no":"seq"}"#), Item::Odd));
    }
}
