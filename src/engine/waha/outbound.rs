//! Messages on their way out.
//!
//! Before a message leaves for the first time the server is asked for an id, and that is in the vault; every try goes
//! under it, and the network drops second copies. Only texts are promised to be taken under such an id by every engine
//! of the server, so whatever else is tried again is looked for first. Engines that give no ids have `unnamed`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::client::{Body, Failure};
use super::convert::content_out::{Sending, sending};
use super::convert::ids;
use super::names::IdState;
use super::session::WahaSession;
use super::{groups, media, people, unnamed};
use crate::domain::content::Content;
use crate::domain::ids::NetworkId;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{Outgoing, SendError, SendOutcome, SessionError, VaultError};
use crate::net::Method;

/// How long the server may take to send a text, and a file.
const TEXT: Duration = Duration::from_secs(30);
const FILE: Duration = Duration::from_secs(120);

/// Sends a message; see [`crate::engine::Session::send`].
pub(super) async fn send(session: &WahaSession, message: &Outgoing) -> SendOutcome {
    match attempt(session, message).await {
        Ok(participants) => SendOutcome::Sent { participants },
        Err(outcome) => outcome,
    }
}

/// What becomes of a message while nothing is connected.
pub(super) fn offline() -> SendOutcome {
    transient("not_connected", "the device is not connected to its network")
}

async fn attempt(session: &WahaSession, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
    recipient(session, &message.chat).await?;
    match allotted(session, &message.id.network).await? {
        Allotted::Now(id) => named(session, message, &id).await?,
        Allotted::Before(id) => {
            let may_be_there = message.again && message.content != Content::Text;
            if !(may_be_there && is_there(session, message, &id).await?) {
                named(session, message, &id).await?;
            }
        }
        Allotted::None => unnamed::send(session, message).await?,
        Allotted::Settled => {}
    }
    Ok(if message.chat.is_group() { groups::others(session, &message.chat).await } else { Vec::new() })
}

/// Whether there is anybody to send to.
async fn recipient(session: &WahaSession, chat: &Jid) -> Result<(), SendOutcome> {
    match chat.kind() {
        JidKind::Person => match people::is_on_network(session, chat).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(permanent("not_on_network", "the recipient is not on WhatsApp")),
            Err(SessionError::Offline) => {
                session.changed.notify_one();
                Err(unreachable())
            }
            // Some engines cannot be asked; sending tells.
            Err(_) => Ok(()),
        },
        JidKind::Lid | JidKind::Group | JidKind::Newsletter => Ok(()),
        JidKind::Status => {
            Err(permanent("recipient_not_supported", "messages can go to people, groups and channels"))
        }
    }
}

/// The id that a message is to be sent with.
enum Allotted {
    /// Given just now.
    Now(NetworkId),
    /// Given at an earlier try.
    Before(NetworkId),
    /// This engine of the server gives none.
    None,
    /// None is needed: the network has the message.
    Settled,
}

/// The id that the server gives for this message, noted before it is used.
async fn allotted(session: &WahaSession, ours: &NetworkId) -> Result<Allotted, SendOutcome> {
    match session.names.named(ours).await.map_err(|error| not_noted(&error))? {
        IdState::Settled => return Ok(Allotted::Settled),
        IdState::Allotted(id) => return Ok(Allotted::Before(id)),
        IdState::No => {}
    }
    let tried = session.names.unsettled(ours).await.map_err(|error| not_noted(&error))?;
    if tried.is_some() || session.allots_none.load(Ordering::Relaxed) {
        return Ok(Allotted::None);
    }
    let id = match session.client.of_session(&["new-message-id"], &[]).await {
        Ok(answer) => {
            let id = answer.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
            id.ok_or_else(|| transient("not_sent", "the WAHA server gave no id to send with"))?
        }
        Err(Failure::Unwell(501)) => {
            session.allots_none.store(true, Ordering::Relaxed);
            return Ok(Allotted::None);
        }
        // A version that has no such call.
        Err(Failure::Unknowing) => return Ok(Allotted::None),
        Err(failure) => return Err(before_it_left(session, &failure)),
    };
    session.names.note(ours, &id).await.map_err(|error| not_noted(&error))?;
    Ok(Allotted::Now(id))
}

/// Hands a message over under the id that the server gave for it.
async fn named(session: &WahaSession, message: &Outgoing, id: &NetworkId) -> Result<(), SendOutcome> {
    let given = handed_over(session, message, id).await?;
    // An engine that gives ids and does not take them.
    if let Some(given) = given.filter(|given| given != id) {
        tracing::debug!(device = %session.device, "the WAHA server sent a message under an id of its own");
        if let Err(error) = session.names.settle(&message.id.network, &given).await {
            tracing::warn!(device = %session.device, %error, "the id of a message that was sent could not be kept");
        }
    }
    Ok(())
}

