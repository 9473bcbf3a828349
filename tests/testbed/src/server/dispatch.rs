//! Passes stanzas to their handlers. A handler is an async function of the [`Session`] and the stanza; a
//! session's stanzas are handled one after the other, so slow work is spawned ([`World::spawn`]).

use std::sync::Arc;

use wacore_binary::{Jid, Node};

use super::state::Account;
use super::{World, iq, messages, offline, presence, receipts};
use crate::wire::connection::Link;

/// A companion that is logged in.
#[derive(Clone)]
pub struct Session {
    /// The state of the testbed.
    pub world: Arc<World>,
    /// The companion's account.
    pub account: Arc<Account>,
    /// The companion's device number.
    pub device: u16,
    /// Its connection.
    pub link: Link,
}

impl Session {
    /// Its JID by phone number.
    #[must_use]
    pub fn jid(&self) -> Jid {
        self.account.jid(self.device)
    }

    /// Its JID by LID.
    #[must_use]
    pub fn lid_jid(&self) -> Jid {
        self.account.lid_jid(self.device)
    }

    /// Sends a node on this connection only. Nodes that must survive the connection go through [`offline`].
    pub async fn send(&self, node: Node) -> bool {
        self.link.send(node).await
    }
}

/// Handles a stanza.
pub async fn dispatch(session: &Session, stanza: &Node) {
    match stanza.tag.as_ref() {
        "iq" => iq::handle(session, stanza).await,
        "message" => messages::handle(session, stanza).await,
        "receipt" => receipts::handle(session, stanza).await,
        "ack" => receipts::acknowledged(session, stanza).await,
        "presence" => presence::handle(session, stanza).await,
        "chatstate" => presence::chat_state(session, stanza).await,
        "ib" => offline::ib(session, stanza).await,
        tag => tracing::debug!(tag, "ignored an unsupported stanza"),
    }
}
