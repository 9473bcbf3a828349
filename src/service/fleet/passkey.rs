//! Links a device with a passkey: the pending step, the response of a browser, and the confirmation of the code.
//! A ticket lets a browser extension answer one attempt without a key.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::passkey::{MAX_RESPONSES, PasskeyStep, TICKET_VALID_MS, check_assertion};
use crate::domain::state::State;
use crate::service::registry::PasskeyAttempt;
use crate::service::{Fleet, ServiceError};

/// The bytes of randomness of a ticket.
const TICKET_BYTES: usize = 32;

/// A step that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPasskey {
    /// The step.
    pub step: PasskeyStep,
    /// When the step ends the attempt.
    pub expires_at: Millis,
    /// When the attempt began.
    since: Millis,
}

/// A secret that allows to answer one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyTicket {
    /// The secret.
    pub ticket: String,
    /// When it ends.
    pub expires_at: Millis,
}

impl Fleet {
    /// The step that waits for a person.
    ///
    /// # Errors
    /// If there is no such device, its engine has no passkeys, or no step is pending.
    pub async fn pending_passkey(&self, device: &DeviceId) -> Result<PendingPasskey, ServiceError> {
        let engine = self.registry.engine_of(device)?;
        if !self.registry.capabilities(&engine).is_some_and(|capabilities| capabilities.passkey) {
            return Err(ServiceError::NotSupported);
        }
        match &self.device_record(device).await?.state {
            State::Passkey { step, expires_at, since } => {
                Ok(PendingPasskey { step: step.clone(), expires_at: *expires_at, since: *since })
            }
            _ => Err(ServiceError::NoPasskeyPending),
        }
    }

    /// Checks a browser's response (`PublicKeyCredential.toJSON()`) and sends it to the network.
    ///
    /// # Errors
    /// If no signature is pending, the response is invalid, there were too many, or the network refuses.
    pub async fn answer_passkey(
        &self,
        device: &DeviceId,
        response: &Map<String, Value>,
    ) -> Result<(), ServiceError> {
        let pending = self.pending_passkey(device).await?;
        let PasskeyStep::Signature { options } = &pending.step else {
            return Err(ServiceError::NoPasskeyPending);
        };
        self.with_attempt(device, &pending, |attempt| {
            if attempt.responses >= MAX_RESPONSES {
                return Err(ServiceError::TooManyPasskeyResponses(MAX_RESPONSES));
            }
            attempt.responses += 1;
            Ok(())
        })??;
        let assertion = check_assertion(options, response).map_err(|invalid| {
            ServiceError::InvalidPasskeyResponse { field: invalid.field, message: invalid.message }
        })?;
        Ok(self.registry.linking_session(device)?.answer_passkey(assertion).await?)
    }

    /// Confirms that the phone shows the code of the pending step. `compared` is the code that the person saw.
    ///
    /// # Errors
    /// If no confirmation is pending, another code is, or the network refuses.
    pub async fn confirm_passkey(
        &self,
        device: &DeviceId,
        compared: Option<&str>,
    ) -> Result<(), ServiceError> {
        match self.pending_passkey(device).await?.step {
            PasskeyStep::Confirmation { code } if compared.is_some_and(|compared| compared != code) => {
                Err(ServiceError::PasskeyCodeChanged)
            }
            PasskeyStep::Confirmation { .. } => {
                Ok(self.registry.linking_session(device)?.confirm_passkey().await?)
            }
            PasskeyStep::Signature { .. } => Err(ServiceError::NoPasskeyPending),
        }
    }

    /// Ends the attempt; the device stops.
    ///
    /// # Errors
    /// If no step is pending, or the store fails.
    pub async fn cancel_passkey(&self, device: &DeviceId) -> Result<(), ServiceError> {
        self.pending_passkey(device).await?;
        self.stop_device(device).await?;
        Ok(())
    }

    /// Creates a ticket for the pending attempt; an earlier ticket ends.
    ///
    /// # Errors
    /// If no step is pending.
    pub async fn create_passkey_ticket(&self, device: &DeviceId) -> Result<PasskeyTicket, ServiceError> {
        let pending = self.pending_passkey(device).await?;
        let mut bytes = [0_u8; TICKET_BYTES];
        self.random.fill(&mut bytes);
        let ticket = hex::encode(bytes);
        let expires_at = pending.expires_at.min(self.clock.now().plus(TICKET_VALID_MS));
        let hash = hash_of(&ticket);
        self.with_attempt(device, &pending, |attempt| attempt.ticket = Some((hash, expires_at)))?;
        Ok(PasskeyTicket { ticket, expires_at })
    }

    /// Whether the ticket is the one of the device's pending attempt, and a signature is pending.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_passkey_ticket(&self, device: &DeviceId, ticket: &str) -> Result<bool, ServiceError> {
        let pending = match self.pending_passkey(device).await {
            Ok(pending) => pending,
            Err(ServiceError::Store(error)) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        if !matches!(pending.step, PasskeyStep::Signature { .. }) {
            return Ok(false);
        }
        let (hash, now) = (hash_of(ticket), self.clock.now());
        self.with_attempt(device, &pending, |attempt| {
            attempt.ticket.is_some_and(|(known, expires_at)| known == hash && now < expires_at)
        })
    }

    /// Applies `change` to the record of the pending attempt, which begins empty.
    fn with_attempt<T>(
        &self,
        device: &DeviceId,
        pending: &PendingPasskey,
        change: impl FnOnce(&mut PasskeyAttempt) -> T,
    ) -> Result<T, ServiceError> {
        let handle = self.registry.handle(device)?;
        let mut attempt = handle.live.passkey.lock();
        let attempt = match &mut *attempt {
            Some(attempt) if attempt.since == pending.since => attempt,
            other => other.insert(Box::new(PasskeyAttempt::new(pending.since))),
        };
        Ok(change(attempt))
    }
}

fn hash_of(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket.as_bytes()).into()
}
