//! A loop over bare WebSockets with Socket.IO's text frames: an event is one buffer that all sockets share, and events
//! that are pending for a socket leave in one write. Any POST sends the two events.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::payload::{ACCEPTED, CHAT, MESSAGE, NAMESPACE, SUBSCRIBED};

/// Events that a socket may be behind.
const BACKLOG: usize = 4_096;
/// As the daemon sets it.
const READ_BUFFER_BYTES: usize = 1_024;
const MAX_HEAD: usize = 16_384;

/// Serves until the process is killed.
pub async fn serve(listen: SocketAddr) {
    let listener = TcpListener::bind(listen).await.unwrap();
    let (events, _) = broadcast::channel(BACKLOG);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let events = events.clone();
        tokio::spawn(async move {
            // A client that leaves ends its connection only.
            let _ = connection(stream, events).await;
        });
    }
}

async fn connection(mut stream: TcpStream, events: Sender<Utf8Bytes>) -> Option<()> {
    loop {
        let head = read_head(&mut stream).await?;
        if let Some(key) = header(&head, "sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.ok()?;
            return socket(stream, events.subscribe()).await;
        }
        if head.starts_with("POST") {
            let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            for (name, payload) in [("message", MESSAGE), ("chat:update", CHAT)] {
                // Without a subscriber there is nothing to send.
                let _ = events.send(format!("42{NAMESPACE},[\"{name}\",{payload}]").into());
            }
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ACCEPTED}", ACCEPTED.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The head of a request, and nothing of what follows.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return None;
        }
        let mut peeked = [0; 1_024];
        let available = stream.peek(&mut peeked).await.ok().filter(|count| *count > 0)?;
        let end = peeked[..available].windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        let mut taken = vec![0; end.unwrap_or(available)];
        stream.read_exact(&mut taken).await.ok()?;
        head.extend(taken);
    }
    String::from_utf8(head).ok()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

async fn socket(stream: TcpStream, mut events: Receiver<Utf8Bytes>) -> Option<()> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let open =
        r#"0{"sid":"floor","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    socket.send(Message::text(open)).await.ok()?;
    loop {
        tokio::select! {
            event = events.recv() => {
                socket.feed(Message::Text(event.ok()?)).await.ok()?;
                while let Ok(event) = events.try_recv() {
                    socket.feed(Message::Text(event)).await.ok()?;
                }
                socket.flush().await.ok()?;
            }
            received = socket.next() => {
                let Message::Text(text) = received?.ok()? else { continue };
                if let Some(answer) = answer(&text) {
                    socket.send(Message::text(answer)).await.ok()?;
                }
            }
        }
    }
}

/// Connects the namespace, and acknowledges a request.
fn answer(text: &str) -> Option<String> {
    if text.starts_with("40") {
        return Some(format!("40{NAMESPACE},{{\"sid\":\"floor\"}}"));
    }
    let id = text.strip_prefix("42")?.strip_prefix(NAMESPACE)?.strip_prefix(',')?.split('[').next()?;
    Some(format!("43{NAMESPACE},{id}[{SUBSCRIBED}]"))
}
