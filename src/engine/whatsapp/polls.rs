//! Polls: their answers and secrets, which votes need long after the poll went by.
//!
//! A vote names its answers by their hashes and is encrypted with the poll's secret, so both are kept in the vault
//! from when the poll is sent, or comes in, until the device is forgotten.

use serde::{Deserialize, Serialize};
use whatsapp_rust::types::message::MessageSource;
use whatsapp_rust::wacore::poll::compute_option_hash;
use whatsapp_rust::{Jid as NetworkJid, PollVoteCiphertext};

use super::boxed::erased;
use super::connection_context::Connected;
use super::convert::content_in::{Saying, SealedVote};
use super::convert::jid::to_network;
use super::outbound::{permanent, transient};
use crate::domain::content::{Content, Poll};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, InboundError, Incoming, SendOutcome, SessionError, VaultError};

/// Where they are in the vault, by the message's id at the network.
const SPACE: &str = "polls";
/// A secret's length in bytes.
const SECRET: usize = 32;

/// A poll as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    options: Vec<String>,
    secret: Vec<u8>,
    /// Who asked, as the network wrote it: votes are encrypted for that spelling.
    asked_by: String,
}

/// The secret of a poll that is about to leave, the same at every try.
pub(super) async fn secret_for(
    connected: &Connected,
    id: &MessageId,
    poll: &Poll,
) -> Result<Vec<u8>, SendOutcome> {
    let stored = |_: VaultError| transient("not_sent", "the poll's secret could not be stored");
    if let Some(kept) = kept(connected, &id.network).await.map_err(stored)? {
        return Ok(kept.secret);
    }
    let me = connected.identities.me().ok_or_else(super::outbound::offline)?;
    let mut secret = vec![0_u8; SECRET];
    connected.random.fill(&mut secret);
    let options = poll.options.clone();
    let kept = Kept { options, secret: secret.clone(), asked_by: to_network(me).to_string() };
    keep(connected, &id.network, &kept).await.map_err(stored)?;
    if poll.options.is_empty() {
        return Err(permanent("message_invalid", "a poll has answers"));
    }
    Ok(secret)
}

/// Keeps what votes will need of a poll that came in; nothing of anything else.
///
/// # Errors
/// When it could not be stored.
pub(super) async fn keep_asked(
    connected: &Connected,
    header: &Incoming,
    asked_by: &NetworkJid,
    saying: &mut Saying,
) -> Result<(), InboundError> {
    let (Content::Poll(poll), Some(secret)) = (&saying.content, saying.secret.take()) else { return Ok(()) };
    let kept = Kept { options: poll.options.clone(), secret, asked_by: asked_by.to_non_ad().to_string() };
    let stored = keep(connected, &header.network_id, &kept).await;
    stored.map_err(|error| InboundError::Store(Box::new(error)))
}

/// Opens a vote and tells of it. What cannot be opened is passed over: the poll was never seen here.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn voted(
    connected: &Connected,
    voter: Jid,
    source: &MessageSource,
    vote: SealedVote,
) -> Result<(), InboundError> {
    let kept = kept(connected, &vote.poll.network).await;
    let Some(kept) = kept.map_err(|error| InboundError::Store(Box::new(error)))? else {
        tracing::debug!(device = %connected.device, "a vote in a poll that is not known here");
        return Ok(());
    };
    let Some(hashes) = opened(connected, &kept, source, &vote).await else {
        tracing::warn!(device = %connected.device, "a vote could not be decrypted");
        return Ok(());
    };
    let options = named(&kept.options, &hashes);
    connected.tell(EngineEvent::Vote { id: vote.poll, voter, options, at: vote.at }).await
}

/// Votes; no answers take the vote back.
///
/// # Errors
/// When the poll is not known here, or the network refuses.
pub(super) async fn vote(
    connected: &Connected,
    id: &MessageId,
    options: &[String],
) -> Result<(), SessionError> {
    let refused = |why: &str| SessionError::Refused(why.to_owned());
    let kept = kept(connected, &id.network).await.map_err(|_| refused("the poll could not be read"))?;
    let kept = kept.ok_or_else(|| refused("the poll came before this device was linked"))?;
    let asked_by: NetworkJid = kept.asked_by.parse().map_err(|_| refused("the poll could not be read"))?;
    let polls = connected.client.polls();
    let (chat, poll) = (to_network(&id.chat), id.network.as_str());
    let voted = erased(polls.vote(chat, poll, &asked_by, &kept.secret, options)).await;
    voted.map(|_| ()).map_err(|_| refused("the vote could not be handed to it"))
}

/// The hashes of the chosen answers. Who asked and who voted may each be spelt in two ways.
async fn opened(
    connected: &Connected,
    kept: &Kept,
    source: &MessageSource,
    vote: &SealedVote,
) -> Option<Vec<Vec<u8>>> {
    let polls = connected.client.polls();
    let asked_by: NetworkJid = kept.asked_by.parse().ok()?;
    let ours = connected.identities.jid(&asked_by).is_some_and(|jid| connected.identities.is_me(&jid));
    let askers = [Some(asked_by), connected.client.lid().filter(|_| ours)];
    let voters = [Some(&source.sender), source.sender_alt.as_ref()];
    for asked_by in askers.iter().flatten() {
        for voter in voters.into_iter().flatten() {
            let sealed = PollVoteCiphertext { enc_payload: &vote.payload, enc_iv: &vote.iv };
            let poll = vote.poll.network.as_str();
            if let Ok(hashes) = erased(polls.decrypt_vote(sealed, &kept.secret, poll, asked_by, voter)).await
            {
                return Some(hashes);
            }
        }
    }
    None
}

/// The answers with these hashes, in the poll's order.
fn named(options: &[String], hashes: &[Vec<u8>]) -> Vec<String> {
    let chosen = |option: &&String| hashes.iter().any(|hash| compute_option_hash(option)[..] == hash[..]);
    options.iter().filter(chosen).cloned().collect()
}

async fn kept(connected: &Connected, id: &NetworkId) -> Result<Option<Kept>, VaultError> {
    let bytes = connected.vault.get(SPACE, id.as_str()).await?;
    let read = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    read.map_err(|error| VaultError(Box::new(error)))
}

async fn keep(connected: &Connected, id: &NetworkId, kept: &Kept) -> Result<(), VaultError> {
    let bytes = serde_json::to_vec(kept).map_err(|error| VaultError(Box::new(error)))?;
    connected.vault.put(SPACE, id.as_str(), Some(bytes)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_named_by_their_hashes_in_the_polls_order() {
        let options = ["Yes", "No", "Later"].map(str::to_owned);
        let hashes = ["Later", "Yes", "Never"].map(|option| compute_option_hash(option).to_vec());
        assert_eq!(named(&options, &hashes), ["Yes", "Later"]);
        assert!(named(&options, &[]).is_empty());
    }
}
