//! Tests of the simulator with a vault, a media store and a recorder of events in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::files::MemoryFiles;
use super::SimulatorDriver;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::content::Content;
use crate::domain::ids::{DeviceId, MessageId};
use crate::engine::{
    ControlContext, ControlError, ControlVerb, Driver, EngineEvent, Inbound, InboundError, MemoryVault,
    Outgoing, SendOutcome, Session, SessionContext, SessionEnd,
};

mod changes;
mod control;
mod delivery;
mod files;
mod generator;
mod groups;
mod history;
mod inbound;
mod linking;
mod outbound;
mod pairing;
mod persistence;
mod rich;

/// The longest wait for a condition that must become true.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The wait after which something counts as absent.
const SHORT_WAIT: Duration = Duration::from_millis(150);
const LARGE: u64 = 64 << 20;

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Different bytes at each call.
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            *byte = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).to_le_bytes()[0];
        }
    }
}

/// Records events. It can delay or refuse messages.
struct Recorder {
    events: watch::Sender<Vec<EngineEvent>>,
    held: watch::Sender<bool>,
    refuses: AtomicBool,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            events: watch::Sender::default(),
            held: watch::Sender::new(false),
            refuses: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Inbound for Recorder {
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError> {
        if matches!(event, EngineEvent::Message(_)) {
            if self.refuses.load(Ordering::Relaxed) {
                return Err(InboundError::Store("the disk is full".into()));
            }
            self.held.subscribe().wait_for(|held| !held).await.unwrap();
        }
        self.events.send_modify(|events| events.push(event));
        Ok(())
    }
}

impl Recorder {
    fn all(&self) -> Vec<EngineEvent> {
        self.events.borrow().clone()
    }

    fn bodies(&self) -> Vec<String> {
        let body = |event| match event {
            EngineEvent::Message(message) => Some(message.body),
            _ => None,
        };
        self.all().into_iter().filter_map(body).collect()
    }

    /// Acks in the order of their delivery.
    fn acks(&self) -> Vec<i8> {
        let ack = |event| match event {
            EngineEvent::Receipt(receipt) => Some(receipt.ack.level()),
            _ => None,
        };
        self.all().into_iter().filter_map(ack).collect()
    }

    fn codes(&self) -> Vec<(String, i64)> {
        let code = |event| match event {
            EngineEvent::Code { code, valid_ms } => Some((code, valid_ms)),
            _ => None,
        };
        self.all().into_iter().filter_map(code).collect()
    }

