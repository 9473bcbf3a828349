//! One device's session: it connects, and hands over what waits in the network, one thing at a time.
//!
//! Invariants: everything happens inside [`SimulatorSession::run`], no task is started; a message is
//! acknowledged only after the daemon said that it is durable; whatever way the session ends, a panic
//! included, its hold on the device ends with it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::changes::refused;
use super::device::Device;
use super::entries::{Entry, Seen, Typed};
use super::faults::FaultKind;
use super::generator;
use super::history::HistorySync;
use super::journal::Durability;
use super::network::Network;
use super::settings::Settings;
use crate::domain::clock::{Clock, Random};
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{
    Answer, ChatChange, Ended, EngineEvent, GroupAnswer, GroupRequest, Inbound, InboundError, MediaStore,
    MessageChange, Outgoing, PairingCode, Query, SendOutcome, Session, SessionContext, SessionError, Vault,
    VaultError,
};

mod online;

/// Where the credentials are in the vault.
const SPACE: &str = "simulator";
const KEY: &str = "session";
/// Message ids in one line of the journal.
const READ_CHUNK: usize = 500;

/// What makes a linked device linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credentials {
    #[serde(flatten)]
    pub(super) account: Account,
    /// Whether contacts, groups and history were told since the link.
    #[serde(default)]
    pub(super) synchronised: bool,
}

/// A simulated device's session.
pub(super) struct SimulatorSession {
    pub(super) network: Arc<Network>,
    pub(super) device: Arc<Device>,
    pub(super) settings: Arc<Settings>,
    pub(super) seed: u64,
    pub(super) inbound: Arc<dyn Inbound>,
    pub(super) media: Arc<dyn MediaStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    vault: Arc<dyn Vault>,
    cancel: CancellationToken,
    /// What the vault held when the session was opened.
    stored: Mutex<Option<Credentials>>,
    /// Cancelled once this session can send and receive.
    online: CancellationToken,
    /// Cancelled when it no longer can.
    pub(super) gone: CancellationToken,
    /// Cancelled by a log-out.
    logged_out: CancellationToken,
}

impl SimulatorSession {
    /// Reads the credentials and remembers the settings; connects nothing.
    pub(super) async fn open(
        network: Arc<Network>,
        settings: Settings,
        context: SessionContext,
    ) -> Result<Self, VaultError> {
        let stored = load(context.vault.as_ref()).await?;
        let device = network.device(&context.device);
        let settings = Arc::new(settings);
        let account = stored.as_ref().map(|credentials| credentials.account.clone());
        network.discard(device.configure(Arc::clone(&settings), account)).await;
        Ok(Self {
            network,
            device,
            seed: generator::seed_of(&context.device, &settings),
            settings,
            inbound: context.inbound,
            media: context.media,
            clock: context.clock,
            random: context.random,
            vault: context.vault,
            cancel: context.cancel,
            stored: Mutex::new(stored),
            online: CancellationToken::new(),
            gone: CancellationToken::new(),
            logged_out: CancellationToken::new(),
        })
    }

    /// Whether messages can go out.
    pub(super) fn is_online(&self) -> bool {
        self.online.is_cancelled() && !self.gone.is_cancelled()
    }

    fn connected_or_error(&self) -> Result<(), SessionError> {
        if self.is_online() { Ok(()) } else { Err(SessionError::Offline) }
    }

    /// Tells the daemon, or how the session ends because it could not.
    pub(super) async fn deliver(&self, event: EngineEvent) -> Result<(), Ended> {
        self.inbound.deliver(event).await.map_err(|error| match error {
            InboundError::Gone => Ended::Closed,
            InboundError::Store(source) => {
                tracing::warn!(device = %self.device.id, error = %source, "the daemon did not take an event");
                Ended::LinkLost(Reason::EngineError)
            }
        })
    }

    /// Stores the credentials, durable when it returns; `None` forgets them.
    pub(super) async fn store(&self, credentials: Option<&Credentials>) -> Result<(), VaultError> {
        let bytes = credentials.map(serde_json::to_vec).transpose().map_err(|e| VaultError(Box::new(e)))?;
        self.vault.put(SPACE, KEY, bytes).await
    }

    pub(super) async fn store_or_end(&self, credentials: Option<&Credentials>) -> Result<(), Ended> {
        self.store(credentials).await.map_err(|error| {
            tracing::warn!(device = %self.device.id, %error, "the simulator's credentials were not stored");
            Ended::LinkLost(Reason::EngineError)
        })
    }

