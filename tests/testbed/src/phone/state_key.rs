//! The key of the account's collections, which the phone shares with newly linked devices.

use super::{keys, outbound};
use crate::server::dispatch::Session;
use crate::server::phone_messages::{self, PhoneMessage};

/// A key of the collections.
#[derive(Clone)]
pub struct StateKey {
    /// The key's id: a device and a number.
    pub id: [u8; 6],
    /// The key's bytes.
    pub data: [u8; 32],
}

impl StateKey {
    pub(super) fn new() -> Self {
        Self { id: [0, 0, 0, 0, 0, 1], data: keys::bytes() }
    }
}

/// Shares the key after a companion's first upload of prekeys; `true` if it was the first.
pub async fn share(session: &Session) -> bool {
    let (account, device) = (&session.account, session.device);
    let first = account.with(device, |companion| !std::mem::replace(&mut companion.has_state_key, true));
    if first != Some(true) {
        return false;
    }
    let key = &account.phone.state_key;
    let message = outbound::state_key(&key.id, &key.data, wacore::time::now_millis());
    let phone_message = PhoneMessage::peer(account, message);
    if let Err(error) = phone_messages::write_to(account, device, phone_message).await {
        tracing::warn!(error = format!("{error:#}"), "could not share the key of the collections");
    }
    true
}
