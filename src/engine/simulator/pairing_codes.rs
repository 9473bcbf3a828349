//! Pairing codes, which are typed on the phone instead of scanning a QR code.
//!
//! One code is valid at a time, for at most three minutes.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::clock::Random;
use crate::engine::PairingCode;

/// The reason why a code was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanError {
    /// No code is shown.
    NoCode,
    Expired,
    Unknown,
}

/// The characters of a code; without letters and digits that are easily confused.
const ALPHABET: &[u8; 32] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
const LENGTH: usize = 8;
/// How long a phone accepts one.
const VALID: Duration = Duration::from_secs(180);
/// Stored past codes, which are refused as expired.
const MAX_PAST: usize = 12;

/// The pairing codes of one device.
#[derive(Default)]
pub(super) struct PairingCodes {
    current: Option<Current>,
    past: Vec<String>,
}

struct Current {
    code: String,
    phone_number: String,
    expires: Instant,
}

impl PairingCodes {
    /// Replaces the code by a new one, in the form `ABCD-1234`. No code is valid after `end`.
    pub(super) fn offer(
        &mut self,
        phone_number: &str,
        random: &dyn Random,
        now: Instant,
        end: Instant,
    ) -> PairingCode {
        self.retire();
        let mut bytes = [0_u8; LENGTH];
        random.fill(&mut bytes);
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
        let code: String = letters.map(|letter| char::from(*letter)).collect();
        let (first, last) = code.split_at(LENGTH / 2);
        let shown = format!("{first}-{last}");
        let expires = end.min(now + VALID);
        let valid = expires.saturating_duration_since(now);
        self.current = Some(Current { code, phone_number: phone_number.to_owned(), expires });
        PairingCode { code: shown, valid_ms: u64::try_from(valid.as_millis()).unwrap_or(u64::MAX) }
    }

    /// The phone number of the current code.
    pub(super) fn number(&self, now: Instant) -> Option<String> {
        let current = self.current.as_ref().filter(|current| current.expires > now)?;
        Some(current.phone_number.clone())
    }

    /// Accepts a typed code and returns its phone number.
    pub(super) fn accept(&mut self, typed: &str, now: Instant) -> Result<String, ScanError> {
        let letters = typed.chars().filter(|c| !matches!(c, '-' | ' '));
        let code: String = letters.map(|c| c.to_ascii_uppercase()).collect();
        if self.past.contains(&code) {
            return Err(ScanError::Expired);
        }
        let current = self.current.as_ref().filter(|current| current.code == code);
        let current = current.ok_or(ScanError::Unknown)?;
        let phone_number = Some(current.phone_number.clone()).filter(|_| current.expires > now);
        self.retire();
        phone_number.ok_or(ScanError::Expired)
    }

    /// Expires the current code.
    pub(super) fn retire(&mut self) {
        let Some(current) = self.current.take() else { return };
        if self.past.len() >= MAX_PAST {
            self.past.remove(0);
        }
        self.past.push(current.code);
    }
}
