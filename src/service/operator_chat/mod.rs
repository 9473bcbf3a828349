//! Operator chat: users, conversations, receipts, typing, presence and notifications.
//!
//! The service exists only while `chat.enabled` is set. Every change is committed with its entry of the chat
//! log, and events are derived from that log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc};

use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::operator_chat::app_event::AppEvent;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::InboxSettings;
use crate::domain::operator_chat::message::CommandAnswer;
use crate::domain::operator_chat::presence::PresenceBook;
use crate::domain::operator_chat::send_rate::{SendLimits, SendRate};
use crate::domain::operator_chat::typing::{TypingBook, TypingRelay, TypingThrottle, Typist};
use crate::domain::operator_chat::uploads::PendingUploads;
use crate::domain::operator_chat::user::ChatUser;
use crate::lifecycle::Tasks;
use crate::service::media::links::LinkBase;
use crate::service::{Logs, MediaService, Messaging};
use crate::store::{InboxContext, Store};

mod app_events;
mod assignment;
mod attachment_url;
pub mod authentication;
mod bridge_outbound;
mod conversation_events;
mod conversations;
mod deletion;
pub mod deliveries;
mod device_chats;
mod directory;
mod error;
mod events;
mod identities;
mod inbox_access;
mod inbox_caller;
mod inbox_list;
mod inbox_stats;
mod inbox_views;
mod native_conversations;
mod native_messages;
mod notes;
mod notifications;
mod numbered_pages;
mod operators;
pub mod presence;
mod receipts;
pub mod recovery;
mod room_views;
mod rooms;
mod send;
mod send_dedup;
mod session_cookies;
mod slash_commands;
mod typing;
mod uploads;
mod views;
mod welcome;

pub use assignment::NamedAssignment;
pub use authentication::{ChatAuthError, ClaimNames, IdentityKey, IdentityProvider, SignedIn};
pub use conversation_events::{ConversationEventPage, ConversationWebhookEvent};
pub use conversations::{JoinedConversation, MessageListPage, MessageListRequest};
pub use error::ChatError;
pub use identities::Identities;
pub use inbox_access::DeclaredInbox;
pub use inbox_caller::InboxCaller;
pub use inbox_list::InboxConversation;
pub use inbox_stats::InboxStats;
pub use native_conversations::{
    ConversationListRequest, ConversationPage, ListPosition, ListedKind, NativeConversation, RoomSummary,
    UserConversation,
};
pub use native_messages::NativeMessagePage;
pub use notifications::NewChatNotification;
pub use numbered_pages::{NumberedPage, NumberedPageRequest};
pub use operators::{OperatorPage, OperatorPresence};
pub use receipts::ReadMark;
pub use rooms::{NewRoom, RoomMemberPage};
pub use session_cookies::{AuthjsKey, SessionCookies};
pub use uploads::UploadedAttachment;

use self::deliveries::{Delivery, MAX_DELIVERIES};
use self::recovery::SessionBook;

/// The limits of operator chat.
#[derive(Debug, Clone)]
pub struct ChatLimits {
    /// Longest text of a message, in characters.
    pub content_max_chars: usize,
    /// Messages of a user.
    pub send: SendLimits,
    /// Users of a tenant.
    pub max_users: usize,
    /// Conversations of a user.
    pub max_conversations: usize,
    /// Members of a room.
    pub max_room_members: usize,
    /// Notifications of a user; the oldest are deleted.
    pub max_notifications: usize,
    /// Sockets of a user.
    pub max_sockets: usize,
    /// Conversations that a socket may join.
    pub max_rooms: usize,
    /// A join repeats the user's own messages of this time, in milliseconds.
    pub resume_ms: i64,
    /// A send matches one of the other channel within this time, in milliseconds.
    pub send_dedup_window_ms: i64,
    /// Bytes of an uploaded file.
    pub upload_max_bytes: u64,
}

/// The configuration, which the composition root fills from the settings.
pub struct ChatParts {
    /// The identity providers and the directory.
    pub identities: Identities,
    /// The first message of a conversation that an `underscore` client opens; none if empty.
    pub welcome: String,
    /// The limits.
    pub limits: ChatLimits,
    /// Slash commands, system messages, assignment and read marks.
    pub inboxes: InboxSettings,
    /// Whether a socket of the `namespace` dialect gets an echo of a message with a `tempId`.
    pub has_namespace_echo: bool,
}

