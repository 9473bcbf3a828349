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
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
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

    /// Unlinks the device at the network and forgets the credentials.
    ///
    /// # Errors
    /// When the network could not be told; the credentials are forgotten all the same.
    async fn log_out(&self) -> Result<(), SessionError>;
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

/// A message for the network. Text, until media come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its permanent id; [`MessageId::network`] is the network's id, the same at every try.
    pub id: MessageId,
    /// Where it goes.
    pub chat: Jid,
    /// The text.
    pub body: String,
    /// When it was accepted here.
    pub timestamp: Millis,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    Message(Incoming),
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
    /// The round trip to the network, as last measured.
    Latency {
        /// In milliseconds.
        ms: u64,
    },
}

/// A message from the network, in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The network's id.
    pub network_id: NetworkId,
    /// The chat it stands in.
    pub chat: Jid,
    /// Who wrote it; in a group, the member.
    pub from: Jid,
    /// Whether our account wrote it, on another device.
    pub from_me: bool,
    /// The text.
    pub body: String,
    /// When, by the network's clock.
    pub timestamp: Millis,
    /// The sender's display name.
    pub notify_name: Option<String>,
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
