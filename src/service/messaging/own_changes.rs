//! Suppresses the network's echoes of group changes that we requested.
//!
//! A change of ours is applied when the network answers; its echo may come before or after the answer. An
//! earlier echo is applied like any change, and the answer then changes nothing. A later echo is dropped,
//! because it would undo a newer change of ours.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::group_changes::GroupChangeOrigin;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

/// How long an echo is expected after the request, in milliseconds.
const EXPECTED_MS: i64 = 60_000;
/// Expected echoes of one device; above this number the oldest is dropped.
const MOST: usize = 64;

/// Changes of ours with an expected echo.
#[derive(Default)]
pub(in crate::service) struct OwnChangeTracker {
    expected: Mutex<Expected>,
    /// Held while a group change from the network is applied.
    pub(in crate::service) applying: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Expected {
    made: u64,
    devices: HashMap<DeviceId, VecDeque<OwnChange>>,
}

struct OwnChange {
    no: u64,
    change: GroupChangeOrigin,
    at: Millis,
    step: Step,
}

/// Progress of a requested change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Requested,
    /// The echo came before the answer.
    Echoed,
    Answered,
}

/// Identifies an expected echo.
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

    /// Registers a change that is about to be requested.
    pub(in crate::service) fn expect(
        &self,
        device: &DeviceId,
        change: GroupChangeOrigin,
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
            changes.push_back(OwnChange { no, change, at: now, step: Step::Requested });
        });
        OwnChangeKey(no)
    }

    /// The network accepted the change. `false` if its echo was applied already.
    pub(in crate::service) fn answered(&self, device: &DeviceId, echo: OwnChangeKey, now: Millis) -> bool {
        self.with(device, now, |changes| {
            let Some(at) = changes.iter().position(|change| change.no == echo.0) else { return true };
            if changes.get(at).is_some_and(|change| change.step == Step::Echoed) {
                changes.remove(at);
                return false;
            }
            if let Some(change) = changes.get_mut(at) {
                change.step = Step::Answered;
            }
            true
        })
    }

    /// The network rejected the change; no echo is expected.
    pub(in crate::service) fn forget(&self, device: &DeviceId, echo: OwnChangeKey, now: Millis) {
        self.with(device, now, |changes| changes.retain(|change| change.no != echo.0));
    }

    /// Whether a change from the network is the echo of a change that was applied here already.
    pub(in crate::service) fn is_one(
        &self,
        device: &DeviceId,
        change: &GroupChangeOrigin,
        now: Millis,
    ) -> bool {
        self.with(device, now, |changes| {
            let is_due = |own: &OwnChange| own.step != Step::Echoed && is_echo(&own.change, change);
            let Some(at) = changes.iter().position(is_due) else { return false };
            match changes.get_mut(at) {
                Some(change) if change.step == Step::Requested => {
                    change.step = Step::Echoed;
                    false
                }
                _ => changes.remove(at).is_some(),
            }
        })
    }

    /// Whether a change of ours to this group was applied and its echo is still expected. A full group state
    /// from the network may then be older than our change.
    pub(in crate::service) fn are_due(&self, device: &DeviceId, group: &Jid, now: Millis) -> bool {
        self.with(device, now, |changes| {
            changes.iter().any(|own| own.step == Step::Answered && own.change.group == *group)
        })
    }
}

fn is_echo(own: &GroupChangeOrigin, received: &GroupChangeOrigin) -> bool {
    let is_own = |who: &Jid| own.participants.iter().any(|participant| participant.id == *who);
    own.group == received.group
        && own.change == received.change
        && own.text == received.text
        && own.participants.is_empty() == received.participants.is_empty()
        && received.participants.iter().all(|participant| is_own(&participant.id))
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
        assert!(echoes.is_one(&shop, &named("a"), now), "`b` is in effect now");
        assert!(echoes.are_due(&shop, &named("b").group, now));
        assert!(echoes.is_one(&shop, &named("b"), now));
        assert!(!echoes.is_one(&shop, &named("b"), now), "another person made the same change");
        assert!(!echoes.are_due(&shop, &named("b").group, now));
    }

    #[test]
    fn echo_before_answer_is_change_and_answer_is_not() {
        let (echoes, shop, now) = (OwnChangeTracker::default(), "shop".parse().unwrap(), Millis(0));
        let requested = echoes.expect(&shop, named("a"), now);
        assert!(!echoes.is_one(&shop, &named("a"), now));
        assert!(!echoes.answered(&shop, requested, now));
    }

    #[test]
    fn missing_echo_expires() {
        let (echoes, shop) = (OwnChangeTracker::default(), "shop".parse().unwrap());
        let requested = echoes.expect(&shop, named("a"), Millis(0));
        assert!(echoes.answered(&shop, requested, Millis(1)));
        assert!(!echoes.is_one(&shop, &named("a"), Millis(EXPECTED_MS)));
        assert!(echoes.lock().devices.is_empty());
    }

    #[test]
    fn refused_change_has_no_echo_and_echoes_are_bounded() {
        let (echoes, shop, now) = (OwnChangeTracker::default(), "shop".parse().unwrap(), Millis(0));
        let requested = echoes.expect(&shop, named("a"), now);
        echoes.forget(&shop, requested, now);
        assert!(!echoes.is_one(&shop, &named("a"), now));
        for n in 0..=MOST {
            let requested = echoes.expect(&shop, named(&n.to_string()), now);
            echoes.answered(&shop, requested, now);
        }
        assert!(!echoes.is_one(&shop, &named("0"), now));
        assert!(echoes.is_one(&shop, &named("1"), now));
    }
}
