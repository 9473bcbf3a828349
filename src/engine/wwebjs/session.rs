//! One device's session: what it holds, and who does what it is asked.
//!
//! Invariants: everything happens inside [`WwebjsSession::run`] and the calls to the session, no task is started;
//! an entry of the upstream's log counts as read only once everything it told is durable here.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Notify, RwLock, watch};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::convert::state_in::There;
use super::keeping::Keeping;
use super::later::Later;
use super::linking::Stage;
use super::live::Wishes;
use super::settings::{DeviceSettings, InboundBy};
use super::waiting::{Echoes, Waiting};
use super::{LastEnds, Shared};
use crate::domain::clock::Clock;
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::log_throttle::LogThrottle;
use crate::domain::reason::Reason;
use crate::engine::relay::log_ingest_error;
use crate::engine::{
    Answer, ChatChange, EngineEvent, GroupAnswer, GroupRequest, Inbound, MediaStore, MessageChange,
    OpenError, Outgoing, PairingCode, Query, SendOutcome, Session, SessionContext, SessionEnd, SessionError,
    VaultError,
};

/// A device's session.
pub(super) struct WwebjsSession {
    pub(super) device: DeviceId,
    pub(super) client: Client,
    pub(super) keeping: Keeping,
    pub(super) inbound_by: InboundBy,
    pub(super) media: Arc<dyn MediaStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// What names this client to the upstream.
    pub(super) tag: String,
    /// How far the link is.
    pub(super) stage: Mutex<Stage>,
    pub(super) waiting: Waiting,
    pub(super) echoes: Echoes,
    /// Messages that wait for their files.
    pub(super) later: Later,
    /// Held, with others, while a message is handed over and its id there is not kept yet.
    pub(super) naming: RwLock<()>,
    /// What could not be read, which is said seldom.
    odd: LogThrottle<&'static str>,
    /// What is to be told over the socket.
    pub(super) wishes: Wishes,
    /// The last entry of the upstream's log that was taken in.
    pub(super) read_to: watch::Sender<i64>,
    /// The upstream called back: there is more to read.
    pub(super) called: Notify,
    /// Cancelled once this session can send and receive.
    pub(super) online: CancellationToken,
    /// Cancelled once everything was read that was there when this session began.
    pub(super) caught_up: CancellationToken,
    /// Cancelled when it no longer runs.
    pub(super) gone: CancellationToken,
    /// Whether the session before this one lost its link: this one was not asked for by anybody.
    pub(super) retries: bool,
    account: Mutex<Option<Account>>,
    inbound: Arc<dyn Inbound>,
    cancel: CancellationToken,
    logged_out: CancellationToken,
    ends: Arc<LastEnds>,
}

impl WwebjsSession {
    /// Reads what is kept; connects nothing.
    pub(super) async fn open(
        shared: &Shared,
        settings: DeviceSettings,
        context: SessionContext,
    ) -> Result<Self, OpenError> {
        let keeping = Keeping::new(context.vault);
        let there = settings.device.unwrap_or_else(|| context.device.clone());
        keeping.belongs_to(&settings.base_url, there.as_str()).await?;
        let tag = keeping.tag(&*context.random).await?;
        let retries = shared.ends.lost_its_link(&context.device);
        if !retries {
            keeping.tidy(context.clock.now()).await?;
        }
        let http = shared.config.http.clone();
        Ok(Self {
            client: Client::new(http, settings.base_url, settings.api_key, there.to_string()),
            keeping,
            inbound_by: settings.inbound,
            media: context.media,
            clock: context.clock,
            tag,
            stage: Mutex::new(Stage::default()),
            waiting: Waiting::default(),
            echoes: Echoes::default(),
            later: Later::default(),
            naming: RwLock::default(),
            odd: LogThrottle::default(),
            wishes: Wishes::default(),
            read_to: watch::Sender::new(0),
            called: Notify::new(),
            online: CancellationToken::new(),
            caught_up: CancellationToken::new(),
            gone: CancellationToken::new(),
            retries,
            account: Mutex::new(context.account),
            device: context.device,
            inbound: context.inbound,
            cancel: context.cancel,
            logged_out: CancellationToken::new(),
            ends: Arc::clone(&shared.ends),
        })
    }

