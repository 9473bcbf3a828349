//! Converts the statuses of our messages.

use serde_json::Value;

use super::ids::MessageAliases;
use super::wire::Status;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::engine::IncomingReceipt;
use crate::engine::cloud_api::errors;
use crate::engine::relay::lenient;

/// How far ahead of our clock a time may be.
const MAX_AHEAD_MS: i64 = 86_400_000;

/// The message that a status is about: by our id in its callback data, else by Meta's id.
pub(in super::super) fn message_id(status: &Status, aliases: &MessageAliases) -> Option<MessageId> {
    let callback_data =
        status.biz_opaque_callback_data.as_deref().and_then(|text| text.parse::<MessageId>().ok());
    callback_data.filter(|id| id.from_me).or_else(|| aliases.get(&status.id).cloned())
}

/// Converts a status to a receipt; `None` where the status is unknown.
pub(in super::super) fn receipt(status: &Status, id: MessageId, now: Millis) -> Option<IncomingReceipt> {
    let ack = match status.status.as_str() {
        "sent" => Ack::Server,
        "delivered" => Ack::Device,
        "read" => Ack::Read,
        "played" => Ack::Played,
        "failed" => Ack::Error,
        _ => return None,
    };
    let error = (ack == Ack::Error).then(|| errors::of_failed_status(status.code()));
    let timestamp = time(status.timestamp.as_ref(), now);
    let MessageId { chat, network, .. } = id;
    Some(IncomingReceipt { chat, network_id: network, ack, participant: None, timestamp, error })
}

/// Reads seconds, as a text or a number; now where there are none. Times far ahead of our clock are cut.
pub(in super::super) fn time(value: Option<&Value>, now: Millis) -> Millis {
    let millis = value.and_then(lenient::as_number).and_then(|seconds| seconds.checked_mul(1_000));
    millis.map_or(now, |at| Millis(at).min(now.plus(MAX_AHEAD_MS)))
}
