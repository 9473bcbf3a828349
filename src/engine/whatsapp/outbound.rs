//! Messages on their way out.
//!
//! A message goes under the id that was chosen for it, the same at every try; the network drops further copies of
//! it. No key is used twice, also after kill -9: the library takes the counters of a session's sending chain in
//! leases, and before the bytes leave it waits until every lease is in the vault; failing that, nothing leaves
//! (`whatsapp-rust` 0.7.0, `send/mod.rs`, where `persist_signal_state_pre_wire` stands before `send_node`;
//! `client/adapters.rs`; `wacore`, `store/signal_cache.rs`).
//!
//! The library reports success when the bytes have left. What counts is the network's answer, which
//! [`Acks`](super::acks::Acks) waits for.

use std::time::Duration;

use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::{Client, SendError as LibraryError, SendOptions};

use super::acks::Answer;
use super::boxed::erased;
use super::connection_context::Connected;
use super::convert::content_out::{self, Enclosed};
use super::convert::{jid, receipt_in};
use super::{media, on_network, polls};
use crate::domain::content::Content;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{Outgoing, SendError, SendOutcome, SessionError};

/// How long the network may take to say that it has a message.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the library may take until the bytes have left, asking for keys and devices included.
const LEAVING: Duration = Duration::from_secs(60);

/// Sends a message; see [`crate::engine::Session::send`].
pub(super) async fn send(connected: &Connected, message: Outgoing) -> SendOutcome {
    match attempt(connected, &message).await {
        Ok(participants) => SendOutcome::Sent { participants },
        Err(outcome) => outcome,
    }
}

/// What becomes of a message while nothing is connected.
pub(super) fn offline() -> SendOutcome {
    transient("not_connected", "the device is not connected to its network")
}

async fn attempt(connected: &Connected, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
    recipient(connected, &message.chat).await?;
    let content = content(connected, message).await?;
    if message.again {
        key_is_with_nobody(connected, &message.chat).await?;
    }
    settled(connected).await?;
    let handed = handed_over(connected, message, content).await;
    // The network may have had the message before, and dropped this copy with the key in it; or it took neither.
    if (message.again || handed.is_err()) && key_is_with_nobody(connected, &message.chat).await.is_err() {
        tracing::warn!(device = %connected.device, "a group's key may not go with the next message to it");
    }
    handed?;
    Ok(goes_to(connected, &message.chat).await)
}

/// Hands a message to the network and waits for its answer.
async fn handed_over(
    connected: &Connected,
    message: &Outgoing,
    content: wa::Message,
) -> Result<(), SendOutcome> {
    let id = message.id.network.as_str();
    let mut awaited = connected.acks.expect(id);
    let options = SendOptions::default().with_message_id(id);
    let to = jid::to_network(&message.chat);
    let sent = erased(connected.client.send_message_with_options(to, content, options));
    match tokio::time::timeout(LEAVING, sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(not_sent(&connected.client, &error)),
        Err(_) => {
            return Err(unknown(
                "no_answer",
                "the message was handed on, and the network did not take it in time",
            ));
        }
    }
    match tokio::time::timeout(ANSWER, awaited.answer()).await {
        Ok(Some(Answer::Accepted)) => Ok(()),
        Ok(Some(Answer::Refused(code))) => Err(refused(&code)),
        Ok(None) => Err(link_lost()),
        Err(_) => {
            connected.stalled.notify_one();
            Err(unknown("no_answer", "the network did not say in time whether it has the message"))
        }
    }
}

/// Waits until the keys that answers to the message may need are durable; `storage` says which.
async fn settled(connected: &Connected) -> Result<(), SendOutcome> {
    match tokio::time::timeout(LEAVING, erased(connected.client.flush_pending_signal_state())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) if !connected.client.is_connected() => Err(offline()),
        Ok(Err(_)) | Err(_) => Err(transient("not_sent", "the keys could not be stored")),
    }
}

/// Counts a group's key as given to nobody, so that it goes to all members with the next message. The library counts
/// it as given when the bytes of a message have left (`whatsapp-rust` 0.7.0, `send/mod.rs`,
/// `update_sender_key_devices`); where the network did not take that message, nobody has the key, and nobody could
/// read what follows.
async fn key_is_with_nobody(connected: &Connected, chat: &Jid) -> Result<(), SendOutcome> {
    if !chat.is_group() {
        return Ok(());
    }
    let group = jid::to_network(chat).to_string();
    let cleared = connected.client.persistence_manager().clear_sender_key_devices(&group).await;
    cleared.map_err(|_| transient("not_sent", "who has the group's key could not be noted"))
}

/// In a group: who it goes to, as the library knows it from sending just now.
async fn goes_to(connected: &Connected, chat: &Jid) -> Vec<Jid> {
    if !chat.is_group() {
        return Vec::new();
    }
    let Ok(group) = erased(connected.client.groups().query_info(&jid::to_network(chat))).await else {
        return Vec::new();
    };
    let ids = &connected.identities;
    let number = |member| group.phone_jid_for_lid_user(member).and_then(|number| ids.jid(number));
    let members = group.participants.iter().filter_map(|member| {
        if member.is_lid() { number(member.user_base()).or_else(|| ids.jid(member)) } else { ids.jid(member) }
    });
    members.filter(|member| !ids.is_me(member)).collect()
}

/// Whether there is anybody to send to.
async fn recipient(connected: &Connected, chat: &Jid) -> Result<(), SendOutcome> {
    match chat.kind() {
        JidKind::Person => match on_network::is_on_network(connected, chat).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(permanent("not_on_network", "the recipient is not on WhatsApp")),
            Err(SessionError::Offline) => Err(offline()),
            Err(error) => Err(transient("recipient_unknown", &error.to_string())),
        },
        JidKind::Lid | JidKind::Group => Ok(()),
        JidKind::Status | JidKind::Newsletter => {
            Err(permanent("recipient_not_supported", "messages can go to people and groups"))
        }
    }
}

async fn content(connected: &Connected, message: &Outgoing) -> Result<wa::Message, SendOutcome> {
    let me = connected.identities.me().cloned().ok_or_else(offline)?;
    let enclosed = match &message.content {
        Content::Media(attachment) => {
            Enclosed { file: Some(media::upload(connected, attachment).await?), secret: None }
        }
        Content::Poll(poll) => {
            Enclosed { file: None, secret: Some(polls::secret_for(connected, &message.id, poll).await?) }
        }
        _ => Enclosed::default(),
    };
    content_out::message_of(message, enclosed, &me)
        .ok_or_else(|| permanent("not_supported_by_engine", "this device's engine cannot send that"))
}

fn not_sent(client: &Client, error: &LibraryError) -> SendOutcome {
    match error {
        LibraryError::InvalidRequest(_) => {
            permanent("message_invalid", "the network does not take such a message")
        }
        LibraryError::NotLoggedIn => offline(),
        _ if !client.is_connected() => link_lost(),
        _ => transient("not_sent", "the message could not be handed to the network"),
    }
}

fn refused(code: &str) -> SendOutcome {
    let error = receipt_in::refusal(code);
    if receipt_in::is_momentary(&error) {
        SendOutcome::Transient(error)
    } else {
        SendOutcome::Permanent(error)
    }
}

pub(super) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

pub(super) fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}

fn link_lost() -> SendOutcome {
    unknown("link_lost_while_sending", "the link broke before the network answered")
}

fn unknown(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Unknown(SendError { code, message: message.to_owned() })
}
