//! The key of the account's collections, which the phone shares with a device that was just linked.

use std::sync::Arc;

use super::{keys, outbound};
use crate::server::dispatch::Session;
use crate::server::messages;
use crate::server::phone_messages::{self, Addressing, Destination, PhoneMessage};

/// A key of an account's collections.
#[derive(Clone)]
pub struct StateKey {
    /// Names it: the device that made it and a number.
    pub id: [u8; 6],
    /// The key.
    pub data: [u8; 32],
}

impl StateKey {
    pub(super) fn new() -> Self {
        Self { id: [0, 0, 0, 0, 0, 1], data: keys::bytes() }
    }
}

/// Sends it to a companion that has uploaded prekeys for the first time; whether it is the first time.
pub async fn share(session: &Session) -> bool {
    let (account, device) = (&session.account, session.device);
    let first = account.with(device, |companion| !std::mem::replace(&mut companion.has_state_key, true));
    if first != Some(true) {
        return false;
    }
    let key = &account.phone.state_key;
    let phone_message = PhoneMessage {
        author: Arc::clone(account),
        addressing: Addressing::Number,
        place: Destination::Peer,
        id: messages::new_id(),
        at: wacore::time::now_secs(),
        notify: None,
        message: outbound::state_key(&key.id, &key.data, wacore::time::now_millis()),
    };
    if let Err(error) = phone_messages::write_to(account, device, phone_message).await {
        tracing::warn!(error = format!("{error:#}"), "the key of the collections was not shared");
    }
    true
}
