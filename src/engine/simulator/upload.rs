//! Uploads the file of a sent message: the network reads it to its end and records its hash and size.
//!
//! A failed upload is not recorded in the ledger.

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::content::{MessageParts, ReceivedFile};
use super::outbound::{permanent, transient};
use super::session::SimulatorSession;
use crate::domain::content::{Attachment, Content};
use crate::domain::media::MediaHash;
use crate::engine::{MediaStoreError, Outgoing, SendOutcome};

impl SimulatorSession {
    /// Uploads the message's file, if it has one, and returns the parts of the message.
    pub(super) async fn upload_file(&self, message: &Outgoing) -> Result<MessageParts, SendOutcome> {
        let Content::Media(attachment) = &message.content else {
            return Ok(MessageParts::of(message, None));
        };
        let file = tokio::select! {
            biased;
            () = self.gone.cancelled() => {
                return Err(transient("not_connected", "the link broke while the file was uploaded"));
            }
            file = self.upload(attachment) => file?,
        };
        Ok(MessageParts::of(message, Some(file)))
    }

    async fn upload(&self, attachment: &Attachment) -> Result<ReceivedFile, SendOutcome> {
        let mut bytes = self.media.open(&attachment.file.hash).await.map_err(open_failed)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| {
                tracing::warn!(device = %self.device.id, %error, "outgoing file not readable");
                transient("media_unreadable", "the file could not be read to its end")
            })?;
            hasher.update(&piece);
            size += piece.len() as u64;
            // A file in memory never waits; this gives other tasks their turn.
            tokio::task::consume_budget().await;
        }
        let hash = MediaHash::of_digest(&hasher.finalize().into());
        if hash != attachment.file.hash {
            return Err(permanent("media_damaged", "the file changed after it was stored"));
        }
        Ok(ReceivedFile::new(attachment, hash, size))
    }
}

fn open_failed(error: MediaStoreError) -> SendOutcome {
    match error {
        MediaStoreError::Gone => permanent("media_gone", "the file is no longer in the store"),
        error @ MediaStoreError::TooLarge(_) => permanent("media_too_large", &error.to_string()),
        error @ (MediaStoreError::Incomplete(_) | MediaStoreError::Store(_)) => {
            transient("media_unreadable", &error.to_string())
        }
    }
}
