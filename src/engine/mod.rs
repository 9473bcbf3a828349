//! How a device reaches its network: what an engine must do, and the ports that it is given.
//!
//! An engine owns no policy: it retries nothing by itself, stores no messages and keeps no pace. Its
//! secrets and state live in the [`Vault`]; what it hears goes to [`Inbound`], which answers once the
//! news is durable, and only then may the engine acknowledge it to its network.
//!
//! A [`Driver`] exists once for each kind of engine, a [`Session`] once for each device that is connected.
//! A session has one task, [`Session::run`], which the supervisor watches: a panic there is that device's
//! failure and nobody else's.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::domain::ack::Ack;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::contact::ContactUpdate;
use crate::domain::content::Content;
use crate::domain::device::Account;
use crate::domain::event::{CallStatus, HistoryPhase, TypingKind};
use crate::domain::group::{Group, GroupChange, Participant};
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::media::{MediaHash, StoredMedia};
use crate::domain::reason::Reason;

pub mod simulator;

/// What an engine can do, as data, so that the API can answer 422 `not_supported_by_engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Links by QR code.
    pub qr: bool,
    /// Links by a code typed on the phone.
    pub pairing_code: bool,
    /// The network drops a second message with the same id, so that one of unknown outcome may be resent.
    pub deduplicates: bool,
    /// Typing indicators in both directions.
    pub typing: bool,
    /// Who is online.
    pub presence: bool,
    /// Read receipts can be sent.
    pub read_receipts: bool,
    /// Has groups.
    pub groups: bool,
    /// Carries files.
    pub media: bool,
    /// Carries places.
    pub location: bool,
    /// Carries contact cards.
    pub contacts: bool,
    /// Carries polls.
    pub polls: bool,
    /// Sent texts can be changed.
    pub edit: bool,
    /// Messages can be reacted to.
    pub react: bool,
    /// Sent messages can be taken back for everyone.
    pub revoke: bool,
    /// Has a control API for tests and demonstrations.
    pub control: bool,
}

/// One kind of engine.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Its name in a device's `engine`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether its sessions tell again and again that their network is there ([`EngineEvent::Latency`], every
    /// minute at least), so that silence means something.
    fn proves_liveness(&self) -> bool {
        true
    }

    /// Says what is wrong with a device's settings, before they are stored.
    ///
    /// # Errors
    /// A field and a sentence for the first setting that cannot be.
    fn check_settings(&self, settings: &Map<String, Value>) -> Result<(), SettingError>;

    /// Sets up a session; nothing is connected before [`Session::run`].
    ///
    /// # Errors
    /// When the settings or the vault cannot be used.
    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError>;

    /// The engine's own control API: an opaque verb and body.
    ///
    /// # Errors
    /// When the verb is unknown or the body is not what it takes.
    async fn control(
        &self,
        device: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError>;

    /// An upstream's callback for one device: headers and raw body, authenticated by its signature.
    /// Returns once what it told is durable.
    ///
    /// # Errors
    /// When this engine takes none, or the signature is wrong.
    async fn callback(
        &self,
        device: &DeviceId,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Value, ControlError>;

    /// The device is deleted: forget what is kept of it outside the vault.
    async fn forget(&self, device: &DeviceId);
}

/// A request to a driver's control API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlVerb<'a> {
    /// `GET …/{name}`.
    Get(&'a str),
    /// `POST …/{name}`.
    Post(&'a str),
    /// `DELETE …/{name}`.
    Delete(&'a str),
}

/// What a session is given.
pub struct SessionContext {
    /// Whose session this is.
    pub device: DeviceId,
    /// The device's settings.
    pub settings: Map<String, Value>,
    /// The account, when the device was linked before.
    pub account: Option<Account>,
    /// The engine's own storage for this device.
    pub vault: Arc<dyn Vault>,
    /// Where files are.
    pub media: Arc<dyn MediaStore>,
    /// Where news goes.
    pub inbound: Arc<dyn Inbound>,
    /// Cancelled when the session is to end; [`Session::run`] then returns [`Ended::Closed`].
    pub cancel: CancellationToken,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// A device's connection to its network.
#[async_trait]
pub trait Session: Send + Sync + 'static {
    /// Connects, delivers news, and returns when the session has ended, for whatever reason.
    async fn run(self: Arc<Self>) -> Ended;

    /// Hands a message to the network, under the id that it carries.
    async fn send(&self, message: Outgoing) -> SendOutcome;

    /// Tells the senders that these messages were read.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses.
    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError>;

    /// Shows or hides "typing" in a chat.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses.
    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError>;

    /// Asks the network to report when this person is online.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses.
    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError>;

    /// Asks the network something.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses.
    async fn query(&self, query: Query) -> Result<Answer, SessionError>;

    /// A code to type on the phone with this number (digits), in place of scanning one. It is valid no longer
    /// than codes to scan are shown.
    ///
    /// # Errors
    /// When no code is being offered now, or the network refuses.
    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError>;

    /// Changes something about a message that the network has. Doing it twice is the same as once.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses.
    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError>;

    /// Tells the account's other devices what was done to a chat.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses.
    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError>;

    /// Asks the network about a group, or to change it.
    ///
    /// # Errors
    /// When the session is not connected or the network refuses; [`SessionError::NotInGroup`] when that is why.
    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError>;

    /// Unlinks the device at the network and forgets the credentials.
    ///
    /// # Errors
    /// When the network could not be told; the credentials are forgotten all the same.
    async fn log_out(&self) -> Result<(), SessionError>;
}

/// A code to type on the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// The code.
    pub code: String,
    /// How long it is valid from now.
    pub valid_ms: u64,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As asked.
    Closed,
    /// All codes ran out unscanned.
    CodesExhausted,
    /// May be tried again.
    LinkLost(Reason),
    /// The network no longer knows the device; its credentials are of no use.
    LoggedOut(Reason),
    /// Must not be tried again by itself.
    Fatal(Reason),
}

/// A message for the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Its permanent id; [`MessageId::network`] is the network's id, the same at every try.
    pub id: MessageId,
    /// Where it goes.
    pub chat: Jid,
    /// The text, or the caption of a file.
    pub body: String,
    /// What it consists of besides.
    pub content: Content,
    /// The message that it answers.
    pub quoted: Option<Quoted>,
    /// Who is mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// When it was accepted here.
    pub timestamp: Millis,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: Jid,
    /// Its text.
    pub body: String,
}

/// A change to a message that the network has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// A new text; for messages of ours.
    Edit {
        /// Which.
        id: MessageId,
        /// The new text.
        body: String,
        /// When.
        at: Millis,
    },
    /// Our reaction; empty takes it back.
    React {
        /// To which.
        id: MessageId,
        /// With what.
        emoji: String,
        /// When.
        at: Millis,
    },
    /// Takes a message back for everyone; for messages of ours, and as a group's admin.
    Revoke {
        /// Which.
        id: MessageId,
    },
    /// Removes it from this account only.
    DeleteForMe {
        /// Which.
        id: MessageId,
    },
    /// Stars it, or not any more.
    Star {
        /// Which.
        id: MessageId,
        /// Whether.
        on: bool,
    },
    /// Our vote in a poll; empty takes it back.
    Vote {
        /// The poll's message.
        id: MessageId,
        /// The chosen answers.
        options: Vec<String>,
        /// When.
        at: Millis,
    },
}

