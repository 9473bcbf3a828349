//! The session of one simulated device.
//!
//! All work happens inside [`SimulatorSession::run`]; no task is started. Every end of the session, also a
//! panic, releases its device.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::device::{Device, LinkCodes};
use super::faults::FaultKind;
use super::generator;
use super::history::HistorySync;
use super::network::Network;
use super::network_view::LedgerEntry;
use super::passkey_exchange::PasskeyExchange;
use super::settings::Settings;
use super::storage::Credentials;
use crate::domain::clock::{Clock, Random};
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::passkey::PasskeyAssertion;
use crate::domain::reason::Reason;
use crate::engine::{
    Answer, ChatChange, EngineEvent, GroupAnswer, GroupRequest, Inbound, InboundError, MediaStore,
    MessageChange, Outgoing, PairingCode, Query, SendOutcome, Session, SessionContext, SessionEnd,
    SessionError, VaultError,
};

/// Message ids in one entry of the ledger.
const READ_CHUNK: usize = 500;

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
    cancel: CancellationToken,
    /// The credentials when the session was opened.
    credentials: Mutex<Option<Credentials>>,
    /// Cancelled when this session can send and receive.
    online: CancellationToken,
    /// Cancelled when it no longer can.
    pub(super) gone: CancellationToken,
    /// Cancelled by a log-out.
    logged_out: CancellationToken,
    /// The passkey step of the link.
    pub(super) passkey: PasskeyExchange,
}

impl SimulatorSession {
    /// Reads the credentials and applies the settings; connects nothing.
    pub(super) async fn open(
        network: Arc<Network>,
        settings: Settings,
        context: SessionContext,
    ) -> Result<Self, VaultError> {
        let device = network.device(&context.device, &context.vault, context.media.as_ref()).await?;
        let credentials = device.storage.credentials().await?;
        let settings = Arc::new(settings);
        let account = credentials.as_ref().map(|credentials| credentials.account.clone());
        device.configure(Arc::clone(&settings), account).await?;
        Ok(Self {
            network,
            device,
            seed: generator::seed_of(&context.device, &settings),
            settings,
            inbound: context.inbound,
            media: context.media,
            clock: context.clock,
            random: context.random,
            cancel: context.cancel,
            credentials: Mutex::new(credentials),
            online: CancellationToken::new(),
            gone: CancellationToken::new(),
            logged_out: CancellationToken::new(),
            passkey: PasskeyExchange::default(),
        })
    }

    /// Whether messages can be sent.
    pub(super) fn is_online(&self) -> bool {
        self.online.is_cancelled() && !self.gone.is_cancelled()
    }

    fn ensure_online(&self) -> Result<(), SessionError> {
        if self.is_online() { Ok(()) } else { Err(SessionError::Offline) }
    }

