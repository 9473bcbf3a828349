//! Notifications of the server to an account's devices, about groups, pictures and app state.

use std::sync::Arc;

use tokio::sync::oneshot;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::offline::{self, QueuedStanza};
use super::state::Account;
use crate::phone::keys;

/// Builds a `<notification>`.
#[must_use]
pub fn notification(kind: &'static str, from: &Jid, about: Node) -> NodeBuilder {
    NodeBuilder::new("notification")
        .attr("type", kind)
        .attr("from", from.clone())
        .attr("id", format!("{:016X}", u64::from_be_bytes(keys::bytes())))
        .attr("t", wacore::time::now_secs())
        .children([about])
}

/// Queues a notification for all devices of an account except `but_for`. Each returned receiver completes
/// when a device has confirmed.
pub async fn send(
    account: &Arc<Account>,
    notification: &Node,
    but_for: Option<u16>,
) -> Vec<oneshot::Receiver<()>> {
    let mut receivers = Vec::new();
    for device in account.devices().into_iter().filter(|device| but_for != Some(*device)) {
        let (done, receiver) = oneshot::channel();
        let entry = QueuedStanza::new(notification.clone()).notifying(Some(done));
        if offline::queue(account, device, entry).is_some() {
            receivers.push(receiver);
            offline::flush(account, device).await;
        }
    }
    receivers
}
