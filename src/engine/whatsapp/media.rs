//! Downloads and uploads attachments through unnamed temporary files; a file is never whole in memory.
//!
//! A file is uploaded, encrypted, before its message is sent. An incoming file is downloaded, decrypted and
//! verified before its message is delivered, within a short time limit. Otherwise the message is delivered without
//! its file, which is fetched later, so that later messages are not blocked. A download only asks the connection
//! for an access token, so it may run while the library holds a sender's lock.

use super::boxed::boxed;
use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use whatsapp_rust::download::DownloadWriter;
use whatsapp_rust::types::message::MessageSource;
use whatsapp_rust::wacore::upload::{EncryptedMediaInfo, MediaEncryptor};

use super::connection_context::ConnectionContext;
use super::convert::content_out::UploadedMedia;
use super::convert::remote_file::{RemoteFile, media_type};
use super::remote_file_records::store_pending;
use super::send_outcome::{offline, permanent, transient};
use crate::domain::content::{Attachment, Content};
use crate::domain::media::{MediaHash, MediaKind};
use crate::engine::{ByteStream, InboundError, Incoming, MediaStoreError, SendOutcome};

/// The largest file in bytes, as for the network.
const MAX_FILE: u64 = 2 << 30;
/// How long a message waits for its file.
const BEFORE_DELIVERY: Duration = Duration::from_secs(3);
/// The minimum time for a download,
const LEAST: Duration = Duration::from_secs(20);
/// plus one second for this many bytes,
const BYTES_A_SECOND: u64 = 512 << 10;
/// up to this maximum.
const MOST: Duration = Duration::from_secs(120);
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_secs(600);
/// The largest thumbnail in bytes; it is part of the message, once for each device.
const THUMBNAIL: usize = 32 << 10;
/// Bytes read from a file at a time.
const PIECE: usize = 64 << 10;

/// The message with its file. Without it if that takes too long or fails; the file is then fetched in the background.
///
/// # Errors
/// If a later attempt may succeed; the message must not be acknowledged then.
pub(super) async fn with_file(
    context: &ConnectionContext,
    message: Incoming,
    source: &MessageSource,
    file: RemoteFile,
) -> Result<Incoming, InboundError> {
    match tokio::time::timeout(BEFORE_DELIVERY, download(context, &file)).await {
        Ok(Ok(attachment)) => Ok(Incoming { content: Content::Media(attachment), ..message }),
        Ok(Err(FetchError::Transient(error))) => Err(error),
        Ok(Err(FetchError::Permanent(why))) => {
            tracing::warn!(device = %context.device, kind = ?file.kind, why, "message delivered without its file");
            Ok(message)
        }
        Ok(Err(FetchError::Expired | FetchError::Later(_))) | Err(_) => {
            tracing::info!(device = %context.device, kind = ?file.kind, "message delivered before its file");
            // Before the message: a kill in between leaves both to the next delivery.
            store_pending(context, message.id(), source, file).await?;
            Ok(message)
        }
    }
}

