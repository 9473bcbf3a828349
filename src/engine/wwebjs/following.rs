//! How a session follows its upstream: by its event log where it has one, as a stream or whenever it calls back; by
//! its chats and messages where it has none.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::convert::state_in;
use super::convert::wire::WireEntry;
use super::keeping::Place;
use super::linking::Arrival;
use super::log::{self, Item, LogStream};
use super::session::WwebjsSession;
use super::settings::InboundBy;
use crate::engine::{EngineEvent, SessionEnd};

/// How often the round trip is measured, and that the upstream is there.
const BEAT: Duration = Duration::from_secs(30);
/// How often an upstream without a log is asked for what is new.
const POLL: Duration = Duration::from_secs(5);
/// How long an upstream that calls back is believed to have nothing new: once it is ready, and before.
const QUIET: Duration = Duration::from_secs(60);
const QUIET_AT_FIRST: Duration = Duration::from_secs(1);
/// A stream that ends sooner than this is not opened again at once.
const SHORT: Duration = Duration::from_secs(1);
/// The position is stored after so many entries that told nothing.
const STRIDE: i64 = 64;

impl WwebjsSession {
    /// Takes in what the upstream has to tell, as long as it is there.
    pub(super) async fn follow(&self, arrival: Arrival) -> Result<Infallible, SessionEnd> {
        let Arrival { place, newest } = arrival;
        let Some(mut place) = place else { return self.poll().await };
        if place.past_due {
            self.read_past(Some(place.seq), true).await?;
            place.past_due = false;
            self.kept(self.keeping.set_place(place).await)?;
        }
        self.later.read_to(place);
        self.came_to(place.seq, newest);
        if self.inbound_by == InboundBy::Webhook {
            self.read_when_called(place, newest).await
        } else {
            self.read_on(place, newest).await
        }
    }

    fn came_to(&self, seq: i64, newest: i64) {
        self.read_to.send_replace(seq);
        if seq >= newest {
            self.caught_up.cancel();
        }
    }

    async fn read_on(&self, mut place: Place, newest: i64) -> Result<Infallible, SessionEnd> {
        loop {
            let opened = Instant::now();
            let mut stream = self.answered(LogStream::open(&self.client, place.seq).await)?;
            loop {
                let item = tokio::select! {
                    item = stream.next() => item,
                    () = self.called.notified() => {
                        place = self.read_pages(place, newest).await?;
                        continue;
                    }
                };
                match item {
                    Some(Item::Entry(entry)) => {
                        place = self.took_in(place, &entry, newest, !stream.has_next()).await?;
                    }
                    Some(Item::Odd) => self.not_read("an entry of the log"),
                    // The pages tell where the log goes on.
                    Some(Item::Resync) | None => break,
                }
                self.came_to(place.seq, newest);
            }
            // What ended the stream may be an entry that it cannot carry.
            place = self.read_pages(place, newest).await?;
            if opened.elapsed() < SHORT {
                tokio::time::sleep(SHORT).await;
            }
        }
    }

    async fn read_when_called(&self, mut place: Place, newest: i64) -> Result<Infallible, SessionEnd> {
        loop {
            place = self.read_pages(place, newest).await?;
            let quiet = if self.is_online() { QUIET } else { QUIET_AT_FIRST };
            tokio::select! {
                () = self.called.notified() => {}
                () = tokio::time::sleep(quiet) => {}
            }
        }
    }

    /// Reads all that the log holds now; answers how far that is.
    async fn read_pages(&self, mut place: Place, newest: i64) -> Result<Place, SessionEnd> {
        loop {
            let page = self.answered(log::page(&self.client, place.seq).await)?;
            if page.resync {
                let was_here = page.newest_seq == place.seq;
                place = self.catch_up(place, page.newest_seq).await?;
                self.came_to(place.seq, newest);
                if was_here {
                    return Ok(place);
                }
                continue;
            }
            let before = place.seq;
            let entries = self.read_entries(page.data);
            for (at, entry) in entries.iter().enumerate() {
                place = self.took_in(place, entry, newest, at + 1 == entries.len()).await?;
                self.came_to(place.seq, newest);
            }
            // All that stands on the page may be what cannot be read.
            place.seq = place.seq.max(page.next_after);
            if !page.has_more || place.seq == before {
                return Ok(place);
            }
        }
    }

    /// Reads the entries of a page.
    pub(super) fn read_entries(&self, listed: Vec<Value>) -> Vec<WireEntry> {
        listed.into_iter().filter_map(|entry| self.read("an entry of the log", entry)).collect()
    }

    /// Takes an entry in; what is stored of that is that it was.
    async fn took_in(
        &self,
        place: Place,
        entry: &WireEntry,
        newest: i64,
        last: bool,
    ) -> Result<Place, SessionEnd> {
        if entry.seq <= place.seq {
            return Ok(place);
        }
        let now = Place { seq: entry.seq, at: entry.timestamp, past_due: false };
        match self.take_in(entry, entry.seq > newest).await {
            Ok(told) if told || last || entry.seq % STRIDE == 0 => self.came_past(now).await?,
            Ok(_) => drop(self.later.read_to(now)),
            Err(ended) => return Err(ended),
        }
        Ok(now)
    }

    /// The log no longer reaches back to where we were: what is missing is read from the chats.
    async fn catch_up(&self, place: Place, newest: i64) -> Result<Place, SessionEnd> {
        tracing::warn!(device = %self.device, "the upstream's log does not reach back to where it was read; reading its chats instead");
        self.read_again(place.at).await?;
        let place = Place { seq: newest, at: self.clock.now().0, past_due: false };
        self.came_past(place).await?;
        Ok(place)
    }

    /// Reads chats and messages again and again.
    async fn poll(&self) -> Result<Infallible, SessionEnd> {
        let mut since = self.kept(self.keeping.place().await)?.map(|place| place.at);
        self.caught_up.cancel();
        loop {
            if self.is_online() {
                let now = self.clock.now().0;
                if let Some(at) = since {
                    self.later.read_to(Place { seq: 0, at, past_due: false });
                }
                match since {
                    Some(since) => self.read_again(since).await?,
                    None => self.read_past(None, true).await?,
                }
                since = Some(now);
                let place = Place { seq: 0, at: now, past_due: false };
                self.came_past(place).await?;
            }
            tokio::select! {
                () = self.called.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            let device = self.answered(self.show().await)?;
            let there = state_in::of_device(&device);
            self.went_on(there, Some(device)).await?;
        }
    }

    /// Asks again and again whether the upstream is there, and how long it takes to answer.
    pub(super) async fn watch(&self) -> Result<Infallible, SessionEnd> {
        loop {
            let asked = Instant::now();
            self.answered(self.show().await)?;
            let ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
            if self.is_online() {
                self.tell(EngineEvent::Latency { ms: ms.max(1) }).await?;
            }
            tokio::time::sleep(BEAT).await;
        }
    }
}
