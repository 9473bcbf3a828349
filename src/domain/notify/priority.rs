//! Priorities of notifications.

use serde::{Deserialize, Serialize};

/// Priority of a notification, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Not urgent.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Requires immediate attention.
    High,
}

impl Priority {
    /// Its name in rules and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}
