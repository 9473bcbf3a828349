//! Networks tell back what we had them do. Whatever was done meanwhile, such an echo is no news.
//!
//! A change of ours is applied when the network answers, and its echo may come before or after that. One
//! that comes before is applied as any other news, and the answer then changes nothing; one that comes after
//! is passed over, because a later change of ours may stand by then and must not be undone.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::group_changes::GroupChangeOrigin;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

/// How long an echo may take.
const EXPECTED_MS: i64 = 60_000;
/// Changes of one device whose echoes are waited for; where there are more, the oldest is given up.
const MOST: usize = 64;

/// Changes of ours whose echo has not come yet.
#[derive(Default)]
pub(in crate::service) struct OwnChangeTracker {
    expected: Mutex<Expected>,
    /// Held while what the network told of a group is being applied.
    pub(in crate::service) applying: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Expected {
    made: u64,
    devices: HashMap<DeviceId, VecDeque<OwnChange>>,
}

struct OwnChange {
    no: u64,
    told: GroupChangeOrigin,
    at: Millis,
    step: Step,
}

/// What came of a change so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Asked,
    /// Its echo came before the answer.
    Told,
    Answered,
}

/// Names an expected echo.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct OwnChangeKey(u64);

impl OwnChangeTracker {
    fn lock(&self) -> parking_lot::MutexGuard<'_, Expected> {
        self.expected.lock()
    }

    fn with<T>(&self, device: &DeviceId, now: Millis, work: impl FnOnce(&mut VecDeque<OwnChange>) -> T) -> T {
        let mut expected = self.lock();
        let changes = expected.devices.entry(device.clone()).or_default();
        changes.retain(|change| now.since(change.at) < EXPECTED_MS);
        let result = work(changes);
        if changes.is_empty() {
            expected.devices.remove(device);
        }
        result
    }

    /// This is about to be asked of the network.
    pub(in crate::service) fn expect(
        &self,
        device: &DeviceId,
        told: GroupChangeOrigin,
        now: Millis,
    ) -> OwnChangeKey {
        let no = {
            let mut expected = self.lock();
            expected.made += 1;
            expected.made
        };
        self.with(device, now, |changes| {
            if changes.len() == MOST {
                changes.pop_front();
            }
            changes.push_back(OwnChange { no, told, at: now, step: Step::Asked });
        });
        OwnChangeKey(no)
    }

    /// The network did it. `false` when its echo came already, and with it all there is to know.
    pub(in crate::service) fn answered(&self, device: &DeviceId, echo: OwnChangeKey, now: Millis) -> bool {
        self.with(device, now, |changes| {
            let Some(at) = changes.iter().position(|change| change.no == echo.0) else { return true };
            if changes.get(at).is_some_and(|change| change.step == Step::Told) {
                changes.remove(at);
                return false;
            }
            if let Some(change) = changes.get_mut(at) {
                change.step = Step::Answered;
            }
            true
        })
    }

    /// The network did not do it.
    pub(in crate::service) fn forget(&self, device: &DeviceId, echo: OwnChangeKey, now: Millis) {
        self.with(device, now, |changes| changes.retain(|change| change.no != echo.0));
    }

    /// Something was told by the network. Whether it is the echo of what was applied here already.
    pub(in crate::service) fn is_one(
        &self,
        device: &DeviceId,
        told: &GroupChangeOrigin,
        now: Millis,
    ) -> bool {
        self.with(device, now, |changes| {
            let is_due = |change: &OwnChange| change.step != Step::Told && is_echo(&change.told, told);
            let Some(at) = changes.iter().position(is_due) else { return false };
            match changes.get_mut(at) {
                Some(change) if change.step == Step::Asked => {
                    change.step = Step::Told;
                    false
                }
                _ => changes.remove(at).is_some(),
            }
        })
    }

    /// Whether a change of ours to this group was applied whose echo has not come yet: what the network tells of
    /// the whole group may then be older than that.
    pub(in crate::service) fn are_due(&self, device: &DeviceId, group: &Jid, now: Millis) -> bool {
        self.with(device, now, |changes| {
            changes.iter().any(|change| change.step == Step::Answered && change.told.group == *group)
        })
    }
}

fn is_echo(asked: &GroupChangeOrigin, told: &GroupChangeOrigin) -> bool {
    let is_asked = |who: &Jid| asked.participants.iter().any(|participant| participant.id == *who);
    asked.group == told.group
        && asked.change == told.change
        && asked.text == told.text
        && asked.participants.is_empty() == told.participants.is_empty()
        && told.participants.iter().all(|participant| is_asked(&participant.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::group::GroupChange;

    fn named(text: &str) -> GroupChangeOrigin {
        let group = "120363000000000001@g.us".parse().unwrap();
        GroupChangeOrigin {
            text: Some(text.to_owned()),
            ..GroupChangeOrigin::of(group, GroupChange::Subject)
        }
    }

    #[test]
    fn echo_after_answer_is_suppressed_once() {
        let (echoes, shop, now) = (OwnChangeTracker::default(), "shop".parse().unwrap(), Millis(0));
        let first = echoes.expect(&shop, named("a"), now);
        assert!(echoes.answered(&shop, first, now));
        let second = echoes.expect(&shop, named("b"), now);
        assert!(echoes.answered(&shop, second, now));
        assert!(echoes.is_one(&shop, &named("a"), now), "`b` stands by now");
        assert!(echoes.are_due(&shop, &named("b").group, now));
        assert!(echoes.is_one(&shop, &named("b"), now));
        assert!(!echoes.is_one(&shop, &named("b"), now), "somebody else did the same");
        assert!(!echoes.are_due(&shop, &named("b").group, now));
    }

    #[test]
    fn echo_before_answer_is_change_and_answer_is_not() {
        let (echoes, shop, now) = (OwnChangeTracker::default(), "shop".parse().unwrap(), Millis(0));
        let asked = echoes.expect(&shop, named("a"), now);
        assert!(!echoes.is_one(&shop, &named("a"), now));
        assert!(!echoes.answered(&shop, asked, now));
    }

    #[test]
    fn missing_echo_expires() {
        let (echoes, shop) = (OwnChangeTracker::default(), "shop".parse().unwrap());
        let asked = echoes.expect(&shop, named("a"), Millis(0));
        assert!(echoes.answered(&shop, asked, Millis(1)));
        assert!(!echoes.is_one(&shop, &named("a"), Millis(EXPECTED_MS)));
        assert!(echoes.lock().devices.is_empty());
    }

    #[test]
    fn refused_change_has_no_echo_and_echoes_are_bounded() {
        let (echoes, shop, now) = (OwnChangeTracker::default(), "shop".parse().unwrap(), Millis(0));
        let asked = echoes.expect(&shop, named("a"), now);
        echoes.forget(&shop, asked, now);
        assert!(!echoes.is_one(&shop, &named("a"), now));
        for n in 0..=MOST {
            let asked = echoes.expect(&shop, named(&n.to_string()), now);
            echoes.answered(&shop, asked, now);
        }
        assert!(!echoes.is_one(&shop, &named("0"), now));
        assert!(echoes.is_one(&shop, &named("1"), now));
    }
}
