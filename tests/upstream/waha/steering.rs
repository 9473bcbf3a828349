//! Steering calls: the network's, for the account of the device's session.

use std::sync::Weak;

use async_trait::async_trait;

use super::Server;
use crate::upstream::world::steering::Steering;

/// Ids are the network's and the daemon's own: the server translates at its face.
pub struct Steered(pub Weak<Server>);

#[async_trait]
impl Steering for Steered {
    fn account(&self, device: &str) -> Option<String> {
        let server = self.0.upgrade()?;
        server.world.known(device).map(|account| account.name().to_owned())
    }
}
