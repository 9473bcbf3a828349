//! How a device is linked: by a code that is scanned, or one that is typed on the phone.
//!
//! The network gives six references at once; the library shows them one after the other, 60 s and then 20 s each
//! (`whatsapp-rust`, `pair.rs`). After the scan the network ends the connection (515), and the device logs in with a
//! second one. A link that breaks before the network has our signature is none: the login is refused as that of a
//! device that was removed, and the device shows a code again.

use std::time::Duration;

use std::sync::Arc;
use tokio::time::Instant;
use whatsapp_rust::Client;
use whatsapp_rust::pair_code::{PairCodeError, PairCodeOptions, PairCodeRejection, PairError};
use whatsapp_rust::types::events::PairSuccess;

use super::boxed::boxed;
use crate::domain::device::Account;
use crate::engine::{PairingCode, SessionError, Vault, VaultError};

/// Where the vault says how far a link is.
const SPACE: &str = "link";
const BEGUN: &str = "begun";
/// How long a typed code is valid (`wacore`, `pair_code.rs`).
const TYPED_VALID: Duration = Duration::from_secs(180);
/// How long codes are shown in all.
pub(super) const ALL_VALID: Duration = Duration::from_secs(60 + 5 * 20);
/// How long the network may take to make one.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks for a code to be typed on the phone with this number; it is of use `until` codes are shown no more.
///
/// # Errors
/// When the network refuses, with the reason.
pub(super) async fn request_pairing_code(
    client: &Arc<Client>,
    phone_number: &str,
    until: Instant,
) -> Result<PairingCode, SessionError> {
    // Whoever asks again has no use for the earlier code.
    boxed(client.cancel_pair_code()).await;
    let options = PairCodeOptions { phone_number: phone_number.to_owned(), ..PairCodeOptions::default() };
    let asked = tokio::time::timeout(PATIENCE, boxed(client.pair_with_code(options))).await;
    let code = asked.map_err(|_| refused("the network did not answer in time; try again"))?;
    let code = code.map_err(|error| refused(&refusal_reason(&error)))?;
    let valid = TYPED_VALID.min(until.saturating_duration_since(Instant::now()));
    Ok(PairingCode { code, valid_ms: u64::try_from(valid.as_millis()).unwrap_or(u64::MAX) })
}

fn refusal_reason(error: &PairError) -> String {
    let sentence = match error.rejection() {
        Some(PairCodeRejection::RateOverlimit) => {
            "too many codes were asked for; wait some minutes, or scan the QR code"
        }
        Some(PairCodeRejection::BadRequest) => {
            "the network does not take this number, or too many codes were asked for it; check it, wait some minutes, or scan the QR code"
        }
        Some(PairCodeRejection::Forbidden) => "this account may not be linked by a code; scan the QR code",
        Some(PairCodeRejection::FeatureNotAvailable) => {
            "linking by a code is not available for this account; scan the QR code"
        }
        Some(PairCodeRejection::InternalServerError | PairCodeRejection::Unknown(_)) => {
            "it could not make a code now; try again later, or scan the QR code"
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

/// Notes that a phone accepted the link, and that the network may not know of it yet: it does once our signature of
/// it has arrived there, of which the first login tells.
///
/// # Errors
/// When the store fails.
pub(super) async fn mark_incomplete(vault: &dyn Vault) -> Result<(), VaultError> {
    vault.put(SPACE, BEGUN, Some(Vec::new())).await
}

/// The network has let the device in, or the link is forgotten.
///
/// # Errors
/// When the store fails.
pub(super) async fn mark_complete(vault: &dyn Vault) -> Result<(), VaultError> {
    vault.put(SPACE, BEGUN, None).await
}

/// Whether the network may never have heard of the link.
///
/// # Errors
/// When the store fails.
pub(super) async fn is_incomplete(vault: &dyn Vault) -> Result<bool, VaultError> {
    Ok(vault.get(SPACE, BEGUN).await?.is_some())
}

/// The account that a phone linked. It may have no name yet.
pub(super) fn account_of(success: &PairSuccess) -> Account {
    account(success.id.user_base(), &success.business_name)
}

/// An account by number, and by its name where it has one.
pub(super) fn account(number: &str, name: &str) -> Account {
    let client_name = if name.is_empty() { format!("+{number}") } else { name.to_owned() };
    Account { phone_number: number.to_owned(), client_name }
}
