//! Sends the history to a newly linked device.

use std::sync::Arc;

use anyhow::Result;

use crate::server::dispatch::Session;
use crate::server::phone_messages::{self, Addressing, Destination, PhoneMessage};
use crate::server::{messages, scene_setup};

/// Sends the companion the announcements of its history, in order.
pub async fn send(session: &Session) {
    if let Err(error) = send_all(session).await {
        tracing::warn!(error = format!("{error:#}"), "could not send the history");
    }
}

async fn send_all(session: &Session) -> Result<()> {
    let (account, device) = (&session.account, session.device);
    for message in scene_setup::history(&session.world, account)? {
        let phone_message = PhoneMessage {
            author: Arc::clone(account),
            addressing: Addressing::Number,
            place: Destination::Peer,
            id: messages::new_id(),
            at: wacore::time::now_secs(),
            notify: None,
            message,
        };
        phone_messages::write_to(account, device, phone_message).await?;
    }
    Ok(())
}
