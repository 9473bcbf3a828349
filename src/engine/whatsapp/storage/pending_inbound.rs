//! Messages that were decrypted and not taken in yet, and which ones were taken in lately.
//!
//! The library asks here for a message that it cannot decrypt because its key was used before, and acknowledges it
//! when there is nothing (`whatsapp-rust` 0.7.0, `message/durability.rs`). Nothing may also mean that the daemon was
//! killed when the ratchet was written and the message was not: acknowledged, it would be lost. Therefore what was
//! taken in is remembered, and what is neither here nor remembered is an error, upon which the library does not
//! acknowledge; it is noted for the session, which asks the sender for it again. To ask once too often does no harm.
//!
//! A phone's announcement of its history is in no copy: the library takes it out before (`message/receive.rs`). Such
//! a copy would stand for a message that cannot be made good from it, and is not kept; the phone is asked again.
//!
//! Both kinds of row have the time when they were stored as their deadline: how long they are kept the library says
//! when it prunes (7 days).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};
use whatsapp_rust::waproto::buffa::Message as _;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::VaultBackend;
use super::spaces::{INGESTED, PENDING_INBOUND, joined};
use crate::domain::vault::VaultBatch;

/// Messages that may wait to be asked for again. Those beyond come again with the next connection.
const MAX_MISSING: usize = 1_024;

/// A message that was decrypted once and is not here. Addresses are as the library writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::whatsapp) struct MissingMessage {
    /// A person or group.
    pub(in crate::engine::whatsapp) chat: String,
    /// The device that wrote it.
    pub(in crate::engine::whatsapp) sender: String,
    /// Its id at the network.
    pub(in crate::engine::whatsapp) id: String,
}

/// What was missed and is to be asked for.
#[derive(Default)]
pub(super) struct MissingMessages {
    waiting: Mutex<VecDeque<MissingMessage>>,
    more: Notify,
}

impl MissingMessages {
    fn push(&self, missing: MissingMessage) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_MISSING && !waiting.contains(&missing) {
            waiting.push_back(missing);
            self.more.notify_one();
        }
    }

    fn take(&self) -> Option<MissingMessage> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl VaultBackend {
    /// The next message that was decrypted once and is not here; waits for one. One taker at a time.
    pub(in crate::engine::whatsapp) async fn missing(&self) -> MissingMessage {
        loop {
            let more = self.missing.more.notified();
            if let Some(missing) = self.missing.take() {
                return missing;
            }
            more.await;
        }
    }

    /// The copy of the next message is not stored, as if the daemon were killed before.
    #[cfg(feature = "testbed")]
    pub(in crate::engine::whatsapp) fn reject_next(&self) {
        self.rejects_next.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) async fn store_pending(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        #[cfg(feature = "testbed")]
        if self.rejects_next.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::Validation("refused at a test's word".to_owned()));
        }
        let now = self.now();
        let mut batch = VaultBatch::new();
        for row in rows.iter().filter(|row| !is_history_announcement(row.message)) {
            batch.put_until(PENDING_INBOUND, joined(&[row.chat, row.sender, row.id]), row.message, Some(now));
        }
        self.apply(batch).await
    }

    pub(super) async fn pending(&self, key: PendingInboundKey<'_>) -> Result<Option<Vec<u8>>> {
        let storage_key = joined(&[key.chat, key.sender, key.id]);
        if let Some(message) = self.get(PENDING_INBOUND, &storage_key).await? {
            return Ok(Some(message));
        }
        if self.get(INGESTED, &storage_key).await?.is_some() {
            return Ok(None);
        }
        self.missing.push(MissingMessage {
            chat: key.chat.to_owned(),
            sender: key.sender.to_owned(),
            id: key.id.to_owned(),
        });
        Err(StoreError::Validation("the message is not here though it was decrypted before".to_owned()))
    }

    pub(super) async fn delete_pending(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let now = self.now();
        let mut batch = VaultBatch::new();
        for key in keys {
            let storage_key = joined(&[key.chat, key.sender, key.id]);
            batch.put_until(INGESTED, storage_key.clone(), [], Some(now));
            batch.remove(PENDING_INBOUND, storage_key);
        }
        self.apply(batch).await
    }

    pub(super) async fn prune_pending(&self, cutoff: i64) -> Result<u32> {
        self.prune(INGESTED, cutoff).await?;
        self.prune(PENDING_INBOUND, cutoff).await
    }
}

/// Whether this is what is left of an announcement of history.
fn is_history_announcement(message: &[u8]) -> bool {
    let Ok(message) = wa::Message::decode_from_slice(message) else { return false };
    let protocol = message.protocol_message.as_option();
    protocol.is_some_and(|protocol| protocol.r#type == Some(ProtocolType::HistorySyncNotification))
}
