//! Links a device: shows QR codes one after the other until a phone scans one, or types a pairing code.
//!
//! The first QR code is valid for 60 s, five more for 20 s each; then the session ends.

use std::time::Duration;

use tokio::time::Instant;

use super::device::Scan;
use super::generator;
use super::session::SimulatorSession;
use super::storage::Credentials;
use crate::engine::{EngineEvent, SessionEnd};

const FIRST_VALID_MS: u32 = 60_000;
const NEXT_VALID_MS: u32 = 20_000;
const CODES: u32 = 6;
const ALL_VALID: Duration =
    Duration::from_millis(FIRST_VALID_MS as u64 + (CODES as u64 - 1) * NEXT_VALID_MS as u64);
/// Between the scan and the open session, the time of the key exchange.
const PAIRING: Duration = Duration::from_millis(50);

impl SimulatorSession {
    /// Shows codes until one is accepted; returns the stored credentials.
    pub(super) async fn link(&self) -> Result<Credentials, SessionEnd> {
        let auto_scan = self.settings.auto_scan_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        self.device.codes(|codes| codes.set_deadline(Some(Instant::now() + ALL_VALID)));
        for number in 0..CODES {
            let valid = if number == 0 { FIRST_VALID_MS } else { NEXT_VALID_MS };
            let expires = self.show_code(valid).await?;
            if let Some(scan) = self.wait_for_scan(expires, auto_scan).await? {
                self.device.codes(|codes| codes.set_deadline(None));
                return self.pair(scan).await;
            }
        }
        self.device.codes(|codes| codes.set_deadline(None));
        Err(SessionEnd::CodesExhausted)
    }

    async fn show_code(&self, valid_ms: u32) -> Result<Instant, SessionEnd> {
        let valid = Duration::from_millis(valid_ms.into());
        let code = generator::qr_code(self.random.as_ref());
        // Accepted from before the event until the expiry that the daemon computes from it.
        self.device.codes(|codes| codes.offer(&code, Instant::now() + valid));
        self.deliver(EngineEvent::Code { code, valid_ms: valid_ms.into() }).await?;
        let expires = Instant::now() + valid;
        self.device.codes(|codes| codes.extend(expires));
        Ok(expires)
    }

    /// The scan that happens before the code expires.
    async fn wait_for_scan(
        &self,
        expires: Instant,
        auto_scan: Option<Instant>,
    ) -> Result<Option<Scan>, SessionEnd> {
        loop {
            self.check_session_faults()?;
            if let Some(scan) = self.device.codes(|codes| codes.take_scan()) {
                return Ok(Some(scan));
            }
            let now = Instant::now();
            if auto_scan.is_some_and(|at| at <= now) {
                return Ok(Some(self.device.codes(|codes| {
                    // A requested pairing code is typed; otherwise the QR code is scanned.
                    let phone_number = codes.pairing_number(now);
                    let own = Scan { phone_number, client_name: None, done: None };
                    codes.expire().unwrap_or(own)
                })));
            }
            if expires <= now {
                return Ok(self.device.codes(|codes| codes.expire()));
            }
            self.wait_for_change(auto_scan.map_or(expires, |at| at.min(expires))).await;
        }
    }

    async fn pair(&self, scan: Scan) -> Result<Credentials, SessionEnd> {
        let account = generator::account(scan.phone_number, scan.client_name, self.seed);
        if self.needs_passkey() {
            let until = self.request_signature().await?;
            if let Some(done) = scan.done {
                let _ = done.send(account.clone());
            }
            self.finish_passkey(until).await?;
            self.deliver(EngineEvent::Scanned(account.clone())).await?;
        } else {
            self.deliver(EngineEvent::Scanned(account.clone())).await?;
            if let Some(done) = scan.done {
                let _ = done.send(account.clone());
            }
        }
        tokio::time::sleep(PAIRING).await;
        let credentials = Credentials { account, synchronised: false };
        self.store_credentials(&credentials).await?;
        self.device.link(&credentials.account);
        Ok(credentials)
    }
}
