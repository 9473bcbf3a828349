//! One namespace for each device that exists.
//!
//! The library's dynamic namespaces are created before their door is asked and never removed, so each is
//! registered by name and deleted with its device. Clients of a deleted device are told by their
//! forwarders ([`super::forward`]); the namespace goes once they have left, or after a while without them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use socketioxide::operators::BroadcastOperators;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use super::Shared;
use super::connect::Door;
use crate::domain::ids::DeviceId;
use crate::service::DeviceLifecycleEvent;

/// How long the clients of a deleted device have to take its last events.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often a namespace that is going is looked at.
const CLOSING_TICK: Duration = Duration::from_millis(50);
/// How long goodbyes may take when the daemon drains.
const GOODBYE: Duration = Duration::from_secs(2);

/// The namespaces that exist.
pub(super) struct Namespaces {
    io: SocketIo,
    shared: Arc<Shared>,
    book: Mutex<Book>,
}

struct Book {
    /// Notices that are not in the book yet.
    notices: Receiver<DeviceLifecycleEvent>,
    open: HashSet<DeviceId>,
    /// Namespaces of deleted devices, and when they go at the latest. They are also in `open`.
    closing: HashMap<DeviceId, Instant>,
}

impl Namespaces {
    /// Registers what exists, and starts the task that follows.
    pub(super) fn open(io: SocketIo, shared: Arc<Shared>) -> Arc<Self> {
        // Both before the list is read: what comes in between is told, and opening twice changes nothing.
        let (notices, wake) =
            (shared.services.registry.device_changes(), shared.services.registry.device_changes());
        let book = Book { notices, open: HashSet::new(), closing: HashMap::new() };
        let namespaces = Arc::new(Self { io, shared, book: Mutex::new(book) });
        namespaces.reconcile(&mut namespaces.lock());
        let task = namespaces.clone().follow(wake);
        namespaces.shared.services.tasks().spawn_essential("socket-namespaces", task);
        namespaces
    }

    /// Takes in what is known of devices by now.
    pub(super) fn catch_up(&self) {
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
                    Ok(_) | Err(RecvError::Lagged(_)) => self.catch_up(),
                    Err(RecvError::Closed) => break,
                },
                () = tokio::time::sleep(CLOSING_TICK), if closing => self.finish_closing(),
            }
        }
        soft.cancelled().await;
        // Transports are closed, not namespaces: clients take that for a lost server and come back.
        if tokio::time::timeout(GOODBYE, self.io.close()).await.is_err() {
            tracing::warn!("some sockets did not take their goodbye");
        }
    }

    fn add(&self, book: &mut Book, id: &DeviceId) {
        // Deleted and created again: the namespace stays, and its door looks at the new device.
        book.closing.remove(id);
        if book.open.insert(id.clone()) {
            let door = Door::new(self.shared.clone(), id.clone());
            self.io.ns(path_of(id), door);
        }
    }

    fn remove(&self, book: &mut Book, id: DeviceId) {
        if book.open.contains(&id) && !self.shared.services.registry.device_exists(&id) {
            book.closing.insert(id, Instant::now() + LAST_WORDS);
        }
    }

    fn reconcile(&self, book: &mut Book) {
        let exist: HashSet<_> = self.shared.services.registry.device_ids().into_iter().collect();
        let gone: Vec<_> = book.open.difference(&exist).cloned().collect();
        gone.into_iter().for_each(|id| self.remove(book, id));
        exist.iter().for_each(|id| self.add(book, id));
    }

    fn finish_closing(&self) {
        self.catch_up();
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
                // A full buffer has no room for it; deleting the namespace ends the socket all the same.
                let _ = socket.disconnect();
            }
            self.io.delete_ns(path_of(&id));
        }
    }

    fn sockets(&self, id: &DeviceId) -> Vec<SocketRef> {
        self.io.of(path_of(id)).map(BroadcastOperators::sockets).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path_of(id: &DeviceId) -> String {
    format!("/device/{id}")
}
