//! The passkey step of a simulated link: the network asks for a signature, and the phone shows a code.
//! The network accepts any signature, except with the fault `reject_passkey`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::faults::FaultKind;
use super::passkey_exchange::Progress;
use super::session::SimulatorSession;
use super::settings::PasskeyMode;
use crate::domain::clock::Random;
use crate::domain::passkey::{PasskeyAssertion, valid_ms};
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, SessionEnd, SessionError};

/// The letters of a code, without similar ones (as in the network's own codes).
const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
const TIMEOUT_MS: i64 = 300_000;

impl SimulatorSession {
    /// Whether the account needs a passkey.
    pub(super) fn needs_passkey(&self) -> bool {
        self.settings.passkey != PasskeyMode::Off
    }

    /// Asks for the signature; the daemon has the request when this returns.
    pub(super) async fn request_signature(&self) -> Result<Instant, SessionEnd> {
        let options = request_options(self.random.as_ref());
        let valid_ms = valid_ms(&options);
        self.passkey.set(Progress::AwaitsSignature);
        self.deliver(EngineEvent::PasskeyRequested { options, valid_ms }).await?;
        Ok(deadline(valid_ms))
    }

    /// Waits for the signature and, if the phone shows a code, for its confirmation.
    pub(super) async fn finish_passkey(&self, until: Instant) -> Result<(), SessionEnd> {
        self.wait_until(Progress::Signed, until).await?;
        if self.settings.passkey == PasskeyMode::Auto {
            return Ok(());
        }
        let code = code(self.random.as_ref());
        self.passkey.set(Progress::AwaitsConfirmation);
        self.deliver(EngineEvent::PasskeySigned { code, valid_ms: TIMEOUT_MS }).await?;
        self.wait_until(Progress::Confirmed, deadline(TIMEOUT_MS)).await
    }

    async fn wait_until(&self, wanted: Progress, until: Instant) -> Result<(), SessionEnd> {
        loop {
            self.check_session_faults()?;
            let progress = self.passkey.current();
            if progress == wanted {
                return Ok(());
            }
            if progress == Progress::Rejected {
                return Err(SessionEnd::PasskeyEnded(Reason::PasskeyRejected));
            }
            if until <= Instant::now() {
                self.passkey.set(Progress::None);
                return Err(SessionEnd::PasskeyEnded(Reason::PasskeyTimeout));
            }
            tokio::select! {
                () = self.passkey.changed.notified() => {}
                () = self.wait_for_change(until) => {}
            }
        }
    }

    /// See [`crate::engine::Session::answer_passkey`].
    pub(super) fn take_signature(&self, _assertion: &PasskeyAssertion) -> Result<(), SessionError> {
        let rejected = self.passkey.current() == Progress::AwaitsSignature
            && self.device.take_fault(FaultKind::RejectPasskey).is_some();
        let to = if rejected { Progress::Rejected } else { Progress::Signed };
        if !self.passkey.advance(Progress::AwaitsSignature, to) {
            return Err(SessionError::Refused("no signature is pending".to_owned()));
        }
        if rejected {
            return Err(SessionError::Refused("it rejects this signature".to_owned()));
        }
        Ok(())
    }

    /// See [`crate::engine::Session::confirm_passkey`].
    pub(super) fn take_confirmation(&self) -> Result<(), SessionError> {
        if self.passkey.advance(Progress::AwaitsConfirmation, Progress::Confirmed) {
            return Ok(());
        }
        Err(SessionError::Refused("no confirmation is pending".to_owned()))
    }
}

fn deadline(valid_ms: i64) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(valid_ms).unwrap_or_default())
}

/// The options of the network, with one credential.
fn request_options(random: &dyn Random) -> Map<String, Value> {
    let mut challenge = [0_u8; 32];
    random.fill(&mut challenge);
    let credential = URL_SAFE_NO_PAD.encode("simulated-passkey");
    Map::from_iter([
        ("challenge".to_owned(), URL_SAFE_NO_PAD.encode(challenge).into()),
        ("rpId".to_owned(), "whatsapp.com".into()),
        ("timeout".to_owned(), TIMEOUT_MS.into()),
        ("userVerification".to_owned(), "required".into()),
        ("allowCredentials".to_owned(), json!([{ "type": "public-key", "id": credential }])),
    ])
}

fn code(random: &dyn Random) -> String {
    let mut bytes = [0_u8; 8];
    random.fill(&mut bytes);
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    let letters: String = bytes.iter().map(letter).collect();
    format!("{}-{}", &letters[..4], &letters[4..])
}
