//! Receives the file of a form from a user of operator chat, without holding it in memory. A refused form is read to a
//! limit, so that the client can read the answer, which has the size of a file that is too large.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use multer::Multipart;
use parking_lot::Mutex;

use crate::api::http::error::ApiError;
use crate::api::http::media::{DISCARDED_BYTES, DISCARDING, SharedBody, boundary};
use crate::service::FileBytes;
use crate::service::operator_chat::ChatError;

/// Receives the form of a request, and stores its file with its name.
pub(super) async fn receive<T, F>(
    request: Request,
    store: impl FnOnce(String, FileBytes) -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ChatError>>,
{
    let (parts, body) = request.into_parts();
    let body = SharedBody::new(body);
    let received = receive_from(&parts.headers, body.clone(), store).await;
    if received.is_err() {
        // A client that never stops is cut.
        let _ = tokio::time::timeout(DISCARDING, body.discard(DISCARDED_BYTES)).await;
    }
    received
}

async fn receive_from<T, F>(
    headers: &HeaderMap,
    body: SharedBody,
    store: impl FnOnce(String, FileBytes) -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ChatError>>,
{
    let boundary = boundary(headers)?;
    let boundary = boundary.ok_or_else(|| ApiError::field("Content-Type", "must be multipart/form-data"))?;
    let mut form = Multipart::new(body, boundary);
    loop {
        let field = form.next_field().await;
        let field = field
            .map_err(|_| ApiError::field("request", "is not a whole form of multipart/form-data"))?
            .ok_or_else(|| ApiError::field("file", "is required: a part of the form with a filename"))?;
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        let file = CountedFile::new(field.map_err(io::Error::other).boxed());
        return match store(name, file.clone().boxed()).await {
            Err(ChatError::FileTooLarge { max_bytes }) => {
                let declared =
                    headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
                Err(ApiError::FileTooLarge { file_size: file.size(declared).await, max_size: max_bytes })
            }
            other => Ok(other?),
        };
    }
}

/// A file of a form whose rest can be read after its beginning was read elsewhere.
#[derive(Clone)]
struct CountedFile {
    bytes: Arc<Mutex<FileBytes>>,
    read: Arc<AtomicU64>,
}

impl CountedFile {
    fn new(bytes: FileBytes) -> Self {
        Self { bytes: Arc::new(Mutex::new(bytes)), read: Arc::default() }
    }

    fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Reads the rest. The size of a file that is not read to its end is estimated from that of the form.
    async fn size(self, declared: Option<u64>) -> u64 {
        let most = u64::try_from(DISCARDED_BYTES).unwrap_or(u64::MAX);
        let mut rest = self.clone();
        let read = async {
            while rest.read() < most {
                match rest.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            false
        };
        let is_whole = tokio::time::timeout(DISCARDING, read).await.unwrap_or(false);
        if is_whole { self.read() } else { self.read().max(declared.unwrap_or(0)) }
    }
}

impl Stream for CountedFile {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.bytes.lock().poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.read.fetch_add(u64::try_from(piece.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        polled
    }
}