/// Why a file was not downloaded.
pub(super) enum FetchError {
    /// The daemon's own store failed, or the connection ended.
    Transient(InboundError),
    /// A later attempt may succeed.
    Later(&'static str),
    /// The network no longer has the file under this address.
    Expired,
    /// No attempt will succeed.
    Permanent(&'static str),
}

/// Downloads a file into the media store.
///
/// # Errors
/// See [`FetchError`].
pub(super) async fn download(
    context: &ConnectionContext,
    file: &RemoteFile,
) -> Result<Attachment, FetchError> {
    if file.size.is_some_and(|size| size > MAX_FILE) {
        return Err(FetchError::Permanent("it is too large"));
    }
    // The library appends a query with the access token.
    let path = file.path.as_deref().filter(|path| path.starts_with('/') && !path.contains('#'));
    path.ok_or(FetchError::Permanent("the message has no address of the file"))?;
    let temp =
        blocking(tempfile::tempfile).await.map_err(|_| FetchError::Later("there is no room for it"))?;
    let download = context.client.download_to_writer(file, SizeLimitedFile::new(temp));
    let arrived = match tokio::time::timeout(download_timeout(file.size), boxed(download)).await {
        Ok(Ok(arrived)) => arrived,
        Ok(Err(_)) if !context.client.is_connected() => {
            return Err(FetchError::Transient(InboundError::Gone));
        }
        Ok(Err(error)) => {
            return Err(match whatsapp_rust::ErrorChainExt::http_status(&*error) {
                Some(403 | 404 | 410) => FetchError::Expired,
                _ => FetchError::Later("the network does not serve the file now, or its content is wrong"),
            });
        }
        Err(_) => return Err(FetchError::Later("the download took too long")),
    };
    let stored = match context.media.save(stream_from(rewind(arrived.file).await?)).await {
        Ok(stored) => stored,
        Err(MediaStoreError::TooLarge(_)) => {
            return Err(FetchError::Permanent("the store does not accept a file of this size"));
        }
        Err(MediaStoreError::Store(error)) => return Err(FetchError::Transient(InboundError::Store(error))),
        Err(MediaStoreError::Incomplete(_) | MediaStoreError::Gone) => {
            return Err(FetchError::Permanent("it is empty"));
        }
    };
    let kind = file.kind.of_requested(&stored.mimetype);
    Ok(Attachment { kind, file: stored, filename: file.filename.clone() })
}

async fn rewind(mut file: File) -> Result<File, FetchError> {
    let rewind = blocking(move || file.seek(SeekFrom::Start(0)).map(|_| file)).await;
    rewind.map_err(|_| FetchError::Later("it could not be read back"))
}

fn download_timeout(size: Option<u64>) -> Duration {
    LEAST.saturating_add(Duration::from_secs(size.unwrap_or(0) / BYTES_A_SECOND)).min(MOST)
}

/// Encrypts and uploads a file.
///
/// # Errors
/// The outcome of the message; no part of it was sent then.
pub(super) async fn upload(
    context: &ConnectionContext,
    attachment: &Attachment,
) -> Result<UploadedMedia, SendOutcome> {
    let (temp, info) = encrypt(context, attachment).await?;
    let kind = media_type(attachment.kind);
    let source = TempFile(temp);
    let sending = boxed(context.client.upload_stream(source, info, kind));
    let uploaded = match tokio::time::timeout(UPLOAD, sending).await {
        Ok(Ok(uploaded)) => uploaded,
        Ok(Err(_)) if !context.client.is_connected() => return Err(offline()),
        Ok(Err(error)) => {
            let status = whatsapp_rust::ErrorChainExt::http_status(&*error);
            tracing::warn!(device = %context.device, status, "the network rejected a file");
            return Err(upload_error(status));
        }
        Err(_) => return Err(transient("upload_failed", "the file could not be uploaded in time")),
    };
    Ok(UploadedMedia {
        url: uploaded.url,
        path: uploaded.direct_path,
        key: uploaded.media_key.to_vec(),
        key_made: uploaded.media_key_timestamp,
        hash: uploaded.file_sha256.to_vec(),
        encrypted_hash: uploaded.file_enc_sha256.to_vec(),
        size: uploaded.file_length,
        sidecar: uploaded.streaming_sidecar,
        thumbnail: thumbnail(context, attachment).await,
    })
}

/// The preview that phones show before the download.
async fn thumbnail(context: &ConnectionContext, attachment: &Attachment) -> Option<Vec<u8>> {
    if attachment.kind != MediaKind::Image || !attachment.file.has_thumbnail {
        return None;
    }
    let small = context.media.thumbnail(&attachment.file.hash).await;
    small.filter(|jpeg| jpeg.len() <= THUMBNAIL)
}

fn upload_error(status: Option<u16>) -> SendOutcome {
    match status {
        Some(413) => permanent("media_too_large", "the network does not accept files of this size"),
        Some(415) => permanent("media_not_taken", "the network does not accept files of this type"),
        _ => transient("upload_failed", "the file could not be uploaded"),
    }
}

/// The encrypted file, in a temporary file.
async fn encrypt(
    context: &ConnectionContext,
    attachment: &Attachment,
) -> Result<(File, EncryptedMediaInfo), SendOutcome> {
    let unreadable = || transient("media_unreadable", "the file could not be read to its end");
    let no_room =
        |_| transient("media_unreadable", "the file could not be encrypted: there is no room for it");
    let mut bytes = context.media.open(&attachment.file.hash).await.map_err(open_error)?;
    let mut temp = blocking(tempfile::tempfile).await.map_err(no_room)?;
    let kind = media_type(attachment.kind);
    let mut encryptor = MediaEncryptor::new(kind)
        .map_err(|_| transient("media_unreadable", "the file could not be encrypted"))?;
    let mut hasher = Sha256::new();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| {
            tracing::warn!(device = %context.device, %error, "a file could not be read to its end");
            unreadable()
        })?;
        let work = move || {
            hasher.update(&piece);
            encryptor.update_to_writer(&piece, &mut temp).map_err(io::Error::other)?;
            Ok((hasher, encryptor, temp))
        };
        (hasher, encryptor, temp) = blocking(work).await.map_err(no_room)?;
    }
    let hash = MediaHash::of_digest(&hasher.finalize().into());
    if hash != attachment.file.hash {
        return Err(permanent("media_damaged", "the file has changed since it was stored"));
    }
    let finish = move || {
        let info = encryptor.finalize_to_writer(&mut temp).map_err(io::Error::other)?;
        Ok((temp, info))
    };
    blocking(finish).await.map_err(no_room)
}

