//! Ingests the history sync: the messages from before the link, in bounded pieces. A phone sends it
//! compressed, in several parts; each part is read twice, first for identities, then chat by chat.
//! Attachments stay at the network until a client requests them.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;
use whatsapp_rust::types::events::{Event, LazyHistorySync};
use whatsapp_rust::wacore::history_sync::{HistorySyncError, HistorySyncStream};
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::history_sync::HistorySyncType;

use super::connection_context::ConnectionContext;
use super::convert::history_in::{self, HistoryChat, HistoryPoll};
use super::{app_state, inbound, polls, remote_file_records};
use crate::domain::contact::ContactUpdate;
use crate::domain::event::HistoryPhase;
use crate::engine::{EngineEvent, InboundError};

/// Messages of one event.
const MESSAGES: usize = 100;
/// Contacts of one event.
const PEOPLE: usize = 200;
/// Decoded chats that may be queued.
const CHATS: usize = 2;

/// Ingests a part of the history; ignores other events.
///
/// # Errors
/// If a part could not be ingested.
pub(super) async fn on_event(context: &ConnectionContext, event: &Event) -> Result<(), InboundError> {
    let Event::HistorySync(part) = event else { return Ok(()) };
    ingest_part(context, part).await?;
    context.history_parts.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Parts that the library downloaded and that were delivered completely on this connection.
pub(super) fn parts_delivered(context: &ConnectionContext) -> u64 {
    context.history_parts.load(Ordering::SeqCst)
}

/// Ingests a part.
///
/// # Errors
/// If it could not be ingested.
pub(super) async fn ingest_part(
    context: &ConnectionContext,
    part: &LazyHistorySync,
) -> Result<(), InboundError> {
    let (bytes, size) = (part.compressed_bytes().clone(), part.decompressed_size() as u64);
    let of = bytes.clone();
    let rest = tokio::task::spawn_blocking(move || read_remainder(&of, size)).await;
    match rest {
        Ok(Ok(rest)) => deliver_contacts(context, history_in::contacts(&rest, &context.identities)).await?,
        _ => tracing::warn!(device = %context.device, "could not read a part of the history"),
    }
    ingest_chats(context, bytes, size).await?;
    deliver_progress(context, part).await
}

async fn deliver_contacts(
    context: &ConnectionContext,
    contacts: Vec<ContactUpdate>,
) -> Result<(), InboundError> {
    for contacts in contacts.chunks(PEOPLE) {
        context.deliver(EngineEvent::Contacts(contacts.to_vec())).await?;
    }
    Ok(())
}

/// Everything except the chats.
fn read_remainder(bytes: &[u8], size: u64) -> Result<wa::HistorySync, HistorySyncError> {
    let mut stream = HistorySyncStream::new(bytes, size);
    while stream.next_conversation_bytes()?.is_some() {}
    stream.remainder()
}

async fn ingest_chats(context: &ConnectionContext, bytes: Bytes, size: u64) -> Result<(), InboundError> {
    let (sender, mut receiver) = mpsc::channel(CHATS);
    let reading = tokio::task::spawn_blocking(move || {
        let mut stream = HistorySyncStream::new(&bytes, size);
        while let Some(chat) = stream.next_conversation()? {
            if sender.blocking_send(Box::new(chat)).is_err() {
                break;
            }
        }
        Ok::<_, HistorySyncError>(())
    });
    while let Some(conversation) = receiver.recv().await {
        ingest_chat(context, &conversation).await?;
    }
    if !matches!(reading.await, Ok(Ok(()))) {
        tracing::warn!(device = %context.device, "could not read the rest of a part of the history");
    }
    Ok(())
}

async fn ingest_chat(
    context: &ConnectionContext,
    conversation: &wa::Conversation,
) -> Result<(), InboundError> {
    let ids = &context.identities;
    deliver_contacts(context, history_in::contact(conversation, ids).into_iter().collect()).await?;
    for person in history_in::people_in(conversation) {
        inbound::resolve(context, &person).await?;
    }
    let Some(HistoryChat { name, messages, changes, polls, files }) = history_in::chat_of(conversation, ids)
    else {
        return Ok(());
    };
    // The network's group name is newer than the name in the history.
    if let Some((chat, name)) = name.filter(|(chat, _)| !context.is_group_delivered(chat)) {
        context.deliver(EngineEvent::ChatName { chat, name }).await?;
    }
    for HistoryPoll { mut parsed, header, asked_by } in polls {
        let Some(asked_by) = asked_by.or_else(|| context.client.pn()) else { continue };
        polls::store_secret(context, &header, &asked_by, &mut parsed).await?;
    }
    for files in files.chunks(MESSAGES) {
        remote_file_records::store_of_history(context, files.to_vec(), &conversation.id).await?;
    }
    for messages in messages.chunks(MESSAGES) {
        context.deliver(EngineEvent::History(messages.to_vec())).await?;
        context.history_messages.fetch_add(messages.len() as u64, Ordering::Relaxed);
    }
    for changes in changes.chunks(MESSAGES) {
        context.deliver(EngineEvent::PastChanges(changes.to_vec())).await?;
    }
    Ok(())
}

/// Reports the progress of parts that contain messages. The total is available with the last part only.
async fn deliver_progress(context: &ConnectionContext, part: &LazyHistorySync) -> Result<(), InboundError> {
    let with_messages = [HistorySyncType::INITIAL_BOOTSTRAP, HistorySyncType::RECENT, HistorySyncType::FULL];
    if !with_messages.iter().any(|kind| *kind as i32 == part.sync_type()) {
        return Ok(());
    }
    let done = context.history_messages.load(Ordering::Relaxed);
    let over = part.progress().is_some_and(|percent| percent >= 100);
    let step = |phase| EngineEvent::HistoryProgress { done, total: over.then_some(done), phase };
    context.deliver(step(HistoryPhase::Messages)).await?;
    if !over {
        return Ok(());
    }
    app_state::on_history_complete(context).await;
    context.deliver(step(HistoryPhase::Complete)).await
}
