//! How a message goes out: it is handed to the upstream under an idempotency key, which is our id of it, and then its
//! log tells what became of it.
//!
//! Invariants: a message that was tried before is tried again only after everything was read that the log held when
//! this session began; the same message has the same key and the same content at each try, so that the upstream drops
//! second copies.

use std::time::Duration;

use super::client::{Ask, Trouble};
use super::convert::entry_in::{Step, step_of};
use super::convert::ids::{temp_id, with_network};
use super::convert::wire::WireMessage;
use super::convert::{message_out, words};
use super::session::WwebjsSession;
use super::settings::InboundBy;
use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{Outgoing, SendError, SendOutcome};

/// How long a send waits for its message to leave there; after that it is asked for again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the message is looked at: in case the log is slow, and where there is none.
const LOOK: Duration = Duration::from_secs(10);
const LOOK_WITHOUT_LOG: Duration = Duration::from_millis(500);

impl WwebjsSession {
    /// See [`crate::engine::Session::send`].
    pub(super) async fn send_out(&self, message: Outgoing) -> SendOutcome {
        if !self.is_online() {
            return offline();
        }
        let sent = async {
            if message.again {
                self.caught_up.cancelled().await;
            }
            match self.try_send(&message).await {
                Ok(participants) => SendOutcome::Sent { participants },
                Err(outcome) => outcome,
            }
        };
        tokio::select! {
            biased;
            outcome = sent => outcome,
            () = self.gone.cancelled() => unknown("the link to the upstream broke before it answered"),
        }
    }

    async fn try_send(&self, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
        let ours = &message.id.network;
        let mut wait = self.waiting.join(ours);
        let known =
            self.keeping.known_as(ours).await.map_err(|_| unknown("the message's id could not be read"))?;
        let (theirs, is_news) = match known {
            Some(theirs) => (theirs, false),
            None => (self.hand_over(message).await?, !message.again),
        };
        let there = with_network(&message.id, theirs);
        if !is_news && let Some(decided) = self.decided(&there).await {
            return decided;
        }
        let look = if self.inbound_by == InboundBy::Poll { LOOK_WITHOUT_LOG } else { LOOK };
        let told = async {
            loop {
                if let Ok(step) = tokio::time::timeout(look, wait.step()).await {
                    return step.map(|step| self.outcome(step));
                }
                if let Some(decided) = self.decided(&there).await {
                    return Some(decided.map(|_| ()));
                }
            }
        };
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Some(outcome)) => outcome?,
            _ => return Err(unknown("the upstream has the message, and has not sent it yet")),
        }
        Ok(self.participants(&there).await)
    }

    /// What became of the message, where that is decided.
    async fn decided(&self, there: &MessageId) -> Option<Result<Vec<Jid>, SendOutcome>> {
        let found = self.look_up(there).await.ok()??;
        let step = step_of(found.status.as_deref()?, found.code.as_deref(), found.error.clone());
        if step == Step::OnItsWay {
            return None;
        }
        Some(self.outcome(step).map(|()| recipients(&found)))
    }

    fn outcome(&self, step: Step) -> Result<(), SendOutcome> {
        match step {
            Step::Failed(error) => Err(SendOutcome::Permanent(error)),
            Step::Sent | Step::OnItsWay => Ok(()),
        }
    }

    /// Who a message to a group goes to.
    async fn participants(&self, there: &MessageId) -> Vec<Jid> {
        if !there.chat.is_group() {
            return Vec::new();
        }
        let found = self.look_up(there).await.ok().flatten();
        found.as_ref().map(recipients).unwrap_or_default()
    }

    /// Asks the upstream to send it; answers its id there, which is kept.
    async fn hand_over(&self, message: &Outgoing) -> Result<NetworkId, SendOutcome> {
        let ours = &message.id.network;
        let media = match &message.content {
            Content::Media(attachment) => Some(self.upload(ours, attachment).await?),
            _ => None,
        };
        let quoted = match &message.quoted {
            Some(quoted) => {
                let theirs = self.keeping.theirs(&quoted.id).await;
                Some(theirs.map_err(|_| unknown("the quoted message's id could not be read"))?)
            }
            None => None,
        };
        let theirs = match self.ask_to_send(message, quoted.as_ref(), media.as_deref()).await {
            Err(trouble) if trouble.code() == "quoted_message_not_found" => {
                self.ask_to_send(message, None, media.as_deref()).await
            }
            asked => asked,
        };
        let theirs = theirs.map_err(|trouble| self.refused(&trouble))?;
        let named = self.keeping.name(ours, &theirs, self.clock.now()).await;
        named.map_err(|_| unknown("the upstream's id of the message could not be kept"))?;
        Ok(theirs)
    }

    async fn ask_to_send(
        &self,
        message: &Outgoing,
        quoted: Option<&MessageId>,
        media: Option<&str>,
    ) -> Result<NetworkId, Trouble> {
        let temp_id = temp_id(&self.tag, &message.id.network);
        let body = message_out::request(message, &temp_id, quoted, media);
        let body = body.ok_or_else(|| Trouble::Refused {
            status: 422,
            code: "not_supported_by_engine".to_owned(),
            sentence: "messages of this type cannot be sent".to_owned(),
        })?;
        let ask = Ask::post(&["messages", "send"], body).header("Idempotency-Key", message.id.to_string());
        let accepted = self.client.data(ask).await?;
        let id = accepted["id"].as_str().and_then(|id| id.parse::<MessageId>().ok());
        id.map(|id| id.network).ok_or(Trouble::Garbled)
    }

    fn refused(&self, trouble: &Trouble) -> SendOutcome {
        match trouble {
            Trouble::Refused { status: 404 | 409, .. } => {
                transient("not_connected", "the upstream's device is not connected to its network")
            }
            Trouble::Refused { status: 413, .. } => {
                permanent("message_too_large", "the upstream does not take messages of this size")
            }
            // Accepted at an earlier try: its log tells the rest.
            Trouble::Refused { code, .. } if code == "idempotency_mismatch" => {
                unknown("the upstream knows the message, and has not said as what")
            }
            Trouble::Refused { status, code, sentence } if *status < 500 && *status != 429 => {
                let sentence =
                    if sentence.is_empty() { "the upstream refused the message" } else { sentence };
                SendOutcome::Permanent(SendError {
                    code: words::failure_code(code),
                    message: sentence.to_owned(),
                })
            }
            Trouble::Unauthorized => transient("not_connected", "the upstream refused the key"),
            _ => unknown("the upstream did not answer"),
        }
    }
}

fn recipients(message: &WireMessage) -> Vec<Jid> {
    if !message.id.chat.is_group() {
        return Vec::new();
    }
    message.receipts.iter().map(|receipt| receipt.participant.clone()).collect()
}

fn offline() -> SendOutcome {
    transient("not_connected", "the device is not connected to its upstream")
}

pub(super) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

pub(super) fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}

pub(super) fn unknown(message: &str) -> SendOutcome {
    SendOutcome::Unknown(SendError { code: "link_lost_while_sending", message: message.to_owned() })
}
