//! Events of a device's log, and ephemeral events that are only emitted live.
//!
//! Names, casing and shapes follow the device-namespace contract. [`Stamped`] adds `deviceId` and `timestamp`
//! to every payload, and `seq` to events of the log.

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
use super::passkey::PasskeyStep;
use super::reason::Reason;
use super::webhook::{DisabledReason, EndpointId};

/// An entry of a device's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A QR code is ready for a phone to scan.
    Qr(QrEvent),
    /// The network asks for a signature by a passkey of the account.
    PasskeyRequest(PasskeyRequestEvent),
    /// The phone shows a code that an operator compares.
    PasskeyConfirmation(PasskeyConfirmationEvent),
    /// The link by passkey ended without success.
    PasskeyError(PasskeyErrorEvent),
    /// A phone accepted the link.
    Authenticated(AuthenticatedEvent),
    /// The device can send and receive.
    Ready(ReadyEvent),
    /// The device's state changed.
    State(DeviceStateEvent),
    /// The device went offline.
    Disconnected(DisconnectedEvent),
    /// A message was received, or was sent from another linked device.
    Message(MessageReceivedEvent),
    /// A message was accepted for sending.
    MessageCreated(MessageCreatedEvent),
    /// The status of an outgoing message changed.
    MessageStatus(MessageStatusEvent),
    /// The network acknowledged a message.
    MessageAck(MessageAckEvent),
    /// Messages were read.
    MessageRead(MessagesReadEvent),
    /// A person added or removed a reaction.
    MessageReaction(MessageReactionEvent),
    /// A message's text was edited.
    MessageEdited(MessageChangedEvent),
    /// A message was revoked for everyone.
    MessageRevoked(MessageChangedEvent),
    /// A message was removed from this account only.
    MessageDeleted(MessageDeletedEvent),
    /// The file of a message arrived after it, or will not arrive.
    MessageMedia(MessageMediaEvent),
    /// A message was starred or unstarred.
    MessageStarred(MessageStarredEvent),
    /// A chat's messages were removed.
    ChatCleared(ChatRemovedEvent),
    /// A chat was removed with its messages; the next message creates it again.
    ChatDeleted(ChatRemovedEvent),
    /// Two chats of one person were merged.
    ChatMerged(ChatMergedEvent),
    /// A person changed a vote in a poll.
    PollVote(PollVoteEvent),
    /// A contact changed.
    ContactUpdate(ContactUpdateEvent),
    /// A group changed.
    GroupUpdate(GroupUpdateEvent),
    /// A call started or changed its status.
    Call(CallEvent),
    /// Progress of the history sync.
    HistoryProgress(HistoryProgressEvent),
    /// The device is being deleted.
    DeviceDeleted(DeviceDeletedEvent),
    /// A webhook delivery became a dead letter.
    WebhookDead(WebhookDeadEvent),
    /// A webhook was disabled.
    WebhookDisabled(WebhookDisabledEvent),
    /// A notification rule matched.
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
    /// The number of this code, from 1.
    pub attempt: u32,
}

/// Payload of `passkey:request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyRequestEvent {
    /// The `PublicKeyCredentialRequestOptions` of the network (WebAuthn).
    pub options: serde_json::Map<String, serde_json::Value>,
    /// When the network no longer waits.
    pub expires_at: Millis,
    /// The page on which a browser signs for the account.
    pub open_url: String,
}

/// Payload of `passkey:confirmation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyConfirmationEvent {
    /// The code that the phone shows too.
    pub code: String,
    /// When the attempt ends without a confirmation.
    pub expires_at: Millis,
}

/// Payload of `passkey:error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyErrorEvent {
    /// The reason code.
    pub reason: Reason,
}

/// Payload of `authenticated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatedEvent {
    /// The phone number in digits.
    pub phone_number: String,
    /// The account's display name.
    pub client_name: String,
}

/// Payload of `ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyEvent {
    /// The phone number in digits.
    pub phone_number: String,
}

/// Payload of `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStateEvent {
    /// One of the four status values that dashboards compare.
    pub status: String,
    /// The name of the exact state.
    pub state: String,
    /// The reason for the state, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Failed attempts so far; absent when zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Payload of `disconnected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisconnectedEvent {
    /// Why the device went offline.
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
    /// The client's own id for the message, from its send request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_id: Option<String>,
}

/// Payload of `message:status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStatusEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// The new status.
    pub status: Status,
    /// The failure as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The failure as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The client's own id for the message, from its send request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_id: Option<String>,
}

/// Payload of `message:ack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAckEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// The acknowledgement level.
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
    /// The messages.
    pub message_ids: Vec<MessageId>,
    /// The reader; absent when the device's own account read the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_by: Option<Jid>,
}

/// Payload of `message:reaction`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReactionEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// The person who reacted.
    pub from: Jid,
    /// The reaction; empty when it was removed.
    pub emoji: String,
}

/// Payload of `message:edited` and `message:revoked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageChangedEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// The message after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// Payload of `message:media`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageMediaEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// Whether the file is here now.
    pub available: bool,
    /// The message with its file, if that is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// Payload of `message:deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeletedEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
}

/// Payload of `message:starred`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStarredEvent {
    /// The message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// Whether the message is starred now.
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
    /// The removed chat. Its messages moved to the other chat and kept their ids.
    pub from: Jid,
    /// The remaining chat.
    pub to: Jid,
}

