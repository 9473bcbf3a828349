//! One device's session: what it is asked goes to the part that knows, what its connection tells goes to the daemon.
//!
//! [`WhatsAppSession::run`] is the session's only task of its own: it runs the library's client, and takes in events
//! between. The client's other tasks are in a set ([`Tasks`]) that ends with the connection, whatever way that is.

use crate::engine::whatsapp::erased::erased;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::Client;

use super::connected::Connected;
use super::settings::DeviceSettings;
use super::storage::VaultBackend;
use super::{Shared, changes, groups, linking, outbound, people};
use crate::domain::clock::{Clock, Random};
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{
    Answer, ChatChange, EngineEvent, GroupAnswer, GroupRequest, Inbound, InboundError, MediaStore,
    MessageChange, Outgoing, PairingCode, Query, SendOutcome, Session, SessionContext, SessionEnd,
    SessionError, Vault,
};

mod connection;

/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(1_200);
/// How long its tasks may then take to end.
const TASKS: Duration = Duration::from_millis(300);

/// A device's session.
pub(super) struct WhatsAppSession {
    shared: Arc<Shared>,
    settings: DeviceSettings,
    device: DeviceId,
    backend: Arc<VaultBackend>,
    inbound: Arc<dyn Inbound>,
    media: Arc<dyn MediaStore>,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Whether the daemon knew of a link when the session began.
    was_linked: bool,
    cancel: CancellationToken,
    /// The connection, while it can send and receive.
    online: Mutex<Option<Arc<Connected>>>,
    /// The client, while it waits to be linked, and until when it does.
    unlinked: Mutex<Option<(Arc<Client>, Instant)>>,
    /// Cancelled by a log-out that was asked for here.
    logged_out: CancellationToken,
}

impl WhatsAppSession {
    /// Connects nothing.
    pub(super) fn open(shared: Arc<Shared>, settings: DeviceSettings, context: SessionContext) -> Self {
        #[cfg(feature = "testbed")]
        shared.worlds.opened(&context.device, &settings, context.account.as_ref());
        Self {
            backend: Arc::new(VaultBackend::new(Arc::clone(&context.vault), Arc::clone(&context.clock))),
            shared,
            settings,
            device: context.device,
            inbound: context.inbound,
            media: context.media,
            vault: context.vault,
            clock: context.clock,
            random: context.random,
            was_linked: context.account.is_some(),
            cancel: context.cancel,
            online: Mutex::default(),
            unlinked: Mutex::default(),
            logged_out: CancellationToken::new(),
        }
    }

    fn connected(&self) -> Result<Arc<Connected>, SessionError> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(SessionError::Offline)
    }

    fn set_online(&self, connected: Option<Arc<Connected>>) {
        *self.online.lock().unwrap_or_else(PoisonError::into_inner) = connected;
    }

    fn unlinked(&self) -> Option<(Arc<Client>, Instant)> {
        self.unlinked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Codes are shown: from the first of them on the client waits for so long, and no longer.
    fn waits(&self, client: &Arc<Client>) {
        let mut unlinked = self.unlinked.lock().unwrap_or_else(PoisonError::into_inner);
        unlinked.get_or_insert_with(|| (Arc::clone(client), Instant::now() + linking::ALL_VALID));
    }

    fn waits_no_more(&self) {
        self.unlinked.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// How the session ends because the daemon did not take what it was told.
    fn not_taken(&self, error: InboundError) -> SessionEnd {
        match error {
            InboundError::Gone => SessionEnd::Closed,
            InboundError::Store(source) => {
                tracing::warn!(device = %self.device, error = %source, "the daemon did not take an event");
                SessionEnd::LinkLost(Reason::EngineError)
            }
        }
    }

    async fn tell(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| self.not_taken(error))
    }

    async fn shows(&self, code: String, valid: Duration) -> Result<(), SessionEnd> {
        #[cfg(feature = "testbed")]
        self.shared.worlds.shows(&self.device, Some(&code));
        let valid_ms = i64::try_from(valid.as_millis()).unwrap_or(i64::MAX);
        self.tell(EngineEvent::Code { code, valid_ms }).await
    }

    async fn scanned(&self, account: Account) -> Result<(), SessionEnd> {
        linking::begun(&*self.vault).await.map_err(|error| {
            tracing::warn!(device = %self.device, %error, "the link could not be noted");
            SessionEnd::LinkLost(Reason::EngineError)
        })?;
        #[cfg(feature = "testbed")]
        self.shared.worlds.linked(&self.device, &account);
        self.tell(EngineEvent::Scanned(account)).await
    }

    /// Whether the network refuses a device of which it may never have heard, as its link broke.
    async fn never_arrived(&self) -> bool {
        let begun = linking::is_begun(&*self.vault).await.unwrap_or(false);
        begun || !self.was_linked
    }

    /// The link is whole: the network has let the device in.
    async fn arrived(&self) {
        if let Err(error) = linking::over(&*self.vault).await {
            tracing::warn!(device = %self.device, %error, "it could not be noted that the link is whole");
        }
    }

    /// Forgets keys and sessions; the device is not linked any more.
    async fn forget(&self) {
        #[cfg(feature = "testbed")]
        self.shared.worlds.shows(&self.device, None);
        self.arrived().await;
        if let Err(error) = self.backend.forget().await {
            // The supervisor clears the vault too.
            tracing::error!(device = %self.device, %error, "the keys could not be removed yet");
        }
    }
}

#[async_trait]
impl Session for WhatsAppSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        loop {
            match self.connect_once().await {
                connection::Outcome::Again => {}
                connection::Outcome::Ended(ended) => return ended,
                connection::Outcome::Panicked => break_down(),
            }
        }
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        match self.connected() {
            Ok(connected) => outbound::send(&connected, message).await,
            Err(_) => outbound::offline(),
        }
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        people::mark_read(&*self.connected()?, chat, messages).await
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        people::typing(&*self.connected()?, chat, kind, on).await
    }

    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        people::subscribe_presence(&*self.connected()?, contact).await
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        people::query(&*self.connected()?, query).await
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        let not_waiting = || SessionError::Refused("the device does not wait for a phone now".to_owned());
        let (client, until) = self.unlinked().ok_or_else(not_waiting)?;
        #[cfg(feature = "testbed")]
        self.shared.worlds.asked_for(&self.device, phone_number);
        linking::typed_code(&client, phone_number, until).await
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        changes::message(&*self.connected()?, change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        changes::chat(&*self.connected()?, chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        groups::request(&*self.connected()?, request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        let connected = self.connected();
        let told = match &connected {
            Ok(connected) => self.unlink(&connected.client).await,
            Err(error) => Err(error.clone()),
        };
        self.logged_out.cancel();
        self.forget().await;
        told
    }
}

impl WhatsAppSession {
    async fn unlink(&self, client: &Arc<Client>) -> Result<(), SessionError> {
        use whatsapp_rust::wacore::iq::devices::RemoveCompanionDeviceSpec;
        let own = client.pn().ok_or(SessionError::Offline)?;
        erased(client.execute(RemoveCompanionDeviceSpec::new(&own))).await.map_err(|_| {
            SessionError::Refused("the network could not be told that the device was unlinked".to_owned())
        })
    }
}

#[expect(
    clippy::panic,
    reason = "a panic of the library's is the session's own, which the supervisor catches"
)]
fn break_down() -> ! {
    panic!("a task of the engine's library panicked");
}
