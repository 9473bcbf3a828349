//! A hand-written Engine.IO and Socket.IO client: it sends and reads raw text frames.
//!
//! Source: the documents of Engine.IO protocol 4 and Socket.IO protocol 5.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::TestApp;

const PATIENCE: Duration = Duration::from_secs(10);

/// A WebSocket connection that carries Engine.IO packets.
pub struct Wire {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Wire {
    /// Connects and returns the handshake.
    pub async fn open(app: &TestApp) -> (Self, Value) {
        let mut wire = Self::connect(app, "EIO=4&transport=websocket").await;
        let handshake = wire.packet().await;
        let handshake = serde_json::from_str(handshake.strip_prefix('0').unwrap()).unwrap();
        (wire, handshake)
    }

    /// Connects with a query and reads nothing.
    pub async fn connect(app: &TestApp, query: &str) -> Self {
        Self::connect_at(app, "/ws/", query).await
    }

    /// Connects at another Socket.IO path.
    pub async fn connect_at(app: &TestApp, path: &str, query: &str) -> Self {
        let url = format!("ws://{}{path}?{query}", app.app().address);
        let (stream, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self { stream }
    }

    /// Connects with these headers; the error is the status of a refusal.
    pub async fn with_headers(app: &TestApp, query: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        Self::with_headers_at(app, "/ws/", query, headers).await
    }

    /// As [`Wire::with_headers`], at another Socket.IO path.
    pub async fn with_headers_at(
        app: &TestApp,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let url = format!("ws://{}{path}?{query}", app.app().address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send(&mut self, packet: &str) {
        self.stream.send(Message::text(packet)).await.unwrap();
    }

    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.stream.send(Message::binary(bytes)).await.unwrap();
    }

    /// The next packet; `None` if the connection is closed.
    pub async fn next(&mut self) -> Option<String> {
        let next = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                    Some(Ok(
                        Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                    )) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the server sent no packet in time")
    }

    pub async fn packet(&mut self) -> String {
        self.next().await.expect("the server closed the connection")
    }

    /// The next packet with this prefix; answers pings and skips other packets on the way.
    pub async fn packet_with(&mut self, start: &str) -> String {
        loop {
            let packet = self.packet().await;
            if packet.starts_with(start) {
                return packet;
            }
            if packet == "2" {
                self.send("3").await;
            }
        }
    }

    /// Connects to a device's namespace with a key and waits for the confirmation.
    pub async fn join(&mut self, device: &str, key: &str) {
        self.send(&format!("40/device/{device},{{\"apiKey\":\"{key}\"}}")).await;
        self.packet_with(&format!("40/device/{device},")).await;
    }

    /// The payload of the next event with this name.
    pub async fn event(&mut self, device: &str, name: &str) -> Value {
        let start = format!("42/device/{device},[\"{name}\",");
        let packet = self.packet_with(&start).await;
        let payload = packet.strip_prefix(&start).unwrap().strip_suffix(']').unwrap();
        serde_json::from_str(payload).unwrap()
    }

    /// Emits an event with an acknowledgement and returns the acknowledgement.
    pub async fn ask(&mut self, device: &str, id: u32, arguments: &Value) -> Value {
        self.send(&format!("42/device/{device},{id}{arguments}")).await;
        let start = format!("43/device/{device},{id}");
        let packet = self.packet_with(&start).await;
        let answer: Value = serde_json::from_str(packet.strip_prefix(&start).unwrap()).unwrap();
        answer[0].clone()
    }

    /// Waits until the server closes the connection.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Drops the connection without a close frame.
    pub fn drop_rudely(self) {
        drop(self);
    }
}
