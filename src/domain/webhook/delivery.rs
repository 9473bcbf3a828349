//! Recorded webhook attempts and dead letters, as REST and the CLI return them. The delivery rows are private
//! to the store.

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;

/// The key of a delivery in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey(pub i64);

impl DeliveryKey {
    /// The key as a number, as clients see it.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl From<i64> for DeliveryKey {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

/// A recorded HTTP request of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// An increasing id; 0 before the attempt is stored.
    pub id: i64,
    /// When the attempt began.
    pub at: Millis,
    /// The event's device and `seq`; absent for a test.
    pub event: Option<(DeviceId, i64)>,
    /// The format's name of the event.
    pub name: String,
    /// `webhook-id`, the same in each attempt.
    pub message_id: String,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The stable code of the outcome.
    pub outcome: String,
    /// The HTTP status of the response; absent without a response.
    pub status: Option<u16>,
    /// The duration in milliseconds.
    pub duration_ms: i64,
    /// When the next attempt is due; absent after the last one.
    pub next_at: Option<Millis>,
}

/// A delivery that was given up.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The key of the delivery.
    pub key: DeliveryKey,
    /// The event's device.
    pub device: DeviceId,
    /// The event's `seq`.
    pub seq: i64,
    /// The format's name of the event.
    pub name: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The code of the last failure.
    pub last_error: Option<String>,
    /// When it became a dead letter.
    pub dead_at: Millis,
}
