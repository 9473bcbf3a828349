//! Events: what a device's log holds, and what dashboards see besides.
//!
//! Names, casing and shapes are the device-namespace contract's. Every payload gets `deviceId` and
//! `timestamp`, and those of the log `seq`, from [`Stamped`].

use serde::{Deserialize, Serialize};

use super::ack::{Ack, Status};
use super::chat::Chat;
use super::clock::Millis;
use super::contact::Contact;
use super::device::Account;
use super::group::{GroupChange, Participant};
use super::ids::{DeviceId, MessageId};
use super::jid::Jid;
use super::message::Message;
use super::notify::Priority;
use super::reason::Reason;
use super::webhook::{DisabledReason, EndpointId};

/// An entry of a device's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A code to scan.
    Qr(QrEvent),
    /// A phone accepted the link.
    Authenticated(AuthenticatedEvent),
    /// The device can send and receive.
    Ready(ReadyEvent),
    /// A transition.
    State(DeviceStateEvent),
    /// The device went offline.
    Disconnected(DisconnectedEvent),
    /// A message came in, or was sent from another linked device.
    Message(MessageReceivedEvent),
    /// A message was accepted for sending.
    MessageCreated(MessageCreatedEvent),
    /// A step of an outgoing message.
    MessageStatus(MessageStatusEvent),
    /// An acknowledgement from the network.
    MessageAck(MessageAckEvent),
    /// Messages were read.
    MessageRead(MessagesReadEvent),
    /// Somebody reacted, or took it back.
    MessageReaction(MessageReactionEvent),
    /// A message's text was changed.
    MessageEdited(MessageChangedEvent),
    /// A message was taken back for everyone.
    MessageRevoked(MessageChangedEvent),
    /// A message was removed from this account only.
    MessageDeleted(MessageDeletedEvent),
    /// A message was starred, or not any more.
    MessageStarred(MessageStarredEvent),
    /// A chat's messages were removed.
    ChatCleared(ChatRemovedEvent),
    /// A chat was removed with its messages; the next message brings it back.
    ChatDeleted(ChatRemovedEvent),
    /// Two chats turned out to be one person's, and are one.
    ChatMerged(ChatMergedEvent),
    /// Somebody voted in a poll.
    PollVote(PollVoteEvent),
    /// A contact changed.
    ContactUpdate(ContactUpdateEvent),
    /// A group changed.
    GroupUpdate(GroupUpdateEvent),
    /// Somebody calls, or it ended.
    Call(CallEvent),
    /// How far the first synchronisation is.
    HistoryProgress(HistoryProgressEvent),
    /// The device is being deleted.
    DeviceDeleted(DeviceDeletedEvent),
    /// An event did not reach a webhook, after all tries.
    WebhookDead(WebhookDeadEvent),
    /// A webhook gets nothing any more.
    WebhookDisabled(WebhookDisabledEvent),
    /// A rule says that people should hear of something.
    Notification(NotificationEvent),
}

/// Payload of `qr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QrEvent {
    /// The raw string a phone scans.
    pub qr: String,
    /// When a phone no longer accepts it.
    pub expires_at: Millis,
    /// Which code this is, from 1.
    pub attempt: u32,
}

/// Payload of `authenticated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatedEvent {
    /// In digits.
    pub phone_number: String,
    /// The account's display name.
    pub client_name: String,
}

/// Payload of `ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyEvent {
    /// In digits.
    pub phone_number: String,
}

/// Payload of `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStateEvent {
    /// One of the four words that dashboards compare.
    pub status: String,
    /// The fine-grained name.
    pub state: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Failed tries so far; absent when there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Payload of `disconnected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisconnectedEvent {
    /// Why.
    pub reason: Reason,
}

/// Payload of `message`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageReceivedEvent {
    /// The message.
    pub message: Message,
}

/// Payload of `message:created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageCreatedEvent {
    /// The message.
    pub message: Message,
    /// The sender's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_id: Option<String>,
}

/// Payload of `message:status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStatusEvent {
    /// Which message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
    /// The step.
    pub status: Status,
    /// Why it failed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it failed, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The sender's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_id: Option<String>,
}

/// Payload of `message:ack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAckEvent {
    /// Which message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
    /// How far it has come.
    pub ack: Ack,
    /// The level's name.
    pub ack_name: String,
}

