//! How a device is linked: codes are shown one after the other until a phone scans one. As long
//! as they are, a code may be typed on the phone instead.
//!
//! Timing as phones expect: the first code is valid for 60 s, five more for 20 s each.

use std::time::Duration;

use tokio::time::Instant;

use super::device::Scan;
use super::generator;
use super::session::{Credentials, SimulatorSession};
use crate::domain::reason::Reason;
use crate::engine::{Ended, EngineEvent};

const FIRST_VALID_MS: u32 = 60_000;
const NEXT_VALID_MS: u32 = 20_000;
const CODES: u32 = 6;
const ALL_VALID: Duration =
    Duration::from_millis(FIRST_VALID_MS as u64 + (CODES as u64 - 1) * NEXT_VALID_MS as u64);
/// Between the scan and the open session, while phone and network agree on keys.
const PAIRING: Duration = Duration::from_millis(50);

impl SimulatorSession {
    /// Shows codes until one is scanned; returns the credentials, already stored.
    pub(super) async fn link(&self) -> Result<Credentials, Ended> {
        let by_itself = self.settings.auto_scan_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        self.device.set_linking_deadline(Some(Instant::now() + ALL_VALID));
        for number in 0..CODES {
            let valid = if number == 0 { FIRST_VALID_MS } else { NEXT_VALID_MS };
            let expires = self.show_code(valid).await?;
            if let Some(scan) = self.scanned(expires, by_itself).await? {
                self.device.set_linking_deadline(None);
                return self.pair(scan).await;
            }
        }
        self.device.set_linking_deadline(None);
        Err(Ended::CodesExhausted)
    }

    async fn show_code(&self, valid_ms: u32) -> Result<Instant, Ended> {
        let valid = Duration::from_millis(valid_ms.into());
        let code = generator::qr_code(self.random.as_ref());
        // Accepted from before anybody can see it until after the daemon says that it expires.
        self.device.offer(&code, Instant::now() + valid);
        self.deliver(EngineEvent::Code { code, valid_ms: valid_ms.into() }).await?;
        let expires = Instant::now() + valid;
        self.device.extend(expires);
        Ok(expires)
    }

    /// The phone that scans before the code expires.
    async fn scanned(&self, expires: Instant, by_itself: Option<Instant>) -> Result<Option<Scan>, Ended> {
        loop {
            self.check_session_faults()?;
            if let Some(scan) = self.device.take_scan() {
                return Ok(Some(scan));
            }
            let now = Instant::now();
            if by_itself.is_some_and(|at| at <= now) {
                // It types a code where one was asked for, else it scans.
                let own =
                    Scan { phone_number: self.device.pairing_number(now), client_name: None, done: None };
                return Ok(Some(self.device.withdraw().unwrap_or(own)));
            }
            if expires <= now {
                return Ok(self.device.withdraw());
            }
            self.wait_for_change(by_itself.map_or(expires, |at| at.min(expires))).await;
        }
    }

    async fn pair(&self, scan: Scan) -> Result<Credentials, Ended> {
        let account = generator::account(scan.phone_number, scan.client_name, self.seed);
        self.deliver(EngineEvent::Scanned(account.clone())).await?;
        if let Some(done) = scan.done {
            let _ = done.send(account.clone());
        }
        tokio::time::sleep(PAIRING).await;
        let credentials = Credentials { account, synchronised: false };
        self.store_or_end(Some(&credentials)).await?;
        self.network.link(&self.device, &credentials.account).await.map_err(|error| {
            tracing::warn!(device = %self.device.id, %error, "the simulated network did not note a link");
            Ended::LinkLost(Reason::EngineError)
        })?;
        Ok(credentials)
    }
}
