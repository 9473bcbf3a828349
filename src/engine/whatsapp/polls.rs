//! Keeps the options and secret of polls, which votes need for as long as the device exists. A vote names
//! options by their hashes and is encrypted with the poll's secret. Both are stored when the poll is sent or
//! received, and removed with the device.

use serde::{Deserialize, Serialize};
use whatsapp_rust::types::message::MessageSource;
use whatsapp_rust::wacore::poll::compute_option_hash;
use whatsapp_rust::{Jid as NetworkJid, PollVoteCiphertext};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::content_in::{ParsedMessage, SealedVote};
use super::convert::jid::to_network;
use super::send_outcome::{offline, permanent, transient};
use crate::domain::content::{Content, Poll};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{
    EngineEvent, InboundError, Incoming, IncomingChange, SendOutcome, SessionError, VaultError,
};

/// Vault space, by the message's network id.
const SPACE: &str = "polls";
/// Length of a secret in bytes.
const SECRET: usize = 32;

/// The stored part of a poll.
#[derive(Serialize, Deserialize)]
struct PollSecret {
    options: Vec<String>,
    secret: Vec<u8>,
    /// The author as the network wrote it; votes are encrypted for that spelling.
    asked_by: String,
}

/// The secret of an outgoing poll, the same in every attempt.
pub(super) async fn secret_for(
    context: &ConnectionContext,
    id: &MessageId,
    poll: &Poll,
) -> Result<Vec<u8>, SendOutcome> {
    let stored = |_: VaultError| transient("not_sent", "the poll's secret could not be stored");
    if let Some(stored) = load(context, &id.network).await.map_err(stored)? {
        return Ok(stored.secret);
    }
    let me = context.identities.me().ok_or_else(offline)?;
    let mut secret = vec![0_u8; SECRET];
    context.random.fill(&mut secret);
    let options = poll.options.clone();
    let poll_secret = PollSecret { options, secret: secret.clone(), asked_by: to_network(me).to_string() };
    save(context, &id.network, &poll_secret).await.map_err(stored)?;
    if poll.options.is_empty() {
        return Err(permanent("message_invalid", "a poll needs options"));
    }
    Ok(secret)
}

/// Stores options and secret of a received poll; ignores other messages.
///
/// # Errors
/// If it could not be stored.
pub(super) async fn store_secret(
    context: &ConnectionContext,
    header: &Incoming,
    asked_by: &NetworkJid,
    parsed: &mut ParsedMessage,
) -> Result<(), InboundError> {
    let (Content::Poll(poll), Some(secret)) = (&parsed.content, parsed.secret.take()) else { return Ok(()) };
    let poll_secret =
        PollSecret { options: poll.options.clone(), secret, asked_by: asked_by.to_non_ad().to_string() };
    let stored = save(context, &header.network_id, &poll_secret).await;
    stored.map_err(|error| InboundError::Store(Box::new(error)))
}

/// Decrypts a vote and delivers it. Skips votes in polls that are not stored.
///
/// # Errors
/// If it could not be ingested.
pub(super) async fn ingest_vote(
    context: &ConnectionContext,
    voter: Jid,
    source: &MessageSource,
    vote: SealedVote,
) -> Result<(), InboundError> {
    let stored = load(context, &vote.poll.network).await;
    let Some(stored) = stored.map_err(|error| InboundError::Store(Box::new(error)))? else {
        tracing::debug!(device = %context.device, "skipped a vote in a poll that is not stored");
        return Ok(());
    };
    let Some(hashes) = decrypt(context, &stored, source, &vote).await else {
        tracing::warn!(device = %context.device, "could not decrypt a vote");
        return Ok(());
    };
    let options = options_of(&stored.options, &hashes);
    context
        .deliver(EngineEvent::MessageChange(IncomingChange::Vote {
            id: vote.poll,
            voter,
            options,
            at: vote.at,
        }))
        .await
}

/// Votes; an empty list removes the vote.
///
/// # Errors
/// If the poll is not stored, or the network refuses.
pub(super) async fn vote(
    context: &ConnectionContext,
    id: &MessageId,
    options: &[String],
) -> Result<(), SessionError> {
    let refused = |why: &str| SessionError::Refused(why.to_owned());
    let stored = load(context, &id.network).await.map_err(|_| refused("the poll could not be read"))?;
    let stored = stored.ok_or_else(|| refused("the poll came before this device was linked"))?;
    let asked_by: NetworkJid = stored.asked_by.parse().map_err(|_| refused("the poll could not be read"))?;
    let polls = context.client.polls();
    let (chat, poll) = (to_network(&id.chat), id.network.as_str());
    let sent = boxed(polls.vote(chat, poll, &asked_by, &stored.secret, options)).await;
    sent.map(|_| ()).map_err(|_| refused("the vote could not be sent to it"))
}

/// The hashes of the chosen options. Author and voter may each be spelled in two ways.
async fn decrypt(
    context: &ConnectionContext,
    stored: &PollSecret,
    source: &MessageSource,
    vote: &SealedVote,
) -> Option<Vec<Vec<u8>>> {
    let polls = context.client.polls();
    let asked_by: NetworkJid = stored.asked_by.parse().ok()?;
    let ours = context.identities.jid(&asked_by).is_some_and(|jid| context.identities.is_me(&jid));
    let askers = [Some(asked_by), context.client.lid().filter(|_| ours)];
    let voters = [Some(&source.sender), source.sender_alt.as_ref()];
    for asked_by in askers.iter().flatten() {
        for voter in voters.into_iter().flatten() {
            let sealed = PollVoteCiphertext { enc_payload: &vote.payload, enc_iv: &vote.iv };
            let poll = vote.poll.network.as_str();
            if let Ok(hashes) = boxed(polls.decrypt_vote(sealed, &stored.secret, poll, asked_by, voter)).await
            {
                return Some(hashes);
            }
        }
    }
    None
}

/// The options with these hashes, in the poll's order.
fn options_of(options: &[String], hashes: &[Vec<u8>]) -> Vec<String> {
    let chosen = |option: &&String| hashes.iter().any(|hash| compute_option_hash(option)[..] == hash[..]);
    options.iter().filter(chosen).cloned().collect()
}

async fn load(context: &ConnectionContext, id: &NetworkId) -> Result<Option<PollSecret>, VaultError> {
    let bytes = context.vault.get(SPACE, id.as_str()).await?;
    let read = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    read.map_err(|error| VaultError(Box::new(error)))
}

async fn save(context: &ConnectionContext, id: &NetworkId, stored: &PollSecret) -> Result<(), VaultError> {
    let bytes = serde_json::to_vec(stored).map_err(|error| VaultError(Box::new(error)))?;
    context.vault.put(SPACE, id.as_str(), Some(bytes)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_match_hashes_in_poll_order() {
        let options = ["Yes", "No", "Later"].map(str::to_owned);
        let hashes = ["Later", "Yes", "Never"].map(|option| compute_option_hash(option).to_vec());
        assert_eq!(options_of(&options, &hashes), ["Yes", "Later"]);
        assert!(options_of(&options, &[]).is_empty());
    }
}
