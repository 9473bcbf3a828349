//! Stores messages that were decrypted and not ingested yet, and records recently ingested ones.
//!
//! For a message whose key was used before, the library reads its row here and acknowledges the message if
//! there is none (`whatsapp-rust` 0.7.0, `message/durability.rs`). The row may also be missing because a kill
//! came after the ratchet was written and before the message was; acknowledging would then lose the message.
//! Ingested messages are therefore recorded, and a message that is neither stored nor recorded is an error,
//! upon which the library does not acknowledge. It is queued as missing, and the session requests it again
//! from its sender. A superfluous request is harmless.
//!
//! The library removes a history announcement from its message first (`message/receive.rs`). A stored copy
//! without it could not be processed later, so it is not stored; it is requested again from the phone.
//!
//! The deadline of a row is the time when it was stored; the library chooses the age when it prunes (7 days).

use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};
use whatsapp_rust::waproto::buffa::Message as _;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::VaultBackend;
use super::missing_messages::MissingMessage;
use super::spaces::{INGESTED, PENDING_INBOUND, joined};
use crate::domain::vault::VaultBatch;

impl VaultBackend {
    /// Waits for the next missing message. Only one task may wait at a time.
    pub(in super::super) async fn missing(&self) -> MissingMessage {
        self.missing.next().await
    }

    /// Refuses to store the next message, like a kill before that.
    #[cfg(feature = "testbed")]
    pub(in super::super) fn reject_next(&self) {
        self.rejects_next.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) async fn store_pending(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        #[cfg(feature = "testbed")]
        if self.rejects_next.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::Validation("refused by a test fault".to_owned()));
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
        Err(StoreError::Validation("the message was decrypted before and is not stored".to_owned()))
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

/// Whether this is the rest of a history announcement.
fn is_history_announcement(message: &[u8]) -> bool {
    let Ok(message) = wa::Message::decode_from_slice(message) else { return false };
    let protocol = message.protocol_message.as_option();
    protocol.is_some_and(|protocol| protocol.r#type == Some(ProtocolType::HistorySyncNotification))
}
