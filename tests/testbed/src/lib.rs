//! A WhatsApp server with phones, on loopback, for tests and trials of Wharf's engine `whatsapp`. Everything
//! is in memory and exists as long as the testbed.
//!
//! [`Testbed::start`] listens on one TCP port: the clients' WebSocket at `/ws/chat`, media at `/mms/…` and
//! `/media/…`, the control API at `/control/…`.
//!
//! Contents:
//! - `wire`: frames, noise, connections. Stanzas are sent through a [`wire::connection::Link`].
//! - `server::state`: [`server::state::Account`] (one for each phone number) and its
//!   [`server::state::Companion`]s; `server::directory` finds them by number, LID or JID.
//! - `server::dispatch`: the table from a stanza's tag to its handler, an async function of a
//!   [`server::dispatch::Session`] and the stanza. The session's task waits for the handler, so slow work is
//!   spawned on [`server::World::tasks`].
//! - `server::iq`: the table from an IQ's namespace to its handler, which returns an answer.
//! - `phone`: the keys and actions of the primary device.
//! - `server::messages`, `server::receipts` (and acks), `server::offline` (queues, called at
//!   `offline::active` and for `<ib>`), `control` (the HTTP API): messages.
//! - `server::groups`, `server::usync`, `server::app_state`, `server::pictures`, `server::presence` (and chat
//!   state), `media`: the other services of the network.
//! - `scene`: the people and groups around one account, as a scan describes them.
//!
//! Invariants: no lock is held over an await; each account has its own lock; every queue is bounded; only
//! loopback addresses are served.

pub mod control;
pub mod id;
pub mod media;
pub mod phone;
pub mod scene;
pub mod server;
pub mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use server::World;

/// How long stopping waits for the connections.
const GRACE: Duration = Duration::from_secs(5);

/// A running testbed.
pub struct Testbed {
    address: SocketAddr,
    world: Arc<World>,
    /// The task of the HTTP server, separate from the world's tasks.
    serving: TaskTracker,
}

impl Testbed {
    /// Listens on a loopback address; port 0 picks a free one.
    ///
    /// # Errors
    /// If the address is not loopback, or cannot be bound.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        ensure!(address.ip().is_loopback(), "the testbed listens on loopback addresses only");
        let listener = TcpListener::bind(address).await.context("the testbed's address")?;
        let address = listener.local_addr()?;
        let world = Arc::new(World::at(address));
        let ending = world.stop.clone().cancelled_owned();
        let serving = TaskTracker::new();
        let serve = axum::serve(listener, router(&world)).with_graceful_shutdown(ending);
        serving.spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the testbed no longer listens");
            }
        });
        serving.close();
        Ok(Self { address, world, serving })
    }

    /// The address of its listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its WebSocket.
    #[must_use]
    pub fn websocket(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }

    /// The state of the testbed.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Closes all connections and stops the testbed.
    pub async fn stop(self) {
        self.world.stop.cancel();
        self.world.tasks.close();
        let ended = async {
            self.world.tasks.wait().await;
            self.serving.wait().await;
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("some of the testbed's tasks did not end in time");
        }
    }
}

fn router(world: &Arc<World>) -> Router {
    Router::new()
        .route("/ws/chat", any(server::accept::enter))
        .nest("/control", control::router())
        .with_state(Arc::clone(world))
        .merge(media::router(world.media.clone()))
}
