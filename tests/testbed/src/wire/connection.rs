//! One connection: a reader of nodes and a bounded queue of nodes to write.
//!
//! [`Link`] is the shared handle; [`Inbound`] belongs to the one task that reads; a separate task writes.
//! Nodes are sent in the order in which they were queued, and a closed link sends nothing more. A queue that
//! stays full for [`PATIENCE`] closes its link, because the client does not read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::extract::ws::{Message, WebSocket};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore_binary::{Node, OwnedNodeRef};
use wacore_noise::NoiseCipher;
use wacore_noise::framing::encode_frame;

use super::framing::Frames;
use super::noise::{Agreed, ServerKeys, Step};

/// Nodes that may be queued.
const QUEUE: usize = 256;
/// How long a full queue may stay full.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Numbers the links of this process, which distinguishes a new link from an earlier one.
static LINKS: AtomicU64 = AtomicU64::new(1);

/// A handle to a client's connection; clones share it.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    writer: mpsc::Sender<Outgoing>,
    closed: CancellationToken,
    pace: Mutex<Pace>,
}

/// The delays of a link.
#[derive(Clone, Copy, Default)]
struct Pace {
    /// Nothing is read or written before this time.
    silent_until: Option<Instant>,
    /// The delay before each node that is written.
    delay: Duration,
}

enum Outgoing {
    Node(Node),
    Close,
}

/// The decrypted nodes of a client.
pub struct Inbound {
    stream: SplitStream<WebSocket>,
    frames: Frames,
    cipher: NoiseCipher,
    counter: u32,
    link: Link,
}

/// A client after the handshake.
pub struct Arrival {
    /// The client's noise key.
    pub client_key: [u8; 32],
    /// The handshake pattern.
    pub pattern: super::noise::Pattern,
    /// The client's login or registration data.
    pub payload: waproto::whatsapp::ClientPayload,
    /// The writing half.
    pub link: Link,
    /// The reading half.
    pub inbound: Inbound,
}

/// Performs the handshake and starts the writer.
///
/// # Errors
/// If the client does not complete the handshake in time.
pub async fn accept(socket: WebSocket, keys: &ServerKeys, tasks: &TaskTracker) -> Result<Arrival> {
    let (mut sink, mut stream) = socket.split();
    let mut frames = Frames::default();
    let agreed = tokio::time::timeout(HANDSHAKE, handshake(&mut sink, &mut stream, &mut frames, keys))
        .await
        .context("the handshake took too long")??;
    let Agreed { pattern, client_key, payload, read, write } = agreed;
    let (writer, queue) = mpsc::channel(QUEUE);
    let link = Link {
        inner: Arc::new(Inner {
            id: LINKS.fetch_add(1, Ordering::Relaxed),
            writer,
            closed: CancellationToken::new(),
            pace: Mutex::default(),
        }),
    };
    tasks.spawn(write_all(sink, queue, write, link.clone()));
    let inbound = Inbound { stream, frames, cipher: read, counter: 0, link: link.clone() };
    Ok(Arrival { client_key, pattern, payload, link, inbound })
}

async fn handshake(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    frames: &mut Frames,
    keys: &ServerKeys,
) -> Result<Agreed> {
    let first = next_frame(stream, frames).await?.context("closed before the handshake")?;
    let (finishing, reply) = match keys.answer(&first)? {
        Step::Done(agreed, reply) => {
            sink.send(framed(&reply)?).await?;
            return Ok(*agreed);
        }
        Step::Continue(finishing, reply) => (finishing, reply),
    };
    sink.send(framed(&reply)?).await?;
    let last = next_frame(stream, frames).await?.context("closed during the handshake")?;
    finishing.finish(&last)
}

/// The next frame; `None` once the client has closed.
async fn next_frame(stream: &mut SplitStream<WebSocket>, frames: &mut Frames) -> Result<Option<BytesMut>> {
    loop {
        if let Some(frame) = frames.take() {
            return Ok(Some(frame));
        }
        match stream.next().await {
            Some(Ok(Message::Binary(data))) => frames.feed(&data)?,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_))) => bail!("text in a stream of binary frames"),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
        }
    }
}

