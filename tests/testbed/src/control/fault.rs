//! Arms the faults that a test requests.
//!
//! In addition to the simulator's kinds: `replace_stream` (the device has connected elsewhere),
//! `client_outdated`, `unavailable` (for `count` logins), `slow_link` (`durationMs` before each stanza),
//! `phones_offline` (the phones of others, for `durationMs`), `heal` (ends all faults). A temporary ban takes
//! its code from `count`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::fields::Fields;
use super::{Answer, Call, Refusal};
use crate::server::message_faults::{FaultEffect, MessageFault, MessageFaultKind};

const MAX_COUNT: u64 = 1_000_000;
const MAX_DELAY_MS: u64 = 86_400_000;
/// Defaults for the length of a stall and the delay of a slow send.
const DEFAULT_STALL_MS: u64 = 60_000;
const DEFAULT_SLOW_MS: u64 = 1_000;
/// Defaults for the length and reason of a temporary ban.
const DEFAULT_BAN_MS: u64 = 3_600_000;
const BAN_CODE: u16 = 101;

/// The default delay of a slow link.
const DEFAULT_SLOW_LINK_MS: u64 = 200;
/// The default time that phones are offline.
const DEFAULT_AWAY_MS: u64 = 5_000;

const KINDS: [&str; 19] = [
    "drop_link",
    "refuse_connect",
    "log_out",
    "ban",
    "send_transient",
    "send_permanent",
    "send_unknown",
    "slow_send",
    "duplicate_incoming",
    "reorder_receipts",
    "stall",
    "panic",
    "garble_incoming",
    "heal",
    "replace_stream",
    "client_outdated",
    "unavailable",
    "slow_link",
    "phones_offline",
];

impl Call {
    /// Arms a fault; see the module.
    pub(super) async fn fault(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["kind", "count", "durationMs", "value"])?;
        let kind = fields.required("kind", fields.word("kind", &KINDS)?)?;
        let count = fields.integer("count", 0..=MAX_COUNT)?;
        let duration = fields.integer("durationMs", 0..=MAX_DELAY_MS)?.map(Duration::from_millis);
        if let Some(message) = message_fault_kind(kind) {
            self.account.lock().message_faults.arm(message_fault(message, &fields, count, duration)?);
            return Ok(json!({ "kind": kind }));
        }
        let account = &self.account;
        let word = |word: &str| match fields.value("value") {
            None => Ok(false),
            Some(Value::String(text)) if text == word => Ok(true),
            Some(_) => Err(fields.wrong("value", format!("must be \"{word}\" or absent"))),
        };
        let times = u32::try_from(count.unwrap_or(1)).unwrap_or(u32::MAX);
        match kind {
            "drop_link" => account.drop_links(),
            "refuse_connect" => match duration {
                Some(duration) => account.refuse_connections_for(duration),
                None => account.refuse_connections(times),
            },
            "replace_stream" => account.replace_streams().await,
            "client_outdated" => account.client_outdated(true),
            "unavailable" => account.unavailable(times).await,
            "slow_link" => {
                account.slow_link(duration.unwrap_or(Duration::from_millis(DEFAULT_SLOW_LINK_MS)));
            }
            "phones_offline" => {
                account.phones_offline(duration.unwrap_or(Duration::from_millis(DEFAULT_AWAY_MS)));
            }
            "log_out" => {
                self.linked()?;
                account.unlink_all().await;
            }
            "ban" => {
                self.linked()?;
                if word("temporary")? {
                    let code = count.and_then(|code| u16::try_from(code).ok()).unwrap_or(BAN_CODE);
                    account.ban_temporarily(code, duration.unwrap_or(Duration::from_millis(DEFAULT_BAN_MS)));
                } else {
                    account.ban();
                }
            }
            "stall" if count == Some(0) => account.stall(Duration::ZERO),
            "stall" => account.stall(duration.unwrap_or(Duration::from_millis(DEFAULT_STALL_MS))),
            "heal" => account.clear_faults(),
            _ => return Err(fields.wrong("kind", "is a fault of the daemon, not of the network")),
        }
        Ok(json!({ "kind": kind }))
    }
}

fn message_fault_kind(kind: &str) -> Option<MessageFaultKind> {
    Some(match kind {
        "send_transient" => MessageFaultKind::SendTransient,
        "send_permanent" => MessageFaultKind::SendPermanent,
        "send_unknown" => MessageFaultKind::SendUnknown,
        "slow_send" => MessageFaultKind::SlowSend,
        "duplicate_incoming" => MessageFaultKind::DuplicateIncoming,
        "reorder_receipts" => MessageFaultKind::ReorderReceipts,
        "garble_incoming" => MessageFaultKind::GarbleIncoming,
        _ => return None,
    })
}

/// Triggers once if there is neither `count` nor `durationMs`.
fn message_fault(
    kind: MessageFaultKind,
    fields: &Fields<'_>,
    count: Option<u64>,
    duration: Option<Duration>,
) -> Result<MessageFault, Refusal> {
    let effect = match (kind, fields.value("value")) {
        (MessageFaultKind::SlowSend, _) => {
            let given = fields.integer("value", 0..=MAX_DELAY_MS)?.map(Duration::from_millis);
            FaultEffect::Delay(given.or(duration).unwrap_or(Duration::from_millis(DEFAULT_SLOW_MS)))
        }
        (_, None) => FaultEffect::Usual,
        (MessageFaultKind::SendUnknown, Some(Value::String(word))) if word == "lost" => FaultEffect::Lost,
        (MessageFaultKind::SendTransient | MessageFaultKind::SendPermanent, Some(_)) => {
            let code = fields.integer("value", 400..=599)?.and_then(|code| u16::try_from(code).ok());
            code.map_or(FaultEffect::Usual, FaultEffect::Code)
        }
        (MessageFaultKind::SendUnknown, Some(_)) => {
            return Err(fields.wrong("value", "must be \"lost\" or absent"));
        }
        (_, Some(_)) => return Err(fields.wrong("value", "is not allowed for this kind")),
    };
    // Without `value`, `durationMs` is the delay of a slow send.
    let lasts =
        if kind == MessageFaultKind::SlowSend && fields.value("value").is_none() { None } else { duration };
    let left = if lasts.is_some() { count } else { Some(count.unwrap_or(1)) };
    Ok(MessageFault { kind, effect, left, until: lasts.map(|lasts| Instant::now() + lasts) })
}
