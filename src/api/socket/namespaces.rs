//! One namespace for each existing device, and `/devices` for all.
//!
//! The library creates dynamic namespaces before their guard runs, and never removes them. So each namespace
//! is registered by name and deleted with its device. The forwarders notify the clients of a deleted device
//! ([`super::forward`]); the namespace is deleted when they have left, or after five seconds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use socketioxide::operators::BroadcastOperators;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use super::Shared;
use super::fleet_namespace::FleetGuard;
use super::namespace_guard::NamespaceGuard;
use super::unknown_namespace::UnknownNamespace;
use crate::domain::ids::DeviceId;
use crate::service::DeviceLifecycleEvent;

/// The time for the clients of a deleted device to receive its last events.
const CLOSING_GRACE: Duration = Duration::from_secs(5);
/// The interval at which closing namespaces are checked.
const CLOSING_TICK: Duration = Duration::from_millis(50);
/// The time limit for closing transports when the daemon drains.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The registered namespaces.
pub(super) struct Namespaces {
    io: SocketIo,
    shared: Arc<Shared>,
    book: Mutex<OpenNamespaces>,
}

struct OpenNamespaces {
    /// Lifecycle events that are not applied yet.
    notices: Receiver<DeviceLifecycleEvent>,
    open: HashSet<DeviceId>,
    /// Namespaces of deleted devices, with their latest end. They are also in `open`.
    closing: HashMap<DeviceId, Instant>,
}

impl Namespaces {
    /// Registers the existing devices, and spawns the task that follows their lifecycle.
    pub(super) fn open(io: SocketIo, shared: Arc<Shared>) -> Arc<Self> {
        // Subscribed before the list is read: no event is lost, and opening twice changes nothing.
        let (notices, wake) =
            (shared.services.registry.device_changes(), shared.services.registry.device_changes());
        let book = OpenNamespaces { notices, open: HashSet::new(), closing: HashMap::new() };
        io.ns("/devices", FleetGuard::new(shared.clone()));
        let namespaces = Arc::new(Self { io, shared, book: Mutex::new(book) });
        namespaces.reconcile(&mut namespaces.lock());
        UnknownNamespace::register(&namespaces.io, &namespaces.shared, &Arc::downgrade(&namespaces));
        let task = namespaces.clone().follow(wake);
        namespaces.shared.services.tasks().spawn_essential("socket-namespaces", task);
        namespaces
    }

    /// Applies the lifecycle events that arrived so far.
    pub(super) fn sync_namespaces(&self) {
        let mut book = self.lock();
        loop {
            match book.notices.try_recv() {
                Ok(DeviceLifecycleEvent::Added(id)) => self.add(&mut book, &id),
                Ok(DeviceLifecycleEvent::Removed(id)) => self.remove(&mut book, id),
                Err(TryRecvError::Lagged(_)) => self.reconcile(&mut book),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }

    async fn follow(self: Arc<Self>, mut wake: Receiver<DeviceLifecycleEvent>) {
        let soft = self.shared.services.tasks().soft().clone();
        loop {
            let closing = !self.lock().closing.is_empty();
            tokio::select! {
                () = soft.cancelled() => break,
                notice = wake.recv() => match notice {
                    Ok(_) | Err(RecvError::Lagged(_)) => self.sync_namespaces(),
                    Err(RecvError::Closed) => break,
                },
                () = tokio::time::sleep(CLOSING_TICK), if closing => self.finish_closing(),
            }
        }
        soft.cancelled().await;
        // Transports are closed, not namespaces: clients reconnect after a lost transport.
        if tokio::time::timeout(CLOSE_TIMEOUT, self.io.close()).await.is_err() {
            tracing::warn!("sockets not closed in time");
        }
    }

    fn add(&self, book: &mut OpenNamespaces, id: &DeviceId) {
        // Deleted and created again: the namespace stays, and its guard checks the new device.
        book.closing.remove(id);
        if book.open.insert(id.clone()) {
            let guard = NamespaceGuard::new(self.shared.clone(), id.clone());
            self.io.ns(path_of(id), guard);
        }
    }

    fn remove(&self, book: &mut OpenNamespaces, id: DeviceId) {
        if book.open.contains(&id) && !self.shared.services.registry.device_exists(&id) {
            book.closing.insert(id, Instant::now() + CLOSING_GRACE);
        }
    }

    fn reconcile(&self, book: &mut OpenNamespaces) {
        let exist: HashSet<_> = self.shared.services.registry.device_ids().into_iter().collect();
        let gone: Vec<_> = book.open.difference(&exist).cloned().collect();
        gone.into_iter().for_each(|id| self.remove(book, id));
        exist.iter().for_each(|id| self.add(book, id));
    }

    fn finish_closing(&self) {
        self.sync_namespaces();
        let mut book = self.lock();
        let now = Instant::now();
        let ready = |id: &DeviceId, latest: Instant| latest <= now || self.sockets(id).is_empty();
        let ready: Vec<_> = book
            .closing
            .iter()
            .filter(|(id, latest)| ready(id, **latest))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ready {
            book.closing.remove(&id);
            if self.shared.services.registry.device_exists(&id) {
                continue;
            }
            book.open.remove(&id);
            for socket in self.sockets(&id) {
                // A full buffer has no room for it; deleting the namespace ends the socket anyway.
                let _ = socket.disconnect();
            }
            self.io.delete_ns(path_of(&id));
        }
    }

    /// Deletes a namespace that a client's name created, unless it became a device's.
    pub(super) fn delete_unknown(&self, path: &str) {
        let book = self.lock();
        let device = path.strip_prefix(PREFIX).and_then(|id| id.parse::<DeviceId>().ok());
        if !device.is_some_and(|id| book.open.contains(&id)) {
            self.io.delete_ns(path);
        }
    }

    fn sockets(&self, id: &DeviceId) -> Vec<SocketRef> {
        self.io.of(path_of(id)).map(BroadcastOperators::sockets).unwrap_or_default()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, OpenNamespaces> {
        self.book.lock()
    }
}

/// The start of the path of each device's namespace.
const PREFIX: &str = "/device/";

fn path_of(id: &DeviceId) -> String {
    format!("{PREFIX}{id}")
}
