//! Sends the history to a newly linked device.

use anyhow::Result;

use crate::server::dispatch::Session;
use crate::server::phone_messages::{self, PhoneMessage};
use crate::server::scene_setup;

/// Sends the companion the announcements of its history, in order.
pub async fn send(session: &Session) {
    if let Err(error) = send_all(session).await {
        tracing::warn!(error = format!("{error:#}"), "could not send the history");
    }
}

async fn send_all(session: &Session) -> Result<()> {
    let (account, device) = (&session.account, session.device);
    for message in scene_setup::history(&session.world, account)? {
        let phone_message = PhoneMessage::peer(account, message);
        phone_messages::write_to(account, device, phone_message).await?;
    }
    Ok(())
}
