//! How much a notification matters.

use serde::{Deserialize, Serialize};

/// How much a notification matters; the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// It can wait.
    Low,
    /// As most do.
    #[default]
    Normal,
    /// It should be seen now.
    High,
}

impl Priority {
    /// Its name on every wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}
