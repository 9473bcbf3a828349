//! The progress of a simulated link with a passkey, shared by the session's task and the calls of clients.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The progress of a link with a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// No step is pending.
    None,
    AwaitsSignature,
    Signed,
    Rejected,
    AwaitsConfirmation,
    Confirmed,
}

/// The passkey step of one session.
pub(super) struct PasskeyExchange {
    progress: Mutex<Progress>,
    /// Notified when a client advanced the step.
    pub(super) changed: Notify,
}

impl Default for PasskeyExchange {
    fn default() -> Self {
        Self { progress: Mutex::new(Progress::None), changed: Notify::new() }
    }
}

impl PasskeyExchange {
    pub(super) fn current(&self) -> Progress {
        *self.progress.lock()
    }

    /// Moves from one step to another; `false` if another step is current.
    pub(super) fn advance(&self, from: Progress, to: Progress) -> bool {
        let mut progress = self.progress.lock();
        if *progress != from {
            return false;
        }
        *progress = to;
        self.changed.notify_one();
        true
    }

    pub(super) fn set(&self, to: Progress) {
        *self.progress.lock() = to;
    }
}
