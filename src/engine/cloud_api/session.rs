//! One device's session: it is ready while Meta accepts its token and number, which it checks from
//! time to time.
//!
//! [`CloudSession::live`] is the only task; callbacks and requests run in the tasks of their callers.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::client::{GraphClient, GraphFailure, PhoneNumber, upstream_client};
use super::settings::DeviceSettings;
use crate::domain::contact::ContactUpdate;
use crate::domain::device::Account;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::log_throttle::LogThrottle;
use crate::domain::reason::Reason;
use crate::engine::relay::RelayContext;
use crate::engine::relay::id_map::{IdMap, IdMapIndex, IdMapLayout};
use crate::engine::relay::media_retry::{MediaRetries, MediaRetryPolicy};
use crate::engine::relay::rate_limit::RateLimits;
use crate::engine::relay::session_base::SessionBase;
use crate::engine::{EngineEvent, SessionContext, SessionEnd};
use crate::net::GuardedClient;

/// The pause before a check that got no answer is repeated; then the link counts as lost.
const RECHECK_DELAY: Duration = Duration::from_millis(500);
/// Files that are downloaded at once.
const MAX_DOWNLOADS: usize = 4;
/// Entries of each map in memory; a full map is emptied.
const MAX_CACHED: usize = 10_000;
const PRUNE_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Meta's ids of our messages. Reactions to older messages are lost.
const ID_MAP: IdMapLayout = IdMapLayout {
    to_upstream: IdMapIndex { space: "cloud_api_theirs", prefix: "" },
    from_upstream: IdMapIndex { space: "cloud_api_ours", prefix: "" },
    expires_after_ms: 180 * 86_400_000,
};
/// Meta repeats a callback for days: only the number of attempts limits the retries, and nothing waits here.
const MEDIA_RETRIES: MediaRetryPolicy = MediaRetryPolicy {
    max_attempts: 5,
    max_age: Duration::MAX,
    first_delay: Duration::ZERO,
    max_doublings: 0,
    max_waiting: 0,
    max_parallel: 0,
};

/// The state that outlives a session, for one phone number.
#[derive(Clone)]
pub(super) struct NumberState {
    pub(super) phone_number_id: String,
    pub(super) rate_limits: Arc<RateLimits>,
    /// By Meta's id of the message.
    pub(super) media_retries: Arc<MediaRetries<String, Infallible>>,
    read_errors: Arc<LogThrottle<&'static str>>,
}

impl NumberState {
    /// The state of a number without sessions yet.
    pub(super) fn new(phone_number_id: &str) -> Self {
        Self {
            phone_number_id: phone_number_id.to_owned(),
            rate_limits: Arc::default(),
            media_retries: Arc::new(MediaRetries::new(MEDIA_RETRIES)),
            read_errors: Arc::default(),
        }
    }
}

/// A device's session.
pub(super) struct CloudSession {
    pub(super) context: RelayContext,
    pub(super) base: SessionBase,
    pub(super) graph: GraphClient,
    pub(super) ids: IdMap<MessageId, String>,
    pub(super) number: NumberState,
    /// A permit for each download.
    pub(super) downloads: Semaphore,
    /// Notified when Meta may no longer accept the token or the number.
    pub(super) recheck: Notify,
    check_every: Duration,
    /// Why the session has to end.
    failure: Mutex<Option<Reason>>,
    /// Meta's id of the last inbound message of each chat.
    last_inbound: Mutex<HashMap<Jid, String>>,
    /// Numbers with the hidden id that was delivered as the same person's.
    people: Mutex<HashSet<(Jid, Jid)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}

impl CloudSession {
    /// Connects nothing yet.
    pub(super) fn open(
        http: GuardedClient,
        settings: &DeviceSettings,
        number: NumberState,
        session: SessionContext,
    ) -> Self {
        let context = RelayContext::new(upstream_client(http, settings), session);
        Self {
            base: SessionBase::new(context.clone(), None, Arc::clone(&number.read_errors)),
            graph: GraphClient::new(Arc::clone(&context.client), settings),
            ids: IdMap::new(context.clone(), ID_MAP),
            check_every: settings.check_every,
            context,
            number,
            downloads: Semaphore::new(MAX_DOWNLOADS),
            recheck: Notify::new(),
            failure: Mutex::default(),
            last_inbound: Mutex::default(),
            people: Mutex::default(),
        }
    }

    /// Ends the session: Meta no longer accepts the number.
    pub(super) fn fail_session(&self, reason: Reason) {
        *lock(&self.failure) = Some(reason);
        self.recheck.notify_one();
    }

