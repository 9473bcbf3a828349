//! One device's session: what it is asked goes to the part that knows, what the server tells goes to the daemon.
//!
//! [`WahaSession::run`] is its only task. Webhooks come in beside it, in the tasks of their requests.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Failure};
use super::later::{self, Later};
use super::names::Names;
use super::position::Position;
use super::settings::{Settings, Way};
use super::under_way::UnderWay;
use super::{changes, connected, groups, linking, outbound, people, socket, whose};
use crate::domain::clock::{Clock, Millis};
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::log_throttle::LogThrottle;
use crate::domain::reason::Reason;
use crate::engine::{
    Answer, ChatChange, EngineEvent, GroupAnswer, GroupRequest, Inbound, InboundError, MediaStore,
    MessageChange, Outgoing, PairingCode, Query, SendOutcome, Session, SessionContext, SessionEnd,
    SessionError, Vault,
};
use crate::net::{GuardedClient, NetError};

/// People of whom something is remembered; then all are forgotten and learnt again.
const REMEMBERED: usize = 20_000;

/// A device's session.
pub(super) struct WahaSession {
    pub(super) client: Client,
    pub(super) settings: Settings,
    /// Where the server is told to call.
    pub(super) callback_url: String,
    pub(super) device: DeviceId,
    pub(super) inbound: Arc<dyn Inbound>,
    pub(super) media: Arc<dyn MediaStore>,
    pub(super) vault: Arc<dyn Vault>,
    pub(super) names: Names,
    cancel: CancellationToken,
    logged_out: CancellationToken,
    /// Whose account it is, once that is known.
    account: Mutex<Option<Account>>,
    /// Whether it can send and receive.
    online: Mutex<bool>,
    /// The session's state at the server may have changed.
    pub(super) changed: Notify,
    /// While codes are shown: until when.
    pub(super) linking: Mutex<Option<Instant>>,
    /// How far messages were taken in.
    pub(super) position: Position,
    /// Messages that wait for their files.
    pub(super) later: Later,
    clock: Arc<dyn Clock>,
    /// Hidden ids of which the server was asked.
    pub(super) asked_lids: Remembered,
    /// People who are on the network.
    pub(super) on_network: Remembered,
    /// Whether the server said that it gives no ids to send with.
    pub(super) allots_none: AtomicBool,
    /// Messages that are being handed over without one.
    pub(super) under_way: UnderWay,
    /// What was told and could not be read.
    unreadable: LogThrottle<&'static str>,
}

/// People of whom something is known. In memory, bounded.
#[derive(Default)]
pub(super) struct Remembered(Mutex<HashSet<Jid>>);

impl Remembered {
    pub(super) fn has(&self, person: &Jid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(person)
    }

    /// Adds somebody; says whether they were not there.
    pub(super) fn add(&self, person: &Jid) -> bool {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= REMEMBERED {
            people.clear();
        }
        people.insert(person.clone())
    }
}

impl WahaSession {
    /// Connects nothing.
    pub(super) fn open(
        http: GuardedClient,
        callback_url: String,
        settings: Settings,
        context: SessionContext,
    ) -> Self {
        Self {
            client: Client::new(http, &settings),
            settings,
            callback_url,
            device: context.device,
            inbound: context.inbound,
            media: context.media,
            names: Names::new(Arc::clone(&context.vault), Arc::clone(&context.clock)),
            vault: context.vault,
            cancel: context.cancel,
            logged_out: CancellationToken::new(),
            account: Mutex::new(context.account),
            online: Mutex::new(false),
            changed: Notify::new(),
            linking: Mutex::default(),
            position: Position::default(),
            later: Later::default(),
            clock: context.clock,
            asked_lids: Remembered::default(),
            on_network: Remembered::default(),
            allots_none: AtomicBool::new(false),
            under_way: UnderWay::default(),
            unreadable: LogThrottle::default(),
        }
    }

    /// Whether what the server tells can be taken in.
    pub(super) fn hears(&self) -> bool {
        !self.cancel.is_cancelled() && !self.logged_out.is_cancelled()
    }

