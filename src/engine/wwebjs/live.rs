//! What no log keeps: who types, who is there, what is done to chats. It comes and goes over the upstream's socket.
//!
//! The socket is an addition: without it, everything that the log tells still comes. So a socket that breaks ends
//! nothing, and is opened again after a pause.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::convert::packet::{self, PONG, Packet};
use super::convert::wire::WireChat;
use super::session::WwebjsSession;
use super::settings::InboundBy;
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, SessionEnd, SessionError};
use crate::net::{Frame, WebSocket, WebSocketError};

/// How long the socket may take to open.
const OPENING: Duration = Duration::from_secs(20);
/// The largest packet, in bytes.
const LARGEST: usize = 4 << 20;
/// What waits to be told; more is refused.
const MOST_WISHES: usize = 64;
/// People whose presence is watched; more are not.
const MOST_WATCHED: usize = 1_000;
/// Between two sockets: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is to be told over the socket.
pub(super) struct Wishes {
    sender: mpsc::Sender<(&'static str, Value)>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<(&'static str, Value)>>,
    is_open: AtomicBool,
    watched: Mutex<BTreeSet<Jid>>,
}

impl Default for Wishes {
    fn default() -> Self {
        let (sender, waiting) = mpsc::channel(MOST_WISHES);
        Self {
            sender,
            waiting: tokio::sync::Mutex::new(waiting),
            is_open: AtomicBool::new(false),
            watched: Mutex::default(),
        }
    }
}

impl Wishes {
    /// Shows or hides typing there.
    pub(super) fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        let name = if on { "typing:start" } else { "typing:stop" };
        self.tell(name, json!({ "chatId": chat, "kind": kind }))
    }

    /// Asks for a person's presence, now and whenever the socket is opened anew.
    pub(super) fn presence(&self, contact: &Jid) -> Result<(), SessionError> {
        {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            if watched.len() < MOST_WATCHED {
                watched.insert(contact.clone());
            }
        }
        self.tell("presence:subscribe", json!({ "contactId": contact }))
    }

    fn tell(&self, name: &'static str, payload: Value) -> Result<(), SessionError> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Err(SessionError::Offline);
        }
        self.sender.try_send((name, payload)).map_err(|_| SessionError::Offline)
    }

    fn watched(&self) -> Vec<Jid> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Why a socket is over.
enum Over {
    /// The session is.
    Session(SessionEnd),
    /// Only the socket is.
    Socket(&'static str),
}

impl From<SessionEnd> for Over {
    fn from(ended: SessionEnd) -> Self {
        Self::Session(ended)
    }
}

impl From<WebSocketError> for Over {
    fn from(error: WebSocketError) -> Self {
        match error {
            WebSocketError::Net(_) => Self::Socket("it could not be reached"),
            WebSocketError::Status(_) => Self::Socket("it was not opened"),
            WebSocketError::TooLarge => Self::Socket("a packet was too large"),
            WebSocketError::Broken(_) => Self::Socket("it broke"),
        }
    }
}

impl WwebjsSession {
    /// Holds a socket open as long as the session is connected.
    pub(super) async fn listen(&self) -> Result<Infallible, SessionEnd> {
        self.online.cancelled().await;
        self.caught_up.cancelled().await;
        let mut pause = FIRST_PAUSE;
        let mut told = None;
        loop {
            let mut worked = false;
            let Err(over) = self.hold_socket(&mut worked).await;
            self.wishes.is_open.store(false, Ordering::Relaxed);
            let why = match over {
                Over::Session(ended) => return Err(ended),
                Over::Socket(why) => why,
            };
            pause = if worked { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            if told.filter(|_| !worked) == Some(why) {
                tracing::debug!(device = %self.device, why, "the upstream's socket is over; opening another");
            } else if worked {
                tracing::info!(device = %self.device, why, "the upstream's socket is over; opening another");
            } else {
                tracing::warn!(device = %self.device, why, "the upstream's socket cannot be had: who types and who is there is not told; trying on");
            }
            told = (!worked).then_some(why);
            tokio::time::sleep(pause).await;
        }
    }

    fn socket_url(&self) -> Option<url::Url> {
        let mut url = self.client.url(&["ws", ""]);
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).ok()?;
        url.set_query(Some("EIO=4&transport=websocket"));
        Some(url)
    }

