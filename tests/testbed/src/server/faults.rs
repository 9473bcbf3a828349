//! Faults of an account's connections, which tests arm. A fault that ends connections also affects
//! later logins.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Account, Companion};
use super::streams::{self, Refusal};
use crate::wire::connection::Link;

/// The armed faults.
#[derive(Default)]
pub struct Faults {
    /// Logins to close without an answer.
    refuse: u32,
    /// All logins before this time are closed without an answer.
    refuse_until: Option<Instant>,
    /// Logins to refuse with 503.
    unavailable: u32,
    /// All logins are refused because of the client's version.
    outdated: bool,
    /// All logins are refused with this ban.
    ban: Option<Ban>,
    /// The delay before each node.
    delay: Duration,
    /// The phones of others are offline until this time.
    phones_back: Option<Instant>,
    /// The next link breaks before the client's signature arrives.
    lose_signature: bool,
}

#[derive(Clone, Copy)]
enum Ban {
    Temporary { code: u16, until: Instant },
    Permanent,
}

/// The effect of the faults on a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginFault {
    /// Accepts, with this delay before each node.
    Nothing(Duration),
    /// Closes without an answer.
    Closed,
    /// Refuses the login.
    Refused(Refusal),
}

impl Faults {
    /// Whether the phones of others are offline.
    #[must_use]
    pub fn are_phones_off(&self) -> bool {
        self.phones_back().is_some()
    }

    /// When the phones of others are online again, if they are offline.
    #[must_use]
    pub fn phones_back(&self) -> Option<Instant> {
        self.phones_back.filter(|back| *back > Instant::now())
    }

    /// The effect on a login now; decrements counters.
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
    /// The phones of others receive nothing for this time; messages wait in the server.
    pub fn phones_offline(&self, duration: Duration) {
        self.lock().faults.phones_back = Some(Instant::now() + duration);
    }

    /// The next link breaks after the client has signed it, before the signature arrives.
    pub fn lose_signature(&self) {
        self.lock().faults.lose_signature = true;
    }

    /// Whether the signature that just arrived must be lost.
    pub(super) fn loses_signature(&self) -> bool {
        std::mem::take(&mut self.lock().faults.lose_signature)
    }

    /// Closes all connections.
    pub fn drop_links(&self) {
        for link in self.links() {
            link.drop_now();
        }
    }

    /// Closes all connections and this many of the next.
    pub fn refuse_connections(&self, count: u32) {
        self.lock().faults.refuse = count;
        self.drop_links();
    }

    /// Closes all connections and those that arrive within this time.
    pub fn refuse_connections_for(&self, duration: Duration) {
        self.lock().faults.refuse_until = Some(Instant::now() + duration);
        self.drop_links();
    }

    /// Keeps all connections open but silent for this time.
    pub fn stall(&self, duration: Duration) {
        for link in self.links() {
            link.stall(duration);
        }
    }

    /// Delays each node to the companions by this time, also on later connections; zero ends it.
    pub fn slow_link(&self, delay: Duration) {
        self.lock().faults.delay = delay;
        for link in self.links() {
            link.slow(delay);
        }
    }

    /// Ends all connections, and this many of the next, with 503.
    pub async fn unavailable(&self, count: u32) {
        self.lock().faults.unavailable = count;
        for link in self.links() {
            link.finish(streams::error(503)).await;
        }
    }

    /// Ends all connections as replaced by another one.
    pub async fn replace_streams(&self) {
        for link in self.links() {
            link.finish(streams::replaced()).await;
        }
    }

    /// Closes all connections; refuses logins with a temporary ban of this code and length.
    pub fn ban_temporarily(&self, code: u16, duration: Duration) {
        self.lock().faults.ban = Some(Ban::Temporary { code, until: Instant::now() + duration });
        self.drop_links();
    }

    /// Closes all connections; refuses logins with a permanent ban.
    pub fn ban(&self) {
        self.lock().faults.ban = Some(Ban::Permanent);
        self.drop_links();
    }

    /// Refuses logins because of the client's version, until disabled; closes all connections.
    pub fn client_outdated(&self, outdated: bool) {
        self.lock().faults.outdated = outdated;
        if outdated {
            self.drop_links();
        }
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.lock().faults = Faults::default();
        for link in self.links() {
            link.stall(Duration::ZERO);
            link.slow(Duration::ZERO);
        }
    }

    /// Unlinks a companion and ends its connection; `false` if it was not linked.
    pub async fn unlink(&self, device: u16) -> bool {
        let Some(companion) = self.forget(device) else { return false };
        if let Some(link) = companion.link {
            link.finish(streams::device_removed()).await;
        }
        true
    }

    /// Unlinks all companions; returns their number.
    pub async fn unlink_all(self: &Arc<Self>) -> usize {
        let devices = self.devices();
        for device in &devices {
            self.unlink(*device).await;
        }
        devices.len()
    }

    /// Removes a companion from the account.
    pub(super) fn forget(&self, device: u16) -> Option<Companion> {
        self.lock().companions.remove(&device)
    }
}

/// Applies the effect to a connection; `true` if the login may continue.
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
    fn temporary_ban_has_remaining_time_and_ends() {
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let ban = Ban::Temporary { code: 101, until: now + minute };
        let mut faults = Faults { ban: Some(ban), ..Faults::default() };
        let remaining = Duration::from_secs(40);
        let met = faults.next_login_fault(now + Duration::from_secs(20));
        assert_eq!(met, LoginFault::Refused(Refusal::TemporaryBan { code: 101, remaining }));
        assert_eq!(faults.next_login_fault(now + minute), LoginFault::Nothing(Duration::ZERO));
    }

    #[test]
    fn refused_connections_are_counted() {
        let now = Instant::now();
        let mut faults = Faults { refuse: 2, ..Faults::default() };
        let met: Vec<_> = std::iter::repeat_with(|| faults.next_login_fault(now)).take(3).collect();
        assert_eq!(met, [LoginFault::Closed, LoginFault::Closed, LoginFault::Nothing(Duration::ZERO)]);
    }
}
