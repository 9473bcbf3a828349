//! The channels of a client that sends each message twice: as an event and as a REST call.
//!
//! A send matches one earlier send of the other channel, and never one of its own.

/// The channel of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendChannel {
    /// As a socket event.
    Socket,
    /// As a REST call.
    Rest,
}

impl SendChannel {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Rest => "rest",
        }
    }

    /// The channel whose sends match those of this one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Socket => Self::Rest,
            Self::Rest => Self::Socket,
        }
    }
}