pub(super) fn not_noted(error: &VaultError) -> SendOutcome {
    transient("not_sent", &format!("the message's id could not be kept: {error}"))
}

/// Whether the server has the message already. That it cannot say is no answer.
async fn is_there(session: &WahaSession, message: &Outgoing, id: &NetworkId) -> Result<bool, SendOutcome> {
    let (chat, id) = (ids::to_chat(&message.chat), ids::to_message(&message.id, id, session.me().as_ref()));
    let path = ["chats", chat.as_str(), "messages", id.as_str()];
    match session.client.of_session(&path, &[("downloadMedia", "false")]).await {
        Ok(found) => Ok(found.is_object()),
        Err(Failure::Unknowing) => Ok(false),
        Err(Failure::Unreachable(_)) => Err(unreachable()),
        Err(_) => Err(transient("no_answer", "the WAHA server did not say whether it has the message")),
    }
}

/// How long the server may take to answer for a message.
pub(super) fn answered_within(message: &Outgoing) -> Duration {
    if matches!(message.content, Content::Media(_)) { FILE } else { TEXT }
}

/// Hands a message over; answers the id that the server says it has.
pub(super) async fn handed_over(
    session: &WahaSession,
    message: &Outgoing,
    id: &NetworkId,
) -> Result<Option<NetworkId>, SendOutcome> {
    let answers = match &message.quoted {
        Some(quoted) => {
            let theirs = session.names.theirs(&quoted.id.network).await.map_err(|error| not_noted(&error))?;
            Some(ids::to_message(&quoted.id, &theirs, session.me().as_ref()))
        }
        None => None,
    };
    let Sending { call, body, file } = sending(message, &session.settings.session, id, answers)
        .ok_or_else(|| permanent("not_supported_by_engine", "this device's engine cannot send that"))?;
    let body = match (&message.content, file) {
        (Content::Media(attachment), Some(file)) => {
            media::enclosed(session, attachment, &body, &file).await?
        }
        _ => Body::Json(Value::Object(body)),
    };
    let once = Some(message.id.network.as_str());
    let within = answered_within(message);
    let answer = session.client.ask(Method::POST, &[call], &[], body, within, once).await;
    let answer = answer.map_err(|failure| not_sent(session, failure))?;
    Ok(ids::message(answer.get("id")).map(|given| given.network))
}

/// Nothing of the message itself has left.
fn before_it_left(session: &WahaSession, failure: &Failure) -> SendOutcome {
    if !matches!(failure, Failure::Refused { .. }) {
        // Whether the session still works is worth a look.
        session.changed.notify_one();
    }
    match failure {
        Failure::Unreachable(_) => unreachable(),
        Failure::Unauthorized => unauthorized(),
        _ => transient("not_sent", "the WAHA server gave no id to send with"),
    }
}

fn not_sent(session: &WahaSession, failure: Failure) -> SendOutcome {
    if !matches!(failure, Failure::Refused { .. } | Failure::Unwell(429)) {
        // Whether the session still works is worth a look.
        session.changed.notify_one();
    }
    match failure {
        Failure::Unreachable(_) => unreachable(),
        Failure::Unauthorized => unauthorized(),
        Failure::Unknowing => transient("not_sent", "the WAHA server does not know this session"),
        Failure::Unwell(429) => {
            transient("rate_limited", "the WAHA server says that this account sends too much")
        }
        Failure::Unwell(503) => transient("not_sent", "the WAHA server cannot send now"),
        // The session is not working: nothing was sent.
        Failure::Refused { status: 422, words } if words.to_ascii_lowercase().contains("session") => {
            session.changed.notify_one();
            offline()
        }
        Failure::Refused { status: 413, .. } => {
            permanent("media_too_large", "the WAHA server takes no file as large as this")
        }
        Failure::Refused { words, .. } if words.is_empty() => {
            permanent("refused_by_network", "the WAHA server refused the message")
        }
        Failure::Refused { words, .. } => permanent("refused_by_network", &words),
        Failure::Unknown(_) | Failure::Unwell(_) | Failure::Garbled => unknown(
            "no_answer",
            "the message was handed to the WAHA server, which did not say what became of it",
        ),
    }
}

fn unauthorized() -> SendOutcome {
    transient("upstream_unauthorized", "the WAHA server refused the key")
}

pub(super) fn unreachable() -> SendOutcome {
    transient("not_sent", "the WAHA server cannot be reached")
}

pub(super) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}

pub(super) fn unknown(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Unknown(SendError { code, message: message.to_owned() })
}
