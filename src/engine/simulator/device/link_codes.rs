//! The codes by which a phone links the device: a QR code to scan, and a pairing code to type.
//!
//! At most one code of each kind is accepted at a time. A few past codes are stored, so that they are refused
//! as expired.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::domain::clock::Random;
use crate::domain::device::Account;
use crate::engine::PairingCode;
use crate::engine::simulator::pairing_codes::{PairingCodes, ScanError};

/// Stored past QR codes: those of two sessions.
const MAX_PAST: usize = 12;

/// A scan by a phone, or a typed pairing code.
pub(in super::super) struct Scan {
    /// The phone's number in digits, where the control request gave one.
    pub(in super::super) phone_number: Option<String>,
    /// The phone's name, where the control request gave one.
    pub(in super::super) client_name: Option<String>,
    /// Resolved when the daemon has the account.
    pub(in super::super) done: Option<oneshot::Sender<Account>>,
}

struct QrCode {
    hash: u64,
    expires: Instant,
}

/// The codes of one device.
#[derive(Default)]
pub(in super::super) struct LinkCodes {
    qr: Option<QrCode>,
    /// Hashes of QR codes that are no longer accepted.
    past: Vec<u64>,
    scan: Option<Scan>,
    /// The end of the linking phase, in which a pairing code may be requested.
    deadline: Option<Instant>,
    pairing: PairingCodes,
}

impl LinkCodes {
    /// Offers a QR code; the one before expires.
    pub(in super::super) fn offer(&mut self, code: &str, expires: Instant) {
        self.retire_qr();
        self.qr = Some(QrCode { hash: hash_of(code), expires });
    }

    /// Accepts the offered QR code until this moment.
    pub(in super::super) fn extend(&mut self, expires: Instant) {
        if let Some(qr) = &mut self.qr {
            qr.expires = expires;
        }
    }

    /// Begins the linking phase, or ends it with `None`.
    pub(in super::super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        if deadline.is_none() {
            self.pairing.retire();
        }
    }

    /// A code to type on the phone of this number; `None` outside the linking phase.
    pub(in super::super) fn offer_pairing_code(
        &mut self,
        phone_number: &str,
        random: &dyn Random,
        now: Instant,
    ) -> Option<PairingCode> {
        let end = self.deadline?;
        Some(self.pairing.offer(phone_number, random, now, end))
    }

    /// The number of the phone for which there is a pairing code now.
    pub(in super::super) fn pairing_number(&self, now: Instant) -> Option<String> {
        self.pairing.number(now)
    }

    /// Scans `qr`, or the code that is shown.
    pub(in super::super) fn scan(
        &mut self,
        qr: Option<&str>,
        scan: Scan,
        now: Instant,
    ) -> Result<(), ScanError> {
        let hash = qr.map(hash_of);
        if hash.is_some_and(|hash| self.past.contains(&hash)) {
            return Err(ScanError::Expired);
        }
        let current = self.qr.as_ref().ok_or(ScanError::NoCode)?;
        if hash.is_some_and(|hash| hash != current.hash) {
            return Err(ScanError::Unknown);
        }
        if current.expires <= now {
            return Err(if hash.is_some() { ScanError::Expired } else { ScanError::NoCode });
        }
        self.retire_qr();
        self.scan = Some(scan);
        Ok(())
    }

    /// Types a pairing code on the phone.
    pub(in super::super) fn type_code(
        &mut self,
        code: &str,
        scan: Scan,
        now: Instant,
    ) -> Result<(), ScanError> {
        let phone_number = Some(self.pairing.accept(code, now)?);
        self.retire_qr();
        self.scan = Some(Scan { phone_number, ..scan });
        Ok(())
    }

    /// The phone that scanned.
    pub(in super::super) fn take_scan(&mut self) -> Option<Scan> {
        self.scan.take()
    }

    /// Expires the QR code; returns a scan that came just before.
    pub(in super::super) fn expire(&mut self) -> Option<Scan> {
        self.retire_qr();
        self.scan.take()
    }

    /// Ends the linking phase with its session.
    pub(in super::super) fn close(&mut self) {
        self.retire_qr();
        self.scan = None;
        self.set_deadline(None);
    }

    fn retire_qr(&mut self) {
        let Some(code) = self.qr.take() else { return };
        if self.past.len() >= MAX_PAST {
            self.past.remove(0);
        }
        self.past.push(code.hash);
    }
}

fn hash_of(code: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    code.hash(&mut hasher);
    hasher.finish()
}
