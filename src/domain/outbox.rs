//! Which message goes out next, and when.
//!
//! [`Queue`] is the order: first in, first out within a chat, the highest priority first among chats, at
//! most one message of a chat under way. [`Pacer`] is the pace, [`Rules`] what it keeps to, and [`Dispatch`]
//! puts order and pace together. All are mirrors in memory of what the store holds, and pure: the same
//! calls give the same answers.

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
pub use queue::{Next, Queue, QueuedMessage};
pub use quiet_hours::{InvalidQuietHours, QuietHours, TimeOfDay, Zone};
pub use rules::Rules;
pub use warmup::{Phase, Warmup};

/// How urgent a message is among those of other chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After everything else.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

impl Priority {
    /// As a number for the store; higher is more urgent.
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
        }
    }

    /// From the store's number.
    #[must_use]
    pub fn of_rank(rank: i64) -> Self {
        match rank {
            ..=0 => Self::Low,
            1 => Self::Normal,
            _ => Self::High,
        }
    }
}
