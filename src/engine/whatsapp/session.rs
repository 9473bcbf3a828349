//! One device's session: delegates calls to the engine's files and delivers events to the daemon.
//!
//! [`WhatsAppSession::run`] is the session's only own task: it runs the library's client and ingests events.
//! The client's tasks are in a set ([`Tasks`]) that always ends with the connection.

use crate::engine::whatsapp::boxed::boxed;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::Client;

use super::connection_context::ConnectionContext;
use super::driver_state::DriverState;
use super::passkey::PasskeyLink;
use super::settings::DeviceSettings;
use super::storage::VaultBackend;
use super::{changes, groups, linking, outbound, people, remote_files, send_outcome};
use crate::domain::clock::{Clock, Random};
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::passkey::PasskeyAssertion;
use crate::domain::reason::Reason;
use crate::engine::{
    Answer, ChatChange, EngineEvent, GroupAnswer, GroupRequest, Inbound, InboundError, MediaFetchError,
    MediaStore, MessageChange, Outgoing, PairingCode, Query, SendOutcome, Session, SessionContext,
    SessionEnd, SessionError, Vault,
};

mod connection;
mod connection_progress;

use self::connection_progress::ConnectionEnd;

/// How long a link may take after its code was typed.
const LINK_GRACE: Duration = Duration::from_secs(20);
/// How long a connection may take to close.
const GOODBYE: Duration = Duration::from_millis(1_200);
/// How long its tasks may then take to end.
const TASKS: Duration = Duration::from_millis(300);

pub(super) struct WhatsAppSession {
    shared: Arc<DriverState>,
    settings: DeviceSettings,
    device: DeviceId,
    backend: Arc<VaultBackend>,
    inbound: Arc<dyn Inbound>,
    media: Arc<dyn MediaStore>,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Whether the device was linked when the session began.
    was_linked: bool,
    cancel: CancellationToken,
    /// The connection, while it can send and receive.
    online: Mutex<Option<Arc<ConnectionContext>>>,
    /// The client that shows codes.
    awaiting_link: Mutex<Option<Arc<Client>>>,
    /// When the typed code expires, if one was requested.
    typed_until: Mutex<Option<Instant>>,
    /// The passkey step of the link.
    passkey: PasskeyLink,
    /// Cancelled by a log-out through the API.
    logged_out: CancellationToken,
}

impl WhatsAppSession {
    /// Creates the session; nothing is connected.
    pub(super) fn open(shared: Arc<DriverState>, settings: DeviceSettings, context: SessionContext) -> Self {
        #[cfg(feature = "testbed")]
        shared.testbed_devices.session_opened(&context.device, &settings, context.account.as_ref());
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
            awaiting_link: Mutex::default(),
            typed_until: Mutex::default(),
            passkey: PasskeyLink::default(),
            logged_out: CancellationToken::new(),
        }
    }

    fn context(&self) -> Result<Arc<ConnectionContext>, SessionError> {
        self.online.lock().clone().ok_or(SessionError::Offline)
    }

    fn set_online(&self, context: Option<Arc<ConnectionContext>>) {
        *self.online.lock() = context;
    }

    fn awaiting_link(&self) -> Option<Arc<Client>> {
        self.awaiting_link.lock().clone()
    }

    /// Starts the linking period with the first code.
    fn await_link(&self, client: &Arc<Client>) {
        self.awaiting_link.lock().get_or_insert_with(|| Arc::clone(client));
    }

    fn end_link_wait(&self) {
        self.awaiting_link.lock().take();
        self.typed_until.lock().take();
    }

    /// Waits until the typed code has expired, and the link by it had time to complete. One that is just being
    /// created gets its whole time.
    async fn typed_code_expired(&self) {
        loop {
            let until = *self.typed_until.lock();
            let end = until.unwrap_or_else(|| Instant::now() + linking::TYPED_VALID);
            tokio::time::sleep_until(end + LINK_GRACE).await;
            // A later code may have replaced it meanwhile.
            if *self.typed_until.lock() == until {
                return;
            }
        }
    }

    /// Logs an ingest error; how it ends the session.
    fn log_ingest_error(&self, error: InboundError) -> SessionEnd {
        match error {
            InboundError::Gone => SessionEnd::Closed,
            InboundError::Store(source) => {
                tracing::warn!(device = %self.device, error = %source, "could not ingest an event");
                SessionEnd::LinkLost(Reason::EngineError)
            }
        }
    }

    async fn deliver(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| self.log_ingest_error(error))
    }

    async fn show_code(&self, code: String, valid: Duration) -> Result<(), SessionEnd> {
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.show_code(&self.device, Some(&code));
        let valid_ms = i64::try_from(valid.as_millis()).unwrap_or(i64::MAX);
        self.deliver(EngineEvent::Code { code, valid_ms }).await
    }

    async fn on_scanned(&self, account: Account) -> Result<(), SessionEnd> {
        linking::mark_incomplete(&*self.vault, self.clock.now()).await.map_err(|error| {
            tracing::warn!(device = %self.device, %error, "could not record the link");
            SessionEnd::LinkLost(Reason::EngineError)
        })?;
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.linked(&self.device, &account);
        self.deliver(EngineEvent::Scanned(account)).await
    }

    /// Whether a refused device may be unknown to the network because its link broke.
    async fn may_be_incomplete(&self) -> bool {
        let incomplete = linking::is_incomplete(&*self.vault).await.unwrap_or(false);
        incomplete || !self.was_linked
    }

    /// Records that the network accepted a login.
    async fn mark_link_complete(&self) {
        if let Err(error) = linking::mark_complete(&*self.vault).await {
            tracing::warn!(device = %self.device, %error, "could not record the complete link");
        }
    }

    /// Removes keys and sessions; the device is no longer linked.
    async fn clear_credentials(&self) {
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.show_code(&self.device, None);
        self.mark_link_complete().await;
        if let Err(error) = self.backend.clear().await {
            // The supervisor clears the vault too.
            tracing::error!(device = %self.device, %error, "could not remove the keys yet");
        }
    }
}

