//! Notifications: what the server tells the devices of an account about its groups, pictures and state.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::state::Account;
use crate::phone::keys;

/// A `<notification>` about one thing.
#[must_use]
pub fn notification(kind: &'static str, from: &Jid, about: Node) -> NodeBuilder {
    NodeBuilder::new("notification")
        .attr("type", kind)
        .attr("from", from.clone())
        .attr("id", format!("{:016X}", u64::from_be_bytes(keys::bytes())))
        .attr("t", wacore::time::now_secs())
        .children([about])
}

/// Tells all devices of an account, but for the one that did it.
pub async fn tell(account: &Arc<Account>, notification: &Node, but_for: Option<u16>) {
    for device in account.devices() {
        if but_for == Some(device) {
            continue;
        }
        if let Some(link) = account.link(device) {
            link.send(notification.clone()).await;
        }
    }
}
