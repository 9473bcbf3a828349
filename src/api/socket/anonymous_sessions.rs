//! Socket.IO sessions that have not joined a namespace. At a limit the oldest ends in favour of a new one, so that
//! clients without a key cannot use up memory or keep others out.
//!
//! Invariants: a session that joined a namespace is not in the table and is never ended here; the table has one entry
//! per session that the library stores.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Extensions;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::api::auth::network_of;

/// Sessions of an address that the library may store, as a multiple of its limit. The library stores an ended session
/// until its connect timeout.
const STORED_PER_OPEN: usize = 4;

/// Limits of sessions without a namespace.
#[derive(Debug, Clone, Copy)]
pub struct AnonymousLimits {
    /// Most sessions of one address.
    pub per_address: usize,
    /// Most sessions.
    pub total: usize,
    /// Refused namespaces after which a session ends.
    pub refusals: u32,
}

/// The sessions without a namespace.
#[derive(Debug)]
pub(super) struct AnonymousSessions {
    limits: AnonymousLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    /// By id, so the oldest is the first.
    open: BTreeMap<u64, Entry>,
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
    by_sid: HashMap<String, u64>,
    /// Open and ended sessions that the library stores.
    stored: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    /// `None` for a trusted proxy.
    address: Option<IpAddr>,
    /// Its id, if it began with polling. Unknown until the handshake is answered.
    sid: Option<String>,
    /// Closes its connection, if it is a WebSocket.
    websocket: Option<CancellationToken>,
    refusals: u32,
    /// Set by a request with a trusted `Origin`, if cookies wait for it.
    has_origin: Option<Arc<AtomicBool>>,
}

/// The session of a handshake. It is in the extensions of the request, which the library stores with the session.
#[derive(Clone, Debug)]
pub(super) struct AnonymousSession(Arc<SessionPermit>);

#[derive(Debug)]
struct SessionPermit {
    sessions: Arc<AnonymousSessions>,
    id: u64,
    address: Option<IpAddr>,
    has_joined: AtomicBool,
}

/// The address has too many sessions that the library still stores.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManySessions;

impl AnonymousSessions {
    pub(super) fn new(limits: AnonymousLimits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// Admits the session of a handshake. `websocket` closes its connection if it is a WebSocket. Returns the ids
    /// of polling sessions that end in its favour; the library must close them.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        websocket: Option<CancellationToken>,
    ) -> Result<(AnonymousSession, Vec<String>), TooManySessions> {
        let address = address.map(network_of);
        let mut table = self.table.lock();
        let mut ended = Vec::new();
        if let Some(address) = address {
            let stored = table.stored.entry(address).or_default();
            if *stored >= self.limits.per_address.saturating_mul(STORED_PER_OPEN) {
                return Err(TooManySessions);
            }
            *stored += 1;
            while table.by_address.get(&address).map_or(0, BTreeSet::len) >= self.limits.per_address {
                let Some(oldest) = table.by_address.get(&address).and_then(|ids| ids.first().copied()) else {
                    break;
                };
                ended.extend(table.end(oldest));
            }
        }
        while table.open.len() >= self.limits.total {
            let Some(oldest) = table.open.keys().next().copied() else { break };
            ended.extend(table.end(oldest));
        }
        let id = table.next_id;
        table.next_id += 1;
        table.open.insert(id, Entry { address, sid: None, websocket, refusals: 0, has_origin: None });
        if let Some(address) = address {
            table.by_address.entry(address).or_default().insert(id);
        }
        drop(table);
        let permit =
            SessionPermit { sessions: self.clone(), id, address, has_joined: AtomicBool::new(false) };
        Ok((AnonymousSession(Arc::new(permit)), ended))
    }

    /// Records that a polling session without a namespace became a WebSocket.
    pub(super) fn upgraded(&self, sid: &str, connection: CancellationToken) {
        let mut table = self.table.lock();
        let Some(id) = table.by_sid.get(sid).copied() else { return };
        if let Some(entry) = table.open.get_mut(&id) {
            entry.websocket = Some(connection);
        }
    }

    /// Records that a request of a polling session without a namespace had a trusted `Origin`.
    pub(super) fn confirm_origin(&self, sid: &str) {
        let table = self.table.lock();
        let entry = table.by_sid.get(sid).and_then(|id| table.open.get(id));
        if let Some(has_origin) = entry.and_then(|entry| entry.has_origin.as_ref()) {
            has_origin.store(true, Ordering::Release);
        }
    }

    /// Ends the polling session with this id if it was refused too often; `true` if the library must close it.
    pub(super) fn take_refused(&self, sid: &str) -> bool {
        let mut table = self.table.lock();
        let Some(id) = table.by_sid.get(sid).copied() else { return false };
        let is_refused = |entry: &Entry| entry.refusals > self.limits.refusals;
        table.open.get(&id).is_some_and(is_refused) && table.remove(id).is_some()
    }
}

impl Table {
    /// Ends a session. Returns the id of a polling session, which the library must close.
    fn end(&mut self, id: u64) -> Option<String> {
        let entry = self.remove(id)?;
        if let Some(connection) = entry.websocket {
            connection.cancel();
            return None;
        }
        // Without an id, the handshake finds no entry and ends the session.
        entry.sid
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.open.remove(&id)?;
        if let Some(sid) = &entry.sid {
            self.by_sid.remove(sid);
        }
        if let Some(address) = entry.address
            && let Some(ids) = self.by_address.get_mut(&address)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(entry)
    }

    fn release(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let Some(stored) = self.stored.get_mut(&address) else { return };
        *stored = stored.saturating_sub(1);
        if *stored == 0 {
            self.stored.remove(&address);
        }
    }
}

