//! What an engine tells.

use super::{ChatChange, Incoming, IncomingChange, IncomingReceipt};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::device::Account;
use crate::domain::event::{CallStatus, HistoryPhase, TypingKind};
use crate::domain::group::{Group, GroupChange, Participant};
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;

/// What an engine tells.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// A code to scan, valid for so many milliseconds.
    Code {
        /// The raw string.
        code: String,
        /// How long a phone accepts it.
        valid_ms: i64,
    },
    /// A phone accepted the link.
    Scanned(Account),
    /// The session can send and receive.
    Opened(Account),
    /// A message came in, or was sent from another linked device.
    Message(Box<Incoming>),
    /// History that was there before the link: stored, told to nobody.
    History(Vec<Incoming>),
    /// What happened to messages of the history, each as the event of its kind: stored, told to nobody.
    PastChanges(Vec<IncomingChange>),
    /// A receipt for a message of ours.
    Receipt(IncomingReceipt),
    /// Messages were read on another device of this account.
    ReadElsewhere {
        /// The chat.
        chat: Jid,
        /// Which; all up to now, when empty.
        messages: Vec<NetworkId>,
    },
    /// Somebody types, or stopped.
    Typing {
        /// Where.
        chat: Jid,
        /// Who.
        from: Jid,
        /// Text or voice.
        kind: TypingKind,
        /// Whether it began or ended.
        on: bool,
    },
    /// Somebody is online, or went.
    Presence {
        /// Who.
        contact: Jid,
        /// Whether they are online.
        online: bool,
        /// When they were last.
        last_seen: Option<Millis>,
    },
    /// What the network knows of people.
    Contacts(Vec<ContactUpdate>),
    /// A chat's name, of a group usually.
    ChatName {
        /// The chat.
        chat: Jid,
        /// Its name.
        name: String,
    },
    /// A change to a message, made by another person or on another device of this account.
    MessageChange(IncomingChange),
    /// Something was done to a chat on another device of this account.
    Chat {
        /// Which.
        chat: Jid,
        /// What.
        change: ChatChange,
    },
    /// Groups as they are: told after linking, and when our account comes into one.
    Groups {
        /// With who is in them.
        groups: Vec<Group>,
        /// Whether these are all that the account is in: of what is known besides, it is out. Told only while
        /// no request about groups can be under way.
        complete: bool,
    },
    /// A group changed.
    GroupChanged {
        /// Which.
        group: Jid,
        /// What changed.
        change: GroupChange,
        /// Whom it is about, with what they now may do.
        participants: Vec<Participant>,
        /// The new name or description, where that changed.
        text: Option<String>,
        /// Who changed it.
        author: Option<Jid>,
    },
    /// Somebody calls, or it ended.
    Call {
        /// Names the call.
        call_id: String,
        /// Who calls.
        from: Jid,
        /// Whether it is a video call.
        video: bool,
        /// Where it is.
        status: CallStatus,
    },
    /// How far the first synchronisation is.
    HistoryProgress {
        /// So far.
        done: u64,
        /// In all, where that is known.
        total: Option<u64>,
        /// What.
        phase: HistoryPhase,
    },
    /// The round trip to the network, as last measured.
    Latency {
        /// In milliseconds.
        ms: u64,
    },
}
