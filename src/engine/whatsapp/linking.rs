//! Links a device, by a code that is scanned or one that is typed on the phone.
//!
//! The network sends six references at once; the library shows them in turn, for 60 s and then 20 s each
//! (`whatsapp-rust`, `pair.rs`). After the scan the network ends the connection (515), and the device logs in
//! with a second one. A link that breaks before the network has our signature is incomplete: the network
//! refuses the login like that of a removed device, and the device shows a code again.

use std::time::Duration;

use std::sync::Arc;
use whatsapp_rust::Client;
use whatsapp_rust::pair_code::{PairCodeError, PairCodeOptions, PairCodeRejection, PairError};
use whatsapp_rust::types::events::PairSuccess;

use super::boxed::boxed;
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::vault::VaultBatch;
use crate::engine::{PairingCode, SessionError, Vault, VaultError};

/// Vault space of the link's progress.
const SPACE: &str = "link";
const BEGUN: &str = "begun";
const LINKED_AT: &str = "linked_at";
/// How long a pairing code is valid (`wacore`, `pair_code.rs`).
pub(super) const TYPED_VALID: Duration = Duration::from_secs(180);
/// How long the network may take to create a pairing code.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests a pairing code for this number. The library keeps the connection until it expires, also when all QR codes
/// were shown (`pair.rs`).
///
/// # Errors
/// If the network refuses, with the reason.
pub(super) async fn request_pairing_code(
    client: &Arc<Client>,
    phone_number: &str,
) -> Result<PairingCode, SessionError> {
    // A new request replaces the earlier code.
    boxed(client.cancel_pair_code()).await;
    let options = PairCodeOptions { phone_number: phone_number.to_owned(), ..PairCodeOptions::default() };
    let asked = tokio::time::timeout(PATIENCE, boxed(client.pair_with_code(options))).await;
    let code = asked.map_err(|_| refused("the network did not answer in time; try again"))?;
    let code = code.map_err(|error| refused(&refusal_reason(&error)))?;
    Ok(PairingCode { code, valid_ms: u64::try_from(TYPED_VALID.as_millis()).unwrap_or(u64::MAX) })
}

fn refusal_reason(error: &PairError) -> String {
    let sentence = match error.rejection() {
        Some(PairCodeRejection::RateOverlimit) => {
            "too many codes were requested; wait some minutes, or scan the QR code"
        }
        Some(PairCodeRejection::BadRequest) => {
            "the network does not accept this number, or too many codes were requested for it; check it, wait some minutes, or scan the QR code"
        }
        Some(PairCodeRejection::Forbidden) => "this account may not be linked by a code; scan the QR code",
        Some(PairCodeRejection::FeatureNotAvailable) => {
            "linking by a code is not available for this account; scan the QR code"
        }
        Some(PairCodeRejection::InternalServerError | PairCodeRejection::Unknown(_)) => {
            "it could not create a code now; try again later, or scan the QR code"
        }
        None => match error {
            PairError::PairCode(
                PairCodeError::PhoneNumberRequired
                | PairCodeError::PhoneNumberTooShort
                | PairCodeError::PhoneNumberNotInternational,
            ) => "the phone number must have its country code, and at least 7 digits",
            _ => "it did not answer; try again, or scan the QR code",
        },
    };
    sentence.to_owned()
}

fn refused(reason: &str) -> SessionError {
    SessionError::Refused(reason.to_owned())
}

/// Records that a phone accepted the link at `now`. The network confirms with the first login that it has
/// our signature.
///
/// # Errors
/// If the store fails.
pub(super) async fn mark_incomplete(vault: &dyn Vault, now: Millis) -> Result<(), VaultError> {
    let mut batch = VaultBatch::new();
    batch.put(SPACE, BEGUN, Vec::new());
    batch.put(SPACE, LINKED_AT, now.0.to_le_bytes());
    vault.apply(batch).await
}

/// When a phone accepted the link; `None` for a device that an earlier version linked.
///
/// # Errors
/// If the store fails.
pub(super) async fn linked_at(vault: &dyn Vault) -> Result<Option<Millis>, VaultError> {
    let stored = vault.get(SPACE, LINKED_AT).await?;
    Ok(stored.and_then(|bytes| bytes.try_into().ok()).map(|bytes| Millis(i64::from_le_bytes(bytes))))
}

/// Records that the network accepted a login, or that the link was removed.
///
/// # Errors
/// If the store fails.
pub(super) async fn mark_complete(vault: &dyn Vault) -> Result<(), VaultError> {
    vault.put(SPACE, BEGUN, None).await
}

/// Whether no login has confirmed the link yet.
///
/// # Errors
/// If the store fails.
pub(super) async fn is_incomplete(vault: &dyn Vault) -> Result<bool, VaultError> {
    Ok(vault.get(SPACE, BEGUN).await?.is_some())
}

/// The account that was linked; it may have no name yet.
pub(super) fn account_of(success: &PairSuccess) -> Account {
    account(success.id.user_base(), &success.business_name)
}

/// An account by number, with its name if it has one.
pub(super) fn account(number: &str, name: &str) -> Account {
    let client_name = if name.is_empty() { format!("+{number}") } else { name.to_owned() };
    Account { phone_number: number.to_owned(), client_name }
}