    async fn hold_socket(&self, worked: &mut bool) -> Result<Infallible, Over> {
        let url = self.socket_url().ok_or(Over::Socket("it has no address"))?;
        let mut socket = self.client.http().websocket(&url, LARGEST, OPENING).await?;
        let namespace = format!("/device/{}", self.client.device());
        let silence = tokio::time::timeout(OPENING, self.enter(&mut socket, &namespace)).await;
        let silence = silence.map_err(|_| Over::Socket("nobody let us in"))??;
        *worked = true;
        let mut wishes = self.wishes.waiting.lock().await;
        while wishes.try_recv().is_ok() {}
        self.wishes.is_open.store(true, Ordering::Relaxed);
        for contact in self.wishes.watched() {
            let asked = packet::event(&namespace, "presence:subscribe", &json!({ "contactId": contact }));
            socket.send(asked).await?;
        }
        // What was done while nobody listened.
        self.read_chats().await?;
        loop {
            tokio::select! {
                frame = tokio::time::timeout(silence, socket.next()) => {
                    let frame = frame.map_err(|_| Over::Socket("it fell silent"))??;
                    if let Some(answer) = self.heard(frame).await? {
                        socket.send(answer).await?;
                    }
                }
                Some((name, payload)) = wishes.recv() => {
                    socket.send(packet::event(&namespace, name, &payload)).await?;
                }
            }
        }
    }

    /// Goes into the device's namespace; answers how long the server may be silent.
    async fn enter(&self, socket: &mut WebSocket, namespace: &str) -> Result<Duration, Over> {
        let mut silence = Duration::from_secs(45);
        loop {
            let Frame::Text(text) = socket.next().await? else { return Err(Over::Socket("it was closed")) };
            match packet::read(&text) {
                Packet::Open { silent_ms } => {
                    silence = Duration::from_millis(silent_ms);
                    // The key goes into the packet: addresses end up in logs of others.
                    socket.send(packet::connect(namespace, self.client.key())).await?;
                }
                Packet::Ping => socket.send(PONG.to_owned()).await?,
                Packet::Connected => return Ok(silence),
                Packet::Refused(_) => return Err(Over::Socket("the namespace is refused")),
                Packet::Closed => return Err(Over::Socket("it was closed")),
                Packet::Event { .. } | Packet::Other => {}
            }
        }
    }

    /// Takes in what came; answers what is to be answered.
    async fn heard(&self, frame: Frame) -> Result<Option<String>, Over> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Alive => return Ok(None),
            Frame::Closed(_) => return Err(Over::Socket("it was closed")),
        };
        match packet::read(&text) {
            Packet::Ping => Ok(Some(PONG.to_owned())),
            Packet::Closed | Packet::Refused(_) => Err(Over::Socket("it was closed")),
            Packet::Event { name, payload } => {
                self.happened(&name, &payload).await?;
                Ok(None)
            }
            Packet::Open { .. } | Packet::Connected | Packet::Other => Ok(None),
        }
    }

    /// What the log does not tell; the rest comes from there.
    async fn happened(&self, name: &str, payload: &Value) -> Result<(), SessionEnd> {
        match name {
            "typing:start" | "typing:stop" => {
                let Some(Typing { chat_id, from, kind }) = self.read("that somebody types", payload.clone())
                else {
                    return Ok(());
                };
                let from = from.unwrap_or_else(|| chat_id.clone());
                self.tell(EngineEvent::Typing { chat: chat_id, from, kind, on: name == "typing:start" }).await
            }
            "presence" => {
                let Some(Presence { contact_id, online, last_seen }) =
                    self.read("a presence", payload.clone())
                else {
                    return Ok(());
                };
                self.tell(EngineEvent::Presence { contact: contact_id, online, last_seen }).await
            }
            "chat:update" => match self.read::<WireChat>("a chat", payload["chat"].clone()) {
                Some(chat) => self.chat_is(&chat).await,
                None => Ok(()),
            },
            _ => {
                if self.inbound_by == InboundBy::Poll {
                    self.called.notify_one();
                }
                Ok(())
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    chat_id: Jid,
    #[serde(default)]
    from: Option<Jid>,
    #[serde(default)]
    kind: TypingKind,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presence {
    contact_id: Jid,
    online: bool,
    #[serde(default)]
    last_seen: Option<Millis>,
}
