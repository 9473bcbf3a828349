//! WebSocket clients under the address rules of requests.
//!
//! A name is resolved once, and the connection uses a checked address of that answer; later DNS answers have no
//! effect. With a configured HTTP proxy no WebSocket is opened.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as Protocol, Message};
use url::{Host, Url};

use super::client::{GuardedClient, NetError, install_crypto};
use super::guard::Refused;

/// The transport of a connection: TCP or TLS.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open WebSocket.
pub struct WebSocket {
    stream: Box<WebSocketStream<Box<dyn Io>>>,
}

/// An incoming frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A ping or pong.
    Alive,
    /// The peer closed the connection, with its close code if present. No frame follows.
    Closed(Option<u16>),
}

/// Errors of opening and using a WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum WebSocketError {
    /// The address is refused or not reachable.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The server answered the handshake with this status.
    #[error("the server answered {0} and opened no WebSocket")]
    Status(u16),
    /// A message exceeds the size limit.
    #[error("a message is larger than the limit")]
    TooLarge,
    /// The connection was lost, or the peer violated the protocol. The source contains no address.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn broken(error: Protocol) -> WebSocketError {
    match error {
        Protocol::Http(answer) => WebSocketError::Status(answer.status().as_u16()),
        Protocol::Capacity(_) => WebSocketError::TooLarge,
        error => WebSocketError::Broken(Box::new(error)),
    }
}

fn io(error: std::io::Error) -> WebSocketError {
    WebSocketError::Broken(Box::new(error))
}

impl GuardedClient {
    /// Opens a WebSocket to a ws or wss URL within `timeout`. Messages have at most `limit` bytes.
    ///
    /// # Errors
    /// [`WebSocketError`]; [`NetError::Refused`] for a refused address.
    pub async fn websocket(
        &self,
        url: &Url,
        limit: usize,
        timeout: Duration,
    ) -> Result<WebSocket, WebSocketError> {
        let opening = Box::pin(self.open_websocket(url, limit));
        tokio::time::timeout(timeout, opening).await.map_err(|_| NetError::Timeout)?
    }

    async fn open_websocket(&self, url: &Url, limit: usize) -> Result<WebSocket, WebSocketError> {
        let secure = match url.scheme() {
            "wss" => true,
            "ws" => false,
            _ => return Err(NetError::Url.into()),
        };
        if self.route().proxy.is_some() {
            return Err(NetError::SetUp.into());
        }
        let port = url.port_or_known_default().ok_or(NetError::Url)?;
        let (addresses, name) = self.checked(url).await?;
        let tcp = connect(&addresses, port).await?;
        tcp.set_nodelay(true).map_err(io)?;
        let stream: Box<dyn Io> = if secure { self.encrypted(tcp, name).await? } else { Box::new(tcp) };
        let config = WebSocketConfig::default()
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit))
            .max_write_buffer_size(1 << 20);
        let shaken = tokio_tungstenite::client_async_with_config(url.as_str(), stream, Some(config)).await;
        let (stream, _) = shaken.map_err(broken)?;
        Ok(WebSocket { stream: Box::new(stream) })
    }

    /// The checked addresses of a URL's host, and the name for the check of its certificate.
    async fn checked(&self, url: &Url) -> Result<(Vec<IpAddr>, ServerName<'static>), NetError> {
        let address = match url.host().ok_or(NetError::Url)? {
            Host::Ipv4(v4) => IpAddr::V4(v4),
            Host::Ipv6(v6) => IpAddr::V6(v6),
            Host::Domain(name) => {
                // The URL parser recognises IP addresses in all spellings only for special schemes, of which ws
                // is one; so no IP address is treated as a name here.
                let server = ServerName::try_from(name.to_owned()).map_err(|_| NetError::Url)?;
                let found = self.lookup().look_up(name.to_owned()).await.map_err(|_| NetError::NoAddress)?;
                let passing: Vec<IpAddr> = found
                    .iter()
                    .map(SocketAddr::ip)
                    .filter(|address| self.guard().check(*address).is_ok())
                    .collect();
                return match (passing.is_empty(), found.is_empty()) {
                    (true, true) => Err(NetError::NoAddress),
                    (true, false) => Err(Refused.into()),
                    _ => Ok((passing, server)),
                };
            }
        };
        self.guard().check(address)?;
        Ok((vec![address], ServerName::IpAddress(address.into())))
    }

    async fn encrypted(
        &self,
        tcp: TcpStream,
        name: ServerName<'static>,
    ) -> Result<Box<dyn Io>, WebSocketError> {
        install_crypto();
        let pem = self.route().custom_ca.clone();
        let config = tokio::task::spawn_blocking(move || trust(pem.as_deref()))
            .await
            .map_err(|_| NetError::SetUp)??;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(io)?;
        Ok(Box::new(connected))
    }
}

