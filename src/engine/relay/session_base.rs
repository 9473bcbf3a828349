//! The common part of relay sessions: online state, account, and throttled logging of unreadable input.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::RelayContext;
use crate::domain::device::Account;
use crate::domain::jid::Jid;
use crate::domain::log_throttle::LogThrottle;
use crate::engine::{SessionEnd, SessionError};

/// The part of a session that does not depend on its upstream.
pub(crate) struct SessionBase {
    context: RelayContext,
    account: Mutex<Option<Account>>,
    is_online: AtomicBool,
    logged_out: CancellationToken,
    /// Cancelled when [`SessionBase::run`] has returned.
    ended: CancellationToken,
    read_errors: Arc<LogThrottle<&'static str>>,
}

impl SessionBase {
    /// `read_errors` may be shared by the sessions of a device that follow each other.
    pub(crate) fn new(
        context: RelayContext,
        account: Option<Account>,
        read_errors: Arc<LogThrottle<&'static str>>,
    ) -> Self {
        let (logged_out, ended) = (CancellationToken::new(), CancellationToken::new());
        let (account, is_online) = (Mutex::new(account), AtomicBool::new(false));
        Self { context, account, is_online, logged_out, ended, read_errors }
    }

    /// Runs until the session ends by itself, is stopped or is logged out; it is offline then.
    pub(crate) async fn run(
        &self,
        live: impl Future<Output = Result<Infallible, SessionEnd>> + Send,
    ) -> SessionEnd {
        let _ended = self.ended.clone().drop_guard();
        let ended = tokio::select! {
            biased;
            () = self.context.shutdown.cancelled() => SessionEnd::Closed,
            () = self.logged_out.cancelled() => SessionEnd::Closed,
            ended = live => match ended {
                Ok(never) => match never {},
                Err(ended) => ended,
            },
        };
        self.set_online(false);
        ended
    }

    /// Whether events of the upstream may be ingested.
    pub(crate) fn is_open(&self) -> bool {
        !self.context.shutdown.is_cancelled() && !self.logged_out.is_cancelled() && !self.ended.is_cancelled()
    }

    /// Resolves when the session has ended.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Ends the session: the device is being logged out.
    pub(crate) fn log_out(&self) {
        self.logged_out.cancel();
    }

    pub(crate) fn set_online(&self, online: bool) {
        self.is_online.store(online, Ordering::SeqCst);
    }

    /// Whether the session can send and receive.
    pub(crate) fn is_online(&self) -> bool {
        self.is_online.load(Ordering::SeqCst) && self.is_open()
    }

    /// # Errors
    /// [`SessionError::Offline`] while the session cannot send and receive.
    pub(crate) fn ensure_online(&self) -> Result<(), SessionError> {
        if self.is_online() { Ok(()) } else { Err(SessionError::Offline) }
    }

    pub(crate) fn set_account(&self, account: &Account) {
        *self.account.lock() = Some(account.clone());
    }

    /// The account's own id; `None` before the first connection.
    pub(crate) fn me(&self) -> Option<Jid> {
        self.account.lock().as_ref().and_then(Account::jid)
    }

    /// Logs that `part` of the upstream's input could not be read and was skipped: once a minute for
    /// each part.
    pub(crate) fn log_read_error(&self, part: &'static str) {
        if let Some(suppressed) = self.read_errors.now(part, self.context.now()) {
            tracing::warn!(device = %self.context.device, part, suppressed, "unreadable input of the upstream skipped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::relay::testing::{TestRelay, relay};

    fn base(context: &RelayContext) -> SessionBase {
        SessionBase::new(context.clone(), None, Arc::default())
    }

    #[tokio::test]
    async fn stopped_session_is_offline_and_ends_closed() {
        let TestRelay { context, .. } = relay();
        let base = base(&context);
        base.set_online(true);
        assert!(base.is_online() && base.ensure_online().is_ok());
        context.shutdown.cancel();
        assert!(!base.is_online());
        assert_eq!(base.run(std::future::pending()).await, SessionEnd::Closed);
        base.ended().await;
        assert_eq!(base.ensure_online(), Err(SessionError::Offline));
    }

    #[tokio::test]
    async fn logged_out_session_ends_closed() {
        let TestRelay { context, .. } = relay();
        let base = base(&context);
        base.log_out();
        assert_eq!(base.run(std::future::pending()).await, SessionEnd::Closed);
        assert!(!base.is_open());
    }
}
