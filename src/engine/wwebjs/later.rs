//! Messages whose file could not be had: it is asked for again, while what follows goes on, until the message comes
//! without it.
//!
//! They wait in memory. The stored position stays before the first of them, so that whatever ends the session, the next
//! one reads on from there.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::convert::wire::WireMessage;
use super::keeping::Place;
use super::media::Fetched;
use super::session::WwebjsSession;
use crate::domain::ack::Ack;
use crate::engine::SessionEnd;

/// Messages that wait at once; what comes beyond waits for room, and holds up what follows.
const MOST: usize = 64;
/// How often a file is asked for, while its upstream is there, before its message comes without it.
const MOST_TRIES: u32 = 10;
/// How long after the first try the second is; each wait is twice the one before, up to so many doublings.
const WAIT: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 6;

/// A message that waits for its file.
#[derive(Clone)]
pub(super) struct Held {
    message: WireMessage,
    /// How far the log was read before it.
    before: Option<Place>,
    due: Instant,
    tries: u32,
}

/// Those that wait, in their order, and how far the log was read.
#[derive(Default)]
pub(super) struct Later {
    state: Mutex<State>,
    more: Notify,
    fewer: Notify,
}

#[derive(Default)]
struct State {
    place: Option<Place>,
    held: VecDeque<Held>,
}

impl Later {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log was read so far; answers the position that may be stored.
    pub(super) fn read_to(&self, place: Place) -> Place {
        let mut state = self.state();
        state.place = Some(place);
        state.held.front().and_then(|first| first.before).unwrap_or(place)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.state().held.is_empty()
    }

    /// Has a message wait for its next try, at once where it had none.
    async fn hold(&self, message: WireMessage, tries: u32) {
        loop {
            let fewer = self.fewer.notified();
            {
                let mut state = self.state();
                if state.held.iter().any(|held| held.message.id == message.id) {
                    return;
                }
                if state.held.len() < MOST {
                    let (before, due) = (state.place, Instant::now() + wait(tries));
                    state.held.push_back(Held { message, before, due, tries });
                    break;
                }
            }
            fewer.await;
        }
        self.more.notify_one();
    }

    fn next(&self) -> Option<Held> {
        self.state().held.iter().min_by_key(|held| held.due).cloned()
    }

    /// It is tried again after a while.
    fn again(&self, tried: &Held) {
        let mut state = self.state();
        if let Some(held) = state.held.iter_mut().find(|held| held.message.id == tried.message.id) {
            held.tries = tried.tries + 1;
            held.due = Instant::now() + wait(held.tries);
        }
    }

    /// It came; answers the position that may be stored now.
    fn came(&self, done: &Held) -> Option<Place> {
        let place = {
            let mut state = self.state();
            state.held.retain(|held| held.message.id != done.message.id);
            state.held.front().map_or(state.place, |first| first.before)
        };
        self.fewer.notify_waiters();
        place
    }
}

fn wait(tries: u32) -> Duration {
    match tries {
        0 => Duration::ZERO,
        tries => WAIT * (1 << (tries - 1).min(DOUBLINGS)),
    }
}

impl WwebjsSession {
    /// A message that came in there, with its file: now, or when that can be had. While files cannot, no other one
    /// holds up what follows.
    pub(super) async fn message(&self, message: &WireMessage) -> Result<(), SessionEnd> {
        if !self.later.is_empty() && message.has_media {
            self.later.hold(message.clone(), 0).await;
            return Ok(());
        }
        match self.fetched(message).await {
            Fetched::Content(content) => self.tell_message(message, content).await,
            Fetched::NotNow(trouble) => {
                tracing::info!(device = %self.device, why = trouble, "a message waits for its file, which cannot be had now");
                self.later.hold(message.clone(), 1).await;
                Ok(())
            }
        }
    }

    /// Asks again for files until the session ends.
    pub(super) async fn fetch_later(&self) -> Result<Infallible, SessionEnd> {
        loop {
            let Some(held) = self.later.next() else {
                self.later.more.notified().await;
                continue;
            };
            if held.due > Instant::now() {
                tokio::select! {
                    () = self.later.more.notified() => {}
                    () = tokio::time::sleep_until(held.due) => {}
                }
                continue;
            }
            let content = match self.fetched(&held.message).await {
                Fetched::Content(content) => content,
                Fetched::NotNow(_) if held.tries + 1 < MOST_TRIES => {
                    self.later.again(&held);
                    continue;
                }
                // An upstream that is away gives it to the next session; one that is there does not.
                Fetched::NotNow(why) => {
                    self.answered(self.show().await)?;
                    tracing::warn!(device = %self.device, why, "a message comes without its file");
                    super::media::without_file(&held.message)
                }
            };
            self.tell_message(&held.message, content).await?;
            self.catch_up_with(&held.message).await?;
            if let Some(place) = self.later.came(&held) {
                self.kept(self.keeping.set_place(place).await)?;
            }
        }
    }

    /// How far a message of ours came while it waited, which nobody could be told.
    async fn catch_up_with(&self, message: &WireMessage) -> Result<(), SessionEnd> {
        if !message.id.from_me {
            return Ok(());
        }
        let Some(now) = self.look_up(&message.id).await? else { return Ok(()) };
        match now.ack.and_then(|ack| Ack::try_from(ack).ok()) {
            Some(ack) if ack != Ack::Pending => self.tell_ack(&now, ack).await,
            _ => Ok(()),
        }
    }

    /// The log was read so far, and what it told is durable or waits for its file.
    pub(super) async fn came_past(&self, place: Place) -> Result<(), SessionEnd> {
        let place = self.later.read_to(place);
        self.kept(self.keeping.set_place(place).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> WireMessage {
        let id = format!("false_15550100001@c.us_{id}");
        serde_json::from_value(serde_json::json!({ "id": id, "hasMedia": true })).unwrap()
    }

    fn place(seq: i64) -> Place {
        Place { seq, at: seq, past_due: false }
    }

    #[tokio::test(start_paused = true)]
    async fn the_position_stays_before_the_first_that_waits() {
        let later = Later::default();
        assert_eq!(later.read_to(place(4)), place(4));
        later.hold(message("A"), 1).await;
        assert_eq!(later.read_to(place(5)), place(4));
        later.hold(message("B"), 1).await;
        later.hold(message("A"), 1).await;
        assert_eq!(later.read_to(place(6)), place(4));
        let first = later.next().unwrap();
        assert_eq!(later.came(&first), Some(place(5)), "`B` still waits");
        assert_eq!(later.came(&later.next().unwrap()), Some(place(6)));
        assert!(later.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_further_and_further_apart_and_who_is_too_many_waits_for_room() {
        let later = Later::default();
        later.hold(message("A"), 1).await;
        let first = later.next().unwrap();
        assert_eq!(first.due, Instant::now() + WAIT);
        later.again(&first);
        assert_eq!(later.next().unwrap().due, Instant::now() + 2 * WAIT);
        assert_eq!(wait(MOST_TRIES), WAIT * 64);
        for n in 1..MOST {
            later.hold(message(&format!("M{n}")), 0).await;
        }
        let more = later.hold(message("Z"), 0);
        tokio::pin!(more);
        assert!(tokio::time::timeout(WAIT, &mut more).await.is_err());
        later.came(&first);
        tokio::time::timeout(WAIT, &mut more).await.unwrap();
    }
}
