//! Fetches files that did not arrive with their message: in the background for a day, and on request.
//!
//! The description of such a file is in the vault, so that a fetch survives restarts. Requests to the phone, for
//! files that the network no longer has, are serial and limited per hour.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use whatsapp_rust::Jid as NetworkJid;
use whatsapp_rust::wacore::media_retry::MediaRetryResult;
use whatsapp_rust::{MediaReuploadError, MediaReuploadRequest};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::media::{self, FetchError};
use super::remote_file_records::{
    BackgroundFetch, FETCHES, FILES, KEPT_MS, RemoteFileRecord, decoded, encoded, load, set_fetch,
    store_error,
};
use crate::domain::clock::Millis;
use crate::domain::content::Attachment;
use crate::domain::ids::MessageId;
use crate::domain::vault::VaultBatch;
use crate::engine::{EngineEvent, InboundError, MediaFetchError};

/// Files that are fetched at the same time.
const MAX_PARALLEL: usize = 2;
/// How long the phone may take to upload a file again.
const PHONE: Duration = Duration::from_secs(10);

/// Why a fetch failed.
enum FetchFailure {
    /// The daemon's own store failed, or the device is stopping.
    Own(InboundError),
    /// A later attempt may succeed.
    Later(MediaFetchError),
    /// No attempt will succeed.
    Gone,
}

/// Fetches pending files while the connection is open. Runs in its own task.
pub(super) async fn run(context: Arc<ConnectionContext>) {
    context.open.cancelled().await;
    if let Err(error) = context.vault.prune(FILES, context.clock.now()).await {
        tracing::warn!(device = %context.device, %error, "could not prune descriptions of files");
    }
    loop {
        let due = match fetch_due(&context).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(device = %context.device, %error, "missing files are fetched with the next connection");
                return;
            }
        };
        let pause = due.map(|at| u64::try_from(at.since(context.clock.now())).unwrap_or(0));
        tokio::select! {
            () = context.remote_files.added.notified() => {}
            () = sleep_or_wait(pause) => {}
        }
    }
}

async fn sleep_or_wait(pause: Option<u64>) {
    match pause {
        Some(ms) => tokio::time::sleep(Duration::from_millis(ms.max(50))).await,
        None => std::future::pending().await,
    }
}

