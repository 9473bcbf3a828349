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

use super::acks::AckAnswer;
use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::content_out::{self, MessageExtras};
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
pub(super) async fn send(context: &ConnectionContext, message: Outgoing) -> SendOutcome {
    match attempt(context, &message).await {
        Ok(participants) => SendOutcome::Sent { participants },
        Err(outcome) => outcome,
    }
}

/// What becomes of a message while nothing is connected.
pub(super) fn offline() -> SendOutcome {
    transient("not_connected", "the device is not connected to its network")
}

async fn attempt(context: &ConnectionContext, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
    check_recipient(context, &message.chat).await?;
    let content = build_content(context, message).await?;
    if message.again {
        reset_group_key(context, &message.chat).await?;
    }
    flush_keys(context).await?;
    let sent = send_and_await_ack(context, message, content).await;
    // The network may have had the message before, and dropped this copy with the key in it; or it took neither.
    if (message.again || sent.is_err()) && reset_group_key(context, &message.chat).await.is_err() {
        tracing::warn!(device = %context.device, "a group's key may not go with the next message to it");
    }
    sent?;
    Ok(group_recipients(context, &message.chat).await)
}

/// Hands a message to the network and waits for its answer.
async fn send_and_await_ack(
    context: &ConnectionContext,
    message: &Outgoing,
    content: wa::Message,
) -> Result<(), SendOutcome> {
    let id = message.id.network.as_str();
    let mut pending = context.acks.register(id);
    let options = SendOptions::default().with_message_id(id);
    let to = jid::to_network(&message.chat);
    let sent = boxed(context.client.send_message_with_options(to, content, options));
    match tokio::time::timeout(LEAVING, sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(not_sent(&context.client, &error)),
        Err(_) => {
            return Err(unknown(
                "no_answer",
                "the message was handed on, and the network did not take it in time",
            ));
        }
    }
    match tokio::time::timeout(ANSWER, pending.answer()).await {
        Ok(Some(AckAnswer::Accepted)) => Ok(()),
        Ok(Some(AckAnswer::Refused(code))) => Err(refused(&code)),
        Ok(None) => Err(link_lost()),
        Err(_) => {
            context.ack_overdue.notify_one();
            Err(unknown("no_answer", "the network did not say in time whether it has the message"))
        }
    }
}

/// Waits until the keys that answers to the message may need are durable; `storage` says which.
async fn flush_keys(context: &ConnectionContext) -> Result<(), SendOutcome> {
    match tokio::time::timeout(LEAVING, boxed(context.client.flush_pending_signal_state())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) if !context.client.is_connected() => Err(offline()),
        Ok(Err(_)) | Err(_) => Err(transient("not_sent", "the keys could not be stored")),
    }
}

/// Counts a group's key as given to nobody, so that it goes to all members with the next message. The library counts
/// it as given when the bytes of a message have left (`whatsapp-rust` 0.7.0, `send/mod.rs`,
/// `update_sender_key_devices`); where the network did not take that message, nobody has the key, and nobody could
/// read what follows.
async fn reset_group_key(context: &ConnectionContext, chat: &Jid) -> Result<(), SendOutcome> {
    if !chat.is_group() {
        return Ok(());
    }
    let group = jid::to_network(chat).to_string();
    let cleared = context.client.persistence_manager().clear_sender_key_devices(&group).await;
    cleared.map_err(|_| transient("not_sent", "who has the group's key could not be noted"))
}

/// In a group: who it goes to, as the library knows it from sending just now.
async fn group_recipients(context: &ConnectionContext, chat: &Jid) -> Vec<Jid> {
    if !chat.is_group() {
        return Vec::new();
    }
    let Ok(group) = boxed(context.client.groups().query_info(&jid::to_network(chat))).await else {
        return Vec::new();
    };
    let ids = &context.identities;
    let number = |member| group.phone_jid_for_lid_user(member).and_then(|number| ids.jid(number));
    let members = group.participants.iter().filter_map(|member| {
        if member.is_lid() { number(member.user_base()).or_else(|| ids.jid(member)) } else { ids.jid(member) }
    });
    members.filter(|member| !ids.is_me(member)).collect()
}

/// Whether there is anybody to send to.
async fn check_recipient(context: &ConnectionContext, chat: &Jid) -> Result<(), SendOutcome> {
    match chat.kind() {
        JidKind::Person => match on_network::is_on_network(context, chat).await {
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

async fn build_content(context: &ConnectionContext, message: &Outgoing) -> Result<wa::Message, SendOutcome> {
    let me = context.identities.me().cloned().ok_or_else(offline)?;
    let extras = match &message.content {
        Content::Media(attachment) => {
            MessageExtras { file: Some(media::upload(context, attachment).await?), secret: None }
        }
        Content::Poll(poll) => {
            MessageExtras { file: None, secret: Some(polls::secret_for(context, &message.id, poll).await?) }
        }
        _ => MessageExtras::default(),
    };
    content_out::message_of(message, extras, &me)
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
    let error = receipt_in::send_error(code);
    if receipt_in::is_transient(&error) {
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
