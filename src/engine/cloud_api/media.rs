//! Uploads and downloads files, never whole in memory.
//!
//! A file is uploaded before the message that refers to it. A message whose file cannot be downloaded has
//! only its type.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::client::GraphFailure;
use super::convert::message_in::RemoteFile;
use super::send_error::{not_sent, rejected};
use super::session::CloudSession;
use crate::domain::content::Attachment;
use crate::domain::media::{MediaHash, MediaKind};
use crate::engine::relay::media_retry::MediaFetchError;
use crate::engine::relay::outcome::{permanent, transient};
use crate::engine::{ByteStream, CallbackError, SendOutcome};

const MIB: u64 = 1 << 20;
/// The largest file that is downloaded, in bytes.
const MAX_DOWNLOAD_BYTES: u64 = 100 * MIB;

/// Downloads the file of a message; `None` when the message is to be delivered without it.
///
/// # Errors
/// When Meta has to repeat the callback.
pub(super) async fn fetch(
    session: &CloudSession,
    wamid: &str,
    file: &RemoteFile,
    deadline: Instant,
) -> Result<Option<Attachment>, CallbackError> {
    let unavailable = |sentence: &str| CallbackError::NotNow(sentence.to_owned());
    let permit = tokio::time::timeout_at(deadline, session.downloads.acquire()).await;
    let _permit =
        permit.ok().and_then(Result::ok).ok_or_else(|| unavailable("too many files are downloaded now"))?;
    let attempt = session.number.media_retries.begin(&wamid.to_owned());
    let fetched = tokio::time::timeout_at(deadline, download(session, file, deadline)).await;
    match fetched.unwrap_or(Err(MediaFetchError::Temporary("the download took too long"))) {
        Ok(attachment) => Ok(Some(attachment)),
        Err(MediaFetchError::NotStored) => Err(unavailable("it could not be stored now")),
        Err(MediaFetchError::Temporary(why)) if !attempt.is_last => {
            tracing::info!(device = %session.context.device, kind = ?file.kind, why, "media download will be retried");
            Err(unavailable("a file could not be downloaded from Meta now"))
        }
        Err(MediaFetchError::Temporary(why) | MediaFetchError::Permanent(why)) => {
            tracing::warn!(device = %session.context.device, kind = ?file.kind, why, "message delivered without its media");
            Ok(None)
        }
    }
}

async fn download(
    session: &CloudSession,
    file: &RemoteFile,
    deadline: Instant,
) -> Result<Attachment, MediaFetchError> {
    let address = session.graph.media(&file.id).await.map_err(|failure| fetch_error(&failure))?;
    if address.size().is_some_and(|size| size > MAX_DOWNLOAD_BYTES) {
        return Err(MediaFetchError::Permanent("the file is too large"));
    }
    let timeout = deadline.saturating_duration_since(Instant::now());
    let bytes = session.graph.download(&address.url, MAX_DOWNLOAD_BYTES, timeout).await;
    let stored = session.context.save_media(bytes.map_err(|failure| fetch_error(&failure))?).await?;
    // The address is newer than the callback.
    let expected = address.digest().and_then(digest).or_else(|| file.sha256.as_deref().and_then(digest));
    if expected.is_some_and(|expected| expected != stored.hash) {
        return Err(MediaFetchError::Temporary("the file does not match Meta's digest"));
    }
    let kind = file.kind.of_requested(&stored.mimetype);
    Ok(Attachment { kind, file: stored, filename: file.filename.clone() })
}

fn fetch_error(failure: &GraphFailure) -> MediaFetchError {
    match failure {
        GraphFailure::Rejected(error) if error.status == 413 => {
            MediaFetchError::Permanent("the file is too large")
        }
        GraphFailure::Rejected(error) if !error.is_temporary() => {
            MediaFetchError::Permanent("Meta rejected the download")
        }
        GraphFailure::Rejected(_) => MediaFetchError::Temporary("Meta rejected the download for now"),
        GraphFailure::Unreachable | GraphFailure::NoAnswer => {
            MediaFetchError::Temporary("no answer from Meta")
        }
    }
}

/// Reads a digest: hexadecimal, or base64 as in callbacks.
fn digest(text: &str) -> Option<MediaHash> {
    let text = text.trim();
    if let Ok(hash) = text.to_ascii_lowercase().parse() {
        return Some(hash);
    }
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(MediaHash::of_digest(&bytes))
}