/// What was done to a chat here, for the account's other devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatChange {
    /// Put away, or brought back.
    Archive(bool),
    /// Pinned to the top, or not any more.
    Pin(bool),
    /// Silenced until then (`Some(None)`: for ever), or not any more (`None`).
    Mute(Option<Option<Millis>>),
    /// Its messages were removed.
    Clear,
    /// It was removed with its messages.
    Delete,
}

/// A request about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRequest {
    /// Makes one.
    Create {
        /// Its name.
        subject: String,
        /// Who is in it besides our account.
        participants: Vec<Jid>,
    },
    /// What the network knows of one.
    Info(Jid),
    /// Changes who is in it, or what they may do.
    Participants {
        /// Which group.
        group: Jid,
        /// Add, remove, promote or demote.
        change: MembersChange,
        /// Whom.
        participants: Vec<Jid>,
    },
    /// Names it.
    Subject {
        /// Which group.
        group: Jid,
        /// Its new name.
        subject: String,
    },
    /// Describes it; empty takes the description away.
    Description {
        /// Which group.
        group: Jid,
        /// Its new description.
        description: String,
    },
    /// The address by which people come in.
    InviteLink(Jid),
    /// Makes that address void; a new one takes its place.
    RevokeInviteLink(Jid),
    /// Our account leaves. Done as well when it is not in it.
    Leave(Jid),
}

/// What is done to members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersChange {
    /// They come in.
    Add,
    /// They are removed.
    Remove,
    /// They become admins.
    Promote,
    /// They become members.
    Demote,
}

/// The answer to a [`GroupRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAnswer {
    /// The group as it now is.
    Group(Group),
    /// Who could be changed, and who not, each with why (a stable code).
    Participants(Vec<(Jid, Result<(), &'static str>)>),
    /// The invite link.
    Link(String),
    /// Done.
    Done,
}

/// What became of a message handed to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The network has it.
    Sent {
        /// In a group: who it goes to.
        participants: Vec<Jid>,
    },
    /// Not now; the same id may be tried again.
    Transient(SendError),
    /// Never.
    Permanent(SendError),
    /// The link broke, or we did, after the bytes left.
    Unknown(SendError),
}

/// Why a message was not sent: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SendError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// A question to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Whether a person is on the network.
    Exists(Jid),
    /// The address of a person's picture.
    ProfilePicture(Jid),
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Whether they are.
    Exists(bool),
    /// Where the picture is, if there is one.
    ProfilePicture(Option<String>),
}

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