/// Payload of `poll:vote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollVoteEvent {
    /// The poll's message.
    pub message_id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// The person who voted.
    pub voter: Jid,
    /// The selected answers; empty when the vote was removed.
    pub options: Vec<String>,
}

/// Payload of `group:update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdateEvent {
    /// The group.
    pub group_id: Jid,
    /// The change.
    pub change: GroupChange,
    /// The affected participants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Participant>,
    /// The new name, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The new description, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The person who made the change; absent when the network does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Jid>,
}

/// The status of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// The call is ringing.
    Ringing,
    /// The call was accepted on another device.
    Accepted,
    /// The call was declined on another device.
    Rejected,
    /// The call was not answered.
    Missed,
    /// The call ended.
    Ended,
}

/// Payload of `call`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallEvent {
    /// The id of the call.
    pub call_id: String,
    /// The caller.
    pub from: Jid,
    /// Whether it is a video call.
    pub video: bool,
    /// The status of the call.
    pub status: CallStatus,
}

/// Payload of `history:progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProgressEvent {
    /// Messages synchronised so far.
    pub done: u64,
    /// Total number of messages; absent when the network does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The current phase: `contacts`, `groups`, `messages` or `complete`.
    pub phase: HistoryPhase,
}

/// A phase of the history sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryPhase {
    /// Contacts of the address book are synchronised.
    Contacts,
    /// Groups are synchronised.
    Groups,
    /// Messages are synchronised.
    Messages,
    /// The history sync is complete.
    Complete,
}

/// Payload of `contact:update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactUpdateEvent {
    /// The contact after the change.
    pub contact: Contact,
}

/// Payload of `webhook:dead`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDeadEvent {
    /// The webhook.
    pub webhook_id: EndpointId,
    /// The name of the undelivered event.
    pub event: String,
    /// The `seq` of the undelivered event in this log.
    pub event_seq: i64,
    /// Number of delivery attempts.
    pub attempts: u32,
    /// The stable code of the last attempt's outcome; `too_many_waiting` when the webhook's queue was full.
    pub error: String,
    /// Number of events of this log that were given up together; this event is the oldest of them.
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
    /// The webhook.
    pub webhook_id: EndpointId,
    /// Why the webhook was disabled.
    pub reason: DisabledReason,
}

/// Payload of `notification`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationEvent {
    /// The id. A later event with the same id updates the notification and its count.
    pub id: String,
    /// The trigger, as a name of [`super::notify::Kind`].
    pub kind: String,
    /// The priority that the rule sets.
    pub priority: Priority,
    /// The first line, sanitized and limited in length.
    pub title: String,
    /// The remaining text, sanitized and limited in length.
    pub body: String,
    /// The name of the sound to play; `None` for silence.
    pub sound: Option<String>,
    /// The URL of the sound.
    pub sound_url: Option<String>,
    /// The chat that the notification refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<Jid>,
    /// Number of coalesced events.
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
            Self::PasskeyRequest(_) => "passkey:request",
            Self::PasskeyConfirmation(_) => "passkey:confirmation",
            Self::PasskeyError(_) => "passkey:error",
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
            Self::MessageMedia(_) => "message:media",
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

    /// The event of an open passkey step.
    #[must_use]
    pub fn passkey(step: &PasskeyStep, expires_at: Millis) -> Self {
        match step.clone() {
            PasskeyStep::Signature { options } => {
                let open_url = super::passkey::OPEN_URL.to_owned();
                Self::PasskeyRequest(PasskeyRequestEvent { options, expires_at, open_url })
            }
            PasskeyStep::Confirmation { code } => {
                Self::PasskeyConfirmation(PasskeyConfirmationEvent { code, expires_at })
            }
        }
    }

    /// A `passkey:error` event.
    #[must_use]
    pub fn passkey_error(reason: Reason) -> Self {
        Self::PasskeyError(PasskeyErrorEvent { reason })
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

/// An event that is emitted live and is not stored in the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EphemeralEvent {
    /// A person started or stopped typing.
    #[serde(rename_all = "camelCase")]
    Typing {
        /// The chat in which the person types.
        chat_id: Jid,
        /// The person who types.
        from: Jid,
        /// Whether the person types text or records a voice note.
        kind: TypingKind,
        /// Whether typing started; selects the event name.
        #[serde(skip)]
        on: bool,
    },
    /// A person went online or offline.
    #[serde(rename_all = "camelCase")]
    Presence {
        /// The person's chat id.
        contact_id: Jid,
        /// Whether the person is online.
        online: bool,
        /// When the person was last online.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen: Option<Millis>,
    },
    /// A chat's entry in the chat list changed.
    ChatUpdate {
        /// The chat after the change.
        chat: Box<Chat>,
    },
    /// The state of the connection between the device and its network.
    #[serde(rename_all = "camelCase")]
    ConnectionStatus {
        /// `connected`, `connecting` or `disconnected`.
        status: &'static str,
        /// The last measured round-trip time, in milliseconds.
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

/// The kind of a typing indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TypingKind {
    /// The person types text.
    #[default]
    Text,
    /// The person records a voice note.
    Audio,
}

/// A payload with the fields that every payload has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamped<'a, T: Serialize> {
    /// The device of the event.
    pub device_id: &'a DeviceId,
    /// When the event occurred, by the server's clock.
    pub timestamp: Millis,
    /// The position in the device's log; absent for ephemeral events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The event's own fields.
    #[serde(flatten)]
    pub body: &'a T,
}
