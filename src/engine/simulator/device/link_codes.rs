//! The codes by which a phone links the device: one to scan, and one to type where it was asked for.

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Device, State, hash_of};
use crate::domain::clock::Random;
use crate::domain::device::Account;
use crate::engine::PairingCode;

/// A phone that scans.
pub(in super::super) struct Scan {
    /// The number that a control call gave, in digits.
    pub(in super::super) phone_number: Option<String>,
    /// The name that a control call gave.
    pub(in super::super) client_name: Option<String>,
    /// Told once the daemon knows.
    pub(in super::super) done: Option<oneshot::Sender<Account>>,
}

/// Why a scan was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum ScanError {
    NoCode,
    Expired,
    Unknown,
}

/// A code that waits to be scanned.
pub(super) struct CurrentCode {
    hash: u64,
    expires: Instant,
}

impl Device {
    /// Offers a code in place of the one before.
    pub(in super::super) fn offer(&self, code: &str, expires: Instant) {
        let mut state = self.lock();
        state.retire_code();
        state.code = Some(CurrentCode { hash: hash_of(code), expires });
    }

    /// Codes are shown from now on until this moment, or no longer.
    pub(in super::super) fn set_linking_deadline(&self, until: Option<Instant>) {
        let mut state = self.lock();
        state.linking = until;
        if until.is_none() {
            state.pairing_codes.retire();
        }
    }

    /// A code to type on the phone of this number, in place of the one before; `None` while no codes are
    /// shown.
    pub(in super::super) fn offer_pairing_code(
        &self,
        phone_number: &str,
        random: &dyn Random,
        now: Instant,
    ) -> Option<PairingCode> {
        let mut state = self.lock();
        let end = state.linking?;
        Some(state.pairing_codes.offer(phone_number, random, now, end))
    }

    /// The number of the phone on which a code may be typed now.
    pub(in super::super) fn pairing_number(&self, now: Instant) -> Option<String> {
        self.lock().pairing_codes.number(now)
    }

    /// A code is typed on the phone.
    pub(in super::super) fn type_code(&self, code: &str, scan: Scan, now: Instant) -> Result<(), ScanError> {
        let mut state = self.lock();
        let phone_number = Some(state.pairing_codes.accept(code, now)?);
        state.retire_code();
        state.scan = Some(Scan { phone_number, ..scan });
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The offered code is accepted until then.
    pub(in super::super) fn extend(&self, expires: Instant) {
        if let Some(code) = &mut self.lock().code {
            code.expires = expires;
        }
    }

    /// No code is accepted any more; a scan that came in just before is still returned.
    pub(in super::super) fn withdraw(&self) -> Option<Scan> {
        let mut state = self.lock();
        state.retire_code();
        state.scan.take()
    }

    /// A phone holds its camera at `qr`, or at whatever code is shown.
    pub(in super::super) fn scan(&self, qr: Option<&str>, scan: Scan, now: Instant) -> Result<(), ScanError> {
        let mut state = self.lock();
        let hash = qr.map(hash_of);
        if hash.is_some_and(|hash| state.past_codes.contains(&hash)) {
            return Err(ScanError::Expired);
        }
        let code = state.code.as_ref().ok_or(ScanError::NoCode)?;
        if hash.is_some_and(|hash| hash != code.hash) {
            return Err(ScanError::Unknown);
        }
        if code.expires <= now {
            return Err(if hash.is_some() { ScanError::Expired } else { ScanError::NoCode });
        }
        state.retire_code();
        state.scan = Some(scan);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The phone that scanned, if one did.
    pub(in super::super) fn take_scan(&self) -> Option<Scan> {
        self.lock().scan.take()
    }
}

impl State {
    /// The code to scan is accepted no longer.
    pub(in super::super) fn retire_code(&mut self) {
        if let Some(code) = self.code.take() {
            // Two sessions' worth: what a slow person may still hold in their hand.
            if self.past_codes.len() >= 12 {
                self.past_codes.remove(0);
            }
            self.past_codes.push(code.hash);
        }
    }
}
