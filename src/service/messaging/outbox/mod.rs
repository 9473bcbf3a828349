//! Sends the queued messages of a device; one task runs for each device that is ready.
//!
//! Invariants: a message is durably marked `sending` before its bytes leave, so after a crash its outcome is
//! unknown. Every attempt has the same network id. At most one message of a chat is in flight. A permanent
//! failure has a reason. An unknown outcome is resent only where the network deduplicates, and never after
//! the message was removed from this account.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::outbox::pacing::{Pacing, Slot};
use crate::domain::ack::{Ack, Status};
use crate::domain::backoff::Backoff;
use crate::domain::clock::Millis;
use crate::domain::event::{Event, TypingKind};
use crate::domain::ids::DeviceId;
use crate::domain::message::Message;
use crate::domain::outbox::{LONGEST_RETRY_MS, NextSend, QueuedMessage, SentRecord};
use crate::engine::{Outgoing, Quoted, SendOutcome, Session};
use crate::service::registry::LiveDevice;
use crate::service::{Messaging, OutboxLimits, ServiceError};
use crate::store::outbox::OutboxRow;
use crate::store::{StoreError, Tx};

mod outcome;
pub(in crate::service) mod pacing;
pub(in crate::service) mod queue;
pub(in crate::service) mod settings;

pub(in crate::service) use outcome::{store_all_failed, store_failed, store_given_up, taken_back};

/// The longest sleep before the clock is read again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a store error.
const STORE_PAUSE: Duration = Duration::from_secs(1);

pub(in crate::service) struct Outbox {
    messaging: Messaging,
    device: DeviceId,
    session: Arc<dyn Session>,
    live: Arc<LiveDevice>,
    deduplicates: bool,
    pacing: Arc<Pacing>,
    /// Attempts with an unknown outcome in this session, by row: their retry delay grows.
    unknown: HashMap<i64, u32>,
}

/// The result of one attempt, for the queue.
enum SendAttemptResult {
    Done,
    Again {
        at: Millis,
    },
    /// The message was not sent and returns to its place in the queue.
    Held,
}

impl Outbox {
    pub(in crate::service) fn new(
        messaging: Messaging,
        device: DeviceId,
        session: Arc<dyn Session>,
        live: Arc<LiveDevice>,
    ) -> Self {
        let capabilities = messaging
            .registry
            .engine_of(&device)
            .ok()
            .and_then(|engine| messaging.registry.capabilities(&engine));
        Self {
            deduplicates: capabilities.is_some_and(|c| c.deduplicates),
            pacing: Arc::new(Pacing::new(messaging.clone(), device.clone(), live.clone())),
            messaging,
            device,
            session,
            live,
            unknown: HashMap::new(),
        }
    }

