//! Events that engines deliver.

use serde_json::{Map, Value};

use super::{ChatChange, Incoming, IncomingChange, IncomingReceipt};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::content::Attachment;
use crate::domain::device::Account;
use crate::domain::event::{CallStatus, HistoryPhase, TypingKind};
use crate::domain::group::{Group, GroupChange, Participant};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;

/// An event of a session.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// A QR code was shown.
    Code {
        /// The content of the QR code.
        code: String,
        /// How long a phone accepts it, in milliseconds.
        valid_ms: i64,
    },
    /// The network asks for a signature by a passkey of the account.
    PasskeyRequested {
        /// The `PublicKeyCredentialRequestOptions` of the network (WebAuthn).
        options: Map<String, Value>,
        /// How long the network waits, in milliseconds.
        valid_ms: i64,
    },
    /// The network accepted the signature; the phone shows a code to compare.
    PasskeySigned {
        /// The code.
        code: String,
        /// The time limit of the confirmation, in milliseconds.
        valid_ms: i64,
    },
    /// A phone accepted the link.
    Scanned(Account),
    /// The session can send and receive.
    Opened(Account),
    /// A message was received, or sent from another linked device.
    Message(Box<Incoming>),
    /// Messages of the history sync; stored without message events.
    History(Vec<Incoming>),
    /// Changes to messages from the history sync or a full read of the app state; stored without events.
    PastChanges(Vec<IncomingChange>),
    /// The file of a message that was delivered without it.
    MediaFetched {
        /// The message.
        id: MessageId,
        /// The file; `None` when the engine gave up.
        attachment: Option<Box<Attachment>>,
    },
    /// A receipt for our message.
    Receipt(IncomingReceipt),
    /// Messages were read on another device of this account.
    ReadElsewhere {
        /// The chat that was read.
        chat: Jid,
        /// The messages that were read; all up to now if empty.
        messages: Vec<NetworkId>,
    },
    /// A person started or stopped typing.
    Typing {
        /// The chat with the typing indicator.
        chat: Jid,
        /// The typing person.
        from: Jid,
        /// Typing or recording.
        kind: TypingKind,
        /// Whether typing started.
        on: bool,
    },
    /// A contact went online or offline.
    Presence {
        /// The contact.
        contact: Jid,
        /// Whether the contact is online.
        online: bool,
        /// The last time online, if the network reports it.
        last_seen: Option<Millis>,
    },
    /// New data about contacts.
    Contacts(Vec<ContactUpdate>),
    /// A chat has this name; usually a group.
    ChatName {
        /// The named chat.
        chat: Jid,
        /// The name of the chat.
        name: String,
    },
    /// A change to a message, made by another person or on another device of this account.
    MessageChange(IncomingChange),
    /// A chat was changed on another device of this account.
    Chat {
        /// The changed chat.
        chat: Jid,
        /// The kind of change.
        change: ChatChange,
    },
    /// A chat's state from a full read of the app state; stored without events.
    PastChatChange {
        /// The changed chat.
        chat: Jid,
        /// The kind of change.
        change: ChatChange,
    },
    /// Current groups: delivered after linking, and when our account joins one.
    Groups {
        /// The groups with their members.
        groups: Vec<Group>,
        /// Whether these are all groups of the account; it has left any other group. True only while no group
        /// request is in flight.
        complete: bool,
    },
    /// A group was changed.
    GroupChanged {
        /// The changed group.
        group: Jid,
        /// The kind of change.
        change: GroupChange,
        /// The affected members with their new roles.
        participants: Vec<Participant>,
        /// The new name or description, if that changed.
        text: Option<String>,
        /// The author of the change, if the network reports it.
        author: Option<Jid>,
    },
    /// A call started or ended.
    Call {
        /// The call's id.
        call_id: String,
        /// The caller.
        from: Jid,
        /// Whether it is a video call.
        video: bool,
        /// The state of the call.
        status: CallStatus,
    },
    /// The progress of the history sync.
    HistoryProgress {
        /// Items done so far.
        done: u64,
        /// All items, if the number is available.
        total: Option<u64>,
        /// The current phase.
        phase: HistoryPhase,
    },
    /// The last round trip to the network.
    Latency {
        /// Its duration in milliseconds.
        ms: u64,
    },
}
