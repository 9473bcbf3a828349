//! The phone tells a device that was just linked what was before.

use std::sync::Arc;

use anyhow::Result;

use crate::server::dispatch::Session;
use crate::server::phone_messages::{self, Letter, Naming, Place};
use crate::server::{messages, scene_setup};

/// Sends the companion the announcements of its history, in order.
pub async fn tell(session: &Session) {
    if let Err(error) = told(session).await {
        tracing::warn!(error = format!("{error:#}"), "the history was not told");
    }
}

async fn told(session: &Session) -> Result<()> {
    let (account, device) = (&session.account, session.device);
    for message in scene_setup::history(&session.world, account)? {
        let letter = Letter {
            author: Arc::clone(account),
            naming: Naming::Number,
            place: Place::Peer,
            id: messages::new_id(),
            at: wacore::time::now_secs(),
            notify: None,
            message,
        };
        phone_messages::write_to(account, device, letter).await?;
    }
    Ok(())
}
