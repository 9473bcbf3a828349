//! Links a device whose account is protected by a passkey.
//!
//! Source: `whatsapp-rust` 0.7.0, `passkey/flow.rs`. After the scan the network sends a WebAuthn request; the library
//! sends the signature, exchanges keys with the phone, and reports a code that the phone shows too.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;
use whatsapp_rust::Client;
use whatsapp_rust::passkey::{Assertion, PasskeyError};
use whatsapp_rust::types::events::Event;

use super::boxed::boxed;
use crate::domain::ids::DeviceId;
use crate::domain::passkey::{PasskeyAssertion, valid_ms};
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, SessionEnd, SessionError};

/// The shortest time for the confirmation of the code, in milliseconds.
const CONFIRM_MS: i64 = 120_000;

/// The passkey step of a session. It is pending from the network's request until the link or the end.
#[derive(Default)]
pub(super) struct PasskeyLink {
    pending: Mutex<Option<Pending>>,
    /// Notified when an answer of the network ended the attempt, or its deadline changed.
    changed: Notify,
}

struct Pending {
    client: Arc<Client>,
    deadline: Instant,
    phase: Phase,
    ended: Option<Reason>,
}

impl Pending {
    /// Enters a phase; returns the time until the deadline in milliseconds.
    fn enter(&mut self, phase: Phase) -> i64 {
        let now = Instant::now();
        self.phase = phase;
        self.deadline = self.deadline.max(now + duration(CONFIRM_MS));
        i64::try_from(self.deadline.saturating_duration_since(now).as_millis()).unwrap_or(CONFIRM_MS)
    }
}

/// The progress of an attempt. Each call of the library is made in one phase only: the library has no session
/// while it exchanges keys, so that a repeated call would begin a second exchange or end the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitsSignature,
    Signed,
    CodeShown,
    Confirmed,
}

impl PasskeyLink {
    pub(super) fn is_pending(&self) -> bool {
        self.pending.lock().is_some()
    }

    /// Ends the step because the device was linked, or the connection has ended. If one was pending: why the network
    /// ended it, if it did.
    pub(super) fn clear(&self) -> Option<Option<Reason>> {
        self.pending.lock().take().map(|pending| pending.ended)
    }

    /// Handles the library's events about passkeys: the event to deliver, if there is one.
    ///
    /// # Errors
    /// How the session ends, if the attempt failed.
    pub(super) async fn on_event(
        &self,
        device: &DeviceId,
        client: &Arc<Client>,
        event: &Event,
    ) -> Result<Option<EngineEvent>, SessionEnd> {
        match event {
            Event::PairPasskeyRequest(request) => {
                let options: Map<String, Value> = serde_json::from_str(&request.request_options_json)
                    .map_err(|_| failed(device, "the options of the network are not an object"))?;
                let valid_ms = valid_ms(&options);
                self.begin(client, valid_ms);
                Ok(Some(EngineEvent::PasskeyRequested { options, valid_ms }))
            }
            Event::PairPasskeyConfirmation(confirmation) if confirmation.skip_handoff_ux => {
                self.extend(Phase::Confirmed);
                let confirmed = boxed(client.send_passkey_confirmation()).await;
                confirmed.map_err(|error| failed(device, &error))?;
                Ok(None)
            }
            Event::PairPasskeyConfirmation(confirmation) => {
                let valid_ms = self.extend(Phase::CodeShown);
                Ok(Some(EngineEvent::PasskeySigned { code: confirmation.code.clone(), valid_ms }))
            }
            // A repeated continuation fails after the confirmation, and changes nothing.
            Event::PairPasskeyError(error) if self.may_fail() => Err(failed(device, &error.error)),
            _ => Ok(None),
        }
    }

    fn may_fail(&self) -> bool {
        self.pending.lock().as_ref().is_some_and(|pending| pending.phase != Phase::Confirmed)
    }

    fn begin(&self, client: &Arc<Client>, valid_ms: i64) {
        let deadline = Instant::now() + duration(valid_ms);
        let (client, phase) = (Arc::clone(client), Phase::AwaitsSignature);
        *self.pending.lock() = Some(Pending { client, deadline, phase, ended: None });
        self.changed.notify_one();
    }

