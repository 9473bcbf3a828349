//! Sends messages. A message has the same network id in every attempt, and the network drops further copies
//! of it.
//!
//! No key is used twice, also after kill -9. The library reserves the counters of a session's sending chain
//! in leases, and before it sends bytes it waits until each lease is in the vault. If that fails, nothing is
//! sent (`whatsapp-rust` 0.7.0, `send/mod.rs`, where `persist_signal_state_pre_wire` precedes `send_node`;
//! `client/adapters.rs`; `wacore`, `store/signal_cache.rs`).
//!
//! The library reports success when the bytes were sent. The result is the network's answer, which
//! [`Acks`](super::acks::Acks) waits for.

use std::time::Duration;

use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::{Client, SendError as LibraryError, SendOptions};

use super::acks::AckAnswer;
use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::content_out::{self, MessageExtras};
use super::convert::{jid, receipt_in};
use super::send_outcome::{link_lost, offline, permanent, transient, unknown};
use super::{media, on_network, polls};
use crate::domain::content::Content;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{Outgoing, SendOutcome, SessionError};

/// How long the network may take to acknowledge a message.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the library may take to send, including requests for keys and devices.
const LEAVING: Duration = Duration::from_secs(60);

/// See [`crate::engine::Session::send`].
pub(super) async fn send(context: &ConnectionContext, message: Outgoing) -> SendOutcome {
    match attempt(context, &message).await {
        Ok(participants) => SendOutcome::Sent { participants },
        Err(outcome) => outcome,
    }
}

async fn attempt(context: &ConnectionContext, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
    check_recipient(context, &message.chat).await?;
    let content = build_content(context, message).await?;
    if message.again {
        reset_group_key(context, &message.chat).await?;
    }
    flush_keys(context).await?;
    let sent = send_and_await_ack(context, message, content).await;
    // The network may have dropped this copy with the key in it, or may have received neither copy.
    if (message.again || sent.is_err()) && reset_group_key(context, &message.chat).await.is_err() {
        tracing::warn!(device = %context.device, "the group's key may be missing from the next message");
    }
    sent?;
    Ok(group_recipients(context, &message.chat).await)
}

/// Sends a message and waits for the network's acknowledgement.
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
                "the message was submitted, and the network did not accept it in time",
            ));
        }
    }
    match tokio::time::timeout(ANSWER, pending.answer()).await {
        Ok(Some(AckAnswer::Accepted)) => Ok(()),
        Ok(Some(AckAnswer::Refused(code))) => Err(refused(&code)),
        Ok(None) => Err(link_lost()),
        Err(_) => {
            context.ack_overdue.notify_one();
            Err(unknown("no_answer", "the network did not acknowledge the message in time"))
        }
    }
}

/// Waits until the keys that replies may need are durable; `storage` explains which.
async fn flush_keys(context: &ConnectionContext) -> Result<(), SendOutcome> {
    match tokio::time::timeout(LEAVING, boxed(context.client.flush_pending_signal_state())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) if !context.client.is_connected() => Err(offline()),
        Ok(Err(_)) | Err(_) => Err(transient("not_sent", "the keys could not be stored")),
    }
}

/// Marks a group's key as undelivered, so that the next message carries it to all members. The library marks
/// it as delivered when the bytes of a message were sent (`whatsapp-rust` 0.7.0, `send/mod.rs`,
/// `update_sender_key_devices`). If the network did not accept that message, no member has the key and none
/// could read the next messages.
async fn reset_group_key(context: &ConnectionContext, chat: &Jid) -> Result<(), SendOutcome> {
    if !chat.is_group() {
        return Ok(());
    }
    let group = jid::to_network(chat).to_string();
    let cleared = context.client.persistence_manager().clear_sender_key_devices(&group).await;
    cleared.map_err(|_| transient("not_sent", "the recipients of the group's key could not be stored"))
}

/// The members who receive the message, as the library has cached them.
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

/// Rejects chats without a recipient.
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
            Err(permanent("recipient_not_supported", "messages can be sent to people and groups only"))
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
            permanent("message_invalid", "the network does not accept this message")
        }
        LibraryError::NotLoggedIn => offline(),
        _ if !client.is_connected() => link_lost(),
        _ => transient("not_sent", "the message could not be sent to the network"),
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