#[async_trait]
impl Session for WhatsAppSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        loop {
            match self.connect_once().await {
                ConnectionEnd::Reconnect => {}
                ConnectionEnd::Ended(ended) => return ended,
                ConnectionEnd::Panicked => propagate_panic(),
            }
        }
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        match self.context() {
            Ok(context) => outbound::send(&context, message).await,
            Err(_) => send_outcome::offline(),
        }
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        people::mark_read(&*self.context()?, chat, messages).await
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        people::typing(&*self.context()?, chat, kind, on).await
    }

    fn operator_active(&self) {
        if let Ok(context) = self.context() {
            context.own_presence.operator_active();
        }
    }

    async fn fetch_media(&self, message: &MessageId) -> Result<(), MediaFetchError> {
        let context = self.context().map_err(|_| MediaFetchError::Offline)?;
        remote_files::fetch_on_request(&context, message).await
    }

    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        people::subscribe_presence(&*self.context()?, contact).await
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        people::query(&*self.context()?, query).await
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        let not_waiting = || SessionError::Refused("the device does not wait for a phone now".to_owned());
        let client = self.awaiting_link().ok_or_else(not_waiting)?;
        if self.passkey.is_pending() {
            // A new code would replace the secret that the attempt uses.
            return Err(SessionError::Refused("the device is being linked with a passkey".to_owned()));
        }
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.request_pairing_code(&self.device, phone_number);
        let code = linking::request_pairing_code(&client, phone_number).await?;
        *self.typed_until.lock() = Some(Instant::now() + linking::TYPED_VALID);
        Ok(code)
    }

    async fn answer_passkey(&self, assertion: PasskeyAssertion) -> Result<(), SessionError> {
        self.passkey.answer(&self.device, assertion).await
    }

    async fn confirm_passkey(&self) -> Result<(), SessionError> {
        self.passkey.confirm(&self.device).await
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        changes::message(&*self.context()?, change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        changes::chat(&*self.context()?, chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        groups::request(&*self.context()?, request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        let context = self.context();
        let result = match &context {
            Ok(context) => self.unlink(&context.client).await,
            Err(error) => Err(error.clone()),
        };
        self.logged_out.cancel();
        self.clear_credentials().await;
        result
    }
}

impl WhatsAppSession {
    async fn unlink(&self, client: &Arc<Client>) -> Result<(), SessionError> {
        use whatsapp_rust::wacore::iq::devices::RemoveCompanionDeviceSpec;
        let own = client.pn().ok_or(SessionError::Offline)?;
        boxed(client.execute(RemoveCompanionDeviceSpec::new(&own)))
            .await
            .map_err(|_| SessionError::Refused("the unlinking could not be sent to the network".to_owned()))
    }
}

#[expect(
    clippy::panic,
    reason = "a panic of the library's is the session's own, which the supervisor catches"
)]
fn propagate_panic() -> ! {
    panic!("a task of the engine's library panicked");
}