/// Payload of `message:read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagesReadEvent {
    /// The chat.
    pub chat_id: Jid,
    /// Which messages.
    pub message_ids: Vec<MessageId>,
    /// Who read them; absent when it was our own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_by: Option<Jid>,
}

/// Payload of `message:reaction`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReactionEvent {
    /// Which message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
    /// Who reacted.
    pub from: Jid,
    /// With what; empty when they took it back.
    pub emoji: String,
}

/// Payload of `message:edited` and `message:revoked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageChangedEvent {
    /// Which message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
    /// The message as it now is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// Payload of `message:deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeletedEvent {
    /// Which message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
}

/// Payload of `message:starred`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStarredEvent {
    /// Which message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
    /// Whether it is starred now.
    pub is_starred: bool,
}

/// Payload of `chat:cleared` and `chat:deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatRemovedEvent {
    /// The chat.
    pub chat_id: Jid,
}

/// Payload of `chat:merged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMergedEvent {
    /// The chat that is no more: its messages stand in the other, under the ids they have.
    pub from: Jid,
    /// The chat that both are now.
    pub to: Jid,
}

/// Payload of `poll:vote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollVoteEvent {
    /// The poll's message.
    pub message_id: MessageId,
    /// Its chat.
    pub chat_id: Jid,
    /// Who voted.
    pub voter: Jid,
    /// For which answers; none when they took their vote back.
    pub options: Vec<String>,
}

/// Payload of `group:update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdateEvent {
    /// Which group.
    pub group_id: Jid,
    /// What changed.
    pub change: GroupChange,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Participant>,
    /// The name, where it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The description, where it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who changed it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Jid>,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// It rings.
    Ringing,
    /// Somebody took it, on another device.
    Accepted,
    /// Somebody declined it, on another device.
    Rejected,
    /// Nobody took it.
    Missed,
    /// It is over.
    Ended,
}

/// Payload of `call`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallEvent {
    /// Names the call.
    pub call_id: String,
    /// Who calls.
    pub from: Jid,
    /// Whether it is a video call.
    pub video: bool,
    /// Where it is.
    pub status: CallStatus,
}

/// Payload of `history:progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProgressEvent {
    /// Messages so far.
    pub done: u64,
    /// Messages in all, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is being synchronised: `contacts`, `groups`, `messages` or `complete`.
    pub phase: HistoryPhase,
}

/// What is being synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryPhase {
    /// The address book.
    Contacts,
    /// Groups.
    Groups,
    /// Messages.
    Messages,
    /// Nothing any more.
    Complete,
}

/// Payload of `contact:update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactUpdateEvent {
    /// The contact as it now is.
    pub contact: Contact,
}

/// Payload of `webhook:dead`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDeadEvent {
    /// Which webhook.
    pub webhook_id: EndpointId,
    /// The name of the event that did not reach it.
    pub event: String,
    /// Its position in this log.
    pub event_seq: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last try came to, as a stable word; `too_many_waiting` when too much waited for the webhook.
    pub error: String,
    /// How many events of this log were given up together, of which this is the oldest.
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// Payload of `webhook:disabled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDisabledEvent {
    /// Which webhook.
    pub webhook_id: EndpointId,
    /// Why.
    pub reason: DisabledReason,
}

/// Payload of `notification`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationEvent {
    /// Names it. One of the same id is the same one, grown.
    pub id: String,
    /// What happened: a word of [`super::notify::Kind`].
    pub kind: String,
    /// How much it matters.
    pub priority: Priority,
    /// The first line: inert and bounded.
    pub title: String,
    /// The rest: inert and bounded.
    pub body: String,
    /// The name of the sound that goes with it.
    pub sound: Option<String>,
    /// Where that sound is.
    pub sound_url: Option<String>,
    /// The chat that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<Jid>,
    /// How many it stands for.
    pub count: u32,
}

/// Payload of `device-deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDeletedEvent {}