/// Uploads a file and returns Meta's id of it. When this fails, the message was not sent.
pub(super) async fn upload(session: &CloudSession, attachment: &Attachment) -> Result<String, SendOutcome> {
    let mimetype = acceptable(attachment)?;
    let bytes = session.context.open_attachment(attachment).await?;
    let error = Arc::new(Mutex::new(None));
    let verified = verified(bytes, attachment.file.hash.clone(), Arc::clone(&error));
    let mut random = [0_u8; 16];
    session.context.random.fill(&mut random);
    let boundary = MediaHash::of_digest(&Sha256::digest(random).into());
    let (content_type, length, form) = multipart(&boundary, &mimetype, attachment, verified);
    let uploaded = session.graph.upload(&content_type, length, form).await;
    let error = error.lock().take();
    match (uploaded, error) {
        (_, Some(FileError::Damaged)) => {
            Err(permanent("media_damaged", "the file has changed since it was stored"))
        }
        (_, Some(FileError::Unreadable)) => {
            Err(transient("media_unreadable", "the file could not be read to its end"))
        }
        (Ok(id), None) => Ok(id),
        (Err(GraphFailure::Rejected(error)), None) if error.status == 413 => {
            Err(permanent("media_too_large", "the file is too large for Meta"))
        }
        (Err(GraphFailure::Rejected(error)), None) => Err(rejected(session, &error, None)),
        (Err(GraphFailure::Unreachable), None) => Err(not_sent(session)),
        // No message was sent: at most the file is at Meta twice.
        (Err(GraphFailure::NoAnswer), None) => {
            Err(transient("upload_failed", "the file could not be uploaded"))
        }
    }
}

/// The type under which a file is uploaded. A file that Meta does not accept is rejected before the upload.
fn acceptable(attachment: &Attachment) -> Result<String, SendOutcome> {
    let (kind, mimetype) = (attachment.kind, attachment.file.mimetype.as_str());
    let (types, most): (&[&str], u64) = match kind {
        MediaKind::Image => (&["image/jpeg", "image/png"], 5 * MIB),
        MediaKind::Video => (&["video/mp4", "video/3gpp"], 16 * MIB),
        MediaKind::Audio => (
            &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/m4a", "audio/ogg", "audio/opus"],
            16 * MIB,
        ),
        MediaKind::Ptt => (&["audio/ogg", "audio/opus"], 16 * MIB),
        MediaKind::Sticker => (&["image/webp"], MIB / 2),
        MediaKind::Document => (&[], 100 * MIB),
    };
    if !types.is_empty() && !types.contains(&mimetype) {
        let sentence =
            format!("Meta accepts {} there, not {mimetype}; send the file as a document", types.join(", "));
        return Err(permanent("media_not_taken", &sentence));
    }
    if attachment.file.filesize > most {
        return Err(permanent("media_too_large", &format!("Meta accepts at most {most} bytes there")));
    }
    let ogg = matches!(mimetype, "audio/ogg" | "audio/opus");
    Ok(if ogg { "audio/ogg; codecs=opus" } else { mimetype }.to_owned())
}

/// Why a file could not be read to its end.
enum FileError {
    Unreadable,
    Damaged,
}

/// The bytes of a file; a wrong digest ends the stream with an error before its last byte is complete.
fn verified(bytes: ByteStream, hash: MediaHash, error: Arc<Mutex<Option<FileError>>>) -> ByteStream {
    let fail = move |found: FileError| {
        *error.lock() = Some(found);
        io::Error::other("the file cannot be sent")
    };
    let start = Some((bytes, Sha256::new(), fail, hash));
    stream::unfold(start, async |state| {
        let (mut bytes, mut hasher, fail, hash) = state?;
        match bytes.next().await {
            Some(Ok(piece)) => {
                hasher.update(&piece);
                Some((Ok(piece), Some((bytes, hasher, fail, hash))))
            }
            Some(Err(_)) => Some((Err(fail(FileError::Unreadable)), None)),
            None if MediaHash::of_digest(&hasher.finalize().into()) == hash => None,
            None => Some((Err(fail(FileError::Damaged)), None)),
        }
    })
    .boxed()
}

/// The form of `POST …/media`: its type, its length in bytes and its body.
fn multipart(
    boundary: &MediaHash,
    mimetype: &str,
    attachment: &Attachment,
    bytes: ByteStream,
) -> (String, u64, ByteStream) {
    let field = |name: &str, value: &str| {
        format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let head = format!(
        "{}{}--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
         content-type: {mimetype}\r\n\r\n",
        field("messaging_product", "whatsapp"),
        field("type", mimetype),
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let length = head.len() as u64 + attachment.file.filesize + tail.len() as u64;
    let one = |text: String| stream::iter([Ok(Bytes::from(text))]);
    let bytes = one(head).chain(bytes).chain(one(tail)).boxed();
    (format!("multipart/form-data; boundary={boundary}"), length, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_read_as_hex_or_base64() {
        let hash = MediaHash::of_digest(&Sha256::digest(b"file").into());
        assert_eq!(digest(&hash.to_string().to_ascii_uppercase()), Some(hash.clone()));
        assert_eq!(digest(&STANDARD.encode(Sha256::digest(b"file"))), Some(hash));
        assert_eq!((digest("<HASH>"), digest("29ed500fa64eb55f")), (None, None));
    }
}
