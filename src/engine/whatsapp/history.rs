//! What was there before the link: told in pieces, each once it is needed in memory.
//!
//! A phone sends it compressed, in several parts. Each part is read twice: first for who is who, then chat by chat.
//! Files of the past stay at the network.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;
use whatsapp_rust::types::events::{Event, LazyHistorySync};
use whatsapp_rust::wacore::history_sync::{HistorySyncError, HistorySyncStream};
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::history_sync::HistorySyncType;

use super::connection_context::Connected;
use super::convert::history_in::{self, PastChat, PastPoll};
use super::{app_state, inbound, polls};
use crate::domain::contact::ContactUpdate;
use crate::domain::event::HistoryPhase;
use crate::engine::{EngineEvent, InboundError};

/// Messages that are told at once.
const MESSAGES: usize = 100;
/// People that are told at once.
const PEOPLE: usize = 200;
/// Chats that wait to be told.
const CHATS: usize = 2;

/// Tells of an event about history; others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(connected: &Connected, event: &Event) -> Result<(), InboundError> {
    let Event::HistorySync(told) = event else { return Ok(()) };
    part(connected, told).await?;
    connected.parts.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// How many parts were told to their end in this connection, of those that the library fetched.
pub(super) fn parts_told(connected: &Connected) -> u64 {
    connected.parts.load(Ordering::SeqCst)
}

/// Tells a part.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn part(connected: &Connected, told: &LazyHistorySync) -> Result<(), InboundError> {
    let (bytes, size) = (told.compressed_bytes().clone(), told.decompressed_size() as u64);
    let of = bytes.clone();
    let rest = tokio::task::spawn_blocking(move || remainder(&of, size)).await;
    match rest {
        Ok(Ok(rest)) => people(connected, history_in::contacts(&rest, &connected.identities)).await?,
        _ => tracing::warn!(device = %connected.device, "a part of the history could not be read"),
    }
    chats(connected, bytes, size).await?;
    progress(connected, told).await
}

async fn people(connected: &Connected, people: Vec<ContactUpdate>) -> Result<(), InboundError> {
    for people in people.chunks(PEOPLE) {
        connected.tell(EngineEvent::Contacts(people.to_vec())).await?;
    }
    Ok(())
}

/// Everything but the chats.
fn remainder(bytes: &[u8], size: u64) -> Result<wa::HistorySync, HistorySyncError> {
    let mut stream = HistorySyncStream::new(bytes, size);
    while stream.next_conversation_bytes()?.is_some() {}
    stream.remainder()
}

async fn chats(connected: &Connected, bytes: Bytes, size: u64) -> Result<(), InboundError> {
    let (chats, mut coming) = mpsc::channel(CHATS);
    let reading = tokio::task::spawn_blocking(move || {
        let mut stream = HistorySyncStream::new(&bytes, size);
        while let Some(chat) = stream.next_conversation()? {
            if chats.blocking_send(Box::new(chat)).is_err() {
                break;
            }
        }
        Ok::<_, HistorySyncError>(())
    });
    while let Some(told) = coming.recv().await {
        chat(connected, &told).await?;
    }
    if !matches!(reading.await, Ok(Ok(()))) {
        tracing::warn!(device = %connected.device, "a part of the history could not be read to its end");
    }
    Ok(())
}

async fn chat(connected: &Connected, told: &wa::Conversation) -> Result<(), InboundError> {
    let ids = &connected.identities;
    people(connected, history_in::contact(told, ids).into_iter().collect()).await?;
    for person in history_in::people_in(told) {
        inbound::learn(connected, &person).await?;
    }
    let Some(PastChat { name, messages, changes, polls }) = history_in::chat_of(told, ids) else {
        return Ok(());
    };
    // What the network says of a group is newer than what the history does.
    if let Some((chat, name)) = name.filter(|(chat, _)| !connected.is_told(chat)) {
        connected.tell(EngineEvent::ChatName { chat, name }).await?;
    }
    for PastPoll { mut saying, header, asked_by } in polls {
        let Some(asked_by) = asked_by.or_else(|| connected.client.pn()) else { continue };
        polls::keep_asked(connected, &header, &asked_by, &mut saying).await?;
    }
    for messages in messages.chunks(MESSAGES) {
        connected.tell(EngineEvent::History(messages.to_vec())).await?;
        connected.past.fetch_add(messages.len() as u64, Ordering::Relaxed);
    }
    for changes in changes.chunks(MESSAGES) {
        connected.tell(EngineEvent::PastChanges(changes.to_vec())).await?;
    }
    Ok(())
}

/// A part that carries messages says how far the phone is; the others do not count. How many there will be is known
/// with the last one.
async fn progress(connected: &Connected, told: &LazyHistorySync) -> Result<(), InboundError> {
    let with_messages = [HistorySyncType::INITIAL_BOOTSTRAP, HistorySyncType::RECENT, HistorySyncType::FULL];
    if !with_messages.iter().any(|kind| *kind as i32 == told.sync_type()) {
        return Ok(());
    }
    let done = connected.past.load(Ordering::Relaxed);
    let over = told.progress().is_some_and(|percent| percent >= 100);
    let step = |phase| EngineEvent::HistoryProgress { done, total: over.then_some(done), phase };
    connected.tell(step(HistoryPhase::Messages)).await?;
    if !over {
        return Ok(());
    }
    app_state::past_is_told(connected).await;
    connected.tell(step(HistoryPhase::Complete)).await
}
