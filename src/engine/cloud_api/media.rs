//! Files, up and down, never whole in memory.
//!
//! A file goes up before the message that names it leaves. One that comes in is fetched in two steps, its address and
//! then its bytes, within a time: what cannot be had leaves a message of its type without a file.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::arrivals::MOST_TRIES;
use super::client::CallError;
use super::convert::message_in::RemoteFile;
use super::outbound::{failed, not_sent, permanent, transient};
use super::session::CloudSession;
use crate::domain::content::Attachment;
use crate::domain::media::{MediaHash, MediaKind};
use crate::engine::{ByteStream, MediaStoreError, SendOutcome};
use crate::net::ExchangeBody;

/// What Meta takes, in bytes, by what a file is sent as.
const MB: u64 = 1 << 20;
/// The largest file that comes in.
const LARGEST_IN: u64 = 100 * MB;

/// Why a file that came in is not here.
pub(super) enum Missing {
    /// The daemon could not store it; the callback has to come again.
    NotStored,
    /// No other file left a place for it in time; the callback has to come again.
    NoPlace,
    /// It cannot be had now, and maybe later.
    ForNow(&'static str),
    /// It cannot be had.
    Lost(&'static str),
}

/// Fetches the file of a message by a time. What cannot be had now may be had when the callback comes again: so often,
/// and then it counts as lost.
pub(super) async fn fetched(
    session: &CloudSession,
    wamid: &str,
    file: &RemoteFile,
    by: Instant,
) -> Result<Attachment, Missing> {
    let place = tokio::time::timeout_at(by, session.fetching.acquire()).await;
    let _place = place.ok().and_then(Result::ok).ok_or(Missing::NoPlace)?;
    let tries = session.media_retries.tried(wamid);
    let within = tokio::time::timeout_at(by, fetch(session, file, by)).await;
    match within.unwrap_or(Err(Missing::ForNow("it did not come in time"))) {
        Err(Missing::ForNow(why)) if tries >= MOST_TRIES => Err(Missing::Lost(why)),
        fetched => fetched,
    }
}

async fn fetch(session: &CloudSession, file: &RemoteFile, by: Instant) -> Result<Attachment, Missing> {
    let address = session.graph.media(&file.id).await.map_err(|error| not_given(&error))?;
    if address.size().is_some_and(|size| size > LARGEST_IN) {
        return Err(Missing::Lost("it is too large"));
    }
    let patience = by.saturating_duration_since(Instant::now());
    let bytes = session.graph.download(&address.url, LARGEST_IN, patience).await;
    let bytes = bytes.map_err(|error| not_given(&error))?;
    let stored = session.media.save(bytes).await.map_err(|error| match error {
        MediaStoreError::Store(source) => {
            tracing::warn!(device = %session.device, error = %source, "a file could not be stored");
            Missing::NotStored
        }
        MediaStoreError::TooLarge(_) => Missing::Lost("the store does not take so large a file"),
        MediaStoreError::Incomplete(_) | MediaStoreError::Gone => Missing::ForNow("it broke off"),
    })?;
    // Meta's answer is newer than what the callback said.
    let told = address.digest().and_then(digest).or_else(|| file.sha256.as_deref().and_then(digest));
    if told.is_some_and(|told| told != stored.hash) {
        return Err(Missing::ForNow("it is not the file that Meta describes"));
    }
    let kind = file.kind.of_told(&stored.mimetype);
    Ok(Attachment { kind, file: stored, filename: file.filename.clone() })
}

fn not_given(error: &CallError) -> Missing {
    match error {
        CallError::Refused(error) if error.status == 413 => Missing::Lost("it is too large"),
        CallError::Refused(error) if !error.passes() => Missing::Lost("Meta does not give it"),
        CallError::Refused(_) => Missing::ForNow("Meta does not give it now"),
        CallError::NotReached | CallError::Unclear => Missing::ForNow("it could not be reached"),
    }
}

/// A digest of Meta's: in hexadecimal, or base64 as callbacks have it.
fn digest(text: &str) -> Option<MediaHash> {
    let text = text.trim();
    if let Ok(hash) = text.to_ascii_lowercase().parse() {
        return Some(hash);
    }
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(MediaHash::of_digest(&bytes))
}

/// Uploads a file; answers Meta's id of it. Nothing of the message has left when it fails.
pub(super) async fn upload(session: &CloudSession, attachment: &Attachment) -> Result<String, SendOutcome> {
    let mimetype = acceptable(attachment)?;
    let bytes = session.media.open(&attachment.file.hash).await.map_err(|error| match error {
        MediaStoreError::Gone => permanent("media_gone", "the file is not in the store any more"),
        error => transient("media_unreadable", &error.to_string()),
    })?;
    let problem = Arc::new(Mutex::new(None));
    let checked = checked(bytes, attachment.file.hash.clone(), Arc::clone(&problem));
    let mut random = [0_u8; 16];
    session.random.fill(&mut random);
    let (form, body) =
        multipart(&MediaHash::of_digest(&Sha256::digest(random).into()), &mimetype, attachment, checked);
    let uploaded = session.graph.upload(form, body).await;
    let found = problem.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (uploaded, found) {
        (_, Some(Problem::Damaged)) => {
            Err(permanent("media_damaged", "the file is not what it was when it was stored"))
        }
        (_, Some(Problem::Unreadable)) => {
            Err(transient("media_unreadable", "the file could not be read to its end"))
        }
        (Ok(id), None) => Ok(id),
        (Err(CallError::Refused(error)), None) if error.status == 413 => {
            Err(permanent("media_too_large", "Meta does not take so large a file"))
        }
        (Err(CallError::Refused(error)), None) => Err(failed(session, &error, None)),
        (Err(CallError::NotReached), None) => Err(not_sent(session)),
        // No message has left: only the file may be there twice.
        (Err(CallError::Unclear), None) => Err(transient("upload_failed", "the file could not be uploaded")),
    }
}

/// The type that Meta is told; what it does not take is refused here, before it goes all the way up.
fn acceptable(attachment: &Attachment) -> Result<String, SendOutcome> {
    let (kind, mimetype) = (attachment.kind, attachment.file.mimetype.as_str());
    let (types, most): (&[&str], u64) = match kind {
        MediaKind::Image => (&["image/jpeg", "image/png"], 5 * MB),
        MediaKind::Video => (&["video/mp4", "video/3gpp"], 16 * MB),
        MediaKind::Audio => (
            &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/m4a", "audio/ogg", "audio/opus"],
            16 * MB,
        ),
        MediaKind::Ptt => (&["audio/ogg", "audio/opus"], 16 * MB),
        MediaKind::Sticker => (&["image/webp"], MB / 2),
        MediaKind::Document => (&[], 100 * MB),
    };
    if !types.is_empty() && !types.contains(&mimetype) {
        let sentence =
            format!("Meta takes {} there, not {mimetype}; send it as a document", types.join(", "));
        return Err(permanent("media_not_taken", &sentence));
    }
    if attachment.file.filesize > most {
        return Err(permanent("media_too_large", &format!("Meta takes at most {most} bytes there")));
    }
    let ogg = matches!(mimetype, "audio/ogg" | "audio/opus");
    Ok(if ogg { "audio/ogg; codecs=opus" } else { mimetype }.to_owned())
}

/// What went wrong with a file on its way out.
enum Problem {
    Unreadable,
    Damaged,
}

/// The bytes, held against what they should be; what is wrong ends them before their last.
fn checked(bytes: ByteStream, hash: MediaHash, problem: Arc<Mutex<Option<Problem>>>) -> ByteStream {
    let note = move |found: Problem| {
        *problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        io::Error::other("the file cannot be sent")
    };
    let start = Some((bytes, Sha256::new(), note, hash));
    stream::unfold(start, async |state| {
        let (mut bytes, mut hasher, note, hash) = state?;
        match bytes.next().await {
            Some(Ok(piece)) => {
                hasher.update(&piece);
                Some((Ok(piece), Some((bytes, hasher, note, hash))))
            }
            Some(Err(_)) => Some((Err(note(Problem::Unreadable)), None)),
            None if MediaHash::of_digest(&hasher.finalize().into()) == hash => None,
            None => Some((Err(note(Problem::Damaged)), None)),
        }
    })
    .boxed()
}

/// The form of `POST …/media`: its type and its body.
fn multipart(
    boundary: &MediaHash,
    mimetype: &str,
    attachment: &Attachment,
    bytes: ByteStream,
) -> (String, ExchangeBody) {
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
    (format!("multipart/form-data; boundary={boundary}"), ExchangeBody::Stream { length, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_in_either_writing() {
        let hash = MediaHash::of_digest(&Sha256::digest(b"file").into());
        assert_eq!(digest(&hash.to_string().to_ascii_uppercase()), Some(hash.clone()));
        assert_eq!(digest(&STANDARD.encode(Sha256::digest(b"file"))), Some(hash));
        assert_eq!((digest("<HASH>"), digest("29ed500fa64eb55f")), (None, None));
    }
}
