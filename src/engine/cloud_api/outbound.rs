//! Messages that go out, and what the account does about those of others.
//!
//! While Meta wants to be left alone nothing is sent: a message waits for a while, and is then given back to be tried
//! later. One of which it is not known whether Meta has it stays unknown until a status tells.

use std::time::Duration;

use tokio::time::Instant;

use super::aliases;
use super::client::CallError;
use super::convert::message_out::{self, MessageRefs, BodyError};
use super::convert::ids::{self, Recipient};
use super::errors::{GraphError, Pause};
use super::media;
use super::session::CloudSession;
use crate::domain::content::Content;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{Outgoing, SendError, SendOutcome, SessionError};

/// How long a message waits for Meta to be spoken to again.
const GATE_WAIT: Duration = Duration::from_secs(20);
/// Messages of which Meta is told one by one that they were read; of those before them it knows by itself.
const MOST_READ: usize = 20;

/// See [`crate::engine::Session::send`].
pub(super) async fn send(session: &CloudSession, message: &Outgoing) -> SendOutcome {
    match try_send(session, message).await {
        Ok(()) => SendOutcome::Sent { participants: Vec::new() },
        Err(outcome) => outcome,
    }
}

async fn try_send(session: &CloudSession, message: &Outgoing) -> Result<(), SendOutcome> {
    if !session.is_online() {
        return Err(not_sent(session));
    }
    let to = ids::recipient(&message.chat).ok_or_else(|| {
        permanent("recipient_not_supported", "Meta's Cloud API reaches people, and groups of its own")
    })?;
    gate(session, &message.chat).await?;
    let mut asked = session.graph.messages(&body(session, message, &to).await?).await;
    let has_file = matches!(message.content, Content::Media(_));
    // Between both requests Meta may lose a file; nothing of the message has left.
    if has_file && matches!(&asked, Err(CallError::Refused(error)) if error.may_be_about_file()) {
        asked = session.graph.messages(&body(session, message, &to).await?).await;
    }
    match asked {
        Ok(answer) => {
            remember(session, &message.id, &answer).await;
            Ok(())
        }
        Err(CallError::NotReached) => Err(not_sent(session)),
        Err(CallError::Unclear) => {
            session.doubt.notify_one();
            let message = "Meta did not say in time whether it has the message".to_owned();
            Err(SendOutcome::Unknown(SendError { code: "no_answer", message }))
        }
        Err(CallError::Refused(error)) => Err(failed(session, &error, Some(&message.chat))),
    }
}

/// Waits until Meta may be spoken to about this chat.
async fn gate(session: &CloudSession, chat: &Jid) -> Result<(), SendOutcome> {
    let until = Instant::now() + GATE_WAIT;
    while let Some(opens) = session.rate_limits.paused_until(chat) {
        if opens > until {
            let seconds = opens.saturating_duration_since(Instant::now()).as_secs().saturating_add(1);
            let sentence = format!("Meta wants to be left alone; it is asked again in {seconds} s");
            return Err(transient("rate_limited", &sentence));
        }
        tokio::select! {
            () = session.gone.cancelled() => return Err(not_sent(session)),
            () = tokio::time::sleep_until(opens) => {}
        }
    }
    Ok(())
}

async fn body(
    session: &CloudSession,
    message: &Outgoing,
    to: &Recipient,
) -> Result<serde_json::Value, SendOutcome> {
    let file = match &message.content {
        Content::Media(attachment) => Some(media::upload(session, attachment).await?),
        _ => None,
    };
    let answers = match &message.quoted {
        Some(quoted) => name_of(session, &quoted.id).await,
        None => None,
    };
    message_out::body(message, to, &MessageRefs { file, answers }).map_err(|error| match error {
        BodyError::NotSupported => permanent("not_supported_by_engine", "Meta's Cloud API cannot send that"),
        BodyError::TooLong => {
            permanent("message_too_large", "Meta takes texts of 4096 characters and captions of 1024")
        }
    })
}

/// What Meta calls it, as far as it is known.
async fn name_of(session: &CloudSession, id: &MessageId) -> Option<String> {
    aliases::wamid(&*session.vault, id).await.unwrap_or_else(|error| {
        tracing::warn!(device = %session.device, %error, "what Meta calls a message could not be looked up");
        None
    })
}

/// Notes what Meta calls the message. When that fails, its statuses still name it by our id.
async fn remember(session: &CloudSession, id: &MessageId, answer: &serde_json::Value) {
    let Some(wamid) = answer.pointer("/messages/0/id").and_then(serde_json::Value::as_str) else { return };
    if let Err(error) = aliases::note(&*session.vault, wamid, id, session.clock.now()).await {
        tracing::warn!(device = %session.device, %error, "Meta's name of a message could not be noted");
    }
}

/// What becomes of a message that Meta refused, and of the session.
pub(super) fn failed(session: &CloudSession, error: &GraphError, chat: Option<&Jid>) -> SendOutcome {
    match (error.pause(), chat) {
        (Pause::Number(pause), _) => session.rate_limits.pause_all(pause),
        (Pause::Person(pause), Some(chat)) => session.rate_limits.pause(chat, pause),
        (Pause::Person(_), None) | (Pause::None, _) => {}
    }
    match error.ends_device() {
        // Whether the token is good is asked again.
        Some(Reason::UpstreamUnauthorized) => session.doubt.notify_one(),
        Some(reason) => session.fail_session(reason),
        None => {}
    }
    error.outcome()
}

/// Tells the senders of these that they were read.
pub(super) async fn mark_read(session: &CloudSession, messages: &[MessageId]) -> Result<(), SessionError> {
    session.online_or_error()?;
    let theirs: Vec<&MessageId> = messages.iter().filter(|id| !id.from_me).collect();
    let from = theirs.len().saturating_sub(MOST_READ);
    for id in theirs.iter().skip(from) {
        ask(session, &message_out::read(id.network.as_str(), false)).await?;
    }
    Ok(())
}

/// Shows "typing", which Meta takes only as an answer to a message, and ends by itself after 25 s.
pub(super) async fn typing(session: &CloudSession, chat: &Jid, on: bool) -> Result<(), SessionError> {
    session.online_or_error()?;
    if !on {
        return Ok(());
    }
    let last = session.last_of(chat).ok_or_else(|| {
        SessionError::Refused("Meta shows typing only after a message of that person came in".to_owned())
    })?;
    ask(session, &message_out::read(&last, true)).await
}

/// Reacts to a message; empty takes it back.
pub(super) async fn react(session: &CloudSession, id: &MessageId, emoji: &str) -> Result<(), SessionError> {
    session.online_or_error()?;
    let unknown = || SessionError::Refused("Meta does not know this message".to_owned());
    let to = ids::recipient(&id.chat).ok_or_else(unknown)?;
    let wamid = name_of(session, id).await.ok_or_else(unknown)?;
    ask(session, &message_out::reaction(&to, &wamid, emoji)).await
}

async fn ask(session: &CloudSession, body: &serde_json::Value) -> Result<(), SessionError> {
    match session.graph.messages(body).await {
        Ok(_) => Ok(()),
        Err(CallError::NotReached | CallError::Unclear) => {
            session.doubt.notify_one();
            Err(SessionError::Offline)
        }
        Err(CallError::Refused(error)) => {
            failed(session, &error, None);
            Err(SessionError::Refused(error.error().message))
        }
    }
}

/// Meta could not be reached; nothing has left.
pub(super) fn not_sent(session: &CloudSession) -> SendOutcome {
    session.doubt.notify_one();
    transient("not_connected", "the device is not connected to its network")
}

pub(super) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

pub(super) fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}
