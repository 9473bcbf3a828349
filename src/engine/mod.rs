//! Engines: the traits that connect a device to its network, and the ports that an engine is given.
//!
//! An engine owns no policy: it does not resend, store messages or pace. Its secrets and state are in the
//! [`Vault`]. It delivers events to [`Inbound`], which answers once they are durable; only then may the
//! engine acknowledge them to its network.
//!
//! A [`Driver`] exists once for each kind of engine, a [`Session`] once for each connected device. A session
//! has one task, [`Session::run`], which the supervisor watches: a panic there fails only that device.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::{Clock, Random};
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::passkey::PasskeyAssertion;
use crate::domain::reason::Reason;

mod callback;
pub mod cloud_api;
mod error;
mod event;
mod group;
mod message;
mod person_refs;
mod ports;
pub mod relay;
pub mod remote;
pub mod simulator;
pub mod waha;
#[cfg(feature = "whatsapp")]
pub mod whatsapp;

pub use self::callback::{Callback, CallbackAnswer, CallbackError, CallbackMethod};
pub use self::error::{ControlError, MediaFetchError, OpenError, SessionError, SettingError};
pub use self::event::EngineEvent;
pub use self::group::{GroupAnswer, GroupRequest, MembersChange};
pub use self::message::{
    ChatChange, EditContext, Incoming, IncomingChange, IncomingReceipt, MessageChange, Outgoing, Quoted,
    SendError, SendOutcome,
};
pub use self::ports::{
    ByteStream, Inbound, InboundError, MediaStore, MediaStoreError, Vault, VaultError, VaultUpdate, VaultView,
};

/// The features that an engine supports, as data, so that the API can answer 422 `not_supported_by_engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Links by QR code.
    pub qr: bool,
    /// Links by a pairing code.
    pub pairing_code: bool,
    /// Links accounts whose network asks for a passkey.
    pub passkey: bool,
    /// The network drops a second message with the same id, so that one of unknown outcome can be resent.
    pub deduplicates: bool,
    /// Typing indicators in both directions.
    pub typing: bool,
    /// Presence of contacts.
    pub presence: bool,
    /// Read receipts can be sent.
    pub read_receipts: bool,
    /// Group requests and group events.
    pub groups: bool,
    /// Attachments in both directions.
    pub media: bool,
    /// Locations in both directions.
    pub location: bool,
    /// Contact cards in both directions.
    pub contacts: bool,
    /// Polls and votes.
    pub polls: bool,
    /// Messages from approved templates.
    pub templates: bool,
    /// Edits of sent texts.
    pub edit: bool,
    /// Reactions to messages.
    pub react: bool,
    /// Revoking sent messages for everyone.
    pub revoke: bool,
    /// Has a control API for tests and demonstrations.
    pub control: bool,
}

/// One kind of engine.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The name in a device's `engine`.
    fn name(&self) -> &'static str;

    /// The features that the engine supports.
    fn capabilities(&self) -> Capabilities;

    /// Whether sessions report at least each minute that their network responds ([`EngineEvent::Latency`]),
    /// so that silence is a fault.
    fn proves_liveness(&self) -> bool {
        true
    }

    /// Whether a device can be unlinked while its session does not run, because the upstream holds the link.
    /// A session is then opened and asked to log out without running.
    fn unlinks_at_rest(&self) -> bool {
        false
    }

    /// Whether sessions can fetch a file that did not arrive with its message ([`Session::fetch_media`]).
    fn fetches_media(&self) -> bool {
        false
    }

    /// Validates a device's settings before they are stored.
    ///
    /// # Errors
    /// Field and sentence of the first invalid setting.
    fn check_settings(&self, settings: &Map<String, Value>) -> Result<(), SettingError>;

    /// Creates a session; nothing is connected before [`Session::run`].
    ///
    /// # Errors
    /// If the settings or the vault cannot be used.
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

    /// The lower-case header with the signature of an upstream's callbacks; `None` if the engine has no
    /// callbacks. A callback without this header is not read.
    fn callback_signature(&self) -> Option<&'static str> {
        None
    }

    /// Handles an upstream's callback for one device, after checking its signature. Returns once its content
    /// is durable.
    ///
    /// # Errors
    /// If the engine has no callbacks, the signature is wrong, or the callback must be repeated later.
    async fn callback(
        &self,
        _device: &DeviceId,
        _settings: &Map<String, Value>,
        _callback: Callback<'_>,
    ) -> Result<CallbackAnswer, CallbackError> {
        Err(CallbackError::NotTaken)
    }

    /// Removes the state of a deleted device outside the vault.
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

