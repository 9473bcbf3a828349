//! The presence of users. A user is online while a socket is connected and not away, and for five seconds after the
//! last one.
//!
//! Invariants: at most one change of a user is reported in five seconds; within a minute after the start no
//! user is reported offline, because clients reconnect to a restarted daemon.

use std::collections::{BTreeSet, HashMap};

use super::ids::UserPk;
use crate::domain::clock::Millis;

/// How long a user without a socket stays online, in milliseconds.
pub const OFFLINE_AFTER_MS: i64 = 5_000;
/// The shortest time between two reports about a user, in milliseconds.
const REPORT_PAUSE_MS: i64 = 5_000;
/// The time after the start in which no user is reported offline, in milliseconds.
const START_GRACE_MS: i64 = 60_000;

/// A change to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceReport {
    /// The user.
    pub user: UserPk,
    /// Whether the user is online now.
    pub is_online: bool,
    /// The last sign of life.
    pub last_seen: Millis,
}

/// The users with sockets, and those who just lost theirs.
#[derive(Debug)]
pub struct PresenceBook {
    started: Millis,
    users: HashMap<UserPk, UserPresence>,
    /// When to evaluate a user again.
    checks: BTreeSet<(Millis, UserPk)>,
}

#[derive(Debug)]
struct UserPresence {
    sockets: usize,
    /// Sockets whose client reported that the user is away.
    away: usize,
    last_seen: Millis,
    /// Set while there is no socket, or all are away.
    offline_at: Option<Millis>,
    reported: Option<(bool, Millis)>,
}

impl PresenceBook {
    /// Without a user, at the start of the daemon.
    #[must_use]
    pub fn new(started: Millis) -> Self {
        Self { started, users: HashMap::new(), checks: BTreeSet::new() }
    }

    /// A socket of the user connected.
    pub fn connected(&mut self, user: UserPk, now: Millis) {
        let entry = self.users.entry(user).or_insert(UserPresence {
            sockets: 0,
            away: 0,
            last_seen: now,
            offline_at: None,
            reported: None,
        });
        entry.sockets += 1;
        (entry.last_seen, entry.offline_at) = (now, None);
        self.checks.insert((now, user));
    }

    /// A socket of the user disconnected, which may have been away.
    pub fn disconnected(&mut self, user: UserPk, was_away: bool, now: Millis) {
        self.change(user, now, |entry| {
            entry.sockets = entry.sockets.saturating_sub(1);
            entry.away = entry.away.saturating_sub(usize::from(was_away));
        });
    }

    /// The user of a connected socket is away, or is back.
    pub fn set_away(&mut self, user: UserPk, is_away: bool, now: Millis) {
        self.change(user, now, |entry| {
            entry.away = if is_away { entry.away + 1 } else { entry.away.saturating_sub(1) };
        });
    }

    fn change(&mut self, user: UserPk, now: Millis, change: impl FnOnce(&mut UserPresence)) {
        let Some(entry) = self.users.get_mut(&user) else { return };
        let was_active = entry.is_active();
        change(entry);
        entry.last_seen = now;
        if entry.is_active() {
            entry.offline_at = None;
            self.checks.insert((now, user));
            return;
        }
        let after = now.plus(OFFLINE_AFTER_MS).max(self.started.plus(START_GRACE_MS));
        // The end of an away socket does not put off the end of the last active one.
        let at = entry.offline_at.filter(|_| !was_active).unwrap_or(after);
        entry.offline_at = Some(at);
        self.checks.insert((at.max(now), user));
    }

    /// A client of the user is alive.
    pub fn seen(&mut self, user: UserPk, now: Millis) {
        if let Some(entry) = self.users.get_mut(&user) {
            entry.last_seen = now;
        }
    }

    /// Whether a user is online.
    #[must_use]
    pub fn is_online(&self, user: UserPk, now: Millis) -> bool {
        self.users.get(&user).is_some_and(|entry| entry.is_online(now))
    }

    /// The last sign of life of a user in the book.
    #[must_use]
    pub fn last_seen(&self, user: UserPk) -> Option<Millis> {
        self.users.get(&user).map(|entry| entry.last_seen)
    }

    /// The sockets of a user.
    #[must_use]
    pub fn sockets(&self, user: UserPk) -> usize {
        self.users.get(&user).map_or(0, |entry| entry.sockets)
    }

    /// The users who are online.
    #[must_use]
    pub fn online(&self, now: Millis) -> Vec<UserPk> {
        self.users.iter().filter(|(_, entry)| entry.is_online(now)).map(|(user, _)| *user).collect()
    }

    /// The number of users who are online.
    #[must_use]
    pub fn online_count(&self, now: Millis) -> usize {
        self.users.values().filter(|entry| entry.is_online(now)).count()
    }

