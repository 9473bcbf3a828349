//! One device's session: it is open while Meta lets its number in, and asks again now and then.
//!
//! [`CloudSession::run`] is the only task; callbacks and requests come on tasks of their own and end with them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::client::{CallError, Graph, PhoneNumber};
use super::gates::Gates;
use super::settings::DeviceSettings;
use super::{aliases, outbound};
use crate::domain::clock::{Clock, Random};
use crate::domain::contact::ContactUpdate;
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::log_throttle::LogThrottle;
use crate::domain::reason::Reason;
use crate::engine::upstream::not_taken;
use crate::engine::{
    Answer, ChatChange, EngineEvent, GroupAnswer, GroupRequest, Inbound, MediaStore, MessageChange, Outgoing,
    PairingCode, Query, SendOutcome, Session, SessionContext, SessionEnd, SessionError, Vault,
};
use crate::net::GuardedClient;

/// Between a question that was not answered and the next, after which the link counts as lost.
const SECOND_THOUGHT: Duration = Duration::from_millis(500);
/// Files that are fetched at once.
const FETCHED_AT_ONCE: usize = 4;
/// Chats whose last message is remembered, and people whose two ids are known to be one's.
const REMEMBERED: usize = 10_000;
/// How often old names of messages are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// What a device's sessions hand on to one another, for one number.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) phone_number_id: String,
    gates: Arc<Gates>,
    arrivals: Arc<Arrivals>,
    odd: Arc<LogThrottle<&'static str>>,
}

impl Kept {
    /// Of a number of which nothing is known.
    pub(super) fn of(phone_number_id: &str) -> Self {
        Self { phone_number_id: phone_number_id.to_owned(), ..Self::default() }
    }
}

/// A device's session.
pub(super) struct CloudSession {
    pub(super) device: DeviceId,
    pub(super) graph: Graph,
    pub(super) gates: Arc<Gates>,
    pub(super) arrivals: Arc<Arrivals>,
    /// What of callbacks could not be read, which is said seldom.
    odd: Arc<LogThrottle<&'static str>>,
    pub(super) vault: Arc<dyn Vault>,
    pub(super) media: Arc<dyn MediaStore>,
    pub(super) inbound: Arc<dyn Inbound>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    /// A place for each file that is fetched.
    pub(super) fetching: Semaphore,
    /// Told when it is doubtful whether Meta still lets the number in.
    pub(super) doubt: Notify,
    /// Cancelled when the session is over.
    pub(super) gone: CancellationToken,
    check_every: Duration,
    cancel: CancellationToken,
    logged_out: CancellationToken,
    /// Our account, once Meta let it in.
    me: Mutex<Option<Jid>>,
    /// Why Meta will not let the number in any more.
    condemned: Mutex<Option<Reason>>,
    /// Meta's name of the last message of each chat.
    last: Mutex<HashMap<Jid, String>>,
    /// Numbers with the hidden id that is known to be the same person's.
    people: Mutex<HashSet<(Jid, Jid)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CloudSession {
    /// Connects nothing.
    pub(super) fn open(
        http: GuardedClient,
        settings: &DeviceSettings,
        kept: Kept,
        context: SessionContext,
    ) -> Self {
        Self {
            graph: Graph::new(http, settings),
            check_every: settings.check_every,
            device: context.device,
            gates: kept.gates,
            arrivals: kept.arrivals,
            odd: kept.odd,
            vault: context.vault,
            media: context.media,
            inbound: context.inbound,
            clock: context.clock,
            random: context.random,
            fetching: Semaphore::new(FETCHED_AT_ONCE),
            doubt: Notify::new(),
            gone: CancellationToken::new(),
            cancel: context.cancel,
            logged_out: CancellationToken::new(),
            me: Mutex::default(),
            condemned: Mutex::default(),
            last: Mutex::default(),
            people: Mutex::default(),
        }
    }

    /// Our account, while the session is open.
    pub(super) fn me(&self) -> Option<Jid> {
        lock(&self.me).clone().filter(|_| !self.gone.is_cancelled())
    }

    /// Whether messages can go out.
    pub(super) fn is_online(&self) -> bool {
        self.me().is_some()
    }

    pub(super) fn online_or_error(&self) -> Result<(), SessionError> {
        if self.is_online() { Ok(()) } else { Err(SessionError::Offline) }
    }

    /// Meta will not let the number in any more.
    pub(super) fn condemn(&self, reason: Reason) {
        *lock(&self.condemned) = Some(reason);
        self.doubt.notify_one();
    }

    /// A message came in.
    pub(super) fn heard(&self, chat: Jid, wamid: String) {
        let mut last = lock(&self.last);
        if last.len() >= REMEMBERED && !last.contains_key(&chat) {
            last.clear();
        }
        last.insert(chat, wamid);
    }

    /// Meta's name of the last message of a chat, since the session began.
    pub(super) fn last_of(&self, chat: &Jid) -> Option<String> {
        lock(&self.last).get(chat).cloned()
    }

    /// Whether it was not told before that these ids are one person's.
    pub(super) fn is_news(&self, who: &ContactUpdate) -> bool {
        who.lid.as_ref().is_some_and(|lid| !lock(&self.people).contains(&(who.id.clone(), lid.clone())))
    }

    /// The daemon knows that these ids are one person's.
    pub(super) fn met(&self, who: &ContactUpdate) {
        let Some(lid) = &who.lid else { return };
        let mut people = lock(&self.people);
        if people.len() >= REMEMBERED {
            people.clear();
        }
        people.insert((who.id.clone(), lid.clone()));
    }

    /// A part of a callback could not be read.
    pub(super) fn not_read(&self, part: &'static str) {
        if let Some(left_out) = self.odd.now(part, self.clock.now()) {
            tracing::warn!(device = %self.device, part, left_out, "a part of a callback could not be read and was passed over");
        }
    }

    async fn live(&self) -> SessionEnd {
        let account = match self.graph.number().await {
            Ok(number) => account(&number),
            Err(error) => return ended(&error),
        };
        let Some(me) = account.jid() else {
            tracing::warn!(device = %self.device, "Meta does not tell which number this is");
            return SessionEnd::Fatal(Reason::EngineError);
        };
        // Before the news: whoever hears it may send at once.
        *lock(&self.me) = Some(me);
        if let Err(ended) = self.tell(EngineEvent::Opened(account)).await {
            return ended;
        }
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        loop {
            tokio::select! {
                _ = prune.tick() => self.prune().await,
                () = self.doubt.notified() => if let Err(ended) = self.look().await { return ended },
                () = tokio::time::sleep(self.check_every) => if let Err(ended) = self.look().await { return ended },
            }
        }
    }

    /// Asks whether Meta still lets the number in.
    async fn look(&self) -> Result<(), SessionEnd> {
        if let Some(reason) = *lock(&self.condemned) {
            return Err(SessionEnd::Fatal(reason));
        }
        let asked = Instant::now();
        let answer = match self.graph.number().await {
            Err(CallError::NotReached | CallError::Unclear) => {
                tokio::time::sleep(SECOND_THOUGHT).await;
                self.graph.number().await
            }
            answer => answer,
        };
        match answer {
            Ok(_) => {}
            Err(CallError::Refused(error)) if error.is_rate_limit() => {}
            Err(error) => return Err(ended(&error)),
        }
        let ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tell(EngineEvent::Latency { ms: ms.max(1) }).await
    }

    async fn tell(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| not_taken(&self.device, error))
    }

