//! The progress of a connection, and what follows its end. Of several reasons for the end, the first is kept.

use crate::domain::reason::Reason;
use crate::engine::SessionEnd;

/// What follows a connection.
pub(super) enum ConnectionEnd {
    /// A second connection: the device was linked with this one.
    Reconnect,
    /// The session ends.
    Ended(SessionEnd),
    /// A task of the library panicked.
    Panicked,
}

/// The progress of a connection.
#[derive(Default)]
pub(super) struct ConnectionProgress {
    /// A phone accepted the link.
    pub(super) paired: bool,
    /// It can send and receive.
    pub(super) open: bool,
    /// Why it ends; the first reason is kept.
    pub(super) ended: Option<SessionEnd>,
}

impl ConnectionProgress {
    /// What follows, now that the connection has ended.
    pub(super) fn outcome(&self) -> ConnectionEnd {
        match self.ended {
            // The network ends a linking connection without a reason.
            None | Some(SessionEnd::LinkLost(_)) if self.paired && !self.open => ConnectionEnd::Reconnect,
            Some(ended) => ConnectionEnd::Ended(ended),
            None if self.open => ConnectionEnd::Ended(SessionEnd::LinkLost(Reason::LinkDropped)),
            None => ConnectionEnd::Ended(SessionEnd::LinkLost(Reason::NetworkUnreachable)),
        }
    }
}
