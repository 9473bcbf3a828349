//! A device that is connected: what is asked for when it begins, and how its end is noticed.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::convert::status_in::{self, Status};
use super::session::{WahaSession, ended};
use super::{groups, left, linking, people, reconcile};
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, SessionEnd};

/// How often the server is asked whether the session works, and how long its answer takes.
const BEAT: Duration = Duration::from_secs(30);
/// After the link the phone sends its history for a while; then it is asked for again, once.
const HISTORY_AGAIN: Duration = Duration::from_secs(60);
/// When chats that could not be read are read again for the first time, and how long it is between two times at most.
const LEFT_FIRST: Duration = Duration::from_secs(60);
const LEFT_LAST: Duration = Duration::from_secs(3_600);

/// Opens the device and stays as long as the server's session works.
pub(super) async fn run(session: &WahaSession, account: Account) -> Result<Infallible, SessionEnd> {
    // Before it is open, so that no request changes groups meanwhile.
    groups::tell(session).await?;
    session.set_online(true);
    session.tell(EngineEvent::Opened(account)).await?;
    people::tell(session).await?;
    let first = reconcile::begin(session).await?;
    let mut again = first.then(|| Instant::now() + HISTORY_AGAIN);
    let mut left = LeftChats::now();
    let mut beat = Instant::now() + BEAT;
    loop {
        tokio::select! {
            () = session.changed.notified() => {}
            () = tokio::time::sleep_until(beat) => beat = Instant::now() + BEAT,
            () = at(again) => {
                again = None;
                reconcile::history_again(session).await?;
                continue;
            }
            () = tokio::time::sleep_until(left.due) => {
                left.read(session).await?;
                continue;
            }
        }
        measure(session).await?;
        remember(session).await;
    }
}

/// When chats that could not be read are read again: less and less often.
struct LeftChats {
    due: Instant,
    wait: Duration,
}

impl LeftChats {
    fn now() -> Self {
        Self { due: Instant::now() + LEFT_FIRST, wait: LEFT_FIRST }
    }

    async fn read(&mut self, session: &WahaSession) -> Result<(), SessionEnd> {
        let chats = left::all(session).await.map_err(|error| reconcile::vault_failed(session, &error))?;
        let any = left::read(session, chats).await?;
        self.wait = if any { (self.wait * 2).min(LEFT_LAST) } else { LEFT_LAST };
        self.due = Instant::now() + self.wait;
        Ok(())
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Looks whether the session still works.
async fn measure(session: &WahaSession) -> Result<(), SessionEnd> {
    let asked = Instant::now();
    check(session).await?;
    let ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    session.tell(EngineEvent::Latency { ms }).await
}

/// Ends the session where the server's does not work.
pub(super) async fn check(session: &WahaSession) -> Result<(), SessionEnd> {
    let described = linking::look(session).await.map_err(|failure| ended(&session.device, &failure))?;
    still_works(session, &described).await
}

async fn still_works(session: &WahaSession, described: &Value) -> Result<(), SessionEnd> {
    match status_in::told(described) {
        Some(Status::Working) => Ok(()),
        Some(Status::Code) => {
            linking::forget(session).await;
            Err(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone))
        }
        Some(Status::Passkey) => Err(linking::passkey(session)),
        _ => Err(SessionEnd::LinkLost(Reason::LinkDropped)),
    }
}

/// Notes up to when nothing is missing: from there on is asked for when the next session begins. A session that did not
/// get to know leaves what was noted before.
pub(super) async fn remember(session: &WahaSession) {
    let Some(reached) = session.position.reached() else { return };
    if let Err(error) = reconcile::note(session, reached).await {
        tracing::warn!(device = %session.device, %error, "how far messages were taken in could not be noted");
    }
}