/// The dependencies of the service.
pub(super) struct ChatServices {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) tasks: Tasks,
    pub(super) public_url: Arc<str>,
    pub(super) logs: Logs,
    pub(super) messaging: Arc<Messaging>,
    pub(super) media: Arc<MediaService>,
}

/// The use cases of operator chat.
pub struct OperatorChat {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    public_url: Arc<str>,
    logs: Logs,
    messaging: Arc<Messaging>,
    media: Arc<MediaService>,
    links: LinkBase,
    identities: RwLock<Arc<Identities>>,
    /// Tenants whose sockets are to be closed: their identity provider is gone or has another key.
    ended_tenants: Mutex<Vec<String>>,
    welcome: String,
    limits: ChatLimits,
    inboxes: InboxSettings,
    has_namespace_echo: bool,
    rates: Mutex<HashMap<UserPk, SendRate>>,
    presence: Arc<Mutex<PresenceBook>>,
    typing: Mutex<TypingBook>,
    typing_throttle: Mutex<TypingThrottle>,
    typing_relay: Mutex<TypingRelay>,
    /// The contacts that type, and their changes that wait to be emitted.
    typing_contacts: Mutex<HashMap<UserPk, ChatUser>>,
    contact_typing: Mutex<Vec<(Typist, bool)>>,
    /// Answers to slash commands, to be emitted to their writers.
    answers: Mutex<VecDeque<CommandAnswer>>,
    /// Uploaded messages that the uploaders' own sockets do not have yet.
    uploads: Mutex<PendingUploads>,
    /// Wakes the reader of presence, typing, answers and uploads.
    changed: Notify,
    deliveries: mpsc::Sender<Delivery>,
    waiting_deliveries: Mutex<Option<mpsc::Receiver<Delivery>>>,
    /// Events of an application, to be emitted.
    app_events: Mutex<VecDeque<AppEvent>>,
    /// Users whose sockets are to be closed, and the revocations since the start.
    revoked: Mutex<Vec<UserPk>>,
    revocations: Mutex<HashMap<UserPk, Millis>>,
    sessions: Arc<SessionBook>,
    /// Wakes the task that deletes the messages of deleted rooms.
    room_deleted: Notify,
    started_at: Millis,
}

impl OperatorChat {
    pub(super) fn new(services: ChatServices, parts: ChatParts) -> Self {
        let started = services.clock.now();
        let presence = Arc::new(Mutex::new(PresenceBook::new(started)));
        let context = InboxContext { settings: parts.inboxes, presence: presence.clone() };
        services.store.enable_operator_chat(context);
        let (deliveries, waiting) = mpsc::channel(MAX_DELIVERIES);
        Self {
            store: services.store,
            clock: services.clock,
            random: services.random,
            tasks: services.tasks,
            public_url: services.public_url,
            logs: services.logs,
            messaging: services.messaging,
            links: services.media.link_base(),
            media: services.media,
            identities: RwLock::new(Arc::new(parts.identities)),
            ended_tenants: Mutex::default(),
            welcome: parts.welcome,
            limits: parts.limits,
            inboxes: parts.inboxes,
            has_namespace_echo: parts.has_namespace_echo,
            rates: Mutex::default(),
            presence,
            typing: Mutex::default(),
            typing_throttle: Mutex::default(),
            typing_relay: Mutex::default(),
            typing_contacts: Mutex::default(),
            contact_typing: Mutex::default(),
            answers: Mutex::default(),
            uploads: Mutex::default(),
            changed: Notify::new(),
            deliveries,
            waiting_deliveries: Mutex::new(Some(waiting)),
            app_events: Mutex::default(),
            revoked: Mutex::default(),
            revocations: Mutex::default(),
            sessions: Arc::default(),
            room_deleted: Notify::new(),
            started_at: started,
        }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &ChatLimits {
        &self.limits
    }

    /// Whether a socket of the `namespace` dialect gets an echo of a message with a `tempId`.
    #[must_use]
    pub fn has_namespace_echo(&self) -> bool {
        self.has_namespace_echo
    }

    /// The time of the daemon.
    #[must_use]
    pub fn current_time(&self) -> Millis {
        self.clock.now()
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }
}
