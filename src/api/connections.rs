//! The client connections: how many there are, and which of them never presented a valid key. At a limit the
//! oldest of these is closed in favour of a new connection, so that clients without a key cannot keep others out.
//!
//! Invariants: an authenticated connection is never closed here; the tables have one entry per connection.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Extensions;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::auth::network_of;
use crate::domain::ip_block::IpBlock;

/// Limits of client connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Most connections.
    pub max: usize,
    /// Most unauthenticated connections of one address.
    pub max_unauthenticated_per_address: usize,
    /// Proxies, whose own addresses have no limit.
    pub trusted_proxies: Vec<IpBlock>,
    /// Socket.IO closes a `WebSocket` without a namespace after this time, and each namespace requires a key.
    /// An older `WebSocket` is thus authenticated, even if its handshake was on another connection.
    pub websocket_authenticated_after: Duration,
}

/// All client connections of a daemon.
#[derive(Debug)]
pub struct Connections {
    limits: ConnectionLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: usize,
    next_id: u64,
    /// By id, so the oldest is the first.
    unauthenticated: BTreeMap<u64, Unauthenticated>,
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Unauthenticated {
    /// `None` for a trusted proxy.
    address: Option<IpAddr>,
    websocket_since: Option<Instant>,
    close: CancellationToken,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    handle: ConnectionHandle,
}

/// The connection of a request.
#[derive(Clone, Debug)]
pub struct ConnectionHandle {
    connections: Arc<Connections>,
    id: u64,
    close: CancellationToken,
}

impl Connections {
    /// Without a connection.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// Admits a connection; `None` if all others are authenticated and there is no room.
    pub fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<ConnectionPermit> {
        let ip = peer.ip().to_canonical();
        let is_proxy = self.limits.trusted_proxies.iter().any(|block| block.contains(ip));
        let address = (!is_proxy).then(|| network_of(ip));
        let mut table = self.table.lock();
        if let Some(address) = address {
            while table.count(address) >= self.limits.max_unauthenticated_per_address {
                let Some(oldest) = table.oldest_of(address) else { break };
                self.remove_oldest(&mut table, oldest);
            }
        }
        if table.open >= self.limits.max {
            loop {
                let oldest = table.unauthenticated.keys().next().copied()?;
                if self.remove_oldest(&mut table, oldest) {
                    break;
                }
            }
        }
        let id = table.next_id;
        table.next_id += 1;
        table.open += 1;
        let close = CancellationToken::new();
        let entry = Unauthenticated { address, websocket_since: None, close: close.clone() };
        table.unauthenticated.insert(id, entry);
        if let Some(address) = address {
            table.by_address.entry(address).or_default().insert(id);
        }
        let handle = ConnectionHandle { connections: self.clone(), id, close };
        Some(ConnectionPermit { handle })
    }

    /// Removes the entry and closes its connection, unless that turns out to be authenticated.
    fn remove_oldest(&self, table: &mut Table, id: u64) -> bool {
        let Some(entry) = table.remove(id) else { return false };
        let authenticated_after = self.limits.websocket_authenticated_after;
        if entry.websocket_since.is_some_and(|since| since.elapsed() > authenticated_after) {
            return false;
        }
        entry.close.cancel();
        true
    }
}

impl Table {
    fn count(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).map_or(0, BTreeSet::len)
    }

    fn oldest_of(&self, address: IpAddr) -> Option<u64> {
        self.by_address.get(&address)?.first().copied()
    }

    fn remove(&mut self, id: u64) -> Option<Unauthenticated> {
        let entry = self.unauthenticated.remove(&id)?;
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
}

impl ConnectionPermit {
    /// The handle for the connection's requests.
    #[must_use]
    pub fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut table = self.handle.connections.table.lock();
        table.open = table.open.saturating_sub(1);
        table.remove(self.handle.id);
    }
}

impl ConnectionHandle {
    /// Cancelled when the connection must close.
    #[must_use]
    pub fn close(&self) -> &CancellationToken {
        &self.close
    }

    /// Records that the connection became a `WebSocket`.
    pub fn upgraded(&self) {
        if let Some(entry) = self.connections.table.lock().unauthenticated.get_mut(&self.id) {
            entry.websocket_since = Some(Instant::now());
        }
    }

    fn mark_authenticated(&self) {
        self.connections.table.lock().remove(self.id);
    }
}

/// Records that a request presented valid credentials.
pub(super) fn mark_authenticated(request: &Extensions) {
    if let Some(connection) = request.get::<ConnectionHandle>() {
        connection.mark_authenticated();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(ConnectionLimits {
            max,
            max_unauthenticated_per_address: per_address,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            websocket_authenticated_after: Duration::from_secs(50),
        })
    }

    fn admit(connections: &Arc<Connections>, peer: &str) -> Option<ConnectionPermit> {
        connections.admit(peer.parse().unwrap())
    }

    fn is_closed(permit: &ConnectionPermit) -> bool {
        permit.handle().close().is_cancelled()
    }

    #[test]
    fn oldest_unauthenticated_of_an_address_is_closed() {
        let all = connections(100, 2);
        let known = admit(&all, "192.0.2.1:1").unwrap();
        known.handle().mark_authenticated();
        let first = admit(&all, "192.0.2.1:2").unwrap();
        let other = admit(&all, "192.0.2.2:3").unwrap();
        let second = admit(&all, "192.0.2.1:4").unwrap();
        assert!(!is_closed(&first));
        let third = admit(&all, "[::ffff:192.0.2.1]:5").unwrap();
        assert!(is_closed(&first));
        for open in [&known, &other, &second, &third] {
            assert!(!is_closed(open));
        }
    }

    #[test]
    fn trusted_proxies_have_no_limit_of_their_own() {
        let all = connections(100, 1);
        let open: Vec<_> = (1..9).map(|port| admit(&all, &format!("10.0.0.1:{port}")).unwrap()).collect();
        assert!(!open.iter().any(is_closed));
    }

    #[test]
    fn authenticated_connections_are_kept_at_the_limit() {
        let all = connections(2, 100);
        let known = admit(&all, "192.0.2.1:1").unwrap();
        known.handle().mark_authenticated();
        let anonymous = admit(&all, "192.0.2.2:1").unwrap();
        let new = admit(&all, "192.0.2.3:1").unwrap();
        assert!(is_closed(&anonymous) && !is_closed(&known));
        new.handle().mark_authenticated();
        drop(anonymous);
        assert!(admit(&all, "192.0.2.4:1").is_none());
        drop(new);
        assert!(admit(&all, "192.0.2.4:1").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn websocket_that_joined_a_namespace_is_kept() {
        let all = connections(100, 1);
        let socket = admit(&all, "192.0.2.1:1").unwrap();
        socket.handle().upgraded();
        tokio::time::advance(Duration::from_secs(51)).await;
        let _next = admit(&all, "192.0.2.1:2").unwrap();
        assert!(!is_closed(&socket));
    }

    #[test]
    fn closed_connections_leave_no_entry() {
        let all = connections(4, 2);
        for n in 0..20 {
            drop(admit(&all, &format!("192.0.2.{n}:1")).unwrap());
        }
        let table = all.table.lock();
        assert_eq!((table.open, table.unauthenticated.len(), table.by_address.len()), (0, 0, 0));
    }
}
