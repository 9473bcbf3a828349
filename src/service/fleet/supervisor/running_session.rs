//! A session that runs, with its outbox, and how both end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::LiveDevice;
use crate::domain::ids::DeviceId;
use crate::engine::{Session, SessionEnd};
use crate::lifecycle::Tasks;
use crate::service::Fleet;
use crate::service::Messaging;
use crate::service::messaging::outbox::Outbox;

/// How long messages under way may take to get their answer.
const ANSWER_GRACE: Duration = Duration::from_secs(3);
/// How long a session, and then its outbox, may take to end when asked.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How a session's task ended.
pub(super) enum Outcome {
    /// As sessions do.
    Ended(SessionEnd),
    /// It panicked.
    Panicked,
}

pub(super) struct Running {
    pub(super) session: Arc<dyn Session>,
    cancel: CancellationToken,
    work: JoinHandle<()>,
    ended: oneshot::Receiver<SessionEnd>,
    outbox: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Running {
    pub(super) fn start(tasks: &Tasks, session: Arc<dyn Session>, cancel: CancellationToken) -> Self {
        let (tell, ended) = oneshot::channel();
        let run = session.clone();
        let work = tasks.spawn("session", async move {
            let _ = tell.send(run.run().await);
        });
        Self { session, cancel, work, ended, outbox: None }
    }

    /// The device is ready: messages may leave.
    pub(super) fn open_outbox(&mut self, fleet: &Fleet, device: &DeviceId, live: &Arc<LiveDevice>) {
        let stop = CancellationToken::new();
        let outbox = Outbox::new(
            Messaging::clone(&fleet.messaging),
            device.clone(),
            self.session.clone(),
            live.clone(),
        );
        let work = fleet.tasks.spawn("outbox", outbox.run(stop.clone()));
        self.outbox = Some((stop, work));
    }

    /// Waits for the session to end by itself. Dropping the future loses nothing.
    pub(super) async fn outcome(&mut self) -> Outcome {
        match (&mut self.work).await {
            Err(error) if error.is_panic() => Outcome::Panicked,
            _ => Outcome::Ended(self.ended.try_recv().unwrap_or(SessionEnd::Closed)),
        }
    }

    /// Ends the outbox, then the session. What is under way gets its answer first, within the grace: where a
    /// network does not recognize a second copy, an unknown outcome could never be resolved.
    pub(super) async fn close(mut self, device: &DeviceId) {
        let mut outbox = self.outbox.take();
        if let Some((stop, work)) = &mut outbox {
            stop.cancel();
            let _ = tokio::time::timeout(ANSWER_GRACE, work).await;
        }
        self.cancel.cancel();
        if let Some((_, work)) = outbox
            && !work.is_finished()
        {
            end(work, device, "outbox").await;
        }
        if !self.work.is_finished() {
            end(self.work, device, "session").await;
        }
    }
}

async fn end(mut work: JoinHandle<()>, device: &DeviceId, what: &'static str) {
    if tokio::time::timeout(CLOSE_GRACE, &mut work).await.is_err() {
        tracing::warn!(%device, what, "did not end when asked, and was dropped");
        work.abort();
        let _ = work.await;
    }
}
