//! Time and randomness as values that are passed in.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch (UTC), as everywhere on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// The last moment that every JSON reader keeps exactly.
    pub const LAST_EXACT: Self = Self(9_007_199_254_740_991);

    /// This moment plus `ms` milliseconds, saturating.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds that have passed since `earlier`; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// The current wall-clock time.
    fn now(&self) -> Millis;
}

/// A source of randomness; cryptographically secure where it makes secrets.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// A number that is evenly spread over `0.0 ..= 1.0`.
    fn unit(&self) -> f64 {
        let mut bytes = [0_u8; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }
}