fn open_error(error: MediaStoreError) -> SendOutcome {
    match error {
        MediaStoreError::Gone => permanent("media_gone", "the file is no longer in the store"),
        error @ MediaStoreError::TooLarge(_) => permanent("media_too_large", &error.to_string()),
        error @ (MediaStoreError::Incomplete(_) | MediaStoreError::Store(_)) => {
            transient("media_unreadable", &error.to_string())
        }
    }
}

/// An encrypted file that can be read several times.
struct TempFile(File);

impl whatsapp_rust::wacore::upload::UploadSource for TempFile {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |file| file.len())
    }

    fn reader_from(&self, offset: u64) -> io::Result<Box<dyn io::Read + Send>> {
        let mut file = self.0.try_clone()?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// A file that refuses more bytes than the network's limit.
struct SizeLimitedFile {
    file: File,
    end: u64,
}

impl SizeLimitedFile {
    fn new(file: File) -> Self {
        Self { file, end: 0 }
    }
}

impl Write for SizeLimitedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.end.saturating_add(bytes.len() as u64);
        if end > MAX_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(bytes)?;
        self.end = self.end.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for SizeLimitedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.end = self.file.seek(to)?;
        Ok(self.end)
    }
}

impl DownloadWriter for SizeLimitedFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

/// The file's bytes from its current position, read on blocking threads.
fn stream_from(file: File) -> ByteStream {
    let pieces = stream::unfold(Some(file), async |file| {
        let mut file = file?;
        let read = move || {
            let mut piece = vec![0_u8; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok((piece, file))
        };
        match blocking(read).await {
            Ok((piece, _)) if piece.is_empty() => None,
            Ok((piece, file)) => Some((Ok(Bytes::from(piece)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    pieces.boxed()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use whatsapp_rust::wacore::upload::UploadSource as _;

    #[test]
    fn download_timeout_depends_on_size_up_to_maximum() {
        assert_eq!(download_timeout(None), LEAST);
        assert_eq!(download_timeout(Some(10 << 20)), LEAST + Duration::from_secs(20));
        assert_eq!(download_timeout(Some(u64::MAX)), MOST);
    }

    #[test]
    fn upload_resumes_from_offset() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let temp = TempFile(file);
        for (offset, rest) in [(0, "0123456789"), (7, "789"), (0, "0123456789")] {
            let mut read = String::new();
            temp.reader_from(offset).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, rest);
        }
        assert_eq!(temp.len(), 10);
    }

    #[tokio::test]
    async fn second_attempt_overwrites_first() {
        let mut sink = SizeLimitedFile::new(tempfile::tempfile().unwrap());
        sink.write_all(b"something longer").unwrap();
        sink.seek(SeekFrom::Start(0)).unwrap();
        sink.write_all(b"short").unwrap();
        sink.truncate(5).unwrap();
        let Ok(file) = rewind(sink.file).await else { panic!("it cannot be read back") };
        let pieces: Vec<_> = stream_from(file).collect().await;
        let read: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
        assert_eq!(read, b"short");
    }

    #[test]
    fn bytes_beyond_limit_are_refused() {
        let mut sink = SizeLimitedFile::new(tempfile::tempfile().unwrap());
        sink.seek(SeekFrom::Start(MAX_FILE - 1)).unwrap();
        assert_eq!(sink.write(b"12").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