    async fn connect(&self) -> Result<Infallible, Ended> {
        if self.device.take_fault(FaultKind::RefuseConnect).is_some() {
            return Err(Ended::LinkLost(Reason::NetworkUnreachable));
        }
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner).take();
        let credentials = match stored {
            Some(credentials) => {
                self.check_account_faults().await?;
                self.deliver_groups().await?;
                credentials
            }
            None => self.link().await?,
        };
        // Before the news: whoever hears it may send at once.
        self.online.cancel();
        self.device.go_online();
        self.deliver(EngineEvent::Opened(credentials.account.clone())).await?;
        self.synchronise(credentials).await?;
        self.run_online().await
    }

    /// Tells which groups the account is in: that may have changed while nobody listened. Before the session
    /// is open, so that no request changes them at the same time.
    async fn deliver_groups(&self) -> Result<(), Ended> {
        let groups = self.device.groups.of_account(&self.device.group_context()).await;
        self.deliver(EngineEvent::Groups { groups, complete: true }).await
    }

    /// Tells what was there before the link, once; a session that ends in the middle begins again.
    async fn synchronise(&self, credentials: Credentials) -> Result<(), Ended> {
        if credentials.synchronised {
            return Ok(());
        }
        let Credentials { account, .. } = credentials;
        let groups = self.device.groups.of_account(&self.device.group_context()).await;
        let past = HistorySync {
            settings: &self.settings,
            account: &account,
            groups: &groups,
            seed: self.seed,
            now: self.clock.now(),
        };
        for event in past.events() {
            self.deliver(event).await?;
        }
        self.store_or_end(Some(&Credentials { account, synchronised: true })).await
    }
}

#[async_trait]
impl Session for SimulatorSession {
    async fn run(self: Arc<Self>) -> Ended {
        let attached = self.device.attach();
        let _gone = self.gone.clone().drop_guard();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Ended::Closed,
            () = self.logged_out.cancelled() => Ended::Closed,
            () = attached.replaced.cancelled() => Ended::Fatal(Reason::StreamReplaced),
            ended = self.connect() => match ended {
                Ok(never) => match never {},
                Err(ended) => ended,
            },
        }
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        self.send_message(message).await
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        self.connected_or_error()?;
        for ids in messages.chunks(READ_CHUNK) {
            let seen = Seen { chat: chat.clone(), message_ids: ids.to_vec(), at: self.clock.now() };
            self.record(Entry::Read(&seen)).await?;
        }
        Ok(())
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        self.connected_or_error()?;
        let typed = Typed { chat: chat.clone(), what: kind, on, at: self.clock.now() };
        self.record(Entry::Typing(&typed)).await
    }

    /// The simulated network reports what its control API tells it of anybody, asked or not.
    async fn subscribe_presence(&self, _contact: &Jid) -> Result<(), SessionError> {
        self.connected_or_error()
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        self.connected_or_error()?;
        Ok(match query {
            Query::Exists(person) => Answer::Exists(generator::is_on_network(&person)),
            Query::ProfilePicture(person) => {
                Answer::ProfilePicture(generator::picture_of(&self.settings, &person))
            }
        })
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        Jid::person(phone_number).map_err(|error| SessionError::Refused(error.to_string()))?;
        let code = self.device.offer_pairing_code(phone_number, self.random.as_ref(), Instant::now());
        code.ok_or_else(|| refused("the device does not wait for a phone now"))
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        self.connected_or_error()?;
        self.record_message_change(change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        self.connected_or_error()?;
        self.record_chat_change(chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.connected_or_error()?;
        self.handle_group_request(request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        let stored = self.store(None).await;
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.logged_out.cancel();
        self.unlink().await;
        stored.map_err(|error| SessionError::Refused(error.to_string()))
    }
}

impl SimulatorSession {
    pub(super) async fn record(&self, entry: Entry<'_>) -> Result<(), SessionError> {
        let noted = self.network.journal.append(&self.device.id, entry, Durability::Written).await;
        noted.map_err(|error| SessionError::Refused(error.to_string()))
    }
}

async fn load(vault: &dyn Vault) -> Result<Option<Credentials>, VaultError> {
    let Some(bytes) = vault.get(SPACE, KEY).await? else {
        return Ok(None);
    };
    match serde_json::from_slice(&bytes) {
        Ok(credentials) => Ok(Some(credentials)),
        Err(error) => Err(VaultError(Box::new(error))),
    }
}
