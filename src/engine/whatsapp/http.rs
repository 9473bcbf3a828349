//! Implements the library's HTTP client on the guarded client: its address rules, its limits, no redirects. A
//! completed exchange is an answer regardless of its status, because the library reads from the status
//! whether its media token has expired.
//!
//! The library streams from blocking threads; such a thread waits on the runtime here.

use std::io::{self, Read};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use url::Url;
use whatsapp_rust::anyhow;
use whatsapp_rust::wacore::net::{HttpClient, HttpRequest, HttpResponse, StreamingHttpResponse, UploadBody};

use crate::net::{Exchange, ExchangeAnswer, ExchangeBody, GuardedClient, Method};

/// The largest answer held in memory, in bytes.
const MAX_HELD: u64 = 16 << 20;
/// The largest encrypted file, in bytes; the network's limit is 2 GB.
const MAX_FILE: u64 = (2 << 30) + (1 << 20);
/// Timeout for an answer held in memory.
const SHORT: Duration = Duration::from_secs(30);
/// Timeout for a file, from connecting to its last byte.
const LONG: Duration = Duration::from_secs(600);
/// Bytes read from a file at a time.
const PIECE: usize = 64 << 10;
/// Chunks that may wait for the network.
const WAITING: usize = 4;

/// The library's HTTP client.
pub(super) struct LibraryHttpClient {
    client: GuardedClient,
}

impl LibraryHttpClient {
    pub(super) fn new(client: GuardedClient) -> Self {
        Self { client }
    }

    async fn fetch(&self, exchange: Exchange) -> Result<HttpResponse, anyhow::Error> {
        let ExchangeAnswer { status, mut body, .. } = self.client.exchange(exchange).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(HttpResponse { status_code: status, body: bytes })
    }
}

#[async_trait]
impl HttpClient for LibraryHttpClient {
    async fn execute(&self, mut request: HttpRequest) -> Result<HttpResponse, anyhow::Error> {
        let body = request.body.take().map_or(ExchangeBody::Empty, ExchangeBody::Bytes);
        self.fetch(exchange(request, body, SHORT, MAX_HELD)?).await
    }

    fn supports_streaming(&self) -> bool {
        true
    }

    fn execute_streaming(&self, request: HttpRequest) -> Result<StreamingHttpResponse, anyhow::Error> {
        let handle = Handle::try_current()?;
        let exchange = exchange(request, ExchangeBody::Empty, LONG, MAX_FILE)?;
        let ExchangeAnswer { status, body, .. } = handle.block_on(self.client.exchange(exchange))?;
        let body = Box::new(BlockingBody { handle, body, piece: Bytes::new() });
        Ok(StreamingHttpResponse { status_code: status, body })
    }

    fn supports_upload_streaming(&self) -> bool {
        true
    }

    fn execute_upload(
        &self,
        request: HttpRequest,
        body: UploadBody,
        content_length: u64,
    ) -> Result<HttpResponse, anyhow::Error> {
        let handle = Handle::try_current()?;
        let (pieces, arriving) = mpsc::channel(WAITING);
        let bytes = stream::unfold(arriving, async |mut arriving: mpsc::Receiver<io::Result<Bytes>>| {
            arriving.recv().await.map(|piece| (piece, arriving))
        });
        let bytes = ExchangeBody::Stream { length: content_length, bytes: bytes.boxed() };
        let exchange = exchange(request, bytes, LONG, MAX_HELD)?;
        // This thread may block, so it reads the file itself while the request makes progress.
        let (answer, ()) =
            handle.block_on(async { tokio::join!(self.fetch(exchange), send_body(body, pieces)) });
        answer
    }
}

/// Reads a body to its end, or until the request ends.
async fn send_body(mut body: UploadBody, pieces: mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0_u8; PIECE];
    loop {
        let piece = match body.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let broken = piece.is_err();
        if pieces.send(piece).await.is_err() || broken {
            return;
        }
    }
}

fn exchange(
    request: HttpRequest,
    body: ExchangeBody,
    timeout: Duration,
    limit: u64,
) -> Result<Exchange, anyhow::Error> {
    let HttpRequest { url, method, headers, .. } = request;
    let method = match method.as_str() {
        "POST" => Method::POST,
        "GET" => Method::GET,
        _ => return Err(anyhow::anyhow!("only GET and POST are supported")),
    };
    let headers = headers.into_iter().collect();
    Ok(Exchange { url: address(&url)?, method, headers, body, timeout, limit })
}

/// Parses an address. The library builds testbed addresses with `https`, but the testbed has no TLS.
fn address(text: &str) -> Result<Url, anyhow::Error> {
    // The error is dropped: it could contain the address, which can contain a token.
    let url: Url = text.parse().map_err(|_| anyhow::anyhow!("not an address"))?;
    #[cfg(feature = "testbed")]
    let url = without_tls(url);
    Ok(url)
}

