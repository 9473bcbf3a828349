//! How a message goes out: it is handed to the upstream under an idempotency key, which is our id of it, and then its
//! log tells what became of it.
//!
//! Invariants: a message that was tried before is tried again only after everything was read that the log held when
//! this session began; the same message has the same key and the same content at each try, so that the upstream drops
//! second copies.

use std::time::Duration;

use super::client::{Ask, Trouble};
use super::convert::event_in::{Step, step_of};
use super::convert::ids::{temp_id, with_network};
use super::convert::wire::WireMessage;
use super::convert::{message_out, static_codes};
use super::session::RemoteSession;
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

impl RemoteSession {
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
        let mut media = self.file_for(message).await?;
        let mut quoted = match &message.quoted {
            Some(quoted) => {
                let theirs = self.keeping.theirs(&quoted.id).await;
                Some(theirs.map_err(|_| unknown("the quoted message's id could not be read"))?)
            }
            None => None,
        };
        let _naming = self.naming.read().await;
        let mut asked = self.ask_to_send(message, quoted.as_ref(), media.as_deref()).await;
        // The file was handed over at an earlier try, and the upstream has let go of it since.
        if media.is_some() && is_refused(&asked, "media_not_found") {
            let forgotten = self.keeping.forget_upload(ours).await;
            forgotten.map_err(|_| transient("upload_failed", "the file could not be handed over again"))?;
            media = self.file_for(message).await?;
            asked = self.ask_to_send(message, quoted.as_ref(), media.as_deref()).await;
        }
        if quoted.is_some() && is_refused(&asked, "quoted_message_not_found") {
            quoted = None;
            asked = self.ask_to_send(message, quoted.as_ref(), media.as_deref()).await;
        }
        let theirs = asked.map_err(|trouble| refused(&trouble))?;
        let named = self.keeping.name(ours, &theirs, self.clock.now()).await;
        named.map_err(|_| unknown("the upstream's id of the message could not be kept"))?;
        Ok(theirs)
    }

    /// The upstream's id of the message's file, which is handed over first.
    async fn file_for(&self, message: &Outgoing) -> Result<Option<String>, SendOutcome> {
        match &message.content {
            Content::Media(attachment) => self.upload(&message.id.network, attachment).await.map(Some),
            _ => Ok(None),
        }
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
            own: true,
            code: "not_supported_by_engine".to_owned(),
            sentence: "messages of this type cannot be sent".to_owned(),
        })?;
        let ask = Ask::post(&["messages", "send"], body).header("Idempotency-Key", message.id.to_string());
        let accepted = self.client.data(ask).await?;
        let id = accepted["id"].as_str().and_then(|id| id.parse::<MessageId>().ok());
        id.map(|id| id.network).ok_or(Trouble::Garbled)
    }
}

fn is_refused<T>(asked: &Result<T, Trouble>, code: &str) -> bool {
    asked.as_ref().is_err_and(|trouble| trouble.code() == code)
}

/// What becomes of a message that the upstream does not take.
fn refused(trouble: &Trouble) -> SendOutcome {
    match trouble {
        Trouble::Unauthorized => transient("upstream_unauthorized", "the upstream refused the key"),
        Trouble::Away(_) | Trouble::BrokenOff | Trouble::Garbled => unknown("the upstream did not answer"),
        Trouble::Refused { code, .. } if code == "media_not_found" => {
            permanent("media_gone", "the upstream does not keep the file of this message any more")
        }
        // Accepted at an earlier try: its log tells the rest.
        Trouble::Refused { code, .. } if code == "idempotency_mismatch" => {
            unknown("the upstream knows the message, and has not said as what")
        }
        Trouble::Refused { status: 413, .. } => {
            permanent("message_too_large", "the upstream does not take messages of this size")
        }
        Trouble::Refused { status: 429, .. } => {
            transient("rate_limited", "the upstream says that too much is sent")
        }
        Trouble::Refused { status: 404 | 409, own: true, .. } => {
            transient("not_connected", "the upstream's device is not connected to its network")
        }
        Trouble::Refused { status: 500.., .. } => unknown("the upstream did not answer"),
        trouble if trouble.is_passing() => {
            transient("network_unavailable", "the upstream does not take messages now")
        }
        Trouble::Refused { code, sentence, .. } => {
            let sentence = if sentence.is_empty() { "the upstream refused the message" } else { sentence };
            SendOutcome::Permanent(SendError {
                code: static_codes::failure_code(code),
                message: sentence.to_owned(),
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, own: bool, code: &str) -> (&'static str, &'static str) {
        let (code, sentence) = (code.to_owned(), String::new());
        match refused(&Trouble::Refused { status, own, code, sentence }) {
            SendOutcome::Transient(error) => ("transient", error.code),
            SendOutcome::Permanent(error) => ("permanent", error.code),
            SendOutcome::Unknown(error) => ("unknown", error.code),
            SendOutcome::Sent { .. } => ("sent", ""),
        }
    }

    #[test]
    fn what_passes_is_tried_again_and_what_the_api_refuses_is_not() {
        for (status, code) in
            [(408, "network_unavailable"), (425, "network_unavailable"), (429, "rate_limited")]
        {
            assert_eq!(outcome(status, true, ""), ("transient", code), "{status}");
        }
        assert_eq!(outcome(404, true, "device_not_found"), ("transient", "not_connected"));
        assert_eq!(outcome(409, true, "not_ready"), ("transient", "not_connected"));
        for status in [400, 403, 404, 405] {
            assert_eq!(outcome(status, false, ""), ("transient", "network_unavailable"), "{status}");
        }
        assert_eq!(outcome(502, false, ""), ("unknown", "link_lost_while_sending"));
        assert_eq!(outcome(422, true, "not_on_network"), ("permanent", "not_on_network"));
        assert_eq!(outcome(404, true, "media_not_found"), ("permanent", "media_gone"));
        let key = refused(&Trouble::Unauthorized);
        assert!(matches!(key, SendOutcome::Transient(error) if error.code == "upstream_unauthorized"));
    }
}
