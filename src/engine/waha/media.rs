//! Files: from the server's own host with its key, from elsewhere without; to the server inside the call, as base64 that
//! is made while it is sent. No file is whole in memory.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use url::{Host, Url};

use super::client::{Body, Failure};
use super::convert::content_out::around_file;
use super::convert::ids;
use super::convert::message_in::{self, File};
use super::session::WahaSession;
use crate::domain::content::{Attachment, Content};
use crate::domain::media::StoredMedia;
use crate::engine::{ByteStream, Incoming, MediaStoreError, SendError, SendOutcome};
use crate::net::{Exchange, ExchangeBody, Method, NetError};

/// How long one try to have a file may take while somebody waits: well within the time of a webhook
/// (server.request_timeout_ms).
pub(super) const SOON: Duration = Duration::from_secs(15);
/// How long it may take beside everything else.
pub(super) const PATIENTLY: Duration = Duration::from_secs(120);
/// Bytes of the largest file that is fetched; the media store's own limit is smaller.
const LARGEST_DOWN: u64 = 2 << 30;
/// Bytes of the largest file that is sent within a call.
const LARGEST_UP: u64 = 64 << 20;
/// Where the server keeps files.
const FILES: &str = "/api/files/";

/// What became of a message's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It is in its place, or the message is to come without it, as its type.
    Settled,
    /// It could not be had now.
    NotNow,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Store(#[from] MediaStoreError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the WAHA server answered {0}")]
    Status(u16),
    #[error("it took too long")]
    TooSlow,
    #[error(transparent)]
    NotAsked(#[from] Failure),
    #[error("the WAHA server does not have it")]
    Nowhere,
}

impl NotFetched {
    /// Whether another try may go better.
    fn passes(&self) -> bool {
        match self {
            Self::Status(status) | Self::Net(NetError::Status(status)) => {
                matches!(status, 408 | 425 | 429 | 500..=599)
            }
            Self::Net(NetError::Timeout | NetError::NotReached | NetError::NoAddress | NetError::Http(_))
            | Self::TooSlow => true,
            Self::Net(_) | Self::Store(MediaStoreError::TooLarge(_) | MediaStoreError::Gone) => false,
            Self::Store(MediaStoreError::Incomplete(cause)) => {
                let cause = cause.get_ref().and_then(|cause| cause.downcast_ref::<NetError>());
                !matches!(cause, Some(NetError::TooLarge(_)))
            }
            Self::Store(MediaStoreError::Store(_)) => true,
            Self::NotAsked(failure) => {
                matches!(
                    failure,
                    Failure::Unreachable(_) | Failure::Unknown(_) | Failure::Unwell(429 | 500 | 502..)
                )
            }
            Self::Nowhere => false,
        }
    }

    /// Whether it was where it is said to be, and is not any more.
    fn is_gone(&self) -> bool {
        matches!(self, Self::Status(404 | 410) | Self::Net(NetError::Status(404 | 410)))
    }
}

/// Puts a message's file in its place. Without it the message is there as its type. After the last try none is left.
pub(super) async fn fetch(
    session: &WahaSession,
    incoming: &mut Incoming,
    file: &File,
    within: Duration,
    is_last: bool,
) -> Fetched {
    let had = tokio::time::timeout(within, had(session, incoming, file, within)).await;
    match had.unwrap_or(Err(NotFetched::TooSlow)) {
        Ok(attachment) => {
            incoming.content = Content::Media(attachment);
            Fetched::Settled
        }
        Err(error) if error.passes() && !is_last => {
            tracing::info!(device = %session.device, %error, "a message waits for its file, which cannot be had now");
            Fetched::NotNow
        }
        Err(error) => {
            tracing::warn!(device = %session.device, %error, "a message came without its file");
            Fetched::Settled
        }
    }
}

/// The file from where it is told to be. Where it is not told, or not there any more, as the server keeps files for a
/// while only, its message is asked for with it.
async fn had(
    session: &WahaSession,
    incoming: &Incoming,
    file: &File,
    within: Duration,
) -> Result<Attachment, NotFetched> {
    if let Some(url) = at(session, file) {
        match saved(session, url, within).await {
            Err(error) if error.is_gone() => {}
            saved => return Ok(attached(file, saved?)),
        }
    }
    let again = with_its_message(session, incoming, file, within).await?;
    let url = at(session, &again).ok_or(NotFetched::Nowhere)?;
    let stored = saved(session, url, within).await?;
    Ok(attached(&again, stored))
}

/// Has the server fetch a message's file anew.
async fn with_its_message(
    session: &WahaSession,
    incoming: &Incoming,
    file: &File,
    within: Duration,
) -> Result<File, NotFetched> {
    let chat = ids::to_chat(&incoming.chat);
    let name = session.settings.session.as_str();
    let path = [name, "chats", chat.as_str(), "messages", file.message.as_str()];
    let query = [("downloadMedia", "true")];
    let told = session.client.ask(Method::GET, &path, &query, Body::Empty, within, None).await?;
    let message = message_in::message(&told, session.me().as_ref(), session.now());
    message.and_then(|message| message.file).ok_or(NotFetched::Nowhere)
}

fn at(session: &WahaSession, file: &File) -> Option<(Url, bool)> {
    address(&session.client.base, file.url.as_deref()?)
}

fn attached(file: &File, stored: StoredMedia) -> Attachment {
    Attachment { kind: file.kind.of_told(&stored.mimetype), file: stored, filename: file.filename.clone() }
}

/// Where to ask for a file, and whether at the server itself. What the server keeps is asked of the address by which it
/// is reached here: the one that it names may mean something else elsewhere, such as localhost.
fn address(base: &Url, told: &str) -> Option<(Url, bool)> {
    let url = base.join(told).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if let Some(at) = url.path().find(FILES) {
        let mut own = base.clone();
        let kept = url.path().get(at + 1..)?;
        own.set_path(&format!("{}{kept}", base.path()));
        own.set_query(url.query());
        return Some((own, true));
    }
    let is_own = url.origin() == base.origin() && !matches!(url.host(), None | Some(Host::Domain("")));
    Some((url, is_own))
}

async fn saved(
    session: &WahaSession,
    (url, is_own): (Url, bool),
    within: Duration,
) -> Result<StoredMedia, NotFetched> {
    let client = &session.client;
    if !is_own {
        let bytes = client.http.download(&url, LARGEST_DOWN, within).await?;
        return Ok(session.media.save(bytes).await?);
    }
    let exchange = Exchange {
        url,
        method: Method::GET,
        headers: client.key_header(),
        body: ExchangeBody::Empty,
        timeout: within,
        limit: LARGEST_DOWN,
    };
    let answer = client.http.exchange(exchange).await?;
    if answer.status != 200 {
        return Err(NotFetched::Status(answer.status));
    }
    Ok(session.media.save(answer.body).await?)
}

/// The body of a call with the file in it.
pub(super) async fn enclosed(
    session: &WahaSession,
    attachment: &Attachment,
    body: &serde_json::Map<String, serde_json::Value>,
    file: &serde_json::Map<String, serde_json::Value>,
) -> Result<Body, SendOutcome> {
    let size = attachment.file.filesize;
    let permanent =
        |code, message: &str| SendOutcome::Permanent(SendError { code, message: message.to_owned() });
    if size > LARGEST_UP {
        return Err(permanent("media_too_large", "a WAHA server is sent files of at most 64 MiB"));
    }
    let bytes = session.media.open(&attachment.file.hash).await.map_err(|error| match error {
        MediaStoreError::Gone => permanent("media_gone", "the file is not in the store any more"),
        error => SendOutcome::Transient(SendError { code: "media_unreadable", message: error.to_string() }),
    })?;
    let (before, after) = around_file(body, file);
    let length = before.len() as u64 + size.div_ceil(3) * 4 + after.len() as u64;
    let parts = stream::once(async { Ok(Bytes::from(before)) })
        .chain(base64(bytes))
        .chain(stream::once(async move { Ok(Bytes::from_static(after.as_bytes())) }));
    Ok(Body::Stream(length, parts.boxed()))
}

/// Bytes as base64, piece by piece.
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
    async fn pieces_of_any_length_are_one_text() {
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
    fn what_is_gone_or_too_large_stays_so_and_the_rest_passes() {
        let broke_off =
            |cause: NetError| NotFetched::Store(MediaStoreError::Incomplete(std::io::Error::other(cause)));
        for passing in [
            NotFetched::Status(500),
            NotFetched::Status(429),
            NotFetched::Net(NetError::Status(503)),
            NotFetched::Net(NetError::Timeout),
            NotFetched::TooSlow,
            NotFetched::NotAsked(Failure::Unwell(500)),
            broke_off(NetError::Timeout),
        ] {
            assert!(passing.passes(), "{passing}");
        }
        for lasting in [
            NotFetched::Status(404),
            NotFetched::Status(410),
            NotFetched::Net(NetError::Status(404)),
            NotFetched::Net(NetError::TooLarge(5)),
            NotFetched::Store(MediaStoreError::TooLarge(5)),
            NotFetched::NotAsked(Failure::Unwell(501)),
            NotFetched::NotAsked(Failure::Unknowing),
            NotFetched::Nowhere,
            broke_off(NetError::TooLarge(5)),
        ] {
            assert!(!lasting.passes(), "{lasting}");
        }
    }

    #[test]
    fn files_of_the_server_are_asked_of_the_address_by_which_it_is_reached() {
        let base: Url = "https://waha.example.org/a/".parse().unwrap();
        let at = |told: &str| address(&base, told).map(|(url, own)| (url.to_string(), own));
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
