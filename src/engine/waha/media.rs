//! Downloads media from the server with its key, or from elsewhere without; uploads it inside the
//! call, as base64.
//!
//! No file is ever whole in memory.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};
use url::{Host, Url};

use super::convert::content_out::around_file;
use super::convert::ids;
use super::convert::message_in::{self, File};
use super::session::WahaSession;
use crate::domain::content::Attachment;
use crate::domain::media::StoredMedia;
use crate::engine::relay::client::{UpstreamFailure, UpstreamRequest};
use crate::engine::relay::media_retry::MediaFetchError;
use crate::engine::relay::outcome::permanent;
use crate::engine::{ByteStream, Incoming, SendOutcome};

/// The time limit of an attempt while a webhook waits: well below the webhook's
/// (`server.request_timeout_ms`).
pub(super) const FOREGROUND_TIMEOUT: Duration = Duration::from_secs(15);
/// The time limit of an attempt in the background.
pub(super) const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest file that is downloaded; the media store's own limit is smaller.
const MAX_DOWNLOAD_BYTES: u64 = 2 << 30;
/// The largest file that is sent inside a call.
const MAX_UPLOAD_BYTES: u64 = 64 << 20;
/// The path of the server's files.
const FILES_PATH: &str = "/api/files/";

/// Downloads the media of a message within this time.
pub(super) async fn fetch(
    session: &WahaSession,
    message: &Incoming,
    file: &File,
    timeout: Duration,
) -> Result<Attachment, MediaFetchError> {
    let fetched = tokio::time::timeout(timeout, download(session, message, file, timeout)).await;
    let fetched = fetched.unwrap_or(Err(MediaFetchError::Temporary("the download took too long")));
    if let Err(MediaFetchError::Temporary(why)) = fetched {
        tracing::info!(device = %session.context.device, why, "media download failed");
    }
    fetched
}

/// Downloads from the named address. The server deletes its files after a while: where the address is missing
/// or gone, the message is read again together with its file.
async fn download(
    session: &WahaSession,
    message: &Incoming,
    file: &File,
    timeout: Duration,
) -> Result<Attachment, MediaFetchError> {
    if let Some(address) = address_of(session, file) {
        match open(session, address, timeout).await {
            Err(failure) if matches!(failure.status(), Some(404 | 410)) => {}
            opened => return Ok(attachment(file, session.context.save_media(opened?).await?)),
        }
    }
    let file = refreshed(session, message, file, timeout).await?;
    let address =
        address_of(session, &file).ok_or(MediaFetchError::Permanent("the server has no such file"))?;
    let opened = open(session, address, timeout).await?;
    Ok(attachment(&file, session.context.save_media(opened).await?))
}

/// Has the server fetch the file of a message again.
async fn refreshed(
    session: &WahaSession,
    message: &Incoming,
    file: &File,
    timeout: Duration,
) -> Result<File, MediaFetchError> {
    let chat = ids::to_chat(&message.chat);
    let name = session.settings.session.as_str();
    let path = ["api", name, "chats", chat.as_str(), "messages", file.message.as_str()];
    let request = UpstreamRequest::get(&path).query("downloadMedia", "true").timeout(timeout);
    let answer = session.client.send(request).await?;
    let read = message_in::message(&answer, session.base.me().as_ref(), session.context.now());
    read.and_then(|message| message.file)
        .ok_or(MediaFetchError::Permanent("the message no longer has a file"))
}

fn address_of(session: &WahaSession, file: &File) -> Option<(Url, bool)> {
    address(session.client.upstream.base(), file.url.as_deref()?)
}

fn attachment(file: &File, stored: StoredMedia) -> Attachment {
    Attachment {
        kind: file.kind.of_requested(&stored.mimetype),
        file: stored,
        filename: file.filename.clone(),
    }
}

