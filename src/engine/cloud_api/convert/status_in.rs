//! What became of messages of ours, as Meta tells it.

use serde_json::Value;

use crate::engine::relay::lenient;
use super::wire::Status;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::engine::IncomingReceipt;
use crate::engine::cloud_api::aliases::Aliases;
use crate::engine::cloud_api::errors;

/// How far ahead of our clock a time may be.
const MOST_AHEAD_MS: i64 = 86_400_000;

/// The message of ours that a status is about: by what went along with it, else by Meta's name.
pub(in crate::engine::cloud_api) fn about(status: &Status, aliases: &Aliases) -> Option<MessageId> {
    let along = status.biz_opaque_callback_data.as_deref().and_then(|text| text.parse::<MessageId>().ok());
    along.filter(|id| id.from_me).or_else(|| aliases.get(&status.id).cloned())
}

/// The receipt that a status is; `None` where it says nothing of how far the message is.
pub(in crate::engine::cloud_api) fn receipt(
    status: &Status,
    id: MessageId,
    now: Millis,
) -> Option<IncomingReceipt> {
    let ack = match status.status.as_str() {
        "sent" => Ack::Server,
        "delivered" => Ack::Device,
        "read" => Ack::Read,
        "played" => Ack::Played,
        "failed" => Ack::Error,
        _ => return None,
    };
    let error = (ack == Ack::Error).then(|| errors::of_status(status.code()));
    let timestamp = time(status.timestamp.as_ref(), now);
    let MessageId { chat, network, .. } = id;
    Some(IncomingReceipt { chat, network_id: network, ack, participant: None, timestamp, error })
}

/// Seconds, as a text or a number: no time of Meta's is far ahead of ours. Without one it is now.
pub(in crate::engine::cloud_api) fn time(value: Option<&Value>, now: Millis) -> Millis {
    let millis = value.and_then(lenient::as_number).and_then(|seconds| seconds.checked_mul(1_000));
    millis.map_or(now, |at| Millis(at).min(now.plus(MOST_AHEAD_MS)))
}