/// The TLS configuration with the system's certificate authorities, or only those of `pem`.
fn trust(pem: Option<&str>) -> Result<rustls::ClientConfig, NetError> {
    let Some(pem) = pem else {
        return rustls::ClientConfig::with_platform_verifier().map_err(|_| NetError::SetUp);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| NetError::Certificate)?;
        roots.add(certificate).map_err(|_| NetError::Certificate)?;
    }
    Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, WebSocketError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect((*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or(NetError::NoAddress.into(), io))
}

impl WebSocket {
    /// The next frame. Cancel safe.
    ///
    /// # Errors
    /// If the connection was lost, a message is too large, or the peer violated the protocol.
    pub async fn next(&mut self) -> Result<Frame, WebSocketError> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Frame::Text(text.to_string())),
            Some(Ok(Message::Close(frame))) => Ok(Frame::Closed(frame.map(|frame| frame.code.into()))),
            Some(Ok(_)) => Ok(Frame::Alive),
            Some(Err(Protocol::ConnectionClosed | Protocol::AlreadyClosed)) | None => Ok(Frame::Closed(None)),
            Some(Err(error)) => Err(broken(error)),
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn send(&mut self, text: String) -> Result<(), WebSocketError> {
        self.stream.send(Message::text(text)).await.map_err(broken)
    }

    /// Sends a ping.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn ping(&mut self) -> Result<(), WebSocketError> {
        self.stream.send(Message::Ping(bytes::Bytes::new())).await.map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Route;
    use super::super::client::tests::{client, named, with_answers};
    use super::*;
    use tokio::net::TcpListener;

    const WAIT: Duration = Duration::from_millis(800);

    /// A server that sends this to each client and closes.
    async fn serve(say: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                socket.send(Message::text(say)).await.unwrap();
                let _ = socket.close(None).await;
                while let Some(Ok(_)) = socket.next().await {}
            }
        });
        url.parse().unwrap()
    }

    async fn refused(client: &GuardedClient, url: &str) -> bool {
        let opened = client.websocket(&url.parse().unwrap(), 100, WAIT).await;
        matches!(opened, Err(WebSocketError::Net(NetError::Refused(_))))
    }

    #[tokio::test]
    async fn private_address_is_refused_in_every_spelling() {
        let client = client(&[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            "0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "[fd00::1]",
            "[fe80::1]",
        ] {
            assert!(refused(&client, &format!("ws://{host}:9/ws")).await, "{host}");
            assert!(refused(&client, &format!("wss://{host}:9/ws")).await, "{host}");
        }
    }

    #[tokio::test]
    async fn rebound_name_is_refused() {
        let mut url = named(&serve("hi").await);
        url.set_path("/ws");
        for private in ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"] {
            let client = with_answers(&["127.0.0.1", private], Route::default());
            assert!(client.websocket(&url, 100, WAIT).await.is_ok());
            assert!(refused(&client, url.as_str()).await, "{private}");
        }
    }

    #[tokio::test]
    async fn allowed_address_connects_and_reports_close() {
        let client = client(&["127.0.0.0/8"]);
        let mut socket = client.websocket(&serve("hello").await, 100, WAIT).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Frame::Text("hello".to_owned()));
        assert!(matches!(socket.next().await.unwrap(), Frame::Closed(_)));
    }

    #[tokio::test]
    async fn oversized_message_is_not_read() {
        let client = client(&["127.0.0.0/8"]);
        let mut socket = client.websocket(&serve("hello").await, 4, WAIT).await.unwrap();
        assert!(matches!(socket.next().await, Err(WebSocketError::TooLarge)));
    }

    #[tokio::test]
    async fn bad_scheme_proxy_or_refusal_opens_no_socket() {
        let client = client(&["127.0.0.0/8"]);
        for url in ["http://127.0.0.1:9/ws", "file:///ws"] {
            let opened = client.websocket(&url.parse().unwrap(), 100, WAIT).await;
            assert!(matches!(opened, Err(WebSocketError::Net(NetError::Url))), "{url}");
        }
        let http = super::super::client::tests::serve("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").await;
        let mut url = http;
        url.set_scheme("ws").unwrap();
        let opened = client.websocket(&url, 100, WAIT).await;
        assert!(matches!(opened, Err(WebSocketError::Status(401))));
        let proxied = Route { proxy: Some("http://127.0.0.1:9/".parse().unwrap()), ..Route::default() };
        let proxied = with_answers(&[], proxied);
        assert!(proxied.websocket(&url, 100, WAIT).await.is_err());
    }
}
