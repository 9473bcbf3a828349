//! A WAHA server for tests, written from its contract, over a [`World`]: sessions with their states and
//! codes, every call that the engine makes, webhooks with signatures and retries, and a WebSocket that
//! resumes nothing.
//!
//! `listener` is its address, which can be closed; `api` has the routes; `session` is a session of it
//! and its connection to the network; `event_sender` sends webhooks and frames; `convert` has the
//! conversions of events.

mod api;
mod chats;
mod control;
pub mod convert;
pub mod event_sender;
mod groups;
mod listener;
mod sending;
mod session;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use wharf::engine::Capabilities;

pub use self::listener::SwitchableListener;
pub use self::session::Session;
use super::Upstream;
use super::world::World;

/// The key of the server, and the secret of its webhooks.
pub const KEY: &str = "waha-api-key-of-the-tests";
pub const SECRET: &str = "waha-webhook-secret-of-the-tests";

/// A failure of matching requests.
pub struct Fault {
    /// A part of the path.
    pub part: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The delay of the answer.
    pub after: Duration,
    /// The number of failures.
    pub times: usize,
}

/// The server of the tests.
pub struct Server {
    world: Arc<World>,
    /// `webhook` or `websocket`.
    inbound: &'static str,
    /// The server's address.
    pub listener: SwitchableListener,
    /// A fixed address of the daemon, which changes its own at a restart.
    pub daemon: SwitchableListener,
    steering: String,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    sockets: event_sender::Sockets,
    /// The answered requests, as method and path.
    pub asked: Mutex<Vec<String>>,
    pub faults: Mutex<Vec<Fault>>,
    /// Whether it gives ids to send with; its engine WEBJS gives none.
    pub gives_ids: Mutex<bool>,
    /// The most entries of a page, regardless of the request.
    pub page: AtomicUsize,
}

impl Server {
    /// Starts a server; its devices receive events by `inbound`.
    pub async fn start(inbound: &'static str) -> Arc<Self> {
        let world = World::start();
        let (inside, steered) = (listener::listener().await, listener::listener().await);
        let server = Arc::new(Self {
            world: Arc::clone(&world),
            inbound,
            listener: SwitchableListener::to(inside.local_addr().unwrap()).await,
            daemon: SwitchableListener::shut().await,
            steering: format!("http://{}", steered.local_addr().unwrap()),
            sessions: Mutex::default(),
            sockets: event_sender::Sockets::default(),
            asked: Mutex::default(),
            faults: Mutex::default(),
            gives_ids: Mutex::new(true),
            page: AtomicUsize::new(usize::MAX),
        });
        let for_sockets = Arc::downgrade(&server);
        server.listener.take_sockets(move |stream| {
            let server = for_sockets.upgrade();
            Box::pin(async move {
                if let Some(server) = server {
                    event_sender::serve_socket(&server, stream).await;
                }
            })
        });
        listener::serve(inside, api::router(&server));
        listener::serve(
            steered,
            super::world::control::router(world, Arc::new(control::SessionControl(Arc::downgrade(&server)))),
        );
        server
    }

    /// The session with this name, if it exists.
    pub fn session(&self, name: &str) -> Option<Arc<Session>> {
        self.sessions.lock().unwrap().get(name).cloned()
    }

    /// The failure of a request, if one is set: status and delay.
    fn fault(&self, path: &str) -> Option<(u16, Duration)> {
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.iter_mut().find(|fault| fault.times > 0 && path.contains(fault.part))?;
        fault.times -= 1;
        Some((fault.status, fault.after))
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// A device's settings; those in `other` replace the usual ones.
    pub fn settings_of(&self, device: &str, other: &Value) -> Value {
        let mut waha = json!({
            "baseUrl": self.url(), "session": device, "apiKey": KEY, "webhookSecret": SECRET, "inbound": self.inbound,
        });
        for (name, value) in other.as_object().unwrap() {
            waha[name] = value.clone();
        }
        json!({ "waha": waha })
    }
}

#[async_trait]
impl Upstream for Server {
    fn engine(&self) -> &'static str {
        "waha"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: true,
            pairing_code: true,
            passkey: false,
            deduplicates: true,
            typing: true,
            presence: true,
            read_receipts: true,
            groups: true,
            media: true,
            location: true,
            contacts: true,
            polls: true,
            templates: false,
            edit: true,
            react: true,
            revoke: true,
            control: false,
        }
    }

    fn settings(&self) -> Vec<(String, String)> {
        [
            ("WHARF__NET__ALLOW_PRIVATE", "127.0.0.1".to_owned()),
            ("WHARF__SERVER__PUBLIC_URL", self.daemon.url()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    async fn device_settings(&self, device: &str, world: &Value) -> Value {
        self.world.account(device, world);
        self.settings_of(device, &json!({}))
    }

    fn steering(&self) -> String {
        self.steering.clone()
    }

    fn unsupported_events(&self) -> &'static [&'static str] {
        &[
            "calls that end",
            "pins",
            "who is who",
            "reactions of the past",
            "what was read elsewhere",
            "forwarding",
            "who left by themselves",
        ]
    }

    async fn attached(&self, daemon: &str) {
        self.daemon.open_to(daemon.trim_start_matches("http://").parse().unwrap());
    }
}