impl AnonymousSession {
    /// Records the id of a polling session; `false` if the session was ended meanwhile.
    pub(super) fn polls_as(&self, sid: &str) -> bool {
        let mut table = self.0.sessions.table.lock();
        let Some(entry) = table.open.get_mut(&self.0.id) else { return false };
        entry.sid = Some(sid.to_owned());
        table.by_sid.insert(sid.to_owned(), self.0.id);
        true
    }

    /// Sets `has_origin` at a later request with a trusted `Origin`.
    pub(super) fn await_origin(&self, has_origin: Arc<AtomicBool>) {
        if let Some(entry) = self.0.sessions.table.lock().open.get_mut(&self.0.id) {
            entry.has_origin = Some(has_origin);
        }
    }

    fn join(&self) {
        if !self.0.has_joined.swap(true, Ordering::SeqCst) {
            let mut table = self.0.sessions.table.lock();
            table.remove(self.0.id);
            table.release(self.0.address);
        }
    }

    /// Counts a refused namespace; `true` if the session ends, so that the answer must reveal nothing.
    fn count_refusal(&self) -> bool {
        let limit = self.0.sessions.limits.refusals;
        let mut table = self.0.sessions.table.lock();
        let Some(entry) = table.open.get_mut(&self.0.id) else {
            return !self.0.has_joined.load(Ordering::SeqCst);
        };
        entry.refusals = entry.refusals.saturating_add(1);
        if entry.refusals <= limit {
            return false;
        }
        // The next request of a polling session ends it.
        if let Some(connection) = &entry.websocket {
            connection.cancel();
        }
        true
    }
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        if !*self.has_joined.get_mut() {
            let mut table = self.sessions.table.lock();
            table.remove(self.id);
            table.release(self.address);
        }
    }
}

/// Records that the session of a request joined a namespace.
pub(super) fn mark_joined(request: &Extensions) {
    if let Some(session) = request.get::<AnonymousSession>() {
        session.join();
    }
}

/// Counts a refused namespace of a request's session; `true` if the session ends.
pub(super) fn count_refusal(request: &Extensions) -> bool {
    request.get::<AnonymousSession>().is_some_and(AnonymousSession::count_refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(per_address: usize, total: usize) -> Arc<AnonymousSessions> {
        AnonymousSessions::new(AnonymousLimits { per_address, total, refusals: 2 })
    }

    fn admit(all: &Arc<AnonymousSessions>, address: &str, sid: &str) -> (AnonymousSession, Vec<String>) {
        let (session, ended) = all.admit(Some(address.parse().unwrap()), None).unwrap();
        assert!(session.polls_as(sid));
        (session, ended)
    }

    #[test]
    fn oldest_session_of_an_address_ends_first() {
        let all = sessions(2, 100);
        let (_a, _) = admit(&all, "192.0.2.1", "a");
        let (_other, _) = admit(&all, "192.0.2.2", "other");
        let (b, _) = admit(&all, "192.0.2.1", "b");
        let (_c, ended) = admit(&all, "192.0.2.1", "c");
        assert_eq!(ended, ["a"]);
        b.join();
        let (_d, ended) = admit(&all, "192.0.2.1", "d");
        assert!(ended.is_empty());
    }

    #[test]
    fn oldest_session_of_all_ends_at_the_limit() {
        let all = sessions(2, 3);
        let open: Vec<_> = (1..=3).map(|n| admit(&all, &format!("192.0.2.{n}"), &format!("s{n}"))).collect();
        let (_new, ended) = admit(&all, "192.0.2.9", "new");
        assert_eq!(ended, ["s1"]);
        drop(open);
    }

    #[test]
    fn stored_sessions_of_an_address_are_limited() {
        let all = sessions(1, 100);
        let address = Some("192.0.2.1".parse().unwrap());
        let stored: Vec<_> = (0..4).map(|_| all.admit(address, None).unwrap()).collect();
        assert_eq!(all.admit(address, None).err(), Some(TooManySessions));
        assert!(all.admit(None, None).is_ok(), "a trusted proxy");
        drop(stored);
        assert!(all.admit(address, None).is_ok());
        let table = all.table.lock();
        assert!(table.open.is_empty() && table.stored.is_empty() && table.by_address.is_empty());
    }

    #[test]
    fn websocket_closes_after_its_refusals() {
        let all = sessions(2, 3);
        let close = CancellationToken::new();
        let (session, _) = all.admit(None, Some(close.clone())).unwrap();
        assert!(!session.count_refusal() && !session.count_refusal() && !close.is_cancelled());
        assert!(session.count_refusal() && close.is_cancelled());
    }

    #[test]
    fn refused_polling_session_is_closed_once() {
        let all = sessions(2, 3);
        let (session, _) = admit(&all, "192.0.2.1", "a");
        assert!(!all.take_refused("a"));
        (0..3).for_each(|_| {
            session.count_refusal();
        });
        assert!(all.take_refused("a") && !all.take_refused("a"));
        assert!(session.count_refusal(), "an ended session gets constant answers");
    }

    #[test]
    fn trusted_origin_is_recorded_for_its_session_only() {
        let all = sessions(2, 3);
        let (session, _) = admit(&all, "192.0.2.1", "a");
        let (_other, _) = admit(&all, "192.0.2.2", "b");
        let has_origin = Arc::new(AtomicBool::new(false));
        session.await_origin(has_origin.clone());
        all.confirm_origin("b");
        all.confirm_origin("unknown");
        assert!(!has_origin.load(Ordering::Acquire));
        all.confirm_origin("a");
        assert!(has_origin.load(Ordering::Acquire));
    }

    #[test]
    fn joined_session_is_not_refused() {
        let all = sessions(2, 3);
        let (session, _) = admit(&all, "192.0.2.1", "a");
        session.join();
        assert!((0..9).all(|_| !session.count_refusal()));
    }
}
