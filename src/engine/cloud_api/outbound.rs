//! Sends messages, reactions, read receipts and typing.
//!
//! While Meta requests a pause a message waits for a while, and is then returned for a retry. A message of
//! unknown outcome stays unknown until a status arrives.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::GraphFailure;
use super::convert::ids::{self, Recipient};
use super::convert::message_out::{self, BodyError, MessageRefs};
use super::media;
use super::send_error::{not_sent, rejected};
use super::session::CloudSession;
use crate::domain::content::Content;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::relay::outcome::{permanent, transient, unknown};
use crate::engine::{Outgoing, SendOutcome, SessionError};

/// How long a message waits for the end of a pause.
const MAX_PAUSE_WAIT: Duration = Duration::from_secs(20);
/// Messages of one call that get a read receipt of their own; Meta marks the messages before them as read.
const MAX_READ_RECEIPTS: usize = 20;

/// See [`crate::engine::Session::send`].
pub(super) async fn send(session: &CloudSession, message: &Outgoing) -> SendOutcome {
    match try_send(session, message).await {
        Ok(()) => SendOutcome::Sent { participants: Vec::new() },
        Err(outcome) => outcome,
    }
}

async fn try_send(session: &CloudSession, message: &Outgoing) -> Result<(), SendOutcome> {
    if !session.base.is_online() {
        return Err(not_sent(session));
    }
    let to = ids::recipient(&message.chat).ok_or_else(|| {
        permanent("recipient_not_supported", "Meta's Cloud API reaches people, and groups of its own")
    })?;
    wait_for_pause(session, &message.chat).await?;
    let mut answer = session.graph.messages(&body(session, message, &to).await?).await;
    let has_file = matches!(message.content, Content::Media(_));
    // Meta may lose the file between both requests; the message was not sent.
    if has_file && matches!(&answer, Err(GraphFailure::Rejected(error)) if error.may_be_about_file()) {
        answer = session.graph.messages(&body(session, message, &to).await?).await;
    }
    match answer {
        Ok(answer) => {
            record_alias(session, &message.id, &answer).await;
            Ok(())
        }
        Err(GraphFailure::Unreachable) => Err(not_sent(session)),
        Err(GraphFailure::NoAnswer) => {
            session.recheck.notify_one();
            Err(unknown("no_answer", "Meta did not answer in time whether it has the message"))
        }
        Err(GraphFailure::Rejected(error)) => Err(rejected(session, &error, Some(&message.chat))),
    }
}

/// Waits until no pause applies to this chat.
async fn wait_for_pause(session: &CloudSession, chat: &Jid) -> Result<(), SendOutcome> {
    let deadline = Instant::now() + MAX_PAUSE_WAIT;
    while let Some(until) = session.number.rate_limits.paused_until(chat) {
        if until > deadline {
            let seconds = until.saturating_duration_since(Instant::now()).as_secs().saturating_add(1);
            let sentence = format!("Meta requests a pause; the next try is in {seconds} s");
            return Err(transient("rate_limited", &sentence));
        }
        tokio::select! {
            () = session.base.ended() => return Err(not_sent(session)),
            () = tokio::time::sleep_until(until) => {}
        }
    }
    Ok(())
}

async fn body(session: &CloudSession, message: &Outgoing, to: &Recipient) -> Result<Value, SendOutcome> {
    let file = match &message.content {
        Content::Media(attachment) => Some(media::upload(session, attachment).await?),
        _ => None,
    };
    let quoted = match &message.quoted {
        Some(quoted) => upstream_id(session, &quoted.id).await,
        None => None,
    };
    message_out::body(message, to, &MessageRefs { file, quoted }).map_err(|error| match error {
        BodyError::NotSupported => permanent("not_supported_by_engine", "Meta's Cloud API cannot send that"),
        BodyError::TooLong => {
            permanent("message_too_large", "Meta accepts texts of 4096 characters and captions of 1024")
        }
    })
}

/// Meta's id of a message, where there is one: of an inbound message it is the network id.
async fn upstream_id(session: &CloudSession, id: &MessageId) -> Option<String> {
    if !id.from_me {
        return Some(id.network.to_string());
    }
    match session.ids.to_upstream(id).await {
        Ok(Some(found)) => Some(found),
        // Messages from the phone have Meta's id from the beginning.
        Ok(None) => Some(id.network.to_string()).filter(|id| id.starts_with("wamid.")),
        Err(error) => {
            tracing::warn!(device = %session.context.device, %error, "Meta's id of a message could not be read");
            None
        }
    }
}

/// Stores Meta's id of the message. When that fails, its statuses still carry our id.
async fn record_alias(session: &CloudSession, id: &MessageId, answer: &Value) {
    let Some(wamid) = answer.pointer("/messages/0/id").and_then(Value::as_str) else { return };
    if let Err(error) = session.ids.record_alias(id, &wamid.to_owned()).await {
        tracing::warn!(device = %session.context.device, %error, "Meta's id of a message could not be stored");
    }
}

/// Sends read receipts.
pub(super) async fn mark_read(session: &CloudSession, messages: &[MessageId]) -> Result<(), SessionError> {
    session.base.ensure_online()?;
    let inbound: Vec<&MessageId> = messages.iter().filter(|id| !id.from_me).collect();
    let from = inbound.len().saturating_sub(MAX_READ_RECEIPTS);
    for id in inbound.iter().skip(from) {
        request(session, &message_out::read(id.network.as_str(), false)).await?;
    }
    Ok(())
}

/// Shows typing. Meta accepts it only in answer to a message, and ends it after 25 s.
pub(super) async fn typing(session: &CloudSession, chat: &Jid, on: bool) -> Result<(), SessionError> {
    session.base.ensure_online()?;
    if !on {
        return Ok(());
    }
    let last = session.last_inbound(chat).ok_or_else(|| {
        SessionError::Refused("Meta shows typing only after a message from that person".to_owned())
    })?;
    request(session, &message_out::read(&last, true)).await
}

/// Reacts to a message; an empty emoji removes the reaction.
pub(super) async fn react(session: &CloudSession, id: &MessageId, emoji: &str) -> Result<(), SessionError> {
    session.base.ensure_online()?;
    let not_found = || SessionError::Refused("Meta has no such message".to_owned());
    let to = ids::recipient(&id.chat).ok_or_else(not_found)?;
    let wamid = upstream_id(session, id).await.ok_or_else(not_found)?;
    request(session, &message_out::reaction(&to, &wamid, emoji)).await
}

async fn request(session: &CloudSession, body: &Value) -> Result<(), SessionError> {
    match session.graph.messages(body).await {
        Ok(_) => Ok(()),
        Err(GraphFailure::Unreachable | GraphFailure::NoAnswer) => {
            session.recheck.notify_one();
            Err(SessionError::Offline)
        }
        Err(GraphFailure::Rejected(error)) => {
            rejected(session, &error, None);
            Err(SessionError::Refused(error.error().message))
        }
    }
}
