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
use super::runtime::CodeRotation;
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
    ended: Option<Reason>,
    /// Holds the rotation of QR codes, which would end the connection.
    rotation: CodeRotation,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.rotation.hold(false);
    }
}

impl PasskeyLink {
    pub(super) fn is_pending(&self) -> bool {
        self.pending.lock().is_some()
    }

    /// Ends the step because the device was linked, or the connection has ended; `true` if one was pending.
    pub(super) fn clear(&self) -> bool {
        self.pending.lock().take().is_some()
    }

    /// Handles the library's events about passkeys: the event to deliver, if there is one.
    ///
    /// # Errors
    /// How the session ends, if the attempt failed.
    pub(super) async fn on_event(
        &self,
        client: &Arc<Client>,
        rotation: &CodeRotation,
        event: &Event,
    ) -> Result<Option<EngineEvent>, SessionEnd> {
        match event {
            Event::PairPasskeyRequest(request) => {
                let options: Map<String, Value> =
                    serde_json::from_str(&request.request_options_json).map_err(|_| failed())?;
                let valid_ms = valid_ms(&options);
                self.begin(client, rotation, valid_ms);
                Ok(Some(EngineEvent::PasskeyRequested { options, valid_ms }))
            }
            Event::PairPasskeyConfirmation(confirmation) if confirmation.skip_handoff_ux => {
                boxed(client.send_passkey_confirmation()).await.map_err(|_| failed())?;
                Ok(None)
            }
            Event::PairPasskeyConfirmation(confirmation) => {
                let valid_ms = self.extend();
                Ok(Some(EngineEvent::PasskeySigned { code: confirmation.code.clone(), valid_ms }))
            }
            Event::PairPasskeyError(_) => Err(failed()),
            _ => Ok(None),
        }
    }

    fn begin(&self, client: &Arc<Client>, rotation: &CodeRotation, valid_ms: i64) {
        rotation.hold(true);
        let deadline = Instant::now() + duration(valid_ms);
        let pending =
            Pending { client: Arc::clone(client), deadline, ended: None, rotation: rotation.clone() };
        *self.pending.lock() = Some(pending);
        // Dropping an earlier request has released the rotation.
        rotation.hold(true);
        self.changed.notify_one();
    }

    /// Gives the confirmation enough time; returns that time in milliseconds.
    fn extend(&self) -> i64 {
        let mut pending = self.pending.lock();
        let Some(pending) = pending.as_mut() else { return CONFIRM_MS };
        let now = Instant::now();
        pending.deadline = pending.deadline.max(now + duration(CONFIRM_MS));
        self.changed.notify_one();
        i64::try_from(pending.deadline.saturating_duration_since(now).as_millis()).unwrap_or(CONFIRM_MS)
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
    pub(super) async fn answer(&self, assertion: PasskeyAssertion) -> Result<(), SessionError> {
        let client = self.client()?;
        let PasskeyAssertion { json, credential_id } = assertion;
        let response = Assertion { assertion_json: json.into_bytes(), credential_id };
        match boxed(client.send_passkey_response(response)).await {
            Ok(()) => Ok(()),
            Err(error) if is_repeated(&error) => {
                Err(SessionError::Refused("it is checking an earlier signature of this attempt".to_owned()))
            }
            Err(error) => Err(self.end(&error)),
        }
    }

    /// See [`crate::engine::Session::confirm_passkey`].
    pub(super) async fn confirm(&self) -> Result<(), SessionError> {
        let client = self.client()?;
        boxed(client.send_passkey_confirmation()).await.map_err(|error| self.end(&error))
    }

    fn client(&self) -> Result<Arc<Client>, SessionError> {
        let pending = self.pending.lock();
        let pending = pending.as_ref().ok_or_else(|| refused("no passkey is asked for now"))?;
        Ok(Arc::clone(&pending.client))
    }

    fn end(&self, error: &PasskeyError) -> SessionError {
        let rejected = is_rejected(error);
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

/// Whether another signature of this attempt was sent before (`flow.rs`, `send_passkey_response`).
fn is_repeated(error: &PasskeyError) -> bool {
    let text = error.to_string();
    text.contains("already in progress")
}

fn failed() -> SessionEnd {
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
        assert!(is_repeated(&flow("a passkey link is already in progress")));
    }
}