    /// Sends until `stop` is cancelled, then waits for the messages in flight.
    pub(in crate::service) async fn run(mut self, stop: CancellationToken) {
        let mut under_way: FuturesUnordered<BoxFuture<'static, (QueuedMessage, SendAttemptResult)>> =
            FuturesUnordered::new();
        let mut limits = self.messaging.limits.outbox.clone();
        let mut reload = true;
        loop {
            if std::mem::take(&mut reload) {
                match self.pacing.load(self.deduplicates).await {
                    Ok(fresh) => limits = fresh,
                    Err(error) => {
                        tracing::error!(
                            device = %self.device, %error,
                            "the outbox could not be read; trying again"
                        );
                        reload = true;
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
            let wake_after = self.fill(&mut under_way, &limits).map(|at| self.until(at));
            tokio::select! {
                () = stop.cancelled() => break,
                Some((entry, tried)) = under_way.next() => self.finalize(entry, &tried),
                () = self.live.outbox.notified() => reload = true,
                () = self.pacing.moved.notified() => {}
                () = sleep(wake_after) => {
                    reload = true;
                    self.pacing.recheck_new_chats();
                }
            }
        }
        while under_way.next().await.is_some() {}
    }

    /// Starts as many sends as the limit allows. Returns the moment of the next check.
    fn fill(
        &mut self,
        under_way: &mut FuturesUnordered<BoxFuture<'static, (QueuedMessage, SendAttemptResult)>>,
        limits: &OutboxLimits,
    ) -> Option<Millis> {
        while under_way.len() < limits.in_flight.max(1) {
            match self.pacing.next(self.messaging.clock.now()) {
                NextSend::Send(entry) => {
                    let failures = self.unknown.get(&entry.row).copied().unwrap_or(0);
                    let attempt = Attempt {
                        messaging: self.messaging.clone(),
                        device: self.device.clone(),
                        session: self.session.clone(),
                        limits: limits.clone(),
                        deduplicates: self.deduplicates,
                        unknown_before: failures,
                        slot: self.pacing.slot(&entry.chat),
                    };
                    under_way.push(Box::pin(async move {
                        let tried = attempt.make(entry.row).await;
                        (entry, tried)
                    }));
                }
                NextSend::Held(at, _) => return at,
                NextSend::Idle => return None,
            }
        }
        None
    }

    /// The wall clock may jump, so no pause is longer than [`LONGEST_PAUSE`]; an early check is cheap.
    fn until(&self, at: Millis) -> Duration {
        let ms = u64::try_from(at.since(self.messaging.clock.now())).unwrap_or(0).max(1);
        Duration::from_millis(ms).min(LONGEST_PAUSE)
    }

    fn finalize(&mut self, entry: QueuedMessage, tried: &SendAttemptResult) {
        match tried {
            SendAttemptResult::Done => {
                self.unknown.remove(&entry.row);
                self.pacing.done(&entry.chat);
            }
            SendAttemptResult::Again { at } => {
                *self.unknown.entry(entry.row).or_default() += 1;
                self.pacing.retry(QueuedMessage { retry_at: Some(*at), ..entry });
            }
            SendAttemptResult::Held => self.pacing.requeue(entry),
        }
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// A message that is marked as being sent.
struct MarkedMessage {
    /// The row before this attempt.
    row: OutboxRow,
    message: Message,
    record: SentRecord,
}

/// One attempt to send one message.
struct Attempt {
    messaging: Messaging,
    device: DeviceId,
    session: Arc<dyn Session>,
    limits: OutboxLimits,
    deduplicates: bool,
    unknown_before: u32,
    slot: Slot,
}

impl Attempt {
    async fn make(&self, row: i64) -> SendAttemptResult {
        match self.try_once(row).await {
            Ok(tried) => tried,
            Err(error) if self.slot.has_left() && !self.deduplicates => {
                tracing::error!(
                    device = %self.device, %error,
                    "the outcome of a message could not be stored; it is not resent"
                );
                SendAttemptResult::Done
            }
            Err(error) => {
                tracing::error!(
                    device = %self.device, %error,
                    "a message could not be taken from the outbox; trying again"
                );
                SendAttemptResult::Again { at: self.messaging.clock.now().plus(1_000) }
            }
        }
    }

    async fn try_once(&self, row: i64) -> Result<SendAttemptResult, ServiceError> {
        self.show_typing(row).await?;
        if self.slot.is_too_late() {
            return Ok(SendAttemptResult::Held);
        }
        let Some(marked) = self.mark_sending(row).await? else { return Ok(SendAttemptResult::Done) };
        self.slot.leave(marked.record);
        let since = self.messaging.clock.now();
        let outgoing = outgoing(marked.message, marked.row.attempts > 0);
        let outcome = self.session.send(outgoing).await;
        self.slot.answered(&outcome, since);
        self.finalize(marked.row, outcome).await
    }

    /// Shows that the account is typing, for the configured time, unless the message was removed.
    async fn show_typing(&self, row: i64) -> Result<(), ServiceError> {
        if self.limits.typing_delay_ms == 0 {
            return Ok(());
        }
        let device = self.device.clone();
        let chat = self
            .messaging
            .store
            .read(move |store| {
                let Some(row) = store.outbox_row(row)? else { return Ok(None) };
                let message = store.message(&device, &row.message_id)?;
                Ok::<_, ServiceError>(message.map(|_| row.entry.chat))
            })
            .await?;
        let Some(chat) = chat else { return Ok(()) };
        // Typing is cosmetic: a network that refuses it still accepts the message.
        let _ = self.session.typing(&chat, TypingKind::Text, true).await;
        tokio::time::sleep(Duration::from_millis(self.limits.typing_delay_ms)).await;
        let _ = self.session.typing(&chat, TypingKind::Text, false).await;
        Ok(())
    }

    /// Marks the message as being sent and reads its text in the same write: until then it can be edited or
    /// revoked. `None` when nothing is to be sent any more.
    async fn mark_sending(&self, row: i64) -> Result<Option<MarkedMessage>, ServiceError> {
        let (device, now) = (self.device.clone(), self.messaging.clock.now());
        let write = move |tx: &Tx<'_>| {
            let Some(row) = tx.outbox_row(row)? else { return Ok(None) };
            let Some(found) = tx.message(&device, &row.message_id)? else {
                outcome::store_removed(tx, &device, &row, now)?;
                return Ok(None);
            };
            tx.outbox_sending(row.entry.row, now)?;
            let record = tx.record_send(&device, row.message_pk, &row.entry.chat, now)?;
            if row.attempts == 0 {
                tx.set_ack(row.message_pk, Ack::Pending, Status::Sending, None)?;
                let temp_id = row.temp_id.as_deref();
                let status = Event::status(&row.message_id, &row.entry.chat, Status::Sending, temp_id);
                tx.append(&device, &status, now)?;
            }
            Ok::<_, StoreError>(Some(MarkedMessage { row, message: found.message, record }))
        };
        Ok(self.messaging.store.write_patiently(write).await?)
    }

    async fn finalize(
        &self,
        row: OutboxRow,
        outcome: SendOutcome,
    ) -> Result<SendAttemptResult, ServiceError> {
        let attempts = row.attempts + 1;
        match outcome {
            SendOutcome::Sent { participants } => {
                self.messaging.metrics.message_out("sent");
                let (device, now) = (self.device.clone(), self.messaging.clock.now());
                self.write(move |tx| outcome::store_sent(tx, &device, &row, &participants, now)).await?;
                Ok(SendAttemptResult::Done)
            }
            // An earlier attempt may have arrived, so this failed attempt must not fail the message.
            SendOutcome::Transient(_) if row.sending_since.is_some() => {
                self.messaging.metrics.message_out("transient");
                Ok(SendAttemptResult::Again { at: self.retry_at(attempts) })
            }
            SendOutcome::Transient(error) if attempts < self.limits.max_attempts => {
                self.messaging.metrics.message_out("transient");
                tracing::info!(
                    device = %self.device, code = error.code, attempts,
                    "a message will be retried"
                );
                let at = self.retry_at(attempts);
                self.write(move |tx| tx.outbox_retry(row.entry.row, at)).await?;
                Ok(SendAttemptResult::Again { at })
            }
            SendOutcome::Transient(error) | SendOutcome::Permanent(error) => {
                self.messaging.metrics.message_out("failed");
                tracing::info!(device = %self.device, code = error.code, attempts, "a message failed");
                let (device, now) = (self.device.clone(), self.messaging.clock.now());
                self.write(move |tx| store_failed(tx, &device, &row, &error, now)).await?;
                Ok(SendAttemptResult::Done)
            }
            SendOutcome::Unknown(error) => {
                self.messaging.metrics.message_out("unknown");
                tracing::info!(
                    device = %self.device, code = error.code, attempts,
                    "the outcome of a message is unknown"
                );
                if !self.deduplicates {
                    return Ok(SendAttemptResult::Done);
                }
                if !self.session.may_resend(&row.message_id.network).await {
                    self.write(move |tx| tx.outbox_never_resend(row.entry.row)).await?;
                    return Ok(SendAttemptResult::Done);
                }
                Ok(SendAttemptResult::Again { at: self.retry_at(self.unknown_before + 1) })
            }
        }
    }

    fn retry_at(&self, attempt: u32) -> Millis {
        let backoff = Backoff { initial_ms: self.limits.retry_delay_ms, max_ms: LONGEST_RETRY_MS };
        let delay = backoff.delay_ms(attempt, self.messaging.random.unit());
        self.messaging.clock.now().plus(i64::try_from(delay).unwrap_or(i64::MAX))
    }

    /// Waits for a busy store, so that the network's answer is not lost.
    async fn write(
        &self,
        write: impl Fn(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), ServiceError> {
        Ok(self.messaging.store.write_patiently(write).await?)
    }
}

fn outgoing(message: Message, again: bool) -> Outgoing {
    let content = message.content();
    let quoted = message.quoted_message.map(|quoted| Quoted::from(*quoted));
    Outgoing {
        id: message.id,
        chat: message.chat_id,
        body: message.body,
        content,
        quoted,
        mentions: message.mentioned_ids,
        forwarded: message.is_forwarded,
        timestamp: message.timestamp,
        again,
    }
}
