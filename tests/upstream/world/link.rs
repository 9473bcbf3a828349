//! An account of the network, and its upstream's connection to the network.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use wharf::app::{OsRandom, SystemClock};
use wharf::domain::ids::DeviceId;
use wharf::engine::simulator::SimulatorDriver;
use wharf::engine::{
    ControlContext, Driver as _, EngineEvent, Inbound, InboundError, Session, SessionContext, SessionEnd,
    Vault as _,
};

use super::media::MemoryMedia;
use super::vault::MemoryVault;

/// Queued events; the network waits when the queue is full.
const WAITING: usize = 64;

/// An account, with its upstream's state.
pub struct Account {
    id: DeviceId,
    driver: Arc<SimulatorDriver>,
    settings: Mutex<Map<String, Value>>,
    vault: Arc<MemoryVault>,
    /// The files of its inbound and outbound messages.
    pub media: Arc<MemoryMedia>,
}

/// A connection of the upstream to the network. It ends when this is dropped.
pub struct Link {
    /// For the upstream's requests to the network.
    pub session: Arc<dyn Session>,
    /// The events of the network. Each must be answered before the next one arrives.
    pub events: mpsc::Receiver<PendingEvent>,
    /// The end of the connection.
    pub ended: oneshot::Receiver<SessionEnd>,
    _cancel: DropGuard,
}

/// An event of the network, which waits for its result.
pub struct PendingEvent {
    pub event: EngineEvent,
    reply: oneshot::Sender<bool>,
}

impl PendingEvent {
    /// Accepts the event; the network continues.
    pub fn taken(self) {
        let _ = self.reply.send(true);
    }

    /// Refuses the event: the connection ends, and the network repeats the event on the next one.
    pub fn refused(self) {
        let _ = self.reply.send(false);
    }
}

impl Account {
    pub(super) fn new(id: DeviceId, driver: Arc<SimulatorDriver>) -> Self {
        let settings = Mutex::default();
        Self { id, driver, settings, vault: Arc::default(), media: Arc::default() }
    }

    pub(super) fn configure(&self, settings: &Value) {
        let all = json!({ "simulator": settings });
        *self.settings.lock().unwrap() = all.as_object().unwrap().clone();
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        self.id.as_str()
    }

    /// The settings of the simulator.
    pub fn settings(&self) -> Value {
        self.settings.lock().unwrap()["simulator"].clone()
    }

    /// Connects to the network, in place of a former connection; scans a code where necessary.
    pub async fn connect(&self) -> Link {
        let (sender, events) = mpsc::channel(WAITING);
        let cancel = CancellationToken::new();
        let settings = self.settings.lock().unwrap().clone();
        let context = SessionContext {
            device: self.id.clone(),
            settings,
            account: None,
            vault: self.vault.clone(),
            media: self.media.clone(),
            inbound: Arc::new(Handing(sender)),
            cancel: cancel.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
        };
        let session = self.driver.open(context).await.unwrap();
        let (sender, ended) = oneshot::channel();
        let running = Arc::clone(&session);
        #[expect(clippy::disallowed_methods, reason = "it ends with its link")]
        tokio::spawn(async move {
            let _ = sender.send(running.run().await);
        });
        Link { session, events, ended, _cancel: cancel.drop_guard() }
    }

    /// The ports that a control request needs.
    pub(super) fn control_context(&self) -> ControlContext {
        ControlContext { device: self.id.clone(), vault: self.vault.clone(), media: self.media.clone() }
    }

    /// Removes the link: the next connection shows codes.
    pub async fn forget_link(&self) {
        self.vault.put("simulator", "session", None).await.unwrap();
    }
}

/// Queues each event and waits for its result.
struct Handing(mpsc::Sender<PendingEvent>);

#[async_trait]
impl Inbound for Handing {
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(PendingEvent { event, reply }).await.map_err(|_| InboundError::Gone)?;
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(InboundError::Store("the daemon was not reached".into())),
            Err(_) => Err(InboundError::Gone),
        }
    }
}
