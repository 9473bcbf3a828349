//! What the vault has about files that did not arrive with their message: their descriptions, and the state of the
//! fetches in the background.

use serde::{Deserialize, Serialize};
use whatsapp_rust::Jid as NetworkJid;
use whatsapp_rust::types::message::MessageSource;

use super::connection_context::ConnectionContext;
use super::convert::remote_file::RemoteFile;
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::vault::VaultBatch;
use crate::engine::{InboundError, VaultError};

/// Vault space of the descriptions, by the message's network id.
pub(super) const FILES: &str = "remote_files";
/// Vault space of the files that are fetched in the background, by the same key.
pub(super) const FETCHES: &str = "remote_file_fetches";
/// How long a file is fetched in the background.
const GIVE_UP_MS: i64 = 24 * 3_600_000;
/// The pause after the first failure; each further one is twice as long,
const FIRST_PAUSE_MS: i64 = 2_000;
/// up to this maximum.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// How long a fetch on request has before the background takes it over.
const ON_REQUEST_MS: i64 = 30_000;
/// How long a description is kept: the network has no file for longer.
pub(super) const KEPT_MS: i64 = 90 * 24 * 3_600_000;

/// A file that is not here, with the message as the network names it.
#[derive(Serialize, Deserialize)]
pub(super) struct RemoteFileRecord {
    pub(super) message: MessageId,
    pub(super) file: RemoteFile,
    pub(super) chat: String,
    pub(super) participant: Option<String>,
}

/// The state of a fetch in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BackgroundFetch {
    pub(super) attempts: u32,
    pub(super) next_at: Millis,
    until: Millis,
}

impl BackgroundFetch {
    fn new(now: Millis) -> Self {
        Self { attempts: 0, next_at: now, until: now.plus(GIVE_UP_MS) }
    }

    /// A fetch that begins after a request had time to end.
    pub(super) fn later(now: Millis) -> Self {
        Self { next_at: now.plus(ON_REQUEST_MS), ..Self::new(now) }
    }

    /// The state after a failure; `None` after the last attempt.
    pub(super) fn after_failure(self, now: Millis) -> Option<Self> {
        let attempts = self.attempts.saturating_add(1);
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << self.attempts.min(20)).min(LONGEST_PAUSE_MS);
        let next_at = now.plus(pause);
        (now < self.until).then_some(Self { attempts, next_at: next_at.min(self.until), ..self })
    }
}

/// Stores the description of a message's file, which is then fetched in the background.
///
/// # Errors
/// If it could not be stored.
pub(super) async fn store_pending(
    context: &ConnectionContext,
    message: MessageId,
    source: &MessageSource,
    file: RemoteFile,
) -> Result<(), InboundError> {
    let now = context.clock.now();
    let key = message.network.to_string();
    let participant = source.is_group.then(|| source.sender.to_non_ad().to_string());
    let record = RemoteFileRecord { message, file, chat: source.chat.to_non_ad().to_string(), participant };
    let mut batch = VaultBatch::new();
    batch.put_until(FILES, key.clone(), encoded(&record)?, Some(now.plus(KEPT_MS)));
    batch.put(FETCHES, key, encoded(&BackgroundFetch::new(now))?);
    context.vault.apply(batch).await.map_err(store_error)?;
    context.remote_files.added.notify_one();
    Ok(())
}

/// Stores descriptions of files of the history, which are fetched on request only.
///
/// # Errors
/// If they could not be stored.
pub(super) async fn store_of_history(
    context: &ConnectionContext,
    files: Vec<(MessageId, Option<NetworkJid>, RemoteFile)>,
    chat: &str,
) -> Result<(), InboundError> {
    let deadline = context.clock.now().plus(KEPT_MS);
    let mut batch = VaultBatch::new();
    for (message, participant, file) in files {
        let key = message.network.to_string();
        let participant = participant.map(|jid| jid.to_non_ad().to_string());
        let record = RemoteFileRecord { message, file, chat: chat.to_owned(), participant };
        batch.put_until(FILES, key, encoded(&record)?, Some(deadline));
    }
    context.vault.apply(batch).await.map_err(store_error)
}

/// Stores or removes the state of a fetch in the background.
pub(super) async fn set_fetch(
    context: &ConnectionContext,
    key: &str,
    fetch: Option<&BackgroundFetch>,
) -> Result<(), InboundError> {
    let value = fetch.map(encoded).transpose()?;
    context.vault.put(FETCHES, key, value).await.map_err(store_error)
}

pub(super) async fn load(
    context: &ConnectionContext,
    key: &str,
) -> Result<Option<RemoteFileRecord>, InboundError> {
    let stored = context.vault.get(FILES, key).await.map_err(store_error)?;
    stored.map(|bytes| decoded(&bytes)).transpose()
}

pub(super) fn encoded(value: &impl Serialize) -> Result<Vec<u8>, InboundError> {
    serde_json::to_vec(value).map_err(|error| InboundError::Store(Box::new(error)))
}

pub(super) fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, InboundError> {
    serde_json::from_slice(bytes).map_err(|error| InboundError::Store(Box::new(error)))
}

pub(super) fn store_error(error: VaultError) -> InboundError {
    InboundError::Store(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_fetch_backs_off_and_ends_after_a_day() {
        let start = Millis(1_000);
        let mut fetch = BackgroundFetch::new(start);
        let (mut now, mut pauses) = (start, Vec::new());
        while let Some(next) = fetch.after_failure(now) {
            pauses.push(next.next_at.since(now));
            (now, fetch) = (next.next_at, next);
        }
        assert_eq!(pauses[..3], [2_000, 4_000, 8_000]);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE_MS) && pauses.len() < 50);
        assert_eq!(now, start.plus(GIVE_UP_MS));
    }
}
