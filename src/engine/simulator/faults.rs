//! Faults that a test arms: their kind, count and duration.
//!
//! A fault belongs to the device and outlives a session. At most one of each kind is armed; arming it again
//! replaces it, and a `count` of 0 disarms it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::fields::Fields;
use super::settings::MAX_DELAY_MS;
use crate::engine::SettingError;

const MAX_COUNT: u64 = 1_000_000;
/// The default duration of a stall and of the delay of a slow send.
const DEFAULT_STALL_MS: u64 = 60_000;
const DEFAULT_SLOW_MS: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    DropLink,
    RefuseConnect,
    LogOut,
    Ban,
    RejectPasskey,
    SendTransient,
    SendPermanent,
    SendUnknown,
    SlowSend,
    DuplicateIncoming,
    ReorderReceipts,
    Stall,
    Panic,
}

impl FaultKind {
    const ALL: [(Self, &'static str); 13] = [
        (Self::DropLink, "drop_link"),
        (Self::RefuseConnect, "refuse_connect"),
        (Self::LogOut, "log_out"),
        (Self::Ban, "ban"),
        (Self::RejectPasskey, "reject_passkey"),
        (Self::SendTransient, "send_transient"),
        (Self::SendPermanent, "send_permanent"),
        (Self::SendUnknown, "send_unknown"),
        (Self::SlowSend, "slow_send"),
        (Self::DuplicateIncoming, "duplicate_incoming"),
        (Self::ReorderReceipts, "reorder_receipts"),
        (Self::Stall, "stall"),
        (Self::Panic, "panic"),
    ];

    /// The name on the wire.
    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    fn parse(fields: &Fields<'_>) -> Result<Self, SettingError> {
        let word = fields.required("kind", fields.text("kind", 64)?)?;
        let found = Self::ALL.iter().find(|(_, name)| *name == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(_, word)| *word).collect();
            fields.wrong("kind", format!("must be one of {}", words.join(", ")))
        })
    }
}

/// The variant of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultMode {
    /// The only variant of its kind, or the default one.
    Usual,
    /// `ban` with `value: "temporary"`.
    Temporary,
    /// `send_unknown` with `value: "lost"`: the copy never arrives.
    Lost,
    /// `slow_send` delays a send by this time.
    Delay(Duration),
}

/// A requested fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) mode: FaultMode,
    /// How often it still applies; `None` is unlimited.
    pub(super) left: Option<u64>,
    /// The moment from which it no longer applies.
    pub(super) until: Option<Instant>,
}

impl Fault {
    /// Reads `{ kind, count?, durationMs?, value? }`.
    ///
    /// Without `count` and `durationMs` a fault applies once.
    pub(super) fn parse(fields: &Fields<'_>, now: Instant) -> Result<Self, SettingError> {
        let kind = FaultKind::parse(fields)?;
        let count = fields.integer("count", 0..=MAX_COUNT)?;
        let duration = fields.integer("durationMs", 0..=MAX_DELAY_MS)?;
        let mode = mode(kind, fields, duration)?;
        let lasts = match kind {
            FaultKind::Stall => Some(duration.unwrap_or(DEFAULT_STALL_MS)),
            // Without a `value` the duration is the delay.
            FaultKind::SlowSend if fields.value("value").is_none() => None,
            _ => duration,
        };
        let left = if lasts.is_some() { count } else { Some(count.unwrap_or(1)) };
        let until = lasts.map(|ms| now + Duration::from_millis(ms));
        Ok(Self { kind, mode, left, until })
    }

    fn is_over(&self, now: Instant) -> bool {
        self.left == Some(0) || self.until.is_some_and(|until| until <= now)
    }
}

fn mode(kind: FaultKind, fields: &Fields<'_>, duration: Option<u64>) -> Result<FaultMode, SettingError> {
    let word = |word: &str, mode: FaultMode| match fields.value("value") {
        None => Ok(FaultMode::Usual),
        Some(Value::String(text)) if text == word => Ok(mode),
        Some(_) => Err(fields.wrong("value", format!("must be \"{word}\" or absent"))),
    };
    match kind {
        FaultKind::Ban => word("temporary", FaultMode::Temporary),
        FaultKind::SendUnknown => word("lost", FaultMode::Lost),
        FaultKind::SlowSend => {
            let ms = fields.integer("value", 0..=MAX_DELAY_MS)?.or(duration).unwrap_or(DEFAULT_SLOW_MS);
            Ok(FaultMode::Delay(Duration::from_millis(ms)))
        }
        _ if fields.value("value").is_some() => {
            Err(fields.wrong("value", format!("is not for {}", kind.as_str())))
        }
        _ => Ok(FaultMode::Usual),
    }
}

/// The armed faults of one device.
#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: Vec<Fault>,
}

impl Faults {
    /// Arms a fault; an earlier one of its kind is replaced.
    pub(super) fn arm(&mut self, fault: Fault, now: Instant) {
        self.armed.retain(|armed| armed.kind != fault.kind);
        if !fault.is_over(now) {
            self.armed.push(fault);
        }
    }

    /// Applies a fault once, if it is armed.
    pub(super) fn take(&mut self, kind: FaultKind, now: Instant) -> Option<FaultMode> {
        self.armed.retain(|fault| !fault.is_over(now));
        let fault = self.armed.iter_mut().find(|fault| fault.kind == kind)?;
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        Some(fault.mode)
    }
}
