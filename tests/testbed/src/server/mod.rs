//! The server: accounts, connections, and the answers to stanzas.
//!
//! - `state`, `directory`: accounts and companions, and finding them
//! - `accept`: new connections; `pending_links`, `pairing`, `typed_codes` and `passkey_links` link them, `login` logs them in
//! - `dispatch`, `iq`: from a stanza to its handler
//! - `prekeys`, `settings`, `companions`: the IQs about keys, preferences and devices
//! - `streams`: how connections end; `faults`, `message_faults`: faults that tests arm
//! - `phone_messages`: messages from phones to companions; `phone_delivery`: from companions to phones;
//!   `network_view`: the record behind `network` of the control API
//! - `messages`, `receipts`, `offline`, `groups`, `usync`, `app_state`, `pictures`, `presence`: services of
//!   the network

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
pub mod passkey_links;
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

/// All state of the testbed; each part has its own lock.
pub struct World {
    /// The server's noise key and certificate.
    pub keys: ServerKeys,
    /// The accounts.
    pub directory: Directory,
    /// Clients that are not linked yet.
    pub pending_links: PendingLinks,
    /// The groups.
    pub groups: GroupStore,
    /// The files.
    pub media: MediaStore,
    /// The address that the testbed listens on.
    pub address: SocketAddr,
    /// Tasks besides those of connections; they end with the world.
    pub tasks: TaskTracker,
    /// Stops the world.
    pub stop: CancellationToken,
}

impl World {
    /// An empty world with this address.
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

    /// Spawns a task that ends at its next await once the world stops.
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