    /// Records the last inbound message of a chat.
    pub(super) fn record_inbound(&self, chat: Jid, wamid: String) {
        let mut last = lock(&self.last_inbound);
        if last.len() >= MAX_CACHED && !last.contains_key(&chat) {
            last.clear();
        }
        last.insert(chat, wamid);
    }

    /// Meta's id of the last inbound message of a chat, since the session began.
    pub(super) fn last_inbound(&self, chat: &Jid) -> Option<String> {
        lock(&self.last_inbound).get(chat).cloned()
    }

    /// Whether the two ids of a person were not delivered yet.
    pub(super) fn is_new_person(&self, person: &ContactUpdate) -> bool {
        person.lid.as_ref().is_some_and(|lid| !lock(&self.people).contains(&(person.id.clone(), lid.clone())))
    }

    /// The two ids of a person were delivered.
    pub(super) fn remember_person(&self, person: &ContactUpdate) {
        let Some(lid) = &person.lid else { return };
        let mut people = lock(&self.people);
        if people.len() >= MAX_CACHED {
            people.clear();
        }
        people.insert((person.id.clone(), lid.clone()));
    }

    /// Connects, and stays until Meta no longer accepts the token or the number.
    pub(super) async fn live(&self) -> Result<Infallible, SessionEnd> {
        let account = account(&self.graph.number().await.map_err(|failure| session_end(&failure))?);
        if account.jid().is_none() {
            tracing::warn!(device = %self.context.device, "Meta's answer has no phone number");
            return Err(SessionEnd::Fatal(Reason::EngineError));
        }
        // Before the event: a client may send as soon as it receives it.
        self.base.set_account(&account);
        self.base.set_online(true);
        self.context.deliver(EngineEvent::Opened(account)).await?;
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        loop {
            tokio::select! {
                _ = prune.tick() => self.prune().await,
                () = self.recheck.notified() => self.check().await?,
                () = tokio::time::sleep(self.check_every) => self.check().await?,
            }
        }
    }

    /// Checks whether Meta still accepts the token and the number.
    async fn check(&self) -> Result<(), SessionEnd> {
        if let Some(reason) = *lock(&self.failure) {
            return Err(SessionEnd::Fatal(reason));
        }
        let began = Instant::now();
        let answer = match self.graph.number().await {
            Err(GraphFailure::Unreachable | GraphFailure::NoAnswer) => {
                tokio::time::sleep(RECHECK_DELAY).await;
                self.graph.number().await
            }
            answer => answer,
        };
        match answer {
            Ok(_) => {}
            Err(GraphFailure::Rejected(error)) if error.is_rate_limit() => {}
            Err(failure) => return Err(session_end(&failure)),
        }
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.context.deliver(EngineEvent::Latency { ms: ms.max(1) }).await
    }

    async fn prune(&self) {
        if let Err(error) = self.ids.prune().await {
            tracing::warn!(device = %self.context.device, %error, "expired message ids could not be removed");
        }
    }
}

fn account(number: &PhoneNumber) -> Account {
    let phone_number = number.display_phone_number.chars().filter(char::is_ascii_digit).collect();
    Account { phone_number, client_name: number.verified_name.clone() }
}

/// How a session ends whose number cannot be read.
fn session_end(failure: &GraphFailure) -> SessionEnd {
    let GraphFailure::Rejected(error) = failure else {
        return SessionEnd::LinkLost(Reason::UpstreamUnavailable);
    };
    match error.ends_device() {
        Some(reason) => SessionEnd::Fatal(reason),
        None if error.is_rate_limit() || error.status >= 500 => {
            SessionEnd::LinkLost(Reason::UpstreamUnavailable)
        }
        // There is no such number, or not for this token.
        None => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::relay::testing::{TestRelay, relay};

    #[tokio::test]
    async fn ids_of_the_version_before_are_read() {
        let TestRelay { context, .. } = relay();
        let ours: MessageId = "true_15550100001@c.us_3EB0A1".parse().unwrap();
        for (space, key, value) in [
            ("cloud_api_ours", "wamid.A=", ours.to_string()),
            ("cloud_api_theirs", "true_15550100001@c.us_3EB0A1", "wamid.A=".to_owned()),
        ] {
            context.vault.put(space, key, Some(value.into_bytes())).await.unwrap();
        }
        let ids: IdMap<MessageId, String> = IdMap::new(context, ID_MAP);
        assert_eq!(ids.to_upstream(&ours).await.unwrap().as_deref(), Some("wamid.A="));
        assert_eq!(ids.from_upstream(&"wamid.A=".to_owned()).await.unwrap(), Some(ours));
    }
}
