//! Establishes the link: finds, creates or starts the upstream's device and shows its codes until a phone
//! scans one.
//!
//! A device that was stopped at the upstream is started only by a session that an operator asked for.

use serde::Deserialize as _;
use serde_json::json;

use super::client::RemoteFailure;
use super::convert::message_in::in_ms;
use super::convert::state_in::{self, RemoteDeviceState};
use super::convert::wire::{WireDevice, WireLogPage};
use super::log_stream;
use super::session::RemoteSession;
use super::settings::InboundTransport;
use super::state::{LinkStage, LogStart, StoredPosition};
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, PairingCode, SessionEnd, SessionError};

/// The limit for a code's validity.
const MAX_CODE_MS: i64 = 160_000;
/// The validity of a code without an end.
const DEFAULT_CODE_MS: i64 = 20_000;

impl RemoteSession {
    /// Finds the upstream's device, creates or starts it where necessary, and delivers its state.
    pub(super) async fn establish(&self) -> Result<LogStart, SessionEnd> {
        let linked = self.relay.stored(self.state.is_linked().await)?;
        let device = match self.show().await {
            Err(failure) if failure.is_device_missing() && linked => {
                return Err(self.unlinked(Reason::LoggedOutOnPhone).await?);
            }
            Err(failure) if failure.is_device_missing() => self.answered(self.create().await)?,
            shown => self.answered(shown)?,
        };
        if let Some(created) = &device.created_at
            && self.relay.stored(self.state.record_created_at(&created.to_string()).await)?
        {
            tracing::warn!(device = %self.relay.device, "the upstream's device was replaced; reading its log from the beginning");
        }
        let stored = self.relay.stored(self.state.position().await)?;
        let log = self.log_range(stored).await?;
        let newest = log.as_ref().map_or(0, |log| log.newest_seq);
        // `newest` covers the states before this request only.
        let mut device = if log.is_some() { self.answered(self.show().await)? } else { device };
        let state = state_in::from_device(&device);
        if !state.is_active() {
            device = self.start_device(state, linked).await?;
        }
        let is_history_due = state_in::from_device(&device) == RemoteDeviceState::Ready;
        let first = StoredPosition { seq: newest, at: self.relay.now().0, is_history_due };
        let position = log.as_ref().map(|_| stored.unwrap_or(first));
        if let (Some(position), None) = (position, stored) {
            self.relay.stored(self.state.set_position(position).await)?;
        }
        let has_gap = stored.is_some() && log.is_some_and(|log| log.resync);
        self.deliver_state(&device, has_gap).await?;
        Ok(LogStart { position, newest })
    }

    pub(super) async fn show(&self) -> Result<WireDevice, RemoteFailure> {
        let device = self.client.get(&[]).await?;
        WireDevice::deserialize(device).map_err(|_| RemoteFailure::malformed())
    }

    async fn create(&self) -> Result<WireDevice, RemoteFailure> {
        let body = json!({ "id": self.client.device(), "name": self.client.device() });
        let created = self.client.create_device(&body).await?;
        tracing::info!(device = %self.relay.device, "created the device at its upstream");
        WireDevice::deserialize(created).map_err(|_| RemoteFailure::malformed())
    }

    /// The extent of the log; `None` where there is no log.
    async fn log_range(&self, stored: Option<StoredPosition>) -> Result<Option<WireLogPage>, SessionEnd> {
        if self.inbound == InboundTransport::Poll {
            return Ok(None);
        }
        match log_stream::page(&self.client, stored.map_or(0, |stored| stored.seq)).await {
            // An upstream whose log was read before has one.
            Err(failure) if failure.is_unserved() && stored.is_none_or(|stored| stored.seq == 0) => Ok(None),
            page => self.answered(page).map(Some),
        }
    }

    async fn start_device(&self, state: RemoteDeviceState, linked: bool) -> Result<WireDevice, SessionEnd> {
        if let (RemoteDeviceState::LoggedOut(reason), true) = (state, linked) {
            return Err(self.unlinked(reason.unwrap_or(Reason::LoggedOutOnPhone)).await?);
        }
        if let (true, Some(ended)) = (self.is_retry, state.session_end(true)) {
            return Err(ended);
        }
        match self.client.post(&["start"], &json!({})).await {
            // Another client started it.
            Err(failure) if failure.own_status() == Some(409) => {}
            started => drop(self.answered(started)?),
        }
        self.answered(self.show().await)
    }

    /// Removes the link; returns how the session ends.
    pub(super) async fn unlinked(&self, reason: Reason) -> Result<SessionEnd, SessionEnd> {
        self.relay.stored(self.state.set_unlinked().await)?;
        Ok(SessionEnd::LoggedOut(reason))
    }

