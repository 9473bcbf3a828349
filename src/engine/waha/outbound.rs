//! Sends messages.
//!
//! Before the first attempt to send a message, the server gives it an id, which is stored; every attempt uses
//! that id, and the network drops second copies. Only texts are deduplicated by every engine of the server,
//! so any other message is looked up at the server before it is sent again. Where the server gives no ids, a
//! message of unknown outcome is never sent again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};

use super::client::{message as message_of, refusal};
use super::convert::content_out::{Sending, sending};
use super::convert::ids;
use super::message_ids::IdState;
use super::session::WahaSession;
use super::{groups, media, people};
use crate::domain::content::Content;
use crate::domain::ids::NetworkId;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::relay::client::{UpstreamFailure, UpstreamRequest};
use crate::engine::relay::outcome::{permanent, transient, unknown};
use crate::engine::{Outgoing, SendOutcome, SessionError, VaultError};
use crate::net::Method;

const TEXT_TIMEOUT: Duration = Duration::from_secs(30);
const FILE_TIMEOUT: Duration = Duration::from_secs(120);

/// See [`crate::engine::Session::send`].
pub(super) async fn send(session: &WahaSession, message: &Outgoing) -> SendOutcome {
    match try_send(session, message).await {
        Ok(participants) => SendOutcome::Sent { participants },
        Err(outcome) => outcome,
    }
}

/// The outcome while the session is offline.
pub(super) fn offline() -> SendOutcome {
    transient("not_connected", "the device is not connected to its network")
}

async fn try_send(session: &WahaSession, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
    ensure_recipient(session, &message.chat).await?;
    match session.ids.state(&message.id.network).await.map_err(|error| vault_failed(&error))? {
        IdState::Accepted => {}
        IdState::Pending => {
            return Err(unknown(
                "no_answer",
                "an earlier attempt had no answer, and the WAHA server gives no ids",
            ));
        }
        IdState::Assigned(id) => {
            let may_be_there = message.again && message.content != Content::Text;
            if !(may_be_there && is_at_server(session, message, &id).await?) {
                send_with_id(session, message, &id).await?;
            }
        }
        IdState::Unassigned => match new_id(session, &message.id.network).await? {
            Some(id) => send_with_id(session, message, &id).await?,
            None => send_without_id(session, message).await?,
        },
    }
    Ok(if message.chat.is_group() { groups::other_members(session, &message.chat).await } else { Vec::new() })
}

async fn ensure_recipient(session: &WahaSession, chat: &Jid) -> Result<(), SendOutcome> {
    match chat.kind() {
        JidKind::Person => match people::is_on_network(session, chat).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(permanent("not_on_network", "the recipient is not on WhatsApp")),
            Err(SessionError::Offline) => {
                session.status_changed.notify_one();
                Err(unreachable())
            }
            // Some engines have no such query; the send itself fails then.
            Err(_) => Ok(()),
        },
        JidKind::Lid | JidKind::Group | JidKind::Newsletter => Ok(()),
        JidKind::Status => {
            Err(permanent("recipient_not_supported", "messages can go to people, groups and channels"))
        }
    }
}

