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
use tokio_util::sync::CancellationToken;

use crate::domain::clock::{Clock, Random};
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;

mod callback;
pub mod cloud_api;
mod error;
mod event;
mod group;
mod message;
mod people;
mod ports;
pub mod simulator;
pub mod upstream;
pub mod waha;
#[cfg(feature = "whatsapp")]
pub mod whatsapp;
pub mod wwebjs;

pub use self::callback::{Callback, CallbackAnswer, CallbackError, CallbackMethod};
pub use self::error::{ControlError, OpenError, SessionError, SettingError};
pub use self::event::EngineEvent;
pub use self::group::{GroupAnswer, GroupRequest, MembersChange};
pub use self::message::{
    ChatChange, Incoming, IncomingReceipt, MessageChange, Outgoing, Quoted, SendError, SendOutcome,
};
pub use self::ports::{
    ByteStream, Inbound, InboundError, MediaStore, MediaStoreError, Vault, VaultError, VaultUpdate, VaultView,
};

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
    /// Carries templates.
    pub templates: bool,
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

    /// Whether a session that does not run can unlink its device all the same: where somebody else holds the link, a
    /// device at rest is linked there still. A session is then opened, never run, and asked to log out.
    fn unlinks_at_rest(&self) -> bool {
        false
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

    /// Serves a request of the engine's own control API, where it has one. No session needs to be open.
    ///
    /// # Errors
    /// When the verb is unknown, the body is invalid or the request is impossible now.
    async fn control(
        &self,
        _context: ControlContext,
        _verb: ControlVerb<'_>,
        _body: Value,
    ) -> Result<Value, ControlError> {
        Err(ControlError::NotFound)
    }

    /// The header, in lower case, that carries the signature of an upstream's callbacks; none where this engine
    /// takes none. Nothing of a callback is read that has none.
    fn callback_signature(&self) -> Option<&'static str> {
        None
    }

    /// An upstream's callback for one device, authenticated by its signature. Returns once what it told is durable.
    ///
    /// # Errors
    /// When this engine takes none, the signature is wrong, or it has to be tried again later.
    async fn callback(
        &self,
        _device: &DeviceId,
        _settings: &Map<String, Value>,
        _callback: Callback<'_>,
    ) -> Result<CallbackAnswer, CallbackError> {
        Err(CallbackError::NotTaken)
    }

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

/// The device that a control request addresses, with its ports.
pub struct ControlContext {
    /// The device.
    pub device: DeviceId,
    /// The engine's own storage for this device.
    pub vault: Arc<dyn Vault>,
    /// The store of message files.
    pub media: Arc<dyn MediaStore>,
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
    async fn run(self: Arc<Self>) -> SessionEnd;

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

    /// Unlinks the device at the network and forgets the credentials. Asked of a session that never ran too, where the
    /// driver says so ([`Driver::unlinks_at_rest`]).
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
pub enum SessionEnd {
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

#[cfg(test)]
pub(crate) use self::memory_vault::MemoryVault;
#[cfg(test)]
mod memory_vault;
