//! The session of one device: its parts, and which file serves each request.
//!
//! All work happens inside [`RemoteSession::run`] and the calls to the session; no task is spawned.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Notify, RwLock, watch};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::client::{RemoteClient, RemoteFailure};
use super::convert::ids::with_network;
use super::convert::wire::WireMessage;
use super::pending_sends::{OwnChangeTracker, PendingSends};
use super::settings::{DeviceSettings, InboundTransport};
use super::state::{ID_MAP, LinkStage, ReadPosition, RemoteState};
use crate::domain::event::TypingKind;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::relay::RelayContext;
use crate::engine::relay::client::UpstreamClient;
use crate::engine::relay::id_map::IdMap;
use crate::engine::relay::media_retry::{MediaRetries, MediaRetryPolicy};
use crate::engine::relay::position::LogPosition;
use crate::engine::relay::session_base::SessionBase;
use crate::engine::{
    Answer, ChatChange, GroupAnswer, GroupRequest, MessageChange, OpenError, Outgoing, PairingCode, Query,
    SendOutcome, Session, SessionContext, SessionEnd, SessionError,
};

const MEDIA_RETRY: MediaRetryPolicy = MediaRetryPolicy {
    max_attempts: 10,
    max_age: Duration::MAX,
    first_delay: Duration::from_secs(1),
    max_doublings: 6,
    max_waiting: 64,
    max_parallel: 1,
};

/// A device's session.
pub(super) struct RemoteSession {
    pub(super) relay: RelayContext,
    pub(super) base: SessionBase,
    pub(super) client: RemoteClient,
    pub(super) state: RemoteState,
    /// Our ids of sent messages and the upstream's.
    pub(super) ids: IdMap<NetworkId, NetworkId>,
    pub(super) position: LogPosition<MessageId, ReadPosition>,
    pub(super) media_retries: MediaRetries<MessageId, WireMessage>,
    pub(super) pending_sends: PendingSends,
    pub(super) own_changes: OwnChangeTracker,
    pub(super) inbound: InboundTransport,
    /// Identifies this client in `tempId`s.
    pub(super) tag: String,
    stage: Mutex<LinkStage>,
    /// Read-locked while a message is submitted and its id is not recorded yet.
    pub(super) recording_id: RwLock<()>,
    /// The last entry of the upstream's log that was ingested.
    pub(super) last_seq: watch::Sender<i64>,
    /// Wakes the log reader: the upstream has new entries.
    pub(super) wake_up: Notify,
    /// Cancelled when the session can send and receive.
    pub(super) online: CancellationToken,
    /// Cancelled when all entries from before the session are ingested.
    pub(super) caught_up: CancellationToken,
    /// Whether this session follows one that lost its link: no operator asked for it.
    pub(super) is_retry: bool,
    shared: Arc<Shared>,
}

impl RemoteSession {
    /// Reads the stored state; connects nothing.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        settings: DeviceSettings,
        context: SessionContext,
    ) -> Result<Self, OpenError> {
        let account = context.account.clone();
        let device = settings.device.unwrap_or_else(|| context.device.clone());
        let state = RemoteState::new(Arc::clone(&context.vault));
        state.ensure_upstream(&settings.base_url, device.as_str()).await?;
        let tag = state.client_tag(&*context.random).await?;
        let key = Some(("X-API-KEY", settings.api_key));
        let upstream = UpstreamClient::new(shared.config.http.clone(), settings.base_url, key);
        let relay = RelayContext::new(upstream, context);
        let ids = IdMap::new(relay.clone(), ID_MAP);
        let is_retry = shared.lost_its_link(&relay.device);
        if !is_retry {
            ids.prune().await?;
            state.prune(relay.now()).await?;
        }
        Ok(Self {
            base: SessionBase::new(relay.clone(), account, Arc::default()),
            client: RemoteClient::new(Arc::clone(&relay.client), device.to_string()),
            relay,
            state,
            ids,
            position: LogPosition::default(),
            media_retries: MediaRetries::new(MEDIA_RETRY),
            pending_sends: PendingSends::default(),
            own_changes: OwnChangeTracker::default(),
            inbound: settings.inbound,
            tag,
            stage: Mutex::default(),
            recording_id: RwLock::default(),
            last_seq: watch::Sender::new(0),
            wake_up: Notify::new(),
            online: CancellationToken::new(),
            caught_up: CancellationToken::new(),
            is_retry,
            shared: Arc::clone(shared),
        })
    }

    pub(super) fn stage(&self) -> LinkStage {
        self.stage.lock().clone()
    }

    pub(super) fn set_stage(&self, stage: LinkStage) {
        *self.stage.lock() = stage;
    }

    /// The upstream's answer.
    ///
    /// # Errors
    /// The end of the session, when there is none.
    pub(super) fn answered<T>(&self, answer: Result<T, RemoteFailure>) -> Result<T, SessionEnd> {
        answer.map_err(|error| {
            tracing::info!(device = %self.relay.device, %error, "request to the upstream failed");
            error.session_end()
        })
    }

    /// A value of the upstream; an unreadable one is logged and skipped.
    pub(super) fn read<T: DeserializeOwned>(&self, part: &'static str, value: Value) -> Option<T> {
        let read = serde_json::from_value(value).ok();
        if read.is_none() {
            self.base.log_read_error(part);
        }
        read
    }

    /// The values of a list; unreadable ones are logged and skipped.
    pub(super) fn read_list<T: DeserializeOwned>(&self, part: &'static str, list: Value) -> Vec<T> {
        let Value::Array(list) = list else {
            self.base.log_read_error("list");
            return Vec::new();
        };
        list.into_iter().filter_map(|value| self.read(part, value)).collect()
    }

    /// Our id for a message of the upstream. Only messages that this daemon sent have another one.
    pub(super) async fn our_id(&self, id: &MessageId) -> Result<MessageId, SessionEnd> {
        if !id.from_me {
            return Ok(id.clone());
        }
        let ours = self.relay.stored(self.ids.from_upstream(&id.network).await)?;
        Ok(ours.map_or_else(|| id.clone(), |network| with_network(id, network)))
    }

    /// The upstream's id for a message.
    pub(super) async fn upstream_id(&self, id: &MessageId) -> Result<MessageId, SessionError> {
        if !id.from_me {
            return Ok(id.clone());
        }
        let upstream = self.relay.stored(self.ids.to_upstream(&id.network).await);
        let upstream = upstream.map_err(|_| SessionError::Offline)?;
        Ok(upstream.map_or_else(|| id.clone(), |network| with_network(id, network)))
    }

    async fn live(&self) -> Result<Infallible, SessionEnd> {
        let start = self.establish().await?;
        tokio::select! {
            ended = self.follow(start) => ended,
            ended = self.measure_latency() => ended,
            ended = self.retry_media() => ended,
            ended = self.read_ephemeral() => ended,
        }
    }
}

#[async_trait]
impl Session for RemoteSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        let ended = Box::pin(self.base.run(self.live())).await;
        self.shared.record_end(&self.relay.device, ended);
        ended
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        self.send_message(message).await
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        self.send_read_marks(chat, messages).await
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        self.send_typing(chat, kind, on).await
    }

    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        self.request_presence(contact).await
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        self.base.ensure_online()?;
        self.query_contact(query).await
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        self.request_pairing_code(phone_number).await
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        self.request_message_change(change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        self.request_chat_change(chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.base.ensure_online()?;
        self.group_request(request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        let result = self.unlink().await;
        self.base.log_out();
        result
    }
}
