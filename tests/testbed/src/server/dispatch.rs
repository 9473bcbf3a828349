//! From a stanza to the file that handles it.
//!
//! A handler is an async function of the [`Session`] that the stanza came in on, and the stanza. The
//! session's stanzas are handled one after the other, in their order; what takes time belongs in a
//! task of the world's ([`World::spawn`]).

use std::sync::Arc;

use wacore_binary::{Jid, Node};

use super::state::Account;
use super::{World, iq, messages, offline, presence, receipts};
use crate::wire::connection::Link;

/// One companion that is logged in.
#[derive(Clone)]
pub struct Session {
    /// Everything.
    pub world: Arc<World>,
    /// Whose companion it is.
    pub account: Arc<Account>,
    /// Which of them.
    pub device: u16,
    /// Its connection.
    pub link: Link,
}

impl Session {
    /// Its JID with a phone number.
    #[must_use]
    pub fn jid(&self) -> Jid {
        self.account.jid(self.device)
    }

    /// Its JID with a LID.
    #[must_use]
    pub fn lid_jid(&self) -> Jid {
        self.account.lid_jid(self.device)
    }

    /// Sends it a node on this very connection. What must survive the connection goes through
    /// [`offline`].
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
        tag => tracing::debug!(tag, "a stanza that the testbed does not know"),
    }
}
