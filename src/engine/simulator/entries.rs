//! The lines of the journal. Their wire form is kept: what an older version wrote is still read.

use serde::{Deserialize, Serialize};

use super::changes::SimulatedChange;
use super::content::MessageParts;
use super::letter::Written;
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::event::TypingKind;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;

/// What the network saw. The wire form is the journal's line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Entry<'a> {
    /// Somebody wrote to the device; it will be told until it acknowledges.
    Incoming(&'a Written),
    /// The device acknowledged an incoming message.
    Acknowledged(&'a Acknowledgement),
    /// A copy of a message from the device arrived.
    Sent(&'a Copy),
    /// The device typed, or stopped.
    Typing(&'a Typed),
    /// The device told that it read messages.
    Read(&'a Seen),
    /// The device changed a message or a chat.
    Change(&'a Changed),
    /// The phone linked the device.
    Linked(&'a Account),
    /// The phone no longer knows the device.
    Unlinked,
    /// What was seen of the device before is to be forgotten.
    Forgotten(&'a Forgetting),
}

/// That a message was acknowledged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Acknowledgement {
    pub(super) no: u64,
    pub(super) network_id: NetworkId,
}

/// One copy of a message from the device.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copy {
    pub(super) network_id: NetworkId,
    pub(super) to: Jid,
    pub(super) body: String,
    pub(super) at: Millis,
    #[serde(flatten)]
    pub(super) rich: MessageParts,
}

/// A typing indicator from the device.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Typed {
    pub(super) chat: Jid,
    // `kind` is the line's own.
    #[serde(rename = "typing")]
    pub(super) what: TypingKind,
    pub(super) on: bool,
    pub(super) at: Millis,
}

/// A read receipt from the device.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    pub(super) chat: Jid,
    pub(super) message_ids: Vec<MessageId>,
    pub(super) at: Millis,
}

/// A change to a message or a chat, as the device told it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Changed {
    pub(super) change: SimulatedChange,
    pub(super) at: Millis,
}

/// How much is forgotten.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forgetting {
    /// Also what waits to be delivered, and that there is a link: the device was deleted.
    pub(super) everything: bool,
}