    async fn deliver_state(&self, device: &WireDevice, has_gap: bool) -> Result<(), SessionEnd> {
        match state_in::from_device(device) {
            RemoteDeviceState::Ready => {
                if has_gap {
                    self.deliver_groups(true).await?;
                }
                self.ready(device).await
            }
            RemoteDeviceState::Code => self.current_code().await,
            RemoteDeviceState::Pairing => match state_in::account(device) {
                Some(account) => self.scanned(account).await,
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The upstream's device entered a state.
    pub(super) async fn entered(
        &self,
        state: RemoteDeviceState,
        device: Option<WireDevice>,
    ) -> Result<(), SessionEnd> {
        let is_ready = self.stage() == LinkStage::Ready;
        match state.session_end(is_ready) {
            Some(SessionEnd::LoggedOut(reason)) => return Err(self.unlinked(reason).await?),
            Some(ended) => return Err(ended),
            None => {}
        }
        if state != RemoteDeviceState::Ready || is_ready {
            return Ok(());
        }
        match device {
            Some(device) => self.ready(&device).await,
            None => self.ready(&self.answered(self.show().await)?).await,
        }
    }

    async fn current_code(&self) -> Result<(), SessionEnd> {
        let code = match self.client.get(&["qr"]).await {
            Err(failure) if failure.is_absent() => return Ok(()),
            code => self.answered(code)?,
        };
        let Some(text) = code["qr"].as_str() else { return Ok(()) };
        let left = code["expiresAt"].as_i64().map(|at| in_ms(at).since(self.relay.now()));
        self.code(text.to_owned(), left.unwrap_or(DEFAULT_CODE_MS)).await
    }

    /// Delivers a code to scan, unless it is shown already.
    pub(super) async fn code(&self, code: String, valid_ms: i64) -> Result<(), SessionEnd> {
        let stage = LinkStage::Code(code.clone());
        let is_linked = matches!(self.stage(), LinkStage::Ready | LinkStage::Pairing);
        if valid_ms <= 0 || is_linked || self.stage() == stage {
            return Ok(());
        }
        self.set_stage(stage);
        self.relay.deliver(EngineEvent::Code { code, valid_ms: valid_ms.min(MAX_CODE_MS) }).await
    }

    /// A phone accepted the link.
    pub(super) async fn scanned(&self, account: Account) -> Result<(), SessionEnd> {
        if matches!(self.stage(), LinkStage::Ready | LinkStage::Pairing) {
            return Ok(());
        }
        self.base.set_account(&account);
        self.set_stage(LinkStage::Pairing);
        self.relay.deliver(EngineEvent::Scanned(account)).await
    }

    async fn ready(&self, device: &WireDevice) -> Result<(), SessionEnd> {
        if self.stage() == LinkStage::Ready {
            return Ok(());
        }
        let Some(account) = state_in::account(device) else { return Ok(()) };
        if matches!(self.stage(), LinkStage::Code(_)) {
            self.scanned(account.clone()).await?;
        }
        self.base.set_account(&account);
        self.relay.stored(self.state.set_linked(true).await)?;
        self.set_stage(LinkStage::Ready);
        // Before the event: its receiver may send at once.
        self.base.set_online(true);
        self.online.cancel();
        self.relay.deliver(EngineEvent::Opened(account)).await
    }

    /// See [`crate::engine::Session::pairing_code`].
    pub(super) async fn request_pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        let answer = self.client.post(&["pairing-code"], &json!({ "phoneNumber": phone_number })).await;
        let answer = answer.map_err(|failure| failure.session_error())?;
        let code = answer["code"].as_str().ok_or(SessionError::Offline)?.to_owned();
        let left = answer["expiresAt"].as_i64().map(|at| in_ms(at).since(self.relay.now()));
        let left = left.unwrap_or(MAX_CODE_MS).clamp(1, MAX_CODE_MS);
        Ok(PairingCode { code, valid_ms: left.unsigned_abs() })
    }

    /// Logs the device out at the upstream; one that is not linked or missing there is no error. A device
    /// that the network unlinked is not logged out: another client may have linked it again.
    pub(super) async fn unlink(&self) -> Result<(), SessionError> {
        if self.state.is_unlinked().await.unwrap_or_default() {
            return Ok(());
        }
        let answer = self.client.post(&["logout"], &json!({})).await;
        if let Err(error) = self.state.set_linked(false).await {
            tracing::warn!(device = %self.relay.device, %error, "the removal of the link could not be stored");
        }
        match answer {
            Ok(_) => Ok(()),
            Err(failure) if failure.own_status() == Some(409) || failure.is_device_missing() => Ok(()),
            Err(failure) => Err(failure.session_error()),
        }
    }
}
