//! Messages that are being handed over without an id of their own. What the server tells of such a message may come
//! before its answer says which id the message has, and waits for that: a short time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::names::may_be_one;
use crate::domain::jid::Jid;

/// How long after a message was handed over something waits for its answer at the most.
const WAITS: Duration = Duration::from_secs(8);

/// Those of one session.
#[derive(Default)]
pub(super) struct UnderWay {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    begun: u64,
    all: Vec<(u64, Jid, Instant)>,
}

/// One of them, until it is dropped.
pub(super) struct OnItsWay<'a> {
    of: &'a UnderWay,
    no: u64,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.of.state().all.retain(|(no, ..)| *no != self.no);
        self.of.ended.notify_waiters();
    }
}

impl UnderWay {
    /// A message is about to be handed over to this chat.
    pub(super) fn begin(&self, chat: &Jid) -> OnItsWay<'_> {
        let mut state = self.state();
        state.begun += 1;
        let no = state.begun;
        state.all.push((no, chat.clone(), Instant::now() + WAITS));
        OnItsWay { of: self, no }
    }

    /// Waits for the answers to what is on its way to this chat; says whether there was anything.
    pub(super) async fn over(&self, chat: &Jid) -> bool {
        let mut any = false;
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let Some(until) = self.waits_until(chat) else { return any };
            any = true;
            let _ = tokio::time::timeout_at(until, ended).await;
        }
    }

    fn waits_until(&self, chat: &Jid) -> Option<Instant> {
        let now = Instant::now();
        let state = self.state();
        let here = state.all.iter().filter(|(_, to, until)| *until > now && may_be_one(to, chat));
        here.map(|(.., until)| *until).max()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_waits_for_the_answer_and_no_longer_than_a_short_time() {
        let under_way = UnderWay::default();
        let (anna, bert) = (jid("15550100001@c.us"), jid("15550100002@c.us"));
        assert!(!under_way.over(&anna).await);
        let sending = under_way.begin(&anna);
        assert!(!under_way.over(&bert).await, "another chat's does not concern it");
        let answered = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(sending);
        };
        let began = Instant::now();
        let (any, ()) = tokio::join!(under_way.over(&anna), answered);
        assert_eq!((any, began.elapsed()), (true, Duration::from_secs(1)));
        let _slow = under_way.begin(&anna);
        let began = Instant::now();
        assert!(under_way.over(&anna).await);
        assert!(began.elapsed() >= WAITS);
        assert!(!under_way.over(&anna).await, "nothing waits for it any more");
    }
}
