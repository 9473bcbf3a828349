//! Sends one request with a streamed body and returns its answer with any status. Redirects are returned as answers.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method};
use url::Url;

use super::client::{GuardedClient, NetError, failed};

/// A request.
pub struct Exchange {
    /// The target.
    pub url: Url,
    /// The HTTP method.
    pub method: Method,
    /// Names and values; an invalid header fails the request.
    pub headers: Vec<(String, String)>,
    /// The request body.
    pub body: ExchangeBody,
    /// Time limit from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Size limit of the answer, in bytes.
    pub limit: u64,
}

/// The body of a request.
pub enum ExchangeBody {
    /// No body.
    Empty,
    /// A body in memory.
    Bytes(Bytes),
    /// A stream of a fixed length, sent with `Content-Length` instead of chunked encoding.
    Stream {
        /// The length in bytes.
        length: u64,
        /// The bytes.
        bytes: BoxStream<'static, io::Result<Bytes>>,
    },
}

/// An answer.
pub struct ExchangeAnswer {
    /// The HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// The body as a stream; exceeding the size or time limit ends it with an error.
    pub body: BoxStream<'static, io::Result<Bytes>>,
}

impl ExchangeAnswer {
    /// The first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl GuardedClient {
    /// Sends a request and starts to read its answer.
    ///
    /// # Errors
    /// [`NetError`] if there is no answer; an error status is an answer.
    pub async fn exchange(&self, exchange: Exchange) -> Result<ExchangeAnswer, NetError> {
        let Exchange { url, method, headers, body, timeout, limit } = exchange;
        self.check(&url)?;
        let mut request = self.client().await?.request(method, url).timeout(timeout);
        for (name, value) in headers {
            request = request.header(header_name(&name)?, header_value(&value)?);
        }
        request = match body {
            ExchangeBody::Empty => request,
            ExchangeBody::Bytes(bytes) => request.body(bytes),
            ExchangeBody::Stream { length, bytes } => {
                request.header(CONTENT_LENGTH, length).body(Body::wrap_stream(bytes))
            }
        };
        let response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let too_large = move || NetError::TooLarge(usize::try_from(limit).unwrap_or(usize::MAX));
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut size = 0_u64;
        let body = response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(|error| io::Error::other(failed(error)))?;
            size = size.saturating_add(piece.len() as u64);
            if size > limit { Err(io::Error::other(too_large())) } else { Ok(piece) }
        });
        Ok(ExchangeAnswer { status, headers, body: body.boxed() })
    }
}

fn header_name(name: &str) -> Result<HeaderName, NetError> {
    name.parse().map_err(|_| NetError::Header)
}

fn header_value(value: &str) -> Result<HeaderValue, NetError> {
    value.parse().map_err(|_| NetError::Header)
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{client, serve};
    use super::*;
    use futures_util::{TryStreamExt as _, stream};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn get(url: Url, limit: u64) -> Exchange {
        let (headers, timeout) = (Vec::new(), Duration::from_millis(800));
        Exchange { url, method: Method::GET, headers, body: ExchangeBody::Empty, timeout, limit }
    }

    async fn all(answer: ExchangeAnswer) -> io::Result<Vec<u8>> {
        let collect = |mut all: Vec<u8>, piece: Bytes| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        };
        answer.body.try_fold(Vec::new(), collect).await
    }

    /// What the server is sent, from the first header to the last byte of the body.
    async fn sent(exchange: impl FnOnce(Url) -> Exchange, ends_with: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/up", listener.local_addr().unwrap()).parse().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(ends_with.as_bytes()) {
                assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{seen:?}");
            }
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(seen).unwrap()
        };
        let client = client(&["127.0.0.0/8"]);
        let (seen, answer) = tokio::join!(server, client.exchange(exchange(url)));
        assert_eq!(answer.unwrap().status, 201);
        seen
    }

    #[tokio::test]
    async fn error_status_is_answer() {
        let url = serve("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone").await;
        let answer = client(&["127.0.0.0/8"]).exchange(get(url, 10)).await.unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(all(answer).await.unwrap(), b"gone");
        let moved = "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n";
        let answer = client(&["127.0.0.0/8"]).exchange(get(serve(moved).await, 10)).await.unwrap();
        assert_eq!(answer.status, 302);
    }

    #[tokio::test]
    async fn streamed_body_has_content_length() {
        let pieces = ["one ", "two ", "three"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        let upload = |url| Exchange {
            method: Method::POST,
            headers: vec![("Origin".into(), "https://example.org".into())],
            body: ExchangeBody::Stream { length: 13, bytes: stream::iter(pieces).boxed() },
            ..get(url, 10)
        };
        let seen = sent(upload, "one two three").await.to_lowercase();
        assert!(
            seen.starts_with("post /up http/1.1\r\n") && seen.contains("\r\ncontent-length: 13\r\n"),
            "{seen}"
        );
        assert!(seen.contains("\r\norigin: https://example.org\r\n") && !seen.contains("chunked"), "{seen}");
    }

    #[tokio::test]
    async fn oversized_or_disallowed_exchange_is_error() {
        let client = client(&["127.0.0.0/8"]);
        let announced = serve("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n012345").await;
        assert!(matches!(client.exchange(get(announced, 5)).await, Err(NetError::TooLarge(5))));
        let chunked =
            serve("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012345\r\n0\r\n\r\n").await;
        assert!(all(client.exchange(get(chunked, 5)).await.unwrap()).await.is_err());
        let private: Url = "http://10.0.0.1/".parse().unwrap();
        assert!(matches!(client.exchange(get(private, 5)).await, Err(NetError::Refused(_))));
        let url: Url = "http://127.0.0.1:9/".parse().unwrap();
        let split = Exchange { headers: vec![("A".into(), "b\r\nC: d".into())], ..get(url, 5) };
        assert!(matches!(client.exchange(split).await, Err(NetError::Header)));
    }
}
