//! Sending where the server's engine gives no ids to send with: the network drops no second copy there, so that there
//! must be none.
//!
//! A message is noted before it is handed over. Its id is what the server answers; whatever is told of the message before
//! that waits for it. Where no answer comes, the message is looked for before it is handed over again, and what the
//! server tells meanwhile of a message like it is about it.

use std::time::Duration;

use super::client::Failure;
use super::convert::event_in::level;
use super::convert::likeness;
use super::convert::message_in::Message;
use super::listing;
use super::names::{PendingSend, may_be_one};
use super::outbound::{self, not_noted, transient, unknown, unreachable};
use super::session::WahaSession;
use super::inbound::IngestError;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::NetworkId;
use crate::engine::{Outgoing, SendOutcome, VaultError};

/// How long after its answer was due a message may still be on its way from the server to the network.
const SETTLES: Duration = Duration::from_secs(20);
/// So many of a chat's messages are looked through.
const LOOKED_THROUGH: usize = 500;

/// Hands a message over, unless it is there.
pub(super) async fn send(session: &WahaSession, message: &Outgoing) -> Result<(), SendOutcome> {
    let ours = &message.id.network;
    let before = session.names.unsettled(ours).await.map_err(|error| not_noted(&error))?;
    if let Some(before) = &before {
        if find(session, ours, before).await? {
            return Ok(());
        }
        if session.now() < before.busy_until {
            return Err(unknown("no_answer", "the WAHA server may still be sending the message"));
        }
    }
    let this = this_try(session, message, before.as_ref());
    session.names.note_try(ours, &this).await.map_err(|error| not_noted(&error))?;
    let on_its_way = session.under_way.begin(&message.chat);
    let answered = outbound::handed_over(session, message, ours).await;
    let outcome = match answered {
        Ok(Some(given)) => {
            settle(session, ours, &given).await;
            Ok(())
        }
        // What the server tells of it names it.
        Ok(None) => Ok(()),
        Err(outcome) => {
            if before.is_none() && !matches!(outcome, SendOutcome::Unknown(_)) {
                withdraw(session, ours).await;
            }
            Err(outcome)
        }
    };
    drop(on_its_way);
    outcome
}

fn this_try(session: &WahaSession, message: &Outgoing, before: Option<&PendingSend>) -> PendingSend {
    let now = session.now();
    let within = outbound::answered_within(message) + SETTLES;
    PendingSend {
        chat: message.chat.clone(),
        likeness: likeness::of_ours(message),
        first: before.map_or(now, |before| before.first),
        busy_until: now.plus(i64::try_from(within.as_millis()).unwrap_or(i64::MAX)),
    }
}

async fn settle(session: &WahaSession, ours: &NetworkId, theirs: &NetworkId) {
    if let Err(error) = session.names.settle(ours, theirs).await {
        tracing::warn!(device = %session.device, %error, "the id of a message that was sent could not be kept");
    }
}

async fn withdraw(session: &WahaSession, ours: &NetworkId) {
    if let Err(error) = session.names.forget_try(ours).await {
        tracing::warn!(device = %session.device, %error, "it could not be noted that a message was not sent");
    }
}

/// Looks for a message of unknown outcome. That the server cannot say is no answer.
async fn find(session: &WahaSession, ours: &NetworkId, before: &PendingSend) -> Result<bool, SendOutcome> {
    let listed = listing::messages(session, &before.chat, Some(before.since().0), LOOKED_THROUGH).await;
    let listed = match listed {
        Ok(listed) => listed.messages,
        Err(Failure::Unknowing) => Vec::new(),
        Err(Failure::Unreachable(_)) => return Err(unreachable()),
        Err(_) => {
            return Err(transient("no_answer", "the WAHA server did not say whether it has the message"));
        }
    };
    for message in &listed {
        if is_like(message, before) && !is_known(session, message).await.map_err(|error| not_noted(&error))? {
            found(session, ours, message).await.map_err(|error| not_told(&error))?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn not_told(error: &IngestError) -> SendOutcome {
    transient("not_sent", &format!("that the message is there could not be kept: {error:?}"))
}

async fn is_known(session: &WahaSession, message: &Message) -> Result<bool, VaultError> {
    session.names.is_known(&message.incoming.network_id).await
}

fn is_like(message: &Message, before: &PendingSend) -> bool {
    let told = &message.incoming;
    told.from_me
        && may_be_one(&told.chat, &before.chat)
        && told.timestamp >= before.since()
        && likeness::of_told(told, message.file.is_some()) == before.likeness
}

/// A message of the account is the one of this id here; what the server says of how far it is.
async fn found(session: &WahaSession, ours: &NetworkId, message: &Message) -> Result<(), IngestError> {
    let told = &message.incoming;
    session.names.settle(ours, &told.network_id).await?;
    let ack = message.ack.filter(|ack| *ack > Ack::Pending).unwrap_or(Ack::Server);
    let at: Millis = told.timestamp;
    match level(ack, at, told.chat.clone(), told.network_id.clone(), None) {
        Some(receipt) => session.take_event(receipt).await,
        None => Ok(()),
    }
}

/// Whether a message of the account needs no taking in: it is one that was sent from here, or is known.
pub(super) async fn is_known_here(session: &WahaSession, message: &Message) -> Result<bool, IngestError> {
    let told = &message.incoming;
    if is_known(session, message).await? {
        return Ok(true);
    }
    if session.under_way.over(&told.chat).await && is_known(session, message).await? {
        return Ok(true);
    }
    let unsettled = session.names.all_unsettled().await?;
    let Some((ours, _)) = unsettled.iter().find(|(_, before)| is_like(message, before)) else {
        return Ok(false);
    };
    found(session, ours, message).await?;
    Ok(true)
}
