//! Messages whose file could not be had: it is asked for again, while what follows goes on, until the message comes
//! without it. For what nobody tells again, over the WebSocket and from asking for what was missed.
//!
//! They wait in memory. The position does not pass them, so that the next session asks for those that this one left.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::convert::message_in::Message;
use super::media;
use super::session::WahaSession;
use super::taking::{Files, NotTaken};
use crate::engine::{EngineEvent, SessionEnd};

/// Messages that wait at once. Of what comes beyond, what was missed waits for room, and the rest comes without its file.
const MOST: usize = 200;
/// Files that are asked for at once.
const AT_ONCE: usize = 8;
/// How long after the first try the second is; each wait is twice the one before.
const WAIT: Duration = Duration::from_secs(2);
/// Waits are no longer than this many doublings.
const DOUBLINGS: u32 = 4;

/// A message, and what happened to it since.
pub(super) struct Told {
    pub(super) message: Message,
    pub(super) since: Vec<EngineEvent>,
}

/// Those that wait.
#[derive(Default)]
pub(super) struct Later {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Instant, Told)>,
    in_hand: usize,
}

impl State {
    fn len(&self) -> usize {
        self.waiting.len() + self.in_hand
    }
}

impl Later {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.state().len() == 0
    }

    /// Returns once there is room.
    async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().len() < MOST {
                return;
            }
            changed.await;
        }
    }

    /// Has a message wait; gives it back where there is no room.
    fn push(&self, due: Instant, told: Told) -> Result<(), Box<Told>> {
        let mut state = self.state();
        if state.len() >= MOST {
            return Err(Box::new(told));
        }
        state.waiting.push((due, told));
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Takes what is due into the hand, or says when something will be.
    fn due(&self) -> (Vec<Told>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        let due: Vec<Told> = state
            .waiting
            .extract_if(.., |(due, _)| *due <= now)
            .take(AT_ONCE)
            .map(|(_, told)| told)
            .collect();
        state.in_hand += due.len();
        (due, state.waiting.iter().map(|(due, _)| *due).min())
    }

    /// So many are out of the hand, and these wait again.
    fn done(&self, count: usize, again: impl Iterator<Item = (Instant, Told)>) {
        let mut state = self.state();
        state.in_hand = state.in_hand.saturating_sub(count);
        state.waiting.extend(again);
        drop(state);
        self.changed.notify_waiters();
    }
}

/// Takes a message in, or has it wait for its file. While files fail, none holds up what follows.
pub(super) async fn take(session: &WahaSession, told: Told, waits_for_room: bool) -> Result<(), NotTaken> {
    if told.message.file.is_some() && !session.later.is_empty() {
        session.position.misses(&told.message.incoming, session.now());
        return keep(session, told, Instant::now(), waits_for_room).await;
    }
    match tried(session, told, media::SOON).await? {
        None => Ok(()),
        Some((due, told)) => keep(session, told, due, waits_for_room).await,
    }
}

/// Tries to take a message in; it is given back, with the time of the next try, where its file is to be asked for again.
async fn tried(
    session: &WahaSession,
    told: Told,
    within: Duration,
) -> Result<Option<(Instant, Told)>, NotTaken> {
    let Told { message, since } = told;
    let Some((message, nth)) = session.take_message(message, Files::Asked(within)).await? else {
        follow(session, since).await?;
        return Ok(None);
    };
    let wait = WAIT * (1 << nth.saturating_sub(1).min(DOUBLINGS));
    Ok(Some((Instant::now() + wait, Told { message, since })))
}

async fn keep(session: &WahaSession, told: Told, due: Instant, waits_for_room: bool) -> Result<(), NotTaken> {
    if waits_for_room {
        session.later.room().await;
    }
    let Err(told) = session.later.push(due, told) else { return Ok(()) };
    let Told { message, since } = *told;
    tracing::warn!(device = %session.device, "a message comes without its file: too many wait for theirs");
    session.take_message(message, Files::Left).await?;
    follow(session, since).await
}

async fn follow(session: &WahaSession, since: Vec<EngineEvent>) -> Result<(), NotTaken> {
    for event in since {
        session.take_event(event).await?;
    }
    Ok(())
}

/// Asks again for files until the session ends.
pub(super) async fn run(session: &WahaSession) -> Result<Infallible, SessionEnd> {
    loop {
        let changed = session.later.changed.notified();
        let (due, next) = session.later.due();
        if due.is_empty() {
            tokio::select! {
                () = changed => {}
                () = until(next) => {}
            }
            continue;
        }
        let count = due.len();
        let tries = join_all(due.into_iter().map(|told| tried(session, told, media::PATIENTLY))).await;
        let again: Result<Vec<_>, NotTaken> = tries.into_iter().collect();
        let again = again.map_err(|error| error.ends(session))?;
        session.later.done(count, again.into_iter().flatten());
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