/// A message from the network, in our words.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// The network's id.
    pub network_id: NetworkId,
    /// The chat it stands in.
    pub chat: Jid,
    /// Who wrote it; in a group, the member.
    pub from: Jid,
    /// Whether our account wrote it, on another device.
    pub from_me: bool,
    /// The text, or the caption of a file.
    pub body: String,
    /// What it consists of besides. A file is in the store already, by [`MediaStore::save`].
    pub content: Content,
    /// The message that it answers.
    pub quoted: Option<Quoted>,
    /// Who is mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// When, by the network's clock.
    pub timestamp: Millis,
    /// The sender's display name.
    pub notify_name: Option<String>,
}

impl Incoming {
    /// A text that somebody wrote to us.
    #[must_use]
    pub fn text(network_id: NetworkId, chat: Jid, from: Jid, body: String, timestamp: Millis) -> Self {
        Self {
            network_id,
            chat,
            from,
            from_me: false,
            body,
            content: Content::Text,
            quoted: None,
            mentions: Vec::new(),
            forwarded: false,
            timestamp,
            notify_name: None,
        }
    }
}

/// A receipt for a message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingReceipt {
    /// The chat the message stands in.
    pub chat: Jid,
    /// The network's id of the message.
    pub network_id: NetworkId,
    /// How far it is.
    pub ack: Ack,
    /// Whose receipt, in a group.
    pub participant: Option<Jid>,
    /// When.
    pub timestamp: Millis,
    /// Why it failed, with [`Ack::Error`].
    pub error: Option<SendError>,
}

/// Where an engine hands over what it hears.
#[async_trait]
pub trait Inbound: Send + Sync {
    /// Returns once the event is durable (or, for what no log keeps, passed on). Calling it again with the
    /// same event is safe.
    ///
    /// # Errors
    /// When it could not be stored: the engine must not acknowledge it, and should end the session.
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError>;
}

/// Why news could not be taken in.
#[derive(Debug, Error)]
pub enum InboundError {
    /// The store did not take it.
    #[error("could not store what the network told")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The device is stopping or gone.
    #[error("the device is not running any more")]
    Gone,
}

/// A file's bytes, piece by piece.
pub type ByteStream = futures_util::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>;

/// The files of messages, shared by all devices. An engine saves what comes in before it delivers the
/// message, and opens what is to go out.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Takes in a file, never whole in memory. What is saved and belongs to no message is removed again
    /// after some time.
    ///
    /// # Errors
    /// When it is too large, breaks off, or cannot be stored.
    async fn save(&self, bytes: ByteStream) -> Result<StoredMedia, MediaStoreError>;

    /// Opens a file.
    ///
    /// # Errors
    /// When it is not there any more, or cannot be read.
    async fn open(&self, hash: &MediaHash) -> Result<ByteStream, MediaStoreError>;
}

/// A file could not be taken in or read.
#[derive(Debug, Error)]
pub enum MediaStoreError {
    /// Larger than may be.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// Not there (any more).
    #[error("the file is not in the store any more")]
    Gone,
    /// The bytes broke off before the end.
    #[error("the file broke off")]
    Incomplete(#[source] std::io::Error),
    /// The store failed.
    #[error("the media store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An engine's own storage for one device: bytes under `(space, key)`, durable when a call returns.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads one value.
    ///
    /// # Errors
    /// When the store fails.
    async fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError>;

    /// Writes a value, or removes it with `None`.
    ///
    /// # Errors
    /// When the store fails.
    async fn put(&self, space: &str, key: &str, value: Option<Vec<u8>>) -> Result<(), VaultError>;
}

/// The vault could not be read or written.
#[derive(Debug, Error)]
#[error("the vault failed")]
pub struct VaultError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A device's setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct SettingError {
    /// Its path, such as `settings.simulator.ackServerMs`.
    pub field: String,
    /// What is wrong and what is right.
    pub message: String,
}

/// A session could not be set up.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A setting cannot be.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Anything of the engine's own.
    #[error("the engine could not be set up")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A request to a session could not be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// Not connected.
    #[error("the device is not connected to its network")]
    Offline,
    /// This engine cannot.
    #[error("this device's engine does not support that")]
    NotSupported,
    /// The network refused.
    #[error("the network refused: {0}")]
    Refused(String),
    /// The account is not in that group, or there is none.
    #[error("the network refused: the account is not in this group")]
    NotInGroup,
}

/// A control request could not be served.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// This engine has no such thing, or is disabled.
    #[error("there is no such call")]
    NotFound,
    /// The body is not what the call takes.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong and what is right.
        message: String,
    },
    /// Understood, but impossible now.
    #[error("{message}")]
    Impossible {
        /// Stable, snake_case.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// A later version will do it.
    #[error("{0} is not built yet")]
    NotBuilt(&'static str),
    /// The signature is missing or wrong.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// The engine's own storage failed.
    #[error("the engine could not store it")]
    Storage,
}
