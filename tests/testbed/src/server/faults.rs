//! What goes wrong for an account, at a test's word.
//!
//! A fault that ends connections also decides what their next attempts meet.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Account, Companion};
use super::streams::{self, Refusal};
use crate::wire::connection::Link;

/// What the next logins of an account meet.
#[derive(Default)]
pub struct Faults {
    /// This many are ended without a word.
    refuse: u32,
    /// All are ended without a word before.
    refuse_until: Option<Instant>,
    /// This many are told that the server cannot.
    unavailable: u32,
    /// All are told that their client is too old.
    outdated: bool,
    /// All are told so.
    ban: Option<Ban>,
    /// Waited before each node that a link writes.
    delay: Duration,
    /// The phones of the others are off until then.
    phones_back: Option<Instant>,
    /// The next client that is linked loses its connection before its signature arrives.
    lose_signature: bool,
}

#[derive(Clone, Copy)]
enum Ban {
    Temporary { code: u16, until: Instant },
    Permanent,
}

/// What a login meets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginFault {
    /// Nothing: go on, with this delay before each node.
    Nothing(Duration),
    /// The connection ends without a word.
    Closed,
    /// It is refused.
    Refused(Refusal),
}

impl Faults {
    /// Whether the phones of the others are off.
    #[must_use]
    pub fn are_phones_off(&self) -> bool {
        self.phones_back().is_some()
    }

    /// When the phones of the others are back, if they are off now.
    #[must_use]
    pub fn phones_back(&self) -> Option<Instant> {
        self.phones_back.filter(|back| *back > Instant::now())
    }

    /// What a login meets now. Counted faults count down.
    pub fn next_login_fault(&mut self, now: Instant) -> LoginFault {
        if self.refuse > 0 {
            self.refuse -= 1;
            return LoginFault::Closed;
        }
        if self.refuse_until.is_some_and(|until| now < until) {
            return LoginFault::Closed;
        }
        match self.ban {
            Some(Ban::Permanent) => return LoginFault::Refused(Refusal::Banned),
            Some(Ban::Temporary { code, until }) if now < until => {
                return LoginFault::Refused(Refusal::TemporaryBan { code, remaining: until - now });
            }
            _ => self.ban = None,
        }
        if self.outdated {
            return LoginFault::Refused(Refusal::ClientOutdated);
        }
        if self.unavailable > 0 {
            self.unavailable -= 1;
            return LoginFault::Refused(Refusal::Unavailable);
        }
        LoginFault::Nothing(self.delay)
    }
}

impl Account {
    /// The phones of the others take nothing for this long; what is sent to them waits in the server.
    pub fn phones_offline(&self, duration: Duration) {
        self.lock().faults.phones_back = Some(Instant::now() + duration);
    }

    /// The next client that is linked signs the link, and its connection ends before that arrives.
    pub fn lose_signature(&self) {
        self.lock().faults.lose_signature = true;
    }

    /// Whether the signature that just came is to be lost.
    pub(super) fn loses_signature(&self) -> bool {
        std::mem::take(&mut self.lock().faults.lose_signature)
    }

    /// Ends all connections without a word.
    pub fn drop_links(&self) {
        for link in self.links() {
            link.drop_now();
        }
    }

    /// Ends all connections, and refuses this many of the next without a word.
    pub fn refuse_connections(&self, count: u32) {
        self.lock().faults.refuse = count;
        self.drop_links();
    }

    /// Ends all connections, and refuses those that come within this time without a word.
    pub fn refuse_connections_for(&self, duration: Duration) {
        self.lock().faults.refuse_until = Some(Instant::now() + duration);
        self.drop_links();
    }

    /// Leaves all connections open, and silent for this long.
    pub fn stall(&self, duration: Duration) {
        for link in self.links() {
            link.stall(duration);
        }
    }

    /// Waits this long before each node that is sent to its companions, now and after they connect
    /// again; zero ends it.
    pub fn slow_link(&self, delay: Duration) {
        self.lock().faults.delay = delay;
        for link in self.links() {
            link.slow(delay);
        }
    }

    /// Tells all connections, and this many of the next, that the server cannot (503).
    pub async fn unavailable(&self, count: u32) {
        self.lock().faults.unavailable = count;
        for link in self.links() {
            link.finish(streams::error(503)).await;
        }
    }

    /// Tells all connections that the same companion has connected elsewhere.
    pub async fn replace_streams(&self) {
        for link in self.links() {
            link.finish(streams::replaced()).await;
        }
    }

    /// Ends all connections; the next are told of a ban, with its code, that ends after this time.
    pub fn ban_temporarily(&self, code: u16, duration: Duration) {
        self.lock().faults.ban = Some(Ban::Temporary { code, until: Instant::now() + duration });
        self.drop_links();
    }

    /// Ends all connections; the next are told of a ban for good.
    pub fn ban(&self) {
        self.lock().faults.ban = Some(Ban::Permanent);
        self.drop_links();
    }

    /// Ends all connections; the next are told that their client is too old, until this is undone.
    pub fn client_outdated(&self, outdated: bool) {
        self.lock().faults.outdated = outdated;
        if outdated {
            self.drop_links();
        }
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.lock().faults = Faults::default();
        for link in self.links() {
            link.stall(Duration::ZERO);
            link.slow(Duration::ZERO);
        }
    }

    /// Unlinks a companion from the phone: it is told if it is online, and not let in again. False
    /// when it was not linked.
    pub async fn unlink(&self, device: u16) -> bool {
        let Some(companion) = self.forget(device) else { return false };
        if let Some(link) = companion.link {
            link.finish(streams::device_removed()).await;
        }
        true
    }

    /// Unlinks all companions from the phone. How many there were.
    pub async fn unlink_all(self: &Arc<Self>) -> usize {
        let devices = self.devices();
        for device in &devices {
            self.unlink(*device).await;
        }
        devices.len()
    }

    /// Takes a companion out of the account.
    pub(super) fn forget(&self, device: u16) -> Option<Companion> {
        self.lock().companions.remove(&device)
    }
}

/// Ends a connection that meets something else than nothing; true when it may go on.
pub(super) async fn apply(link: &Link, met: LoginFault) -> bool {
    match met {
        LoginFault::Nothing(delay) => {
            link.slow(delay);
            true
        }
        LoginFault::Closed => {
            link.drop_now();
            false
        }
        LoginFault::Refused(refusal) => {
            link.finish(refusal.node()).await;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_ban_names_what_remains_of_it_and_ends() {
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let ban = Ban::Temporary { code: 101, until: now + minute };
        let mut faults = Faults { ban: Some(ban), ..Faults::default() };
        let remaining = Duration::from_secs(40);
        let met = faults.next_login_fault(now + Duration::from_secs(20));
        assert_eq!(met, LoginFault::Refused(Refusal::TemporaryBan { code: 101, remaining }));
        assert_eq!(faults.next_login_fault(now + minute), LoginFault::Nothing(Duration::ZERO));
    }

    #[test]
    fn refused_connections_are_counted_down() {
        let now = Instant::now();
        let mut faults = Faults { refuse: 2, ..Faults::default() };
        let met: Vec<_> = std::iter::repeat_with(|| faults.next_login_fault(now)).take(3).collect();
        assert_eq!(met, [LoginFault::Closed, LoginFault::Closed, LoginFault::Nothing(Duration::ZERO)]);
    }
}
