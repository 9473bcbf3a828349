//! Decides which message is sent next, and when.
//!
//! [`Queue`] keeps the order, [`Pacer`] the pace by the [`Rules`], and [`Dispatcher`] combines both. All of
//! them mirror the store in memory and are pure: the same calls give the same results.

use serde::{Deserialize, Serialize};

mod dispatcher;
mod pacer;
mod queue;
mod quiet_hours;
mod rules;
#[cfg(test)]
mod tests;
mod warmup;

pub use dispatcher::{Dispatcher, NextSend};
pub use pacer::{HeldBy, Pace, Pacer, SendPermission, SentRecord};
pub use queue::{LONGEST_RETRY_MS, Next, Queue, QueuedMessage};
pub use quiet_hours::{InvalidQuietHours, QuietHours, TimeOfDay, Zone};
pub use rules::Rules;
pub use warmup::{Phase, Warmup};

/// The priority of a message among those of other chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Sent after all other priorities.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Sent before all other priorities.
    High,
}

impl Priority {
    /// The number for the store; a higher number is sent earlier.
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
        }
    }

    /// The priority for a number from the store.
    #[must_use]
    pub fn of_rank(rank: i64) -> Self {
        match rank {
            ..=0 => Self::Low,
            1 => Self::Normal,
            _ => Self::High,
        }
    }
}
