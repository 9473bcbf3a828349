//! What an engine tells.

use super::{ChatChange, Incoming, IncomingReceipt};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::device::Account;
use crate::domain::event::{CallStatus, HistoryPhase, TypingKind};
use crate::domain::group::{Group, GroupChange, Participant};
use crate::domain::ids::{MessageId, NetworkId};
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
    PastChanges(Vec<EngineEvent>),
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
    /// Somebody reacted; empty: took it back.
    Reaction {
        /// To which message.
        id: MessageId,
        /// Who.
        from: Jid,
        /// Whether that is our account, on another device.
        from_me: bool,
        /// With what.
        emoji: String,
        /// When.
        at: Millis,
    },
    /// Somebody voted in a poll; none: took it back.
    Vote {
        /// The poll's message.
        id: MessageId,
        /// Who.
        voter: Jid,
        /// For which answers.
        options: Vec<String>,
        /// When.
        at: Millis,
    },
    /// A sender changed the text of a message.
    Edited {
        /// Which.
        id: MessageId,
        /// The new text.
        body: String,
        /// When.
        at: Millis,
    },
    /// A message was taken back for everyone.
    Revoked {
        /// Which.
        id: MessageId,
    },
    /// A message was starred, or not any more, on another device of this account.
    Starred {
        /// Which.
        id: MessageId,
        /// Whether.
        on: bool,
    },
    /// A message was removed from this account, on another device.
    DeletedForMe {
        /// Which.
        id: MessageId,
    },
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
