//! The progress of a connection, and the action after its end. Of several reasons for the end, the
//! first counts.

use crate::domain::reason::Reason;
use crate::engine::SessionEnd;

/// The action after a connection.
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
    /// All QR codes were shown; a typed code may still be valid.
    pub(super) codes_shown: bool,
    /// Why it ends; the first reason counts.
    pub(super) ended: Option<SessionEnd>,
}

impl ConnectionProgress {
    /// The action after the end of the connection.
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