    /// Enters a phase, and gives the next step enough time; returns that time in milliseconds.
    fn extend(&self, phase: Phase) -> i64 {
        let valid_ms = self.pending.lock().as_mut().map_or(CONFIRM_MS, |pending| pending.enter(phase));
        self.changed.notify_one();
        valid_ms
    }

    /// Waits until the attempt ends without a link.
    pub(super) async fn ended(&self) -> SessionEnd {
        loop {
            let changed = self.changed.notified();
            let (ended, deadline) = match &*self.pending.lock() {
                Some(pending) => (pending.ended, Some(pending.deadline)),
                None => (None, None),
            };
            if let Some(reason) = ended {
                return SessionEnd::PasskeyEnded(reason);
            }
            tokio::select! {
                () = changed => {}
                () = at(deadline) => return SessionEnd::PasskeyEnded(Reason::PasskeyTimeout),
            }
        }
    }

    /// See [`crate::engine::Session::answer_passkey`].
    pub(super) async fn answer(
        &self,
        device: &DeviceId,
        assertion: PasskeyAssertion,
    ) -> Result<(), SessionError> {
        let Some(client) = self.advance(Phase::AwaitsSignature, Phase::Signed) else {
            return Err(refused("it has a signature of this attempt already, or asks for none"));
        };
        let PasskeyAssertion { json, credential_id } = assertion;
        let response = Assertion { assertion_json: json.into_bytes(), credential_id };
        boxed(client.send_passkey_response(response)).await.map_err(|error| self.end(device, &error))
    }

    /// See [`crate::engine::Session::confirm_passkey`].
    pub(super) async fn confirm(&self, device: &DeviceId) -> Result<(), SessionError> {
        if let Some(client) = self.advance(Phase::CodeShown, Phase::Confirmed) {
            let confirmed = boxed(client.send_passkey_confirmation()).await;
            return confirmed.map_err(|error| self.end(device, &error));
        }
        match self.pending.lock().as_ref().map(|pending| pending.phase) {
            // A repeated confirmation.
            Some(Phase::Confirmed) => Ok(()),
            _ => Err(refused("no confirmation is pending")),
        }
    }

    /// Moves from one phase to another and extends the deadline; `None` in another phase.
    fn advance(&self, from: Phase, to: Phase) -> Option<Arc<Client>> {
        let mut pending = self.pending.lock();
        let pending = pending.as_mut().filter(|pending| pending.phase == from)?;
        pending.enter(to);
        self.changed.notify_one();
        Some(Arc::clone(&pending.client))
    }

    fn end(&self, device: &DeviceId, error: &PasskeyError) -> SessionError {
        let rejected = is_rejected(error);
        tracing::warn!(%device, %error, rejected, "a link with a passkey failed");
        if let Some(pending) = &mut *self.pending.lock() {
            pending.ended = Some(if rejected { Reason::PasskeyRejected } else { Reason::PasskeyFailed });
        }
        self.changed.notify_one();
        let reason = if rejected {
            "it rejected the signature; start the device and scan a new QR code"
        } else {
            "the exchange with it failed; start the device and scan a new QR code"
        };
        refused(reason)
    }
}

/// Whether the network answered the signature with an error (`flow.rs`, `ShortcakeSession::open`, and
/// `request.rs`, `IqError::ServerError`): the library reports texts only.
fn is_rejected(error: &PasskeyError) -> bool {
    let text = error.to_string();
    text.contains("passkey_prologue iq failed") && text.contains("server error response")
}

fn failed(device: &DeviceId, cause: &(impl std::fmt::Display + ?Sized)) -> SessionEnd {
    tracing::warn!(%device, %cause, "a link with a passkey failed");
    SessionEnd::PasskeyEnded(Reason::PasskeyFailed)
}

fn refused(reason: &str) -> SessionError {
    SessionError::Refused(reason.to_owned())
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_of_the_server_rejects_the_signature() {
        let flow = |text: &str| PasskeyError::Flow(text.to_owned());
        let of_server =
            "passkey linking flow error: received a server error response: code=403, text='forbidden'";
        assert!(is_rejected(&flow(&format!("passkey_prologue iq failed: {of_server}"))));
        assert!(!is_rejected(&flow("passkey_prologue iq failed: IQ request timed out")));
        assert!(!is_rejected(&flow(&format!("ref iq failed: {of_server}"))));
    }
}
