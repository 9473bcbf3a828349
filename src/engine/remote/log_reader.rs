//! Follows the upstream: its event log as a stream or by pages, or its chats where it has no log.
//!
//! A position is stored only after everything before it is ingested or waits for its media.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::convert::state_in;
use super::convert::wire::WireEntry;
use super::log_stream::{self, EventStream, StreamItem};
use super::session::RemoteSession;
use super::settings::InboundTransport;
use super::state::{LogStart, ReadPosition, StoredPosition};
use crate::engine::{EngineEvent, SessionEnd};

const LATENCY_INTERVAL: Duration = Duration::from_secs(30);
/// The pause between two polls of an upstream without a log.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait for a callback before the log is read: once online, and before.
const CALLBACK_WAIT: Duration = Duration::from_secs(60);
const CALLBACK_WAIT_OFFLINE: Duration = Duration::from_secs(1);
/// A stream that ends sooner is not replaced at once.
const MIN_STREAM_AGE: Duration = Duration::from_secs(1);
/// The position is stored after this many entries without an event for us.
const STORE_EVERY: i64 = 64;

struct LogReader<'a> {
    session: &'a RemoteSession,
    position: ReadPosition,
    /// The newest entry when the session began.
    newest: i64,
}

impl RemoteSession {
    /// Ingests the upstream's events until the session ends.
    pub(super) async fn follow(&self, start: LogStart) -> Result<Infallible, SessionEnd> {
        let Some(stored) = start.position else { return self.poll().await };
        if stored.is_history_due {
            self.read_history(Some(stored.seq), true).await?;
            let done = StoredPosition { is_history_due: false, ..stored };
            self.relay.stored(self.state.set_position(done).await)?;
        }
        let position = ReadPosition { generation: 0, seq: stored.seq, at: stored.at };
        self.position.observe(position);
        self.position.mark_complete();
        let mut reader = LogReader { session: self, position, newest: start.newest };
        reader.publish();
        match self.inbound {
            InboundTransport::Webhook => reader.read_at_callbacks().await,
            InboundTransport::Stream | InboundTransport::Poll => reader.read_stream().await,
        }
    }

    /// Stores the position, which waiting media hold back.
    pub(super) async fn store_position(&self) -> Result<(), SessionEnd> {
        let Some(ReadPosition { seq, at, .. }) = self.position.commit() else { return Ok(()) };
        let position = StoredPosition { seq, at, is_history_due: false };
        self.relay.stored(self.state.set_position(position).await)
    }

    /// Polls chats and messages.
    async fn poll(&self) -> Result<Infallible, SessionEnd> {
        let mut since = self.relay.stored(self.state.position().await)?.map(|stored| stored.at);
        self.position.mark_complete();
        self.caught_up.cancel();
        loop {
            if self.base.is_online() {
                let now = self.relay.now().0;
                match since {
                    Some(at) => self.read_changes(ReadPosition { at, ..ReadPosition::default() }).await?,
                    None => self.read_history(None, true).await?,
                }
                since = Some(now);
                self.position.observe(ReadPosition { at: now, ..ReadPosition::default() });
                self.store_position().await?;
            }
            tokio::select! {
                () = self.wake_up.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            let device = self.answered(self.show().await)?;
            self.entered(state_in::from_device(&device), Some(device)).await?;
        }
    }

    /// Measures the round trip to the upstream; a failure ends the session.
    pub(super) async fn measure_latency(&self) -> Result<Infallible, SessionEnd> {
        loop {
            let asked = Instant::now();
            self.answered(self.show().await)?;
            let ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
            if self.base.is_online() {
                self.relay.deliver(EngineEvent::Latency { ms: ms.max(1) }).await?;
            }
            tokio::time::sleep(LATENCY_INTERVAL).await;
        }
    }
}

impl LogReader<'_> {
    /// Wakes the callers that wait for this position.
    fn publish(&self) {
        self.session.last_seq.send_replace(self.position.seq);
        if self.position.seq >= self.newest {
            self.session.caught_up.cancel();
        }
    }

    async fn read_stream(&mut self) -> Result<Infallible, SessionEnd> {
        let session = self.session;
        loop {
            let opened = Instant::now();
            let stream = EventStream::open_log(&session.client, self.position.seq).await;
            let mut stream = session.answered(stream)?;
            loop {
                let item = tokio::select! {
                    item = stream.next() => item,
                    () = session.wake_up.notified() => {
                        self.read_pages().await?;
                        continue;
                    }
                };
                match item {
                    Some(StreamItem::Entry(entry)) => self.ingest(&entry, !stream.has_next()).await?,
                    Some(StreamItem::Ephemeral { .. }) => {}
                    Some(StreamItem::Unreadable) => session.base.log_read_error("log entry"),
                    Some(StreamItem::Resync) | None => break,
                }
            }
            // Pages also carry an entry that is too long for a stream.
            self.read_pages().await?;
            if opened.elapsed() < MIN_STREAM_AGE {
                tokio::time::sleep(MIN_STREAM_AGE).await;
            }
        }
    }

    async fn read_at_callbacks(&mut self) -> Result<Infallible, SessionEnd> {
        loop {
            self.read_pages().await?;
            let wait = if self.session.base.is_online() { CALLBACK_WAIT } else { CALLBACK_WAIT_OFFLINE };
            tokio::select! {
                () = self.session.wake_up.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads the log up to its end.
    async fn read_pages(&mut self) -> Result<(), SessionEnd> {
        loop {
            let page =
                self.session.answered(log_stream::page(&self.session.client, self.position.seq).await)?;
            let before = self.position.seq;
            if page.resync {
                self.resync(page.newest_seq).await?;
                if page.newest_seq == before {
                    return Ok(());
                }
                continue;
            }
            let entries: Vec<WireEntry> = self.session.read_list("log entry", page.data.into());
            for (at, entry) in entries.iter().enumerate() {
                self.ingest(entry, at + 1 == entries.len()).await?;
            }
            // A page may consist of unreadable entries.
            self.position.seq = self.position.seq.max(page.next_after);
            if !page.has_more || self.position.seq == before {
                return Ok(());
            }
        }
    }

    /// Ingests an entry. `is_last`: no further one is available yet.
    async fn ingest(&mut self, entry: &WireEntry, is_last: bool) -> Result<(), SessionEnd> {
        if entry.seq <= self.position.seq {
            return Ok(());
        }
        let delivered = self.session.ingest(entry, entry.seq > self.newest, self.position).await?;
        self.position = ReadPosition { seq: entry.seq, at: entry.timestamp, ..self.position };
        self.session.position.observe(self.position);
        if delivered || is_last || entry.seq % STORE_EVERY == 0 {
            self.session.store_position().await?;
        }
        self.publish();
        Ok(())
    }

    /// Reads the chats instead of the part of the log that is missing.
    async fn resync(&mut self, newest: i64) -> Result<(), SessionEnd> {
        tracing::warn!(device = %self.session.relay.device, "the upstream's log does not reach back to the stored position; reading its chats");
        self.session.read_changes(self.position).await?;
        let (generation, at) = (self.position.generation + 1, self.session.relay.now().0);
        self.position = ReadPosition { generation, seq: newest, at };
        self.session.position.observe(self.position);
        self.session.store_position().await?;
        self.publish();
        Ok(())
    }
}
