//! Messages on their way out.
//!
//! A message goes under the id that was chosen for it, the same at every try; the network drops further copies of
//! it. The library changes the ratchet of each recipient's session, writes that to the vault, and only then lets the
//! bytes leave.

use std::time::Duration;

use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::{Client, SendError as LibraryError, SendOptions};

use super::acks::Answer;
use super::connected::Connected;
use super::convert::{content_out, jid, receipt};
use super::media;
use crate::domain::content::Content;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{Outgoing, SendError, SendOutcome};

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
    let id = message.id.network.as_str();
    let mut awaited = connected.acks.expect(id);
    let options = SendOptions::default().with_message_id(id);
    let to = jid::to_network(&message.chat);
    let sent = Box::pin(connected.client.send_message_with_options(to, content, options));
    match tokio::time::timeout(LEAVING, sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(not_sent(&connected.client, &error)),
        Err(_) => return Err(unknown("the message was handed on, and the network did not take it in time")),
    }
    match tokio::time::timeout(ANSWER, awaited.answer()).await {
        Ok(Some(Answer::Accepted)) => Ok(Vec::new()),
        Ok(Some(Answer::Refused(code))) => Err(refused(&code)),
        Ok(None) => Err(unknown("the link broke while the message was being sent")),
        Err(_) => Err(unknown("the network did not say in time whether it has the message")),
    }
}

/// Whether there is anybody to send to: the library would send to a number that is nobody's, and say so to none.
async fn recipient(_connected: &Connected, chat: &Jid) -> Result<(), SendOutcome> {
    match chat.kind() {
        JidKind::Person | JidKind::Lid | JidKind::Group => Ok(()),
        JidKind::Status | JidKind::Newsletter => {
            Err(permanent("recipient_not_supported", "messages can go to people and groups"))
        }
    }
}

async fn content(connected: &Connected, message: &Outgoing) -> Result<wa::Message, SendOutcome> {
    if let Content::Media(_) = message.content {
        return media::upload(connected, message).await;
    }
    content_out::outgoing(message)
        .ok_or_else(|| permanent("not_supported_by_engine", "this device's engine cannot send that"))
}

fn not_sent(client: &Client, error: &LibraryError) -> SendOutcome {
    match error {
        LibraryError::InvalidRequest(_) => {
            permanent("message_invalid", "the network does not take such a message")
        }
        LibraryError::NotLoggedIn => offline(),
        _ if !client.is_connected() => unknown("the link broke while the message was being sent"),
        _ => transient("not_sent", "the message could not be handed to the network; it is tried again"),
    }
}

fn refused(code: &str) -> SendOutcome {
    let error = receipt::refusal(code);
    match error.code {
        "network_unavailable" | "rate_limited" => SendOutcome::Transient(error),
        _ => SendOutcome::Permanent(error),
    }
}

fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}

fn unknown(message: &str) -> SendOutcome {
    SendOutcome::Unknown(SendError { code: "outcome_unknown", message: message.to_owned() })
}