/// The dependencies of a session.
pub struct SessionContext {
    /// The session's device.
    pub device: DeviceId,
    /// The device's settings.
    pub settings: Map<String, Value>,
    /// The account, if the device is linked.
    pub account: Option<Account>,
    /// The engine's own storage for this device.
    pub vault: Arc<dyn Vault>,
    /// The store of attachments.
    pub media: Arc<dyn MediaStore>,
    /// The receiver of events.
    pub inbound: Arc<dyn Inbound>,
    /// Cancelled to end the session; [`Session::run`] then returns [`SessionEnd::Closed`].
    pub cancel: CancellationToken,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
}

/// A device's connection to its network.
#[async_trait]
pub trait Session: Send + Sync + 'static {
    /// Connects, delivers events, and returns when the session has ended.
    async fn run(self: Arc<Self>) -> SessionEnd;

    /// Sends a message under the network id that it carries.
    async fn send(&self, message: Outgoing) -> SendOutcome;

    /// Whether a message of unknown outcome may be sent again under its id, where the engine
    /// deduplicates in general.
    async fn may_resend(&self, _message: &NetworkId) -> bool {
        true
    }

    /// Sends read receipts.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses.
    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError>;

    /// Shows or hides the typing indicator in a chat.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses.
    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError>;

    /// An operator uses the device now. Engines that declare the account's own presence show it as available
    /// for a while.
    fn operator_active(&self) {}

    /// Fetches the file of a message that was delivered without it, and delivers it
    /// ([`EngineEvent::MediaFetched`]). Engines that cannot finish at once go on in the background.
    ///
    /// # Errors
    /// If the file was not fetched.
    async fn fetch_media(&self, _message: &MessageId) -> Result<(), MediaFetchError> {
        Err(MediaFetchError::NotSupported)
    }

    /// Subscribes to a contact's presence.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses.
    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError>;

    /// Queries the network.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses.
    async fn query(&self, query: Query) -> Result<Answer, SessionError>;

    /// Requests a code to type on the phone with this number (digits). It expires with the QR codes
    /// at the latest.
    ///
    /// # Errors
    /// If the device is not linking now, or the network refuses.
    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError>;

    /// Sends the signature of a passkey that [`EngineEvent::PasskeyRequested`] asked for. A signature that the
    /// network rejects ends the session.
    ///
    /// # Errors
    /// If no signature is pending, or the network refuses.
    async fn answer_passkey(&self, _assertion: PasskeyAssertion) -> Result<(), SessionError> {
        Err(SessionError::NotSupported)
    }

    /// Confirms that the phone shows the code of [`EngineEvent::PasskeySigned`].
    ///
    /// # Errors
    /// If no confirmation is pending, or the network refuses.
    async fn confirm_passkey(&self) -> Result<(), SessionError> {
        Err(SessionError::NotSupported)
    }

    /// Changes a message at the network; idempotent.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses.
    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError>;

    /// Applies a change of a chat to the account's other devices.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses.
    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError>;

    /// Queries or changes a group.
    ///
    /// # Errors
    /// If the session is not connected or the network refuses; [`SessionError::NotInGroup`] if the account is
    /// not a member.
    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError>;

    /// Unlinks the device at the network and removes the credentials. Also called on a session that never
    /// ran, if [`Driver::unlinks_at_rest`] is true.
    ///
    /// # Errors
    /// If the network could not be reached; the credentials are removed nevertheless.
    async fn log_out(&self) -> Result<(), SessionError>;
}

/// A code to type on the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// The code as the phone expects it.
    pub code: String,
    /// How long it is valid from now, in milliseconds.
    pub valid_ms: u64,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// It was closed by the supervisor.
    Closed,
    /// All QR codes expired without a scan.
    CodesExhausted,
    /// The link by passkey ended without success.
    PasskeyEnded(Reason),
    /// The connection was lost; retry.
    LinkLost(Reason),
    /// The device was unlinked; its credentials are useless.
    LoggedOut(Reason),
    /// It must not be retried automatically.
    Fatal(Reason),
}

/// A query to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Whether a person is on the network.
    Exists(Jid),
    /// The URL of a person's picture.
    ProfilePicture(Jid),
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Whether the person is on the network.
    Exists(bool),
    /// The URL, if there is a picture.
    ProfilePicture(Option<String>),
}

#[cfg(test)]
pub(crate) use self::memory_vault::MemoryVault;
#[cfg(test)]
mod memory_vault;
