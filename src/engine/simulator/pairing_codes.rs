//! Codes that are typed on the phone in place of scanning one.

use std::time::Duration;

use tokio::time::Instant;

use super::device::ScanError;
use crate::domain::clock::Random;
use crate::engine::PairingCode;

/// What such codes are made of: no letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
const LENGTH: usize = 8;
/// How long a phone accepts one.
const VALID: Duration = Duration::from_secs(180);
/// Codes that are remembered, to say that they are too old.
const PAST: usize = 12;

/// The codes of one device.
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
    /// A new code in place of the one before, as people read it: `ABCD-1234`. None is valid after `end`.
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

    /// The number that the current code is for.
    pub(super) fn number(&self, now: Instant) -> Option<String> {
        let current = self.current.as_ref().filter(|current| current.expires > now)?;
        Some(current.phone_number.clone())
    }

    /// Takes a code as it was typed, and tells for which number it is.
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

    /// The current code is accepted no longer.
    pub(super) fn retire(&mut self) {
        let Some(current) = self.current.take() else { return };
        if self.past.len() >= PAST {
            self.past.remove(0);
        }
        self.past.push(current.code);
    }
}
