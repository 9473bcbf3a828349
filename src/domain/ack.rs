//! Acknowledgement levels of messages. Receipts can arrive in any order; merging never lowers a level.
//!
//! Source: the acknowledgement table of the device-namespace contract (whatsapp-web.js numbering).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The acknowledgement level of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ack {
    /// The message will not be delivered.
    Error,
    /// The message is stored here; the network has not accepted it yet.
    Pending,
    /// The network has accepted the message.
    Server,
    /// The message has reached the recipient's device.
    Device,
    /// The recipient has read the message.
    Read,
    /// The recipient has played the voice note or video.
    Played,
}

/// An acknowledgement level outside -1 to 4.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an ack is a number from -1 to 4, not {0}")]
pub struct AckError(pub i64);

impl Ack {
    /// The level as the number on the wire, from -1 to 4.
    #[must_use]
    pub fn level(self) -> i8 {
        match self {
            Self::Error => -1,
            Self::Pending => 0,
            Self::Server => 1,
            Self::Device => 2,
            Self::Read => 3,
            Self::Played => 4,
        }
    }

    /// The level's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Pending => "pending",
            Self::Server => "server",
            Self::Device => "device",
            Self::Read => "read",
            Self::Played => "played",
        }
    }

    /// The new level after a receipt, or `None` when the receipt changes nothing.
    ///
    /// Levels 0 to 4 only increase. [`Ack::Error`] replaces levels 0 and 1 and is final.
    #[must_use]
    pub fn merge(self, receipt: Self) -> Option<Self> {
        match (self, receipt) {
            (Self::Error, _) => None,
            (Self::Pending | Self::Server, Self::Error) => Some(Self::Error),
            (_, Self::Error) => None,
            (old, new) if new > old => Some(new),
            _ => None,
        }
    }

    /// The level of a group message: the lowest level of all participants whose delivery has not failed.
    /// [`Ack::Error`] when every delivery failed; `None` without participants.
    #[must_use]
    pub fn of_group(participants: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut lowest = None;
        let mut any = false;
        for ack in participants {
            any = true;
            if ack != Self::Error {
                lowest = Some(lowest.map_or(ack, |low: Self| low.min(ack)));
            }
        }
        lowest.or(any.then_some(Self::Error))
    }
}

impl TryFrom<i64> for Ack {
    type Error = AckError;

    fn try_from(level: i64) -> Result<Self, AckError> {
        match level {
            -1 => Ok(Self::Error),
            0 => Ok(Self::Pending),
            1 => Ok(Self::Server),
            2 => Ok(Self::Device),
            3 => Ok(Self::Read),
            4 => Ok(Self::Played),
            other => Err(AckError(other)),
        }
    }
}

impl Serialize for Ack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i8(self.level())
    }
}

impl<'de> Deserialize<'de> for Ack {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The status of an outgoing message, as in `message:status` events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The message is accepted and stored here.
    Queued,
    /// The message was sent to the network, which has not responded yet.
    Sending,
    /// The network has accepted the message.
    Sent,
    /// The message has reached the recipient's device.
    Delivered,
    /// The recipient has read the message.
    Read,
    /// The recipient has played the voice note or video.
    Played,
    /// The message will not be delivered.
    Failed,
}

impl Status {
    /// The status that corresponds to an acknowledgement level.
    #[must_use]
    pub fn of(ack: Ack) -> Self {
        match ack {
            Ack::Error => Self::Failed,
            Ack::Pending => Self::Queued,
            Ack::Server => Self::Sent,
            Ack::Device => Self::Delivered,
            Ack::Read => Self::Read,
            Ack::Played => Self::Played,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_ack() -> impl Strategy<Value = Ack> {
        (-1_i64..=4).prop_map(|level| Ack::try_from(level).unwrap())
    }

    fn fold(receipts: &[Ack]) -> (Ack, Vec<Ack>) {
        let mut seen = Vec::new();
        let end = receipts.iter().fold(Ack::Pending, |now, receipt| {
            now.merge(*receipt).inspect(|new| seen.push(*new)).unwrap_or(now)
        });
        (end, seen)
    }

    #[test]
    fn failure_overrides_pending_and_server_only() {
        assert_eq!(Ack::Pending.merge(Ack::Error), Some(Ack::Error));
        assert_eq!(Ack::Server.merge(Ack::Error), Some(Ack::Error));
        assert_eq!(Ack::Device.merge(Ack::Error), None);
        assert_eq!(Ack::Error.merge(Ack::Played), None);
    }

    #[test]
    fn group_ack_is_minimum_of_members() {
        assert_eq!(Ack::of_group([Ack::Read, Ack::Device]), Some(Ack::Device));
        assert_eq!(Ack::of_group([Ack::Error, Ack::Read]), Some(Ack::Read));
        assert_eq!(Ack::of_group([Ack::Error, Ack::Error]), Some(Ack::Error));
        assert_eq!(Ack::of_group([]), None);
    }

    proptest! {
        #[test]
        fn ack_never_decreases_nor_repeats(receipts in prop::collection::vec(any_ack(), 0..12)) {
            let (_, seen) = fold(&receipts);
            let grows = seen.windows(2).all(|w| w[1] > w[0] || w[1] == Ack::Error);
            prop_assert!(grows, "{seen:?}");
        }

        #[test]
        fn receipts_in_any_order_end_at_maximum(mut receipts in prop::collection::vec(any_ack(), 1..8)) {
            receipts.retain(|a| *a != Ack::Error);
            let highest = receipts.iter().copied().max().unwrap_or(Ack::Pending);
            prop_assert_eq!(fold(&receipts).0, highest);
            receipts.reverse();
            prop_assert_eq!(fold(&receipts).0, highest);
        }

        #[test]
        fn failed_ack_is_final(before in prop::collection::vec(any_ack(), 0..3), after in prop::collection::vec(any_ack(), 0..5)) {
            let (at, _) = fold(&before);
            if let Some(Ack::Error) = at.merge(Ack::Error) {
                let end = after.iter().fold(Ack::Error, |now, r| now.merge(*r).unwrap_or(now));
                prop_assert_eq!(end, Ack::Error);
            }
        }
    }
}