impl Event {
    /// The event's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Qr(_) => "qr",
            Self::Authenticated(_) => "authenticated",
            Self::Ready(_) => "ready",
            Self::State(_) => "state",
            Self::Disconnected(_) => "disconnected",
            Self::Message(_) => "message",
            Self::MessageCreated(_) => "message:created",
            Self::MessageStatus(_) => "message:status",
            Self::MessageAck(_) => "message:ack",
            Self::MessageRead(_) => "message:read",
            Self::MessageReaction(_) => "message:reaction",
            Self::MessageEdited(_) => "message:edited",
            Self::MessageRevoked(_) => "message:revoked",
            Self::MessageDeleted(_) => "message:deleted",
            Self::MessageStarred(_) => "message:starred",
            Self::ChatCleared(_) => "chat:cleared",
            Self::ChatDeleted(_) => "chat:deleted",
            Self::ChatMerged(_) => "chat:merged",
            Self::PollVote(_) => "poll:vote",
            Self::ContactUpdate(_) => "contact:update",
            Self::GroupUpdate(_) => "group:update",
            Self::Call(_) => "call",
            Self::HistoryProgress(_) => "history:progress",
            Self::DeviceDeleted(_) => "device-deleted",
            Self::WebhookDead(_) => "webhook:dead",
            Self::WebhookDisabled(_) => "webhook:disabled",
            Self::Notification(_) => "notification",
        }
    }

    /// A `qr` event.
    #[must_use]
    pub fn qr(code: &str, expires_at: Millis, attempt: u32) -> Self {
        Self::Qr(QrEvent { qr: code.to_owned(), expires_at, attempt })
    }

    /// An `authenticated` event.
    #[must_use]
    pub fn authenticated(account: &Account) -> Self {
        Self::Authenticated(AuthenticatedEvent {
            phone_number: account.phone_number.clone(),
            client_name: account.client_name.clone(),
        })
    }

    /// A `ready` event.
    #[must_use]
    pub fn ready(account: &Account) -> Self {
        Self::Ready(ReadyEvent { phone_number: account.phone_number.clone() })
    }

    /// A `disconnected` event.
    #[must_use]
    pub fn disconnected(reason: Reason) -> Self {
        Self::Disconnected(DisconnectedEvent { reason })
    }

    /// A `message:ack` event.
    #[must_use]
    pub fn ack(message: &MessageId, chat: &Jid, ack: Ack) -> Self {
        Self::MessageAck(MessageAckEvent {
            message_id: message.clone(),
            chat_id: chat.clone(),
            ack,
            ack_name: ack.name().to_owned(),
        })
    }

    /// A `message:status` event of a message that has not failed.
    #[must_use]
    pub fn status(message: &MessageId, chat: &Jid, status: Status, temp_id: Option<&str>) -> Self {
        Self::MessageStatus(MessageStatusEvent {
            message_id: message.clone(),
            chat_id: chat.clone(),
            status,
            error: None,
            code: None,
            temp_id: temp_id.map(str::to_owned),
        })
    }
}

/// What dashboards see live and the log does not keep.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EphemeralEvent {
    /// Somebody types, or stopped.
    #[serde(rename_all = "camelCase")]
    Typing {
        /// Where.
        chat_id: Jid,
        /// Who.
        from: Jid,
        /// Text or voice.
        kind: TypingKind,
        /// Which of the two events this is.
        #[serde(skip)]
        on: bool,
    },
    /// Somebody is online, or was.
    #[serde(rename_all = "camelCase")]
    Presence {
        /// Who.
        contact_id: Jid,
        /// Whether they are online.
        online: bool,
        /// When they were last.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen: Option<Millis>,
    },
    /// A chat's line changed.
    ChatUpdate {
        /// The chat as it now is.
        chat: Box<Chat>,
    },
    /// The link between the device and its network.
    #[serde(rename_all = "camelCase")]
    ConnectionStatus {
        /// `connected`, `connecting` or `disconnected`.
        status: &'static str,
        /// The last measured round trip.
        #[serde(skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
    },
}

impl EphemeralEvent {
    /// The event's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Typing { on: true, .. } => "typing:start",
            Self::Typing { on: false, .. } => "typing:stop",
            Self::Presence { .. } => "presence",
            Self::ChatUpdate { .. } => "chat:update",
            Self::ConnectionStatus { .. } => "connection:status",
        }
    }
}

/// What is being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TypingKind {
    /// Text.
    #[default]
    Text,
    /// A voice note.
    Audio,
}

/// A payload with what every payload has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamped<'a, T: Serialize> {
    /// Whose event this is.
    pub device_id: &'a DeviceId,
    /// The server's clock.
    pub timestamp: Millis,
    /// The position in the device's log; absent for what is not in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The event's own fields.
    #[serde(flatten)]
    pub body: &'a T,
}