/// A new id from the server, which is stored before it is used; `None` where the server gives none.
async fn new_id(session: &WahaSession, ours: &NetworkId) -> Result<Option<NetworkId>, SendOutcome> {
    if session.gives_no_ids.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let id: NetworkId = match session.client.of_session(&["new-message-id"], &[]).await {
        Ok(answer) => {
            let id = answer.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
            id.ok_or_else(|| transient("not_sent", "the WAHA server gave no id to send with"))?
        }
        Err(failure) if failure.status() == Some(501) => {
            session.gives_no_ids.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        // A version of the server without this call.
        Err(failure) if failure.is_not_found() => return Ok(None),
        Err(failure) => return Err(no_id(session, &failure)),
    };
    session.ids.record_assigned(ours, &id).await.map_err(|error| vault_failed(&error))?;
    Ok(Some(id))
}

async fn send_with_id(session: &WahaSession, message: &Outgoing, id: &NetworkId) -> Result<(), SendOutcome> {
    let answered = post(session, message, id).await?;
    // Some engines give ids and send under others.
    if let Some(other) = answered.filter(|answered| answered != id) {
        record_accepted(session, &message.id.network, Some(&other)).await;
    }
    Ok(())
}

/// Sends once. The attempt is stored before, so that an unknown outcome outlives a crash.
async fn send_without_id(session: &WahaSession, message: &Outgoing) -> Result<(), SendOutcome> {
    let ours = &message.id.network;
    session.ids.record_pending(ours).await.map_err(|error| vault_failed(&error))?;
    let _answer_pending = session.sends_without_id.read().await;
    match post(session, message, ours).await {
        Ok(id) => {
            record_accepted(session, ours, id.as_ref()).await;
            Ok(())
        }
        Err(outcome @ SendOutcome::Unknown(_)) => Err(outcome),
        Err(outcome) => {
            if let Err(error) = session.ids.remove_pending(ours).await {
                tracing::warn!(device = %session.context.device, %error, "a failed send could not be recorded");
            }
            Err(outcome)
        }
    }
}

async fn record_accepted(session: &WahaSession, ours: &NetworkId, upstream: Option<&NetworkId>) {
    if let Err(error) = session.ids.record_accepted(ours, upstream).await {
        tracing::warn!(device = %session.context.device, %error, "the id of a sent message could not be stored");
    }
}

/// Whether the server has the message. A failed lookup is no answer.
async fn is_at_server(
    session: &WahaSession,
    message: &Outgoing,
    id: &NetworkId,
) -> Result<bool, SendOutcome> {
    let chat = ids::to_chat(&message.chat);
    let id = ids::to_message(&message.id, id, session.base.me().as_ref());
    let path = ["chats", chat.as_str(), "messages", id.as_str()];
    match session.client.of_session(&path, &[("downloadMedia", "false")]).await {
        Ok(found) => Ok(found.is_object()),
        Err(failure) if failure.is_not_found() => Ok(false),
        Err(failure) if failure.is_unreachable() => Err(unreachable()),
        Err(_) => Err(transient("no_answer", "the WAHA server did not answer whether it has the message")),
    }
}

/// Posts a message; returns the id in the server's answer.
async fn post(
    session: &WahaSession,
    message: &Outgoing,
    id: &NetworkId,
) -> Result<Option<NetworkId>, SendOutcome> {
    let quoted = match &message.quoted {
        Some(quoted) => {
            let upstream = session.ids.to_upstream(&quoted.id.network).await;
            let upstream = upstream.map_err(|error| vault_failed(&error))?;
            Some(ids::to_message(&quoted.id, &upstream, session.base.me().as_ref()))
        }
        None => None,
    };
    let Sending { call, body, file } = sending(message, &session.settings.session, id, quoted)
        .ok_or_else(|| permanent("not_supported_by_engine", "this device's engine cannot send that"))?;
    let path = ["api", call];
    let request = request(session, message, UpstreamRequest::new(Method::POST, &path), body, file).await?;
    let answer = session.client.send(request.header("idempotency-key", message.id.network.as_str())).await;
    let answer = answer.map_err(|failure| not_sent(session, &failure))?;
    Ok(ids::message(answer.get("id")).map(|answered| answered.network))
}

async fn request<'a>(
    session: &WahaSession,
    message: &Outgoing,
    request: UpstreamRequest<'a>,
    body: Map<String, Value>,
    file: Option<Map<String, Value>>,
) -> Result<UpstreamRequest<'a>, SendOutcome> {
    match (&message.content, file) {
        (Content::Media(attachment), Some(file)) => {
            let (length, json) = media::json_with_file(session, attachment, &body, &file).await?;
            Ok(request.timeout(FILE_TIMEOUT).stream("application/json", length, json))
        }
        _ => Ok(request.timeout(TEXT_TIMEOUT).json(&Value::Object(body))),
    }
}

fn vault_failed(error: &VaultError) -> SendOutcome {
    transient("not_sent", &format!("the id of the message could not be read or stored: {error}"))
}

/// The outcome when the server gave no id: the message was not sent.
fn no_id(session: &WahaSession, failure: &UpstreamFailure) -> SendOutcome {
    if refusal(failure).is_none() {
        session.status_changed.notify_one();
    }
    if failure.is_unreachable() {
        unreachable()
    } else if failure.is_unauthorized() {
        unauthorized()
    } else {
        transient("not_sent", "the WAHA server gave no id to send with")
    }
}

fn not_sent(session: &WahaSession, failure: &UpstreamFailure) -> SendOutcome {
    if let Some(rejection) = refusal(failure) {
        let message = message_of(rejection);
        return match rejection.status {
            // The session is not working: nothing was sent.
            422 if message.to_ascii_lowercase().contains("session") => {
                session.status_changed.notify_one();
                offline()
            }
            413 => permanent("media_too_large", "the file is too large for the WAHA server"),
            _ if message.is_empty() => {
                permanent("refused_by_network", "the WAHA server rejected the message")
            }
            _ => permanent("refused_by_network", &message),
        };
    }
    if failure.status() != Some(429) {
        session.status_changed.notify_one();
    }
    match failure.status() {
        _ if failure.is_unreachable() => unreachable(),
        Some(401 | 403) => unauthorized(),
        Some(404) => transient("not_sent", "the WAHA server has no such session"),
        Some(429) => transient("rate_limited", "the WAHA server reports that this account sends too much"),
        Some(503) => transient("not_sent", "the WAHA server cannot send now"),
        _ => unknown("no_answer", "the WAHA server did not answer whether it sent the message"),
    }
}

fn unauthorized() -> SendOutcome {
    transient("upstream_unauthorized", "the WAHA server rejected the key")
}

fn unreachable() -> SendOutcome {
    transient("not_sent", "the WAHA server cannot be reached")
}
