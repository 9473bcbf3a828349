//! Sends a message: submits it to the upstream under an idempotency key, then waits for its result in
//! the log.
//!
//! A repeated message has the same key and content, so that the upstream drops second copies. It is sent only
//! after all entries from before the session are ingested.

use std::time::Duration;

use serde_json::Value;

use super::client::RemoteFailure;
use super::convert::event_in::{SendStep, send_step};
use super::convert::ids::{temp_id, with_network};
use super::convert::wire::WireMessage;
use super::convert::{message_out, static_codes};
use super::session::RemoteSession;
use super::settings::InboundTransport;
use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::vault::VaultBatch;
use crate::engine::relay::outcome::{permanent, transient};
use crate::engine::{Outgoing, SendError, SendOutcome};
use crate::net::Method;

/// How long a send waits for its result; it is then repeated.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The pause between two requests for the message's status: with a log, and without.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
const STATUS_INTERVAL_WITHOUT_LOG: Duration = Duration::from_millis(500);

impl RemoteSession {
    /// See [`crate::engine::Session::send`].
    pub(super) async fn send_message(&self, message: Outgoing) -> SendOutcome {
        if !self.base.is_online() {
            return transient("not_connected", "the device is not connected to its upstream");
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
            () = self.base.ended() => unknown("the link to the upstream broke before it answered"),
        }
    }

    async fn try_send(&self, message: &Outgoing) -> Result<Vec<Jid>, SendOutcome> {
        let ours = &message.id.network;
        let mut pending = self.pending_sends.register(ours);
        let stored = self.ids.to_upstream(ours).await;
        let stored = stored.map_err(|_| unknown("the message's id could not be read"))?;
        let is_repeated = message.again || stored.is_some();
        let upstream = match stored {
            Some(upstream) => upstream,
            None => self.submit(message).await?,
        };
        let upstream = with_network(&message.id, upstream);
        if is_repeated && let Some(result) = self.current_result(&upstream).await {
            return result;
        }
        let interval = match self.inbound {
            InboundTransport::Poll => STATUS_INTERVAL_WITHOUT_LOG,
            InboundTransport::Stream | InboundTransport::Webhook => STATUS_INTERVAL,
        };
        let result = async {
            loop {
                if let Ok(step) = tokio::time::timeout(interval, pending.step()).await {
                    return step.map(result_of);
                }
                if let Some(result) = self.current_result(&upstream).await {
                    return Some(result.map(drop));
                }
            }
        };
        match tokio::time::timeout(MAX_WAIT, result).await {
            Ok(Some(result)) => result?,
            _ => return Err(unknown("the upstream has the message and has not sent it yet")),
        }
        if !upstream.chat.is_group() {
            return Ok(Vec::new());
        }
        let found = self.look_up(&upstream).await.ok().flatten();
        Ok(found.as_ref().map(recipients).unwrap_or_default())
    }

    /// The result of a message, if the upstream has one.
    async fn current_result(&self, upstream: &MessageId) -> Option<Result<Vec<Jid>, SendOutcome>> {
        let found = self.look_up(upstream).await.ok()??;
        match send_step(found.status.as_deref()?, found.code.as_deref(), found.error.clone()) {
            SendStep::Undecided => None,
            step => Some(result_of(step).map(|()| recipients(&found))),
        }
    }

    /// Submits the message to the upstream; records and returns its id there.
    async fn submit(&self, message: &Outgoing) -> Result<NetworkId, SendOutcome> {
        let ours = &message.id.network;
        let mut media = self.upload_of(message).await?;
        let mut quoted = match &message.quoted {
            Some(quoted) => {
                let id = self.upstream_id(&quoted.id).await;
                Some(id.map_err(|_| unknown("the quoted message's id could not be read"))?)
            }
            None => None,
        };
        let _recording = self.recording_id.read().await;
        let mut answer = self.post_message(message, quoted.as_ref(), media.as_deref()).await;
        // The file was uploaded for an earlier attempt, and the upstream has deleted it since.
        if media.is_some() && has_code(&answer, "media_not_found") {
            let removed = self.state.remove_upload(ours).await;
            removed.map_err(|_| transient("upload_failed", "the file could not be uploaded again"))?;
            media = self.upload_of(message).await?;
            answer = self.post_message(message, quoted.as_ref(), media.as_deref()).await;
        }
        if quoted.is_some() && has_code(&answer, "quoted_message_not_found") {
            quoted = None;
            answer = self.post_message(message, quoted.as_ref(), media.as_deref()).await;
        }
        let accepted = answer.map_err(|failure| rejected(&failure))?;
        let upstream = accepted["id"].as_str().and_then(|id| id.parse::<MessageId>().ok());
        let upstream = upstream.ok_or_else(|| rejected(&RemoteFailure::malformed()))?.network;
        let mut batch = VaultBatch::new();
        self.ids.put(&mut batch, ours, &upstream);
        self.state.put_sent(&mut batch, ours);
        let recorded = self.relay.vault.apply(batch).await;
        recorded.map_err(|_| unknown("the upstream's id of the message could not be stored"))?;
        Ok(upstream)
    }

