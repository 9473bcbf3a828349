//! A session of the server, and its connection to the network.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use wharf::domain::event::HistoryPhase;
use wharf::domain::ids::{MessageId, NetworkId};
use wharf::domain::jid::Jid;
use wharf::engine::{EngineEvent, Incoming, IncomingChange, Session as NetworkSession, SessionEnd};

use super::{Server, convert, event_sender};
use crate::upstream::world::{Account, Link};

/// The pause before a broken link is restored.
const LINK_AWAY: Duration = Duration::from_millis(300);

/// A session of the server.
pub struct Session {
    pub name: String,
    /// The URL of the server.
    pub base: String,
    pub account: Arc<Account>,
    pub state: Mutex<State>,
    /// Whether events are stored without being sent.
    pub silent: AtomicBool,
    server: Weak<Server>,
    events: AtomicU64,
}

/// The mutable state of a session.
#[derive(Default)]
pub struct State {
    pub config: Value,
    pub status: &'static str,
    pub me: Value,
    pub code: Option<String>,
    /// WAMessages by chat.
    pub messages: BTreeMap<String, Vec<Value>>,
    pub groups: BTreeSet<Jid>,
    pub contacts: BTreeMap<Jid, Value>,
    pub lids: BTreeMap<Jid, Jid>,
    /// The daemon's ids by the assigned ones, and the reverse.
    pub ours: HashMap<NetworkId, NetworkId>,
    pub theirs: HashMap<NetworkId, NetworkId>,
    network: Option<Arc<dyn NetworkSession>>,
    running: Option<DropGuard>,
}

impl Session {
    pub fn new(server: &Arc<Server>, name: &str, account: Arc<Account>) -> Arc<Self> {
        let state = State { status: "STOPPED", config: json!({}), me: Value::Null, ..State::default() };
        Arc::new(Self {
            name: name.to_owned(),
            base: server.url(),
            account,
            state: Mutex::new(state),
            server: Arc::downgrade(server),
            silent: AtomicBool::new(false),
            events: AtomicU64::new(0),
        })
    }

    pub fn next_event(&self) -> u64 {
        self.events.fetch_add(1, Ordering::Relaxed)
    }

    pub fn me(&self) -> Value {
        self.state.lock().unwrap().me.clone()
    }

    pub fn me_jid(&self) -> Option<Jid> {
        self.me()["id"].as_str()?.parse().ok()
    }

