//! Checks whether people have an account on the network, with a cache. The library reports success
//! for a message to an unused number, which only the account's own phone receives; so it is checked
//! before each message.

use tokio::time::Instant;

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::jid;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{EngineEvent, SessionError};

/// Whether this person is on the network. Groups and hidden ids always are, because the network
/// assigned them.
///
/// # Errors
/// If the network could not be asked, or did not answer.
pub(super) async fn is_on_network(context: &ConnectionContext, person: &Jid) -> Result<bool, SessionError> {
    if person.kind() != JidKind::Person || context.identities.is_me(person) {
        return Ok(true);
    }
    if let Some(lookup) = context.on_network.lookup(person, Instant::now()) {
        return Ok(lookup);
    }
    let asked = jid::to_network(person);
    let answer = boxed(context.client.contacts().is_on_whatsapp(std::slice::from_ref(&asked))).await;
    let answer = answer.map_err(|_| match context.client.is_connected() {
        true => SessionError::Refused("it could not check whether this number is registered".to_owned()),
        false => SessionError::Offline,
    })?;
    let answer = answer.into_iter().next().ok_or_else(|| {
        SessionError::Refused("its answer does not show whether this number is registered".to_owned())
    })?;
    context.on_network.record(person, answer.is_registered, Instant::now());
    let update = answer.lid.as_ref().and_then(|lid| context.identities.record_pair(&asked, lid));
    if let Some(update) = update
        && let Err(error) = context.deliver(EngineEvent::Contacts(vec![update])).await
    {
        tracing::warn!(device = %context.device, %error, "could not ingest the number of a hidden id");
    }
    Ok(answer.is_registered)
}