    /// The upstream's id of the message's file.
    async fn upload_of(&self, message: &Outgoing) -> Result<Option<String>, SendOutcome> {
        match &message.content {
            Content::Media(attachment) => self.upload(&message.id.network, attachment).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn post_message(
        &self,
        message: &Outgoing,
        quoted: Option<&MessageId>,
        media: Option<&str>,
    ) -> Result<Value, RemoteFailure> {
        let temp_id = temp_id(&self.tag, &message.id.network);
        let body = message_out::request(message, &temp_id, quoted, media);
        let body = body.ok_or_else(RemoteFailure::not_supported)?;
        let request = self.client.request(Method::POST, &["messages", "send"]).json(&body);
        self.client.data(request.header("Idempotency-Key", message.id.to_string())).await
    }
}

fn has_code(answer: &Result<Value, RemoteFailure>, code: &str) -> bool {
    answer.as_ref().is_err_and(|failure| failure.code() == code)
}

fn result_of(step: SendStep) -> Result<(), SendOutcome> {
    match step {
        SendStep::Failed(error) => Err(SendOutcome::Permanent(error)),
        SendStep::Sent | SendStep::Undecided => Ok(()),
    }
}

/// The outcome of a message that the upstream did not accept.
fn rejected(failure: &RemoteFailure) -> SendOutcome {
    let (status, own_status) = (failure.status(), failure.own_status());
    match failure.code() {
        _ if failure.is_unauthorized() => transient("upstream_unauthorized", "the upstream refused the key"),
        "media_not_found" => permanent("media_gone", "the upstream no longer has the file of this message"),
        // An earlier attempt was accepted: the log has its result.
        "idempotency_mismatch" => unknown("the upstream has the message and reports no result"),
        _ if status.is_none_or(|status| status >= 500) => unknown("the upstream did not answer"),
        _ if status == Some(413) => {
            permanent("message_too_large", "the upstream does not accept messages of this size")
        }
        _ if status == Some(429) => transient("rate_limited", "the upstream limits the rate"),
        _ if matches!(own_status, Some(404 | 409)) => {
            transient("not_connected", "the upstream's device is not connected to its network")
        }
        _ if failure.is_temporary() => {
            transient("network_unavailable", "the upstream does not accept messages now")
        }
        code => {
            let sentence = Some(failure.sentence()).filter(|sentence| !sentence.is_empty());
            let message = sentence.unwrap_or("the upstream refused the message").to_owned();
            SendOutcome::Permanent(SendError { code: static_codes::failure_code(code), message })
        }
    }
}

fn recipients(message: &WireMessage) -> Vec<Jid> {
    if !message.id.chat.is_group() {
        return Vec::new();
    }
    message.receipts.iter().map(|receipt| receipt.participant.clone()).collect()
}

fn unknown(message: &str) -> SendOutcome {
    crate::engine::relay::outcome::unknown("link_lost_while_sending", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(status: u16, body: Value) -> (&'static str, &'static str) {
        match rejected(&RemoteFailure::rejected(status, body)) {
            SendOutcome::Transient(error) => ("transient", error.code),
            SendOutcome::Permanent(error) => ("permanent", error.code),
            SendOutcome::Unknown(error) => ("unknown", error.code),
            SendOutcome::Sent { .. } => ("sent", ""),
        }
    }

    fn own(status: u16, code: &str) -> (&'static str, &'static str) {
        outcome(status, json!({ "success": false, "code": code }))
    }

    #[test]
    fn temporary_rejections_are_retried_and_own_refusals_are_not() {
        for (status, code) in
            [(408, "network_unavailable"), (425, "network_unavailable"), (429, "rate_limited")]
        {
            assert_eq!(own(status, ""), ("transient", code), "{status}");
        }
        assert_eq!(own(404, "device_not_found"), ("transient", "not_connected"));
        assert_eq!(own(409, "not_ready"), ("transient", "not_connected"));
        for status in [400, 404, 405] {
            assert_eq!(outcome(status, Value::Null), ("transient", "network_unavailable"), "{status}");
        }
        assert_eq!(outcome(401, Value::Null), ("transient", "upstream_unauthorized"));
        assert_eq!(outcome(502, Value::Null), ("unknown", "link_lost_while_sending"));
        assert_eq!(own(422, "not_on_network"), ("permanent", "not_on_network"));
        assert_eq!(own(404, "media_not_found"), ("permanent", "media_gone"));
    }
}
