//! A running session with its outbox. Both end in order: the outbox first, so that messages in flight get an answer.

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

/// Time limit for the answers to messages in flight.
const ANSWER_GRACE: Duration = Duration::from_secs(3);
/// Time limit for the end of a session, and then of its outbox.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The end of a session's task.
pub(super) enum Outcome {
    /// The session returned.
    Ended(SessionEnd),
    /// The session panicked.
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

    /// Starts the outbox of a ready device.
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

    /// Waits for the session to end by itself. Cancel safe.
    pub(super) async fn outcome(&mut self) -> Outcome {
        match (&mut self.work).await {
            Err(error) if error.is_panic() => Outcome::Panicked,
            _ => Outcome::Ended(self.ended.try_recv().unwrap_or(SessionEnd::Closed)),
        }
    }

    /// Ends the outbox, then the session. Messages in flight get their answer first, within the time limit, because an
    /// unknown outcome cannot be resolved at a network that does not deduplicate.
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
        tracing::warn!(%device, what, "task did not end in time and was aborted");
        work.abort();
        let _ = work.await;
    }
}