    async fn prune(&self) {
        if let Err(error) = aliases::prune(&*self.vault, self.clock.now()).await {
            tracing::warn!(device = %self.device, %error, "old names of messages could not be removed");
        }
    }
}

fn account(number: &PhoneNumber) -> Account {
    let phone_number = number.display_phone_number.chars().filter(char::is_ascii_digit).collect();
    Account { phone_number, client_name: number.verified_name.clone() }
}

/// How a session ends that Meta does not let in.
fn ended(error: &CallError) -> SessionEnd {
    let CallError::Refused(error) = error else {
        return SessionEnd::LinkLost(Reason::UpstreamUnavailable);
    };
    match error.ends_device() {
        Some(reason) => SessionEnd::Fatal(reason),
        None if error.is_rate_limit() || error.status >= 500 => {
            SessionEnd::LinkLost(Reason::UpstreamUnavailable)
        }
        // No such number, or not for this token.
        None => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
    }
}

#[async_trait]
impl Session for CloudSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        let _gone = self.gone.clone().drop_guard();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            ended = self.live() => ended,
        }
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        outbound::send(self, &message).await
    }

    async fn mark_read(&self, _chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        outbound::mark_read(self, messages).await
    }

    async fn typing(&self, chat: &Jid, _kind: TypingKind, on: bool) -> Result<(), SessionError> {
        outbound::typing(self, chat, on).await
    }

    async fn subscribe_presence(&self, _contact: &Jid) -> Result<(), SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn query(&self, _query: Query) -> Result<Answer, SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn pairing_code(&self, _phone_number: &str) -> Result<PairingCode, SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        match change {
            MessageChange::React { id, emoji, .. } => outbound::react(self, &id, &emoji).await,
            _ => Err(SessionError::NotSupported),
        }
    }

    async fn change_chat(&self, _chat: &Jid, _change: ChatChange) -> Result<(), SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn group(&self, _request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        Err(SessionError::NotSupported)
    }

    /// Meta knows of no log-out: what is kept here is forgotten.
    async fn log_out(&self) -> Result<(), SessionError> {
        self.logged_out.cancel();
        aliases::forget(&*self.vault).await.map_err(|_| {
            SessionError::Refused("what is kept of this number could not be removed yet".to_owned())
        })
    }
}