fn framed(payload: &[u8]) -> Result<Message> {
    Ok(Message::Binary(Bytes::from(encode_frame(payload, None)?)))
}

async fn write_all(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    cipher: NoiseCipher,
    link: Link,
) {
    let mut counter = 0;
    let writing = async {
        while let Some(Outgoing::Node(node)) = queue.recv().await {
            link.wait_for_pace().await;
            let message = enciphered(&node, &cipher, counter)?;
            counter += 1;
            sink.send(message).await?;
        }
        sink.close().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        () = link.closed() => {}
        written = writing => if let Err(error) = written {
            tracing::debug!(link = link.id(), %error, "the client no longer reads");
        },
    }
    link.drop_now();
}

fn enciphered(node: &Node, cipher: &NoiseCipher, counter: u32) -> Result<Message> {
    let plain = wacore_binary::marshal::marshal(node)?;
    framed(&cipher.encrypt_with_counter(counter, &plain)?)
}

impl Link {
    /// A number that no other link has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// Queues a node, waiting while the queue is full; `false` if the link is closed.
    pub async fn send(&self, node: Node) -> bool {
        self.queue(Outgoing::Node(node)).await
    }

    /// Queues a node without waiting; a full queue closes the link. `false` if it is closed.
    pub fn push(&self, node: Node) -> bool {
        let sent = !self.is_closed() && self.inner.writer.try_send(Outgoing::Node(node)).is_ok();
        if !sent {
            self.drop_now();
        }
        sent
    }

    /// Queues a last node and closes the link after writing it.
    pub async fn finish(&self, last: Node) {
        if self.send(last).await {
            self.queue(Outgoing::Close).await;
        }
    }

    /// Closes the link at once.
    pub fn drop_now(&self) {
        self.inner.closed.cancel();
    }

    /// Writes the queued nodes, then closes the link; called by the reader at its end.
    pub(crate) fn reader_gone(&self) {
        if self.inner.writer.try_send(Outgoing::Close).is_err() {
            self.drop_now();
        }
    }

    /// Whether the link is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.is_cancelled()
    }

    /// Waits until the link is closed.
    pub async fn closed(&self) {
        self.inner.closed.cancelled().await;
    }

    /// Reads and writes nothing for this time, then continues.
    pub fn stall(&self, duration: Duration) {
        self.pace().silent_until = Some(Instant::now() + duration);
    }

    /// Delays each node by this time from now on.
    pub fn slow(&self, delay: Duration) {
        self.pace().delay = delay;
    }

    async fn queue(&self, outgoing: Outgoing) -> bool {
        let sent = tokio::select! {
            () = self.closed() => false,
            sent = self.inner.writer.send_timeout(outgoing, PATIENCE) => sent.is_ok(),
        };
        if !sent {
            self.drop_now();
        }
        sent
    }

    /// Waits for the configured delays before a node is written.
    async fn wait_for_pace(&self) {
        let delay = self.pace().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.wait_while_silent().await;
    }

    /// Waits while the link is silent.
    async fn wait_while_silent(&self) {
        loop {
            let until = self.pace().silent_until;
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.inner.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbound {
    /// The next node; `None` once the link is closed or a frame cannot be decrypted.
    pub async fn next(&mut self) -> Option<Node> {
        let link = self.link.clone();
        tokio::select! {
            () = link.closed() => None,
            read = self.read() => match read {
                Ok(Some(node)) => Some(node),
                Ok(None) => { link.drop_now(); None }
                Err(error) => {
                    tracing::debug!(link = link.id(), %error, "could not read a frame of the client");
                    link.drop_now();
                    None
                }
            },
        }
    }

    async fn read(&mut self) -> Result<Option<Node>> {
        self.link.wait_while_silent().await;
        let Some(mut frame) = next_frame(&mut self.stream, &mut self.frames).await? else {
            return Ok(None);
        };
        self.link.wait_while_silent().await;
        self.cipher.decrypt_in_place_with_counter(self.counter, &mut frame)?;
        self.counter += 1;
        let plain = wacore_binary::util::unpack_bytes(frame)?;
        Ok(Some(OwnedNodeRef::new(plain)?.to_owned_node()))
    }
}