    pub fn status(&self) -> &'static str {
        self.state.lock().unwrap().status
    }

    pub fn webhooks(&self) -> Vec<Value> {
        self.state.lock().unwrap().config["webhooks"].as_array().cloned().unwrap_or_default()
    }

    /// The description of the session.
    pub fn described(&self) -> Value {
        let state = self.state.lock().unwrap();
        let me = if state.status == "WORKING" { state.me.clone() } else { Value::Null };
        json!({ "name": self.name, "status": state.status, "config": state.config, "me": me, "engine": { "engine": "WEBJS" } })
    }

    /// The connection of a working session.
    pub fn network(&self) -> Option<Arc<dyn NetworkSession>> {
        let state = self.state.lock().unwrap();
        state.network.clone().filter(|_| state.status == "WORKING")
    }

    /// The connection, also while codes are shown.
    pub fn any_network(&self) -> Option<Arc<dyn NetworkSession>> {
        self.state.lock().unwrap().network.clone()
    }

    pub fn theirs(&self, ours: &NetworkId) -> NetworkId {
        self.state.lock().unwrap().theirs.get(ours).unwrap_or(ours).clone()
    }

    pub fn ours(&self, theirs: &NetworkId) -> NetworkId {
        self.state.lock().unwrap().ours.get(theirs).unwrap_or(theirs).clone()
    }

    pub fn theirs_of(&self, id: &MessageId) -> NetworkId {
        if id.from_me { self.theirs(&id.network) } else { id.network.clone() }
    }

    /// A message's id in the server's form.
    pub fn named(&self, id: &MessageId) -> String {
        let own = || self.me_jid().filter(|_| id.from_me && id.chat.is_group());
        let participant = id.participant.clone().or_else(own);
        MessageId { network: self.theirs_of(id), participant, ..id.clone() }.to_string()
    }

    /// A message's id at the network.
    pub fn meant(&self, text: &str) -> Option<MessageId> {
        let id: MessageId = text.parse().ok()?;
        let network = if id.from_me { self.ours(&id.network) } else { id.network.clone() };
        Some(MessageId { network, participant: id.participant.clone().filter(|_| !id.from_me), ..id })
    }

    /// Stores a message; a second copy is dropped.
    pub fn keep(&self, message: Value) {
        let mut state = self.state.lock().unwrap();
        let id: MessageId = message["id"].as_str().unwrap().parse().unwrap();
        let chat = state.messages.entry(id.chat.to_string()).or_default();
        if !chat.iter().any(|kept| kept["id"] == message["id"]) {
            chat.push(message);
        }
    }

    /// Changes a stored message.
    pub fn change(&self, id: &MessageId, change: impl Fn(&mut Value)) {
        let name = self.named(id);
        let mut state = self.state.lock().unwrap();
        let chat = state.messages.entry(id.chat.to_string()).or_default();
        chat.iter_mut().filter(|kept| kept["id"] == name.as_str()).for_each(change);
    }

    async fn send(&self, event: &str, payload: &Value) -> bool {
        match self.server.upgrade() {
            Some(server) => event_sender::send(&server, self, event, payload).await,
            None => true,
        }
    }

    pub async fn becomes(&self, status: &'static str) {
        self.state.lock().unwrap().status = status;
        self.send("session.status", &json!({ "name": self.name, "status": status, "statuses": [] })).await;
    }

    /// Starts or restarts the session.
    #[expect(clippy::disallowed_methods, reason = "it ends with its session")]
    pub fn start(self: &Arc<Self>) {
        let stop = CancellationToken::new();
        {
            let mut state = self.state.lock().unwrap();
            state.status = "STARTING";
            state.code = None;
            state.network = None;
            state.running = Some(stop.clone().drop_guard());
        }
        let session = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = session.run() => {}
            }
        });
    }

    pub fn is_running(&self) -> bool {
        self.state.lock().unwrap().running.is_some()
    }

    /// Ends the connection.
    pub async fn stop(&self) {
        {
            let mut state = self.state.lock().unwrap();
            state.running = None;
            state.network = None;
            state.code = None;
        }
        self.becomes("STOPPED").await;
    }

    async fn run(&self) {
        loop {
            self.becomes("STARTING").await;
            let link = self.account.connect().await;
            self.state.lock().unwrap().network = Some(Arc::clone(&link.session));
            let ended = self.listen(link).await;
            self.state.lock().unwrap().network = None;
            match ended {
                SessionEnd::CodesExhausted | SessionEnd::PasskeyEnded(_) | SessionEnd::Fatal(_) => {
                    self.state.lock().unwrap().running = None;
                    return self.becomes("FAILED").await;
                }
                SessionEnd::LoggedOut(_) => self.state.lock().unwrap().me = Value::Null,
                SessionEnd::LinkLost(_) | SessionEnd::Closed => {
                    self.becomes("STARTING").await;
                    tokio::time::sleep(LINK_AWAY).await;
                }
            }
        }
    }

    /// Processes the events of the network in order.
    async fn listen(&self, mut link: Link) -> SessionEnd {
        loop {
            tokio::select! {
                biased;
                pending = link.events.recv() => match pending {
                    Some(pending) => {
                        self.process(&pending.event).await;
                        pending.taken();
                    }
                    None => return link.ended.await.unwrap_or(SessionEnd::Closed),
                },
                ended = &mut link.ended => return ended.unwrap_or(SessionEnd::Closed),
            }
        }
    }

    async fn process(&self, event: &EngineEvent) {
        match event {
            EngineEvent::Code { code, .. } => {
                self.state.lock().unwrap().code = Some(code.clone());
                self.becomes("SCAN_QR_CODE").await;
            }
            EngineEvent::Scanned(account) => {
                self.state.lock().unwrap().me = convert::me(account);
                self.becomes("STARTING").await;
            }
            EngineEvent::Opened(account) => {
                self.state.lock().unwrap().me = convert::me(account);
                let waits = self.synchronises() && self.state.lock().unwrap().messages.is_empty();
                if !waits {
                    self.becomes("WORKING").await;
                }
            }
            EngineEvent::HistoryProgress { phase: HistoryPhase::Complete, .. } => {
                if self.status() != "WORKING" {
                    self.becomes("WORKING").await;
                }
            }
            EngineEvent::History(messages) => messages.iter().for_each(|message| self.store(message)),
            EngineEvent::Contacts(contacts) => {
                let mut state = self.state.lock().unwrap();
                for one in contacts {
                    let contact = state
                        .contacts
                        .entry(one.id.clone())
                        .or_insert_with(|| json!({ "id": one.id, "isMyContact": true }));
                    for (name, value) in [("name", &one.address_book_name), ("pushname", &one.pushname)] {
                        if let Some(value) = value {
                            contact[name] = json!(value);
                        }
                    }
                    if let Some(lid) = &one.lid {
                        state.lids.insert(lid.clone(), one.id.clone());
                    }
                }
            }
            other => self.pass_on(other).await,
        }
    }

    /// Whether an event is history from before the link.
    fn synchronises(&self) -> bool {
        let world = self.account.settings();
        let some = |name: &str| match &world[name] {
            Value::Number(number) => number.as_u64() != Some(0),
            Value::Array(list) => !list.is_empty(),
            _ => false,
        };
        self.state.lock().unwrap().contacts.is_empty()
            && ["history", "contacts", "groups"].into_iter().any(some)
    }

    fn store(&self, message: &Incoming) {
        self.keep(convert::message(self, message, if message.from_me { 3 } else { 1 }));
    }

    async fn pass_on(&self, engine_event: &EngineEvent) {
        match engine_event {
            EngineEvent::Message(message) => self.store(message),
            EngineEvent::Groups { groups, complete } => {
                let mut state = self.state.lock().unwrap();
                if *complete {
                    state.groups.clear();
                }
                state.groups.extend(groups.iter().map(|group| group.id.clone()));
            }
            EngineEvent::Receipt(receipt) if receipt.participant.is_none() => {
                let id = MessageId {
                    from_me: true,
                    chat: receipt.chat.clone(),
                    network: receipt.network_id.clone(),
                    participant: None,
                };
                let ack = convert::level(receipt.ack);
                self.change(&id, |kept| {
                    if ack > kept["ack"].as_i64().unwrap() {
                        kept["ack"] = json!(ack);
                        kept["ackName"] = json!(convert::ack_name(ack));
                    }
                });
            }
            EngineEvent::MessageChange(IncomingChange::Edited { id, body, at }) => self.change(id, |kept| {
                kept["body"] = json!(body);
                kept["_data"]["latestEditSenderTimestampMs"] = json!(at.0);
            }),
            EngineEvent::MessageChange(IncomingChange::Revoked { id }) => self.change(id, |kept| {
                kept["body"] = json!("");
                kept["_data"]["type"] = json!("revoked");
            }),
            _ => {}
        }
        if self.silent.load(Ordering::Relaxed) {
            return;
        }
        for (event, payload) in convert::events(self, engine_event) {
            self.send(event, &payload).await;
        }
    }
}
