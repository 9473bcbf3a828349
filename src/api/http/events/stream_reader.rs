//! Answers a request with server-sent events (WHATWG HTML, 9.2 "Server-sent events") until their reader ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

/// The interval of keepalives: shorter than the usual timeouts of proxies.
pub(in crate::api::http) const KEEPALIVE: Duration = Duration::from_secs(15);
/// The delay before a client reconnects.
pub(in crate::api::http) const RETRY: Duration = Duration::from_secs(2);
/// Keeps nginx from buffering the stream.
static UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The source of a stream's events.
pub(in crate::api::http) trait StreamReader: Send + Sized + 'static {
    /// The next event; `None` when the stream ends.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;

    /// The answer with the events.
    fn into_response(self) -> Response {
        let events = futures_util::stream::unfold(self, async |mut reader| {
            let event = reader.next().await?;
            Some((Ok::<_, Infallible>(event), reader))
        });
        ([UNBUFFERED.clone()], Sse::new(events.fuse())).into_response()
    }
}