#[cfg(feature = "testbed")]
fn without_tls(mut url: Url) -> Url {
    let local = match url.host() {
        Some(url::Host::Ipv4(v4)) => v4.is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        Some(url::Host::Domain(_)) | None => false,
    };
    // An address without a port would get another default port.
    if local && url.port().is_some() {
        let _ = url.set_scheme("http");
    }
    url
}

/// A streamed body for a thread that may block.
struct BlockingBody {
    handle: Handle,
    body: BoxStream<'static, io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for BlockingBody {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.handle.block_on(self.body.next()) {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let read = self.piece.len().min(into.len());
        self.piece.copy_to_slice(into.get_mut(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Guard;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn http() -> LibraryHttpClient {
        let guard = Guard::new(&["127.0.0.0/8".parse().unwrap()]);
        LibraryHttpClient::new(GuardedClient::new(guard, Duration::from_secs(5)))
    }

    /// Serves one request; returns the received bytes, with at least `length` bytes of body.
    async fn serve(listener: TcpListener, answer: Vec<u8>, length: usize) -> Vec<u8> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let body = |seen: &[u8]| seen.windows(4).position(|w| w == b"\r\n\r\n").map(|at| seen.len() - at - 4);
        while body(&seen).is_none_or(|there| there < length) {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
        }
        stream.write_all(&answer).await.unwrap();
        seen
    }

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        (listener, url)
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn download_streams_on_blocking_thread() {
        let (listener, url) = listener().await;
        let file: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let reading = tokio::task::spawn_blocking(move || {
            let mut answer = http().execute_streaming(HttpRequest::get(url)).unwrap();
            let mut read = Vec::new();
            answer.body.read_to_end(&mut read).unwrap();
            (answer.status_code, read)
        });
        let (_, read) = tokio::join!(serve(listener, answer("200 OK", &file), 0), reading);
        assert_eq!(read.unwrap(), (200, file));
    }

    #[tokio::test]
    async fn upload_streams_and_refusal_is_an_answer() {
        let (listener, url) = listener().await;
        let file = vec![7_u8; 300_000];
        let (length, body) = (file.len(), Box::new(io::Cursor::new(file.clone())));
        let sending = tokio::task::spawn_blocking(move || {
            let request = HttpRequest::post(url).with_header("Origin", "https://web.whatsapp.com");
            http().execute_upload(request, body, length as u64).unwrap()
        });
        let (seen, sent) = tokio::join!(serve(listener, answer("401 Unauthorized", b"no"), length), sending);
        let sent = sent.unwrap();
        assert_eq!((sent.status_code, sent.body.as_slice()), (401, b"no".as_slice()));
        assert!(seen.ends_with(&file));
        let head = String::from_utf8_lossy(&seen[..seen.len() - length]).to_lowercase();
        assert!(
            head.contains("content-length: 300000\r\n") && head.contains("origin: https://web.whatsapp.com")
        );
    }

    #[tokio::test]
    async fn interrupted_upload_fails() {
        let (listener, url) = listener().await;
        let sending = tokio::task::spawn_blocking(move || {
            let body = Box::new(io::repeat(1).take(50_000_000));
            http().execute_upload(HttpRequest::post(url), body, 50_000_000).is_err()
        });
        let cut = async { drop(listener.accept().await.unwrap()) };
        let ((), failed) = tokio::join!(cut, sending);
        assert!(failed.unwrap());
    }

    #[tokio::test]
    async fn request_in_memory_is_answered_in_memory() {
        let (listener, url) = listener().await;
        let http = http();
        let request = HttpRequest::post(url).with_body(&b"ask"[..]);
        let (seen, answered) =
            tokio::join!(serve(listener, answer("404 Not Found", b"none"), 3), http.execute(request));
        assert!(seen.ends_with(b"\r\n\r\nask"));
        let answered = answered.unwrap();
        assert_eq!((answered.status_code, answered.body.as_slice()), (404, b"none".as_slice()));
        assert!(http.execute(HttpRequest::get("http://10.0.0.1/")).await.is_err());
    }

    #[cfg(feature = "testbed")]
    #[test]
    fn loopback_address_is_used_without_tls() {
        for (text, is) in [
            ("https://127.0.0.1:8080/mms/image/x", "http://127.0.0.1:8080/mms/image/x"),
            ("https://[::1]:8080/x", "http://[::1]:8080/x"),
            ("https://mmg.whatsapp.net/x", "https://mmg.whatsapp.net/x"),
            ("https://127.0.0.1/x", "https://127.0.0.1/x"),
        ] {
            assert_eq!(address(text).unwrap().as_str(), is);
        }
    }
}
