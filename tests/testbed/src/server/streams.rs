//! The ends of connections: refusals instead of `<success>`, and stream errors after it.

use std::time::Duration;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// Why a login is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The device is not linked, or has another key.
    LoggedOut,
    /// The account is banned for a time.
    TemporaryBan {
        /// The reason: 101 to 104, or 106.
        code: u16,
        /// The remaining time.
        remaining: Duration,
    },
    /// The account is banned permanently.
    Banned,
    /// The client is too old.
    ClientOutdated,
    /// The server is temporarily unavailable.
    Unavailable,
    /// The client's payload is invalid.
    BadRequest,
}

impl Refusal {
    /// The `<failure>`; its reasons are those of the client's `ConnectFailureReason`.
    #[must_use]
    pub fn node(self) -> Node {
        let failure = NodeBuilder::new("failure").attr("location", "tst");
        match self {
            Self::BadRequest => failure.attr("reason", 400_u16),
            Self::LoggedOut => failure.attr("reason", 401_u16),
            Self::TemporaryBan { code, remaining } => {
                // Rounded up, so that a client which waits this long is not too early.
                let seconds = remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0);
                failure.attr("reason", 402_u16).attr("code", code).attr("expire", seconds)
            }
            Self::Banned => failure.attr("reason", 403_u16),
            Self::ClientOutdated => failure.attr("reason", 405_u16),
            Self::Unavailable => failure.attr("reason", 503_u16),
        }
        .build()
    }
}

/// A stream error with this code: 515 requests a reconnect, 503 means unavailable.
#[must_use]
pub fn error(code: u16) -> Node {
    NodeBuilder::new("stream:error").attr("code", code).build()
}

/// The same companion has connected again.
#[must_use]
pub fn replaced() -> Node {
    NodeBuilder::new("stream:error").children([conflict("replaced")]).build()
}

/// The companion was unlinked.
#[must_use]
pub fn device_removed() -> Node {
    NodeBuilder::new("stream:error").attr("code", 401_u16).children([conflict("device_removed")]).build()
}

fn conflict(kind: &'static str) -> Node {
    NodeBuilder::new("conflict").attr("type", kind).build()
}