    async fn until(&self, what: &str, happened: impl Fn(&Self) -> bool) {
        let mut events = self.events.subscribe();
        let waiting = async {
            while !happened(self) {
                events.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(MAX_WAIT, waiting).await;
        assert!(waited.is_ok(), "never happened: {what}; events: {:?}", self.all());
    }

    async fn until_opened(&self) {
        self.until("opened", |recorder| recorder.all().iter().any(|e| matches!(e, EngineEvent::Opened(_))))
            .await;
    }
}

/// A daemon with one device.
struct Daemon {
    driver: Arc<SimulatorDriver>,
    vault: Arc<MemoryVault>,
    files: Arc<MemoryFiles>,
    recorder: Arc<Recorder>,
    clock: Arc<TestClock>,
    random: Arc<Counting>,
}

impl Daemon {
    fn start(dir: &std::path::Path) -> Self {
        Self::with(dir, LARGE, Arc::default(), 0)
    }

    fn with(dir: &std::path::Path, max_bytes: u64, vault: Arc<MemoryVault>, random: u64) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_700_000_000_000)));
        let random = Arc::new(Counting(AtomicU64::new(random)));
        let driver =
            SimulatorDriver::new(&dir.join("simulator"), max_bytes, clock.clone(), random.clone()).unwrap();
        Self {
            driver: Arc::new(driver),
            vault,
            files: Arc::default(),
            recorder: Arc::default(),
            clock,
            random,
        }
    }

    /// The same device in a new process: only the vault, the media store and the ledger are the same.
    async fn restart(self, dir: &std::path::Path) -> Self {
        self.driver.flush().await.unwrap();
        let (vault, files) = (Arc::clone(&self.vault), Arc::clone(&self.files));
        drop(self);
        Self { files, ..Self::with(dir, LARGE, vault, 1 << 40) }
    }

    async fn open(&self, settings: Value) -> (Arc<dyn Session>, CancellationToken) {
        let cancel = CancellationToken::new();
        let settings = json!({ "simulator": settings });
        let context = SessionContext {
            device: device(),
            settings: settings.as_object().unwrap().clone(),
            account: None,
            vault: self.vault.clone(),
            media: self.files.clone(),
            inbound: self.recorder.clone(),
            cancel: cancel.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        };
        (self.driver.open(context).await.unwrap(), cancel)
    }

    /// A running session.
    async fn connect(&self, settings: Value) -> Running {
        let (session, cancel) = self.open(settings).await;
        let mut task = JoinSet::new();
        task.spawn(Arc::clone(&session).run());
        Running { session, cancel, task }
    }

    /// A running session, linked by an automatic scan.
    async fn connect_linked(&self, mut settings: Value) -> Running {
        settings["autoScanMs"] = json!(0);
        let running = self.connect(settings).await;
        self.recorder.until_opened().await;
        running
    }

    fn context(&self) -> ControlContext {
        ControlContext { device: device(), vault: self.vault.clone(), media: self.files.clone() }
    }

    /// The number of undelivered messages in the vault.
    fn stored_messages(&self) -> usize {
        let values = self.vault.0.lock();
        values.keys().filter(|key| key.starts_with("simulator/message/")).count()
    }

    async fn until_stored(&self, messages: usize) {
        let waiting = async {
            while self.stored_messages() != messages {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(MAX_WAIT, waiting).await.expect("the vault has other messages");
    }

    async fn post(&self, name: &str, body: Value) -> Result<Value, ControlError> {
        self.driver.control(self.context(), ControlVerb::Post(name), body).await
    }

    async fn network(&self) -> Value {
        self.driver.control(self.context(), ControlVerb::Get("network"), Value::Null).await.unwrap()
    }

    async fn say(&self, body: &str) -> Result<Value, ControlError> {
        self.post("incoming", json!({ "from": "+1 555 011-0001", "body": body })).await
    }

    /// A control request in a task.
    fn posting(&self, name: &'static str, body: Value) -> JoinSet<Result<Value, ControlError>> {
        let (driver, context) = (Arc::clone(&self.driver), self.context());
        let mut task = JoinSet::new();
        task.spawn(async move { driver.control(context, ControlVerb::Post(name), body).await });
        task
    }
}

struct Running {
    session: Arc<dyn Session>,
    cancel: CancellationToken,
    task: JoinSet<SessionEnd>,
}

impl Running {
    async fn ended(mut self) -> SessionEnd {
        let ended = tokio::time::timeout(MAX_WAIT, self.task.join_next()).await;
        ended.expect("the session never ended").unwrap().unwrap()
    }

    async fn stop(self) -> SessionEnd {
        self.cancel.cancel();
        self.ended().await
    }

    async fn send(&self, to: &str, id: &str, body: &str) -> SendOutcome {
        self.send_outgoing(outgoing(to, id, body)).await
    }

    async fn send_outgoing(&self, outgoing: Outgoing) -> SendOutcome {
        tokio::time::timeout(MAX_WAIT, self.session.send(outgoing)).await.expect("send never returned")
    }
}

fn device() -> DeviceId {
    "shop-1".parse().unwrap()
}

fn outgoing(to: &str, id: &str, body: &str) -> Outgoing {
    let id: MessageId = format!("true_{to}_{id}").parse().unwrap();
    Outgoing {
        chat: id.chat.clone(),
        id,
        body: body.to_owned(),
        content: Content::Text,
        quoted: None,
        mentions: Vec::new(),
        forwarded: false,
        timestamp: Millis(1),
        again: false,
    }
}

fn code_of(error: ControlError) -> &'static str {
    match error {
        ControlError::Impossible { code, .. } => code,
        other => panic!("not an impossible request: {other:?}"),
    }
}

/// The outcome of a send, and its code.
fn outcome(outcome: &SendOutcome) -> (&'static str, &'static str) {
    match outcome {
        SendOutcome::Sent { .. } => ("sent", ""),
        SendOutcome::Transient(error) => ("transient", error.code),
        SendOutcome::Permanent(error) => ("permanent", error.code),
        SendOutcome::Unknown(error) => ("unknown", error.code),
    }
}

fn message_id(text: &str) -> MessageId {
    text.parse().unwrap()
}

const CONTACT: &str = "15550110001@c.us";
const SENT: SendOutcome = SendOutcome::Sent { participants: Vec::new() };