    /// The changes to report now.
    pub fn due(&mut self, now: Millis) -> Vec<PresenceReport> {
        let mut reports = Vec::new();
        while let Some((at, user)) = self.checks.first().copied().filter(|(at, _)| *at <= now) {
            self.checks.remove(&(at, user));
            reports.extend(self.evaluate(user, now));
        }
        reports
    }

    /// When [`PresenceBook::due`] may have a change.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.checks.first().map(|(at, _)| *at)
    }

    fn evaluate(&mut self, user: UserPk, now: Millis) -> Option<PresenceReport> {
        let entry = self.users.get_mut(&user)?;
        let is_online = entry.is_online(now);
        let was_online = entry.reported.is_some_and(|(online, _)| online);
        let pause_ends = entry.reported.map(|(_, at)| at.plus(REPORT_PAUSE_MS)).filter(|end| *end > now);
        if let Some(end) = pause_ends {
            if is_online != was_online || !is_online {
                self.checks.insert((end, user));
            }
            return None;
        }
        if is_online == was_online {
            if !is_online && entry.sockets == 0 {
                self.users.remove(&user);
            }
            return None;
        }
        entry.reported = Some((is_online, now));
        if !is_online {
            // Kept until the pause is over.
            self.checks.insert((now.plus(REPORT_PAUSE_MS), user));
        }
        Some(PresenceReport { user, is_online, last_seen: entry.last_seen })
    }
}

impl UserPresence {
    fn is_active(&self) -> bool {
        self.sockets > self.away
    }

    fn is_online(&self, now: Millis) -> bool {
        self.is_active() || self.offline_at.is_some_and(|at| at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: UserPk = UserPk(1);
    const START: Millis = Millis(1_000_000);

    fn reports(book: &mut PresenceBook, now: Millis) -> Vec<bool> {
        book.due(now).into_iter().map(|report| report.is_online).collect()
    }

    #[test]
    fn short_interruptions_are_not_reported() {
        let mut book = PresenceBook::new(START);
        let now = START.plus(100_000);
        book.connected(ANNA, now);
        assert_eq!(reports(&mut book, now), [true]);
        book.disconnected(ANNA, false, now.plus(10_000));
        book.connected(ANNA, now.plus(14_000));
        assert_eq!(reports(&mut book, now.plus(30_000)), [] as [bool; 0]);
        book.disconnected(ANNA, false, now.plus(40_000));
        assert!(book.is_online(ANNA, now.plus(44_999)));
        assert_eq!(reports(&mut book, now.plus(45_000)), [false]);
        assert_eq!(book.due(now.plus(60_000)), []);
        assert!(book.users.is_empty() && book.checks.is_empty());
    }

    #[test]
    fn no_user_is_offline_in_the_first_minute() {
        let mut book = PresenceBook::new(START);
        book.connected(ANNA, START);
        book.disconnected(ANNA, false, START.plus(1_000));
        assert_eq!(reports(&mut book, START.plus(59_999)), [true]);
        assert_eq!(book.next_due(), Some(START.plus(60_000)));
        assert_eq!(book.due(START.plus(66_000)).len(), 1);
    }

    #[test]
    fn one_change_is_reported_in_five_seconds() {
        let mut book = PresenceBook::new(Millis(0));
        let now = START;
        book.connected(ANNA, now);
        assert_eq!(reports(&mut book, now), [true]);
        book.disconnected(ANNA, false, now);
        assert_eq!(reports(&mut book, now.plus(5_000)), [false]);
        book.connected(ANNA, now.plus(6_000));
        assert_eq!(reports(&mut book, now.plus(6_000)), [] as [bool; 0]);
        assert_eq!(reports(&mut book, now.plus(10_000)), [true]);
    }

    #[test]
    fn user_is_offline_when_all_sockets_are_away() {
        let mut book = PresenceBook::new(Millis(0));
        let now = START;
        book.connected(ANNA, now);
        book.connected(ANNA, now);
        assert_eq!(reports(&mut book, now), [true]);
        book.set_away(ANNA, true, now.plus(10_000));
        assert!(book.is_online(ANNA, now.plus(60_000)));
        book.disconnected(ANNA, false, now.plus(60_000));
        assert_eq!(reports(&mut book, now.plus(65_000)), [false]);
        assert_eq!(reports(&mut book, now.plus(70_000)), [] as [bool; 0]);
        book.set_away(ANNA, false, now.plus(80_000));
        assert_eq!(reports(&mut book, now.plus(80_000)), [true]);
        book.set_away(ANNA, true, now.plus(90_000));
        book.disconnected(ANNA, true, now.plus(94_000));
        assert_eq!(reports(&mut book, now.plus(95_000)), [false]);
        assert_eq!(book.due(now.plus(110_000)), []);
        assert!(book.users.is_empty() && book.checks.is_empty());
    }
}