    pub(super) fn is_online(&self) -> bool {
        self.online.is_cancelled() && !self.gone.is_cancelled()
    }

    pub(super) fn online_or_error(&self) -> Result<(), SessionError> {
        if self.is_online() { Ok(()) } else { Err(SessionError::Offline) }
    }

    /// The account's own id, where it is known.
    pub(super) fn me(&self) -> Option<Jid> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Account::jid)
    }

    pub(super) fn is_account(&self, account: &Account) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account.clone());
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Tells the daemon, or how the session ends because it could not.
    pub(super) async fn tell(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| log_ingest_error(&self.device, error))
    }

    /// What the vault answered, or how the session ends because it did not.
    pub(super) fn kept<T>(&self, kept: Result<T, VaultError>) -> Result<T, SessionEnd> {
        kept.map_err(|error| {
            tracing::warn!(device = %self.device, %error, "what an upstream told could not be kept");
            SessionEnd::LinkLost(Reason::EngineError)
        })
    }

    /// What the upstream answered, or how the session ends because it did not.
    pub(super) fn answered<T>(&self, answer: Result<T, super::client::Trouble>) -> Result<T, SessionEnd> {
        answer.map_err(|trouble| {
            let source = std::error::Error::source(&trouble).map(ToString::to_string);
            tracing::info!(device = %self.device, error = %trouble, source, "the upstream did not serve a request");
            trouble.ended()
        })
    }

    /// Something that the upstream told could not be read.
    pub(super) fn not_read(&self, what: &'static str) {
        if let Some(left_out) = self.odd.now(what, self.clock.now()) {
            tracing::warn!(device = %self.device, what, left_out, "what the upstream told could not be read, and is passed over");
        }
    }

    /// Reads what the upstream told.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &'static str, told: Value) -> Option<T> {
        let read = serde_json::from_value(told).ok();
        if read.is_none() {
            self.not_read(what);
        }
        read
    }

    /// Reads each entry of a page.
    pub(super) fn read_page<T: DeserializeOwned>(
        &self,
        what: &'static str,
        page: &mut Value,
    ) -> (Vec<T>, usize) {
        let Value::Array(listed) = page["data"].take() else {
            self.not_read("a page");
            return (Vec::new(), 0);
        };
        let count = listed.len();
        (listed.into_iter().filter_map(|one| self.read(what, one)).collect(), count)
    }

    async fn live(&self) -> Result<Infallible, SessionEnd> {
        let arrival = self.arrive().await?;
        tokio::select! {
            ended = self.follow(arrival) => ended,
            ended = self.watch() => ended,
            ended = self.fetch_later() => ended,
            ended = self.listen() => ended,
        }
    }
}

#[async_trait]
impl Session for WwebjsSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        let _gone = self.gone.clone().drop_guard();
        let ended = tokio::select! {
            biased;
            () = self.cancel.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            ended = self.live() => match ended {
                Ok(never) => match never {},
                Err(ended) => ended,
            },
        };
        self.ends.note(&self.device, ended);
        ended
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        self.send_out(message).await
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        self.online_or_error()?;
        self.reads(chat, messages).await
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        self.online_or_error()?;
        self.wishes.typing(chat, kind, on)
    }

    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        self.online_or_error()?;
        self.wishes.presence(contact)
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        self.online_or_error()?;
        self.asks(query).await
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        self.code_to_type(phone_number).await
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        self.online_or_error()?;
        self.message_changes(change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        self.online_or_error()?;
        self.chat_changes(chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.online_or_error()?;
        self.group_request(request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        let told = self.unlink().await;
        self.logged_out.cancel();
        told
    }
}

/// Whether the upstream's device runs by itself from here on.
pub(super) fn gets_on(there: There) -> bool {
    matches!(there, There::Coming(_) | There::Code | There::Pairing | There::Ready)
}