    /// Delivers an event to the daemon; a failure ends the session.
    pub(super) async fn deliver(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| self.not_delivered(&error))
    }

    /// The same for several events, in order.
    pub(super) async fn deliver_all(&self, events: Vec<EngineEvent>) -> Result<(), SessionEnd> {
        self.inbound.deliver_all(events).await.map_err(|error| self.not_delivered(&error))
    }

    fn not_delivered(&self, error: &InboundError) -> SessionEnd {
        match error {
            InboundError::Gone => SessionEnd::Closed,
            InboundError::Store(source) => {
                tracing::warn!(device = %self.device.id, error = %source, "event not stored");
                SessionEnd::LinkLost(Reason::EngineError)
            }
        }
    }

    /// The end of a session after a failure of the vault or the ledger.
    pub(super) fn storage_failed(&self, error: &(dyn std::error::Error + 'static)) -> SessionEnd {
        tracing::warn!(device = %self.device.id, error, "the simulator could not store its state");
        SessionEnd::LinkLost(Reason::EngineError)
    }

    /// Records an action of the device in the ledger.
    pub(super) async fn record(&self, entry: LedgerEntry<'_>) -> Result<(), SessionError> {
        let recorded = self.network.ledger.record(&self.device.id, &entry).await;
        recorded.map_err(|error| SessionError::Refused(error.to_string()))
    }

    /// Stores the credentials; durable when it returns.
    pub(super) async fn store_credentials(&self, credentials: &Credentials) -> Result<(), SessionEnd> {
        let stored = self.device.storage.put_credentials(credentials).await;
        stored.map_err(|error| self.storage_failed(&error))
    }

    async fn connect(&self) -> Result<Infallible, SessionEnd> {
        if self.device.take_fault(FaultKind::RefuseConnect).is_some() {
            return Err(SessionEnd::LinkLost(Reason::NetworkUnreachable));
        }
        let credentials = self.credentials.lock().take();
        let credentials = match credentials {
            Some(credentials) => {
                self.check_account_faults().await?;
                self.deliver_groups().await?;
                credentials
            }
            None => self.link().await?,
        };
        // Before the event: its receivers may send at once.
        self.online.cancel();
        self.device.set_online();
        self.deliver(EngineEvent::Opened(credentials.account.clone())).await?;
        self.synchronise(credentials).await?;
        self.run_online().await
    }

    /// Delivers the groups that the account is in: they may have changed while the device was disconnected.
    /// The session is not open yet, so that no request changes them at the same time.
    async fn deliver_groups(&self) -> Result<(), SessionEnd> {
        let groups = self.device.groups.of_account(&self.device.group_context()).await;
        self.deliver(EngineEvent::Groups { groups, complete: true }).await
    }

    /// Delivers the history once after the link; an interrupted synchronisation starts again.
    async fn synchronise(&self, credentials: Credentials) -> Result<(), SessionEnd> {
        if credentials.synchronised {
            return Ok(());
        }
        let account = credentials.account;
        let groups = self.device.groups.of_account(&self.device.group_context()).await;
        let history = HistorySync {
            settings: &self.settings,
            account: &account,
            groups: &groups,
            seed: self.seed,
            now: self.clock.now(),
        };
        for event in history.events() {
            self.deliver(event).await?;
        }
        self.store_credentials(&Credentials { account, synchronised: true }).await
    }
}

#[async_trait]
impl Session for SimulatorSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        let slot = self.device.attach();
        let _gone = self.gone.clone().drop_guard();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            () = slot.replaced.cancelled() => SessionEnd::Fatal(Reason::StreamReplaced),
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
        self.ensure_online()?;
        for message_ids in messages.chunks(READ_CHUNK) {
            self.record(LedgerEntry::Read { chat, message_ids, at: self.clock.now() }).await?;
        }
        Ok(())
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        self.ensure_online()?;
        self.record(LedgerEntry::Typing { chat, typing: kind, on, at: self.clock.now() }).await
    }

    /// The simulated network reports every presence, subscribed or not.
    async fn subscribe_presence(&self, _contact: &Jid) -> Result<(), SessionError> {
        self.ensure_online()
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        self.ensure_online()?;
        Ok(match query {
            Query::Exists(person) => Answer::Exists(generator::is_on_network(&person)),
            Query::ProfilePicture(person) => {
                Answer::ProfilePicture(generator::picture_of(&self.settings, &person))
            }
        })
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        Jid::person(phone_number).map_err(|error| SessionError::Refused(error.to_string()))?;
        let offer = |codes: &mut LinkCodes| {
            codes.offer_pairing_code(phone_number, self.random.as_ref(), Instant::now())
        };
        self.device.codes(offer).ok_or_else(|| refused("the device is not being linked now"))
    }

    async fn answer_passkey(&self, assertion: PasskeyAssertion) -> Result<(), SessionError> {
        self.take_signature(&assertion)
    }

    async fn confirm_passkey(&self) -> Result<(), SessionError> {
        self.take_confirmation()
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        self.ensure_online()?;
        self.record_message_change(change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        self.ensure_online()?;
        self.record_chat_change(chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.ensure_online()?;
        self.handle_group_request(request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        self.credentials.lock().take();
        self.logged_out.cancel();
        self.device.unlink().await.map_err(|error| SessionError::Refused(error.to_string()))
    }
}

/// The network's refusal of a request, with its reason.
pub(super) fn refused(reason: &str) -> SessionError {
    SessionError::Refused(reason.to_owned())
}