/// Fetches the files that are due; returns when the next one is.
async fn fetch_due(context: &ConnectionContext) -> Result<Option<Millis>, InboundError> {
    let listed = context.vault.list(FETCHES, "").await.map_err(store_error)?;
    let now = context.clock.now();
    let mut due = Vec::new();
    let mut next: Option<Millis> = None;
    for (key, value) in listed {
        let fetch: BackgroundFetch = decoded(&value)?;
        if fetch.next_at <= now && due.len() < MAX_PARALLEL {
            due.push((key, fetch));
        } else {
            next = Some(next.map_or(fetch.next_at, |at| at.min(fetch.next_at)));
        }
    }
    let fetches = due.into_iter().map(|(key, fetch)| fetch_in_background(context, key, fetch));
    for result in join_all(fetches).await {
        if let Some(at) = result? {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    }
    Ok(next)
}

/// One attempt in the background; returns when the next one is due.
async fn fetch_in_background(
    context: &ConnectionContext,
    key: String,
    fetch: BackgroundFetch,
) -> Result<Option<Millis>, InboundError> {
    let Some(record) = load(context, &key).await? else {
        set_fetch(context, &key, None).await?;
        return Ok(None);
    };
    let message = record.message.clone();
    let gave_up = match fetch_file(context, &key, record).await {
        Ok(attachment) => {
            finish(context, &key, message, attachment).await?;
            return Ok(None);
        }
        Err(FetchFailure::Own(error)) => return Err(error),
        Err(FetchFailure::Gone) => true,
        Err(FetchFailure::Later(error)) => {
            tracing::info!(device = %context.device, attempts = fetch.attempts, %error, "file not fetched yet");
            false
        }
    };
    let next = if gave_up { None } else { fetch.after_failure(context.clock.now()) };
    match next {
        Some(next) => {
            set_fetch(context, &key, Some(&next)).await?;
            Ok(Some(next.next_at))
        }
        None => {
            tracing::warn!(device = %context.device, "gave up fetching a file");
            context.deliver(EngineEvent::MediaFetched { id: message, attachment: None }).await?;
            // The description stays: a request may try again.
            set_fetch(context, &key, None).await?;
            Ok(None)
        }
    }
}

/// Delivers a fetched file, then removes its description.
async fn finish(
    context: &ConnectionContext,
    key: &str,
    id: MessageId,
    attachment: Attachment,
) -> Result<(), InboundError> {
    context.deliver(EngineEvent::MediaFetched { id, attachment: Some(Box::new(attachment)) }).await?;
    let mut batch = VaultBatch::new();
    batch.remove(FILES, key);
    batch.remove(FETCHES, key);
    context.vault.apply(batch).await.map_err(store_error)
}

/// See [`crate::engine::Session::fetch_media`].
pub(super) async fn fetch_on_request(
    context: &ConnectionContext,
    id: &MessageId,
) -> Result<(), MediaFetchError> {
    let _permit = context.remote_files.on_request.lock().await;
    let key = id.network.to_string();
    let failed = |error: InboundError| {
        tracing::warn!(device = %context.device, %error, "could not fetch a file");
        MediaFetchError::Failed
    };
    let record = load(context, &key).await.map_err(failed)?;
    let record = record.filter(|record| record.message.from_me == id.from_me);
    let Some(record) = record else { return Err(MediaFetchError::NotDescribed) };
    let message = record.message.clone();
    let was_pending = context.vault.get(FETCHES, &key).await.map_err(store_error).map_err(failed)?.is_some();
    // The caller may disconnect, and the file may be large: the background goes on then.
    let fetch = BackgroundFetch::later(context.clock.now());
    set_fetch(context, &key, Some(&fetch)).await.map_err(failed)?;
    context.remote_files.added.notify_one();
    match fetch_file(context, &key, record).await {
        Ok(attachment) => finish(context, &key, message, attachment).await.map_err(failed),
        Err(FetchFailure::Own(error)) => Err(failed(error)),
        Err(FetchFailure::Later(error)) => Err(error),
        Err(FetchFailure::Gone) => {
            if was_pending {
                let gave_up = EngineEvent::MediaFetched { id: message, attachment: None };
                context.deliver(gave_up).await.map_err(failed)?;
            }
            set_fetch(context, &key, None).await.map_err(failed)?;
            Err(MediaFetchError::Gone)
        }
    }
}

/// Downloads a file; the phone uploads it again if the network no longer has it.
async fn fetch_file(
    context: &ConnectionContext,
    key: &str,
    mut record: RemoteFileRecord,
) -> Result<Attachment, FetchFailure> {
    match media::download(context, &record.file).await {
        Ok(attachment) => return Ok(attachment),
        Err(FetchError::Expired) => {}
        Err(error) => return Err(failure_of(context, error)),
    }
    record.file.path = Some(ask_phone(context, &record).await?);
    let deadline = Some(context.clock.now().plus(KEPT_MS));
    let mut batch = VaultBatch::new();
    batch.put_until(FILES, key, encoded(&record).map_err(FetchFailure::Own)?, deadline);
    context.vault.apply(batch).await.map_err(|error| FetchFailure::Own(store_error(error)))?;
    media::download(context, &record.file).await.map_err(|error| failure_of(context, error))
}

fn failure_of(context: &ConnectionContext, error: FetchError) -> FetchFailure {
    let why = match error {
        FetchError::Transient(error) => return FetchFailure::Own(error),
        FetchError::Permanent(_) => return FetchFailure::Gone,
        FetchError::Expired => "the network does not serve the file that the phone uploaded again",
        FetchError::Later(why) => why,
    };
    tracing::debug!(device = %context.device, why, "file not downloaded");
    FetchFailure::Later(MediaFetchError::Failed)
}

/// The new path of the file, after the phone has uploaded it again.
async fn ask_phone(context: &ConnectionContext, record: &RemoteFileRecord) -> Result<String, FetchFailure> {
    let (Some(key), Ok(chat)) = (&record.file.key, record.chat.parse::<NetworkJid>()) else {
        return Err(FetchFailure::Gone);
    };
    let participant = record.participant.as_ref().and_then(|jid| jid.parse::<NetworkJid>().ok());
    let _one_at_a_time = context.remote_files.phone.lock().await;
    if !context.remote_files.may_ask(Instant::now()) {
        return Err(FetchFailure::Later(MediaFetchError::TooMany));
    }
    let request = MediaReuploadRequest {
        msg_id: record.message.network.as_str(),
        chat_jid: &chat,
        media_key: key,
        is_from_me: record.message.from_me,
        participant: participant.as_ref(),
    };
    let reupload = context.client.media_reupload();
    let answer = tokio::time::timeout(PHONE, boxed(reupload.request(&request))).await;
    match answer {
        Ok(Ok(MediaRetryResult::Success { direct_path })) => Ok(direct_path),
        Ok(Ok(MediaRetryResult::NotFound)) | Ok(Err(MediaReuploadError::InvalidRequest(_))) => {
            Err(FetchFailure::Gone)
        }
        Ok(Ok(MediaRetryResult::GeneralError | MediaRetryResult::DecryptionError)) => {
            Err(FetchFailure::Later(MediaFetchError::Failed))
        }
        Ok(Err(MediaReuploadError::Timeout)) | Err(_) => {
            Err(FetchFailure::Later(MediaFetchError::PhoneOffline))
        }
        Ok(Err(_)) if !context.client.is_connected() => Err(FetchFailure::Own(InboundError::Gone)),
        Ok(Err(_)) => Err(FetchFailure::Later(MediaFetchError::Failed)),
    }
}
