//! The server: who has an account, who is connected, and what answers what.
//!
//! - `state`, `directory`: accounts, companions, and how they are found
//! - `accept`: where a connection comes in; `pending_links`, `pairing` and `typed_codes`
//!   link it, `login` logs it in
//! - `dispatch`, `iq`: from a stanza to the file that handles it
//! - `prekeys`, `settings`, `companions`: the IQs about keys, about preferences, about devices
//! - `streams`: how connections end; `faults`: what goes wrong at a test's word
//! - `phone_messages`: what phones write to companions; `network_view`: what the network saw of an account;
//!   `message_faults`: what goes wrong with messages
//! - `messages`, `receipts`, `offline`, `groups`, `usync`, `app_state`, `pictures`, `presence`: what
//!   their names say

pub mod accept;
pub mod app_state;
pub mod behaviour;
pub mod collections;
pub mod companions;
pub mod directory;
pub mod dispatch;
pub mod faults;
pub mod groups;
pub mod id_format;
pub mod iq;
pub mod login;
pub mod message_faults;
pub mod message_store;
pub mod messages;
pub mod network_view;
pub mod notifications;
pub mod offline;
pub mod pairing;
pub mod pending_links;
pub mod phone_delivery;
pub mod phone_messages;
pub mod pictures;
pub mod prekeys;
pub mod presence;
pub mod receipts;
pub mod scene_setup;
pub mod settings;
pub mod state;
mod state_changes;
pub mod streams;
pub mod typed_codes;
pub mod usync;

use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::media::MediaStore;
use crate::wire::noise::ServerKeys;
use directory::Directory;
use groups::GroupStore;
use pending_links::PendingLinks;

/// All of the testbed's state. Each part has locks of its own.
pub struct World {
    /// The server's noise key and certificate.
    pub keys: ServerKeys,
    /// The accounts.
    pub directory: Directory,
    /// Clients that wait to be linked.
    pub pending_links: PendingLinks,
    /// The groups.
    pub groups: GroupStore,
    /// The files.
    pub media: MediaStore,
    /// Where the testbed listens.
    pub address: SocketAddr,
    /// Everything that runs beside a connection's own task is spawned here, and ends with the world.
    pub tasks: TaskTracker,
    /// Ends all of it.
    pub stop: CancellationToken,
}

impl World {
    /// An empty world, served at this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            keys: ServerKeys::generate(),
            directory: Directory::default(),
            pending_links: PendingLinks::default(),
            groups: GroupStore::default(),
            media: MediaStore::default(),
            address,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Starts a task that is dropped at its next await once the world ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}