/// The address to download a file from, and whether that is the server itself. A file of the server
/// is downloaded from the configured address: the one that it names, such as localhost, may be
/// another host here.
fn address(base: &Url, named: &str) -> Option<(Url, bool)> {
    let url = base.join(named).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if let Some(at) = url.path().find(FILES_PATH) {
        let mut own = base.clone();
        let kept = url.path().get(at + 1..)?;
        own.set_path(&format!("{}{kept}", base.path()));
        own.set_query(url.query());
        return Some((own, true));
    }
    let is_own = url.origin() == base.origin() && !matches!(url.host(), None | Some(Host::Domain("")));
    Some((url, is_own))
}

/// Begins a download; the key is sent to the server only.
async fn open(
    session: &WahaSession,
    (url, is_own): (Url, bool),
    timeout: Duration,
) -> Result<ByteStream, UpstreamFailure> {
    let upstream = &session.client.upstream;
    if is_own {
        return upstream.download(url, true, MAX_DOWNLOAD_BYTES, timeout).await;
    }
    Ok(upstream.http().download(&url, MAX_DOWNLOAD_BYTES, timeout).await?)
}

/// The JSON body of a call with the file inside, and its length in bytes.
pub(super) async fn json_with_file(
    session: &WahaSession,
    attachment: &Attachment,
    body: &Map<String, Value>,
    file: &Map<String, Value>,
) -> Result<(u64, ByteStream), SendOutcome> {
    let size = attachment.file.filesize;
    if size > MAX_UPLOAD_BYTES {
        return Err(permanent("media_too_large", "a WAHA server accepts files of at most 64 MiB"));
    }
    let bytes = session.context.open_attachment(attachment).await?;
    let (before, after) = around_file(body, file);
    let length = before.len() as u64 + size.div_ceil(3) * 4 + after.len() as u64;
    let parts = stream::once(async { Ok(Bytes::from(before)) })
        .chain(base64(bytes))
        .chain(stream::once(async move { Ok(Bytes::from_static(after.as_bytes())) }));
    Ok((length, parts.boxed()))
}

/// Encodes a stream as base64.
fn base64(bytes: ByteStream) -> ByteStream {
    let state = Some((bytes, Vec::new()));
    stream::unfold(state, |state| async move {
        let (mut bytes, mut left): (ByteStream, Vec<u8>) = state?;
        match bytes.next().await {
            Some(Ok(piece)) => {
                left.extend_from_slice(&piece);
                let rest = left.split_off(left.len() - left.len() % 3);
                Some((Ok(Bytes::from(STANDARD.encode(&left))), Some((bytes, rest))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(Bytes::from(STANDARD.encode(&left))), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;

    #[tokio::test]
    async fn pieces_of_any_length_encode_to_one_text() {
        for sizes in [vec![], vec![1], vec![1, 1, 1, 1], vec![4, 2, 7, 3], vec![3, 3]] {
            let whole: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|n| u8::try_from(n).unwrap()).collect();
            let mut rest = whole.as_slice();
            let pieces: Vec<_> = sizes
                .iter()
                .map(|size| {
                    let (piece, left) = rest.split_at(*size);
                    rest = left;
                    Ok(Bytes::copy_from_slice(piece))
                })
                .collect();
            let encoded: Vec<Bytes> = base64(stream::iter(pieces).boxed()).try_collect().await.unwrap();
            assert_eq!(encoded.concat(), STANDARD.encode(&whole).into_bytes(), "{sizes:?}");
        }
    }

    #[test]
    fn server_files_use_the_configured_address() {
        let base: Url = "https://waha.example.org/a/".parse().unwrap();
        let at = |named: &str| address(&base, named).map(|(url, own)| (url.to_string(), own));
        let own = Some(("https://waha.example.org/a/api/files/s/1.png".to_owned(), true));
        assert_eq!(at("http://localhost:3000/api/files/s/1.png"), own);
        assert_eq!(at("/api/files/s/1.png"), own);
        assert_eq!(
            at("https://s3.example.org/1.png"),
            Some(("https://s3.example.org/1.png".to_owned(), false))
        );
        assert_eq!(at("file:///etc/passwd"), None);
    }
}