    /// The account's own id.
    pub(super) fn me(&self) -> Option<Jid> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Account::jid)
    }

    pub(super) fn remember(&self, account: &Account) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account.clone());
    }

    pub(super) fn set_online(&self, online: bool) {
        *self.online.lock().unwrap_or_else(PoisonError::into_inner) = online;
    }

    pub(super) fn is_online(&self) -> bool {
        *self.online.lock().unwrap_or_else(PoisonError::into_inner) && self.hears()
    }

    fn connected(&self) -> Result<(), SessionError> {
        if self.is_online() { Ok(()) } else { Err(SessionError::Offline) }
    }

    /// Something that the server told could not be read.
    pub(super) fn not_read(&self, what: &'static str) {
        if let Some(left_out) = self.unreadable.now(what, self.now()) {
            tracing::warn!(device = %self.device, what, left_out, "what the WAHA server told could not be read, and is passed over");
        }
    }

    /// The time, by our own clock.
    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Tells the daemon, or how the session ends because it could not.
    pub(super) async fn tell(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| match error {
            InboundError::Gone => SessionEnd::Closed,
            InboundError::Store(source) => {
                tracing::warn!(device = %self.device, error = %source, "the daemon did not take an event");
                SessionEnd::LinkLost(Reason::EngineError)
            }
        })
    }

    async fn live(&self) -> Result<Infallible, SessionEnd> {
        whose::check(self).await?;
        if let Err(error) = self.names.prune().await {
            tracing::warn!(device = %self.device, %error, "old ids of messages could not be removed");
        }
        match self.settings.inbound {
            Way::Webhook => tokio::select! {
                biased;
                ended = self.lead() => ended,
                ended = later::run(self) => ended,
            },
            Way::WebSocket => {
                let mut socket = socket::open(self).await?;
                tokio::select! {
                    biased;
                    ended = socket::listen(self, &mut socket) => ended,
                    ended = self.lead() => ended,
                    ended = later::run(self) => ended,
                }
            }
        }
    }

    /// From whatever the server's session is to a device that is connected, and on.
    async fn lead(&self) -> Result<Infallible, SessionEnd> {
        let account = linking::linked(self).await?;
        self.remember(&account);
        connected::run(self, account).await
    }
}

/// How a session ends because a question about it was not answered.
pub(super) fn ended(device: &DeviceId, failure: &Failure) -> SessionEnd {
    let cause = std::error::Error::source(failure).map(ToString::to_string);
    tracing::warn!(%device, error = %failure, cause, "the WAHA server's session cannot be used now");
    match failure {
        Failure::Unauthorized => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
        // The operator's leave is missing; asking again changes nothing.
        Failure::Unreachable(NetError::Refused(_) | NetError::Url) => SessionEnd::Fatal(Reason::EngineError),
        _ => SessionEnd::LinkLost(Reason::UpstreamUnavailable),
    }
}

#[async_trait]
impl Session for WahaSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        let ended = tokio::select! {
            biased;
            () = self.cancel.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            ended = Box::pin(self.live()) => match ended {
                Ok(never) => match never {},
                Err(ended) => ended,
            },
        };
        self.set_online(false);
        linking::over(&self);
        connected::remember(&self).await;
        ended
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        if self.is_online() { outbound::send(self, &message).await } else { outbound::offline() }
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        self.connected()?;
        people::mark_read(self, chat, messages).await
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        self.connected()?;
        people::typing(self, chat, kind, on).await
    }

    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        self.connected()?;
        people::subscribe_presence(self, contact).await
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        self.connected()?;
        people::query(self, query).await
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        linking::pairing_code(self, phone_number).await
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        self.connected()?;
        changes::message(self, change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        self.connected()?;
        changes::chat(self, chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.connected()?;
        groups::request(self, request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        self.logged_out.cancel();
        let told = linking::log_out(self).await;
        linking::forget(self).await;
        told
    }
}
