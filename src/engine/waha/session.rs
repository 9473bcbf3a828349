//! The state of one device's session, and the parts that all files of this engine use.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, RwLock};
use tokio::time::Instant;

use super::client::{WahaClient, upstream_client};
use super::convert::ids;
use super::convert::message_in::Message;
use super::message_ids::MessageIds;
use super::settings::Settings;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::relay::RelayContext;
use crate::engine::relay::media_retry::{MediaRetries, MediaRetryPolicy};
use crate::engine::relay::position::LogPosition;
use crate::engine::relay::session_base::SessionBase;
use crate::engine::{EngineEvent, Incoming, SessionContext, SessionError};
use crate::net::GuardedClient;

const MEDIA_RETRIES: MediaRetryPolicy = MediaRetryPolicy {
    max_attempts: 5,
    max_age: Duration::from_secs(120),
    first_delay: Duration::from_secs(2),
    max_doublings: 4,
    max_waiting: 200,
    max_parallel: 8,
};
/// The longest time that a message without ingestion holds the position back.
const MAX_HOLD_MS: i64 = 30 * 86_400_000;
/// People in a cache; a full cache is emptied.
const MAX_CACHED: usize = 20_000;

/// A message: its chat and its id at the server.
pub(super) type MessageKey = (Jid, NetworkId);

/// A message that waits for its media, and the changes of it that follow.
pub(super) struct PendingMedia {
    pub(super) message: Message,
    pub(super) changes: Vec<EngineEvent>,
}

/// A device's session.
pub(super) struct WahaSession {
    pub(super) context: RelayContext,
    pub(super) base: SessionBase,
    pub(super) client: WahaClient,
    pub(super) settings: Settings,
    /// The address of the server's webhooks.
    pub(super) callback_url: String,
    pub(super) ids: MessageIds,
    /// The position up to which messages were ingested, in milliseconds of the server's clock.
    pub(super) position: LogPosition<MessageKey, i64>,
    pub(super) media_retries: MediaRetries<MessageKey, PendingMedia>,
    /// Notified when the session's status at the server may have changed.
    pub(super) status_changed: Notify,
    /// Set while codes are shown: when the last one expires.
    pub(super) codes_until: Mutex<Option<Instant>>,
    /// Hidden ids that the server was asked to resolve.
    pub(super) resolved_lids: PersonCache,
    /// People who are on the network.
    pub(super) on_network: PersonCache,
    /// Whether the server gives no ids to send with.
    pub(super) gives_no_ids: AtomicBool,
    /// Read-locked by each send without an id until its answer is stored.
    pub(super) sends_without_id: RwLock<()>,
}

/// A bounded set of people, in memory.
#[derive(Default)]
pub(super) struct PersonCache(Mutex<HashSet<Jid>>);

impl PersonCache {
    pub(super) fn contains(&self, person: &Jid) -> bool {
        self.0.lock().contains(person)
    }

    /// Returns whether the person is new.
    pub(super) fn insert(&self, person: &Jid) -> bool {
        let mut people = self.0.lock();
        if people.len() >= MAX_CACHED {
            people.clear();
        }
        people.insert(person.clone())
    }
}

impl WahaSession {
    /// Connects nothing yet.
    pub(super) fn open(
        http: GuardedClient,
        callback_url: String,
        settings: Settings,
        session: SessionContext,
    ) -> Self {
        let account = session.account.clone();
        let context = RelayContext::new(upstream_client(http, &settings), session);
        Self {
            base: SessionBase::new(context.clone(), account, Arc::default()),
            client: WahaClient::new(Arc::clone(&context.client), &settings),
            ids: MessageIds::new(context.clone()),
            context,
            settings,
            callback_url,
            position: LogPosition::default(),
            media_retries: MediaRetries::new(MEDIA_RETRIES),
            status_changed: Notify::new(),
            codes_until: Mutex::default(),
            resolved_lids: PersonCache::default(),
            on_network: PersonCache::default(),
            gives_no_ids: AtomicBool::new(false),
            sends_without_id: RwLock::default(),
        }
    }

    /// The id of a message, as the server expects it.
    pub(super) async fn upstream_message_id(&self, id: &MessageId) -> Result<String, SessionError> {
        let upstream =
            if id.from_me { self.ids.to_upstream(&id.network).await } else { Ok(id.network.clone()) };
        let upstream = upstream.map_err(|error| SessionError::Refused(error.to_string()))?;
        Ok(ids::to_message(id, &upstream, self.base.me().as_ref()))
    }

    /// Whether the message is being ingested, or was lately.
    pub(super) fn is_in_progress(&self, message: &Incoming) -> bool {
        let key = key_of(message);
        self.position.is_held(&key) || self.media_retries.is_finished(&key)
    }

    /// Holds the position back until the message is ingested.
    pub(super) fn hold_position(&self, message: &Incoming) {
        let now = self.context.now();
        let at = message.timestamp.clamp(now.plus(-MAX_HOLD_MS), now).0;
        self.position.hold(key_of(message), at.saturating_sub(1));
    }

    /// The message is ingested. A time after our clock's counts as now.
    pub(super) fn advance_position(&self, message: &Incoming) {
        self.position.observe(message.timestamp.min(self.context.now()).0);
        self.position.release(&key_of(message));
    }
}

/// The key of a message in the position and in the media retries.
pub(super) fn key_of(message: &Incoming) -> MessageKey {
    (message.chat.clone(), message.network_id.clone())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::clock::Millis;
    use crate::engine::relay::testing::{TestRelay, relay};
    use serde_json::json;

    const NOW: i64 = 1_767_225_600_000;

    pub(in crate::engine::waha) fn session() -> WahaSession {
        let TestRelay { context, clock, .. } = relay();
        clock.0.store(NOW, std::sync::atomic::Ordering::Relaxed);
        let settings = json!({ "waha": { "baseUrl": "https://h", "inbound": "websocket" } });
        let settings = Settings::parse(settings.as_object().unwrap()).unwrap();
        let session = SessionContext {
            device: context.device,
            settings: serde_json::Map::new(),
            account: None,
            vault: context.vault,
            media: context.media,
            inbound: context.inbound,
            cancel: context.shutdown,
            clock: context.clock,
            random: context.random,
        };
        WahaSession::open(context.client.http().clone(), String::new(), settings, session)
    }

    fn message(id: &str, at: i64) -> Incoming {
        let anna: Jid = "15550100001@c.us".parse().unwrap();
        Incoming::text(id.parse().unwrap(), anna.clone(), anna, "Hello".to_owned(), Millis(at))
    }

    #[test]
    fn position_is_held_back_for_a_limited_time() {
        let session = session();
        session.position.mark_complete();
        session.advance_position(&message("A", NOW));
        session.hold_position(&message("B", NOW - 60_000));
        assert_eq!(session.position.commit(), Some(NOW - 60_001));
        session.advance_position(&message("B", NOW - 60_000));
        session.hold_position(&message("C", NOW - 3 * MAX_HOLD_MS));
        assert_eq!(session.position.commit(), Some(NOW - MAX_HOLD_MS - 1));
    }

    #[test]
    fn future_time_does_not_advance_the_position() {
        let session = session();
        session.position.mark_complete();
        session.advance_position(&message("A", NOW + 365 * 86_400_000));
        assert_eq!(session.position.commit(), Some(NOW));
    }
}
