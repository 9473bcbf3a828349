//! How a session comes to be linked: the upstream's device is found or made, started where somebody wants it here,
//! and its codes are shown until a phone scans one.

use serde::Deserialize as _;
use serde_json::json;

use super::client::{Ask, Trouble};
use super::convert::message_in::in_ms;
use super::convert::state_in::{self, There};
use super::convert::wire::{WireDevice, WireLogPage};
use super::keeping::Place;
use super::log;
use super::session::{WwebjsSession, gets_on};
use super::settings::InboundBy;
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, PairingCode, SessionEnd, SessionError};

/// How long a code is valid at most.
const LONGEST_CODE_MS: i64 = 160_000;
/// How long a code is shown whose end is not known.
const USUAL_CODE_MS: i64 = 20_000;

/// How far the link is, as far as it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing told yet.
    #[default]
    Connecting,
    /// This code is shown.
    Code(String),
    /// A phone accepted it.
    Pairing,
    /// Connected.
    Ready,
}

/// Where a session begins to follow the upstream.
pub(super) struct Arrival {
    /// How far the log was read; none where the upstream has no log.
    pub(super) place: Option<Place>,
    /// The newest entry when the session began: what is told of the link up to there is past.
    pub(super) newest: i64,
}

impl WwebjsSession {
    /// Finds the upstream's device, makes or starts it where need be, and tells where it is.
    pub(super) async fn arrive(&self) -> Result<Arrival, SessionEnd> {
        let linked = self.kept(self.keeping.was_linked().await)?;
        let device = match self.show().await {
            Err(trouble) if trouble.is_without_device() && linked => {
                return Err(self.unlinked(Reason::LoggedOutOnPhone).await?);
            }
            Err(trouble) if trouble.is_without_device() => self.answered(self.make().await)?,
            shown => self.answered(shown)?,
        };
        if let Some(made) = &device.created_at
            && self.kept(self.keeping.was_made(&made.to_string()).await)?
        {
            tracing::warn!(device = %self.device, "another device of the same name stands behind: its log is read from its beginning");
        }
        let kept = self.kept(self.keeping.place().await)?;
        let range = self.range(kept).await?;
        let newest = range.as_ref().map_or(0, |range| range.newest_seq);
        // Only what was so before this moment is in `newest`.
        let mut device = if range.is_some() { self.answered(self.show().await)? } else { device };
        if !gets_on(state_in::of_device(&device)) {
            device = self.set_off(state_in::of_device(&device), linked).await?;
        }
        let at = self.clock.now().0;
        let ready = state_in::of_device(&device) == There::Ready;
        let first = Place { seq: newest, at, past_due: ready };
        let place = range.as_ref().map(|_| kept.unwrap_or(first));
        if let (Some(place), None) = (place, kept) {
            self.kept(self.keeping.set_place(place).await)?;
        }
        let behind = range.is_some_and(|range| range.resync) && kept.is_some();
        self.snapshot(&device, behind).await?;
        Ok(Arrival { place, newest })
    }

    pub(super) async fn show(&self) -> Result<WireDevice, Trouble> {
        let device = self.client.data(Ask::get(&[])).await?;
        WireDevice::deserialize(device).map_err(|_| Trouble::Garbled)
    }

    async fn make(&self) -> Result<WireDevice, Trouble> {
        let body = json!({ "id": self.client.device(), "name": self.client.device() });
        let mut made = self.client.ask_of_all(Ask::post(&[], body)).await?;
        tracing::info!(device = %self.device, "made the device at its upstream");
        WireDevice::deserialize(made["data"].take()).map_err(|_| Trouble::Garbled)
    }

    /// What the log holds; none where there is no log.
    async fn range(&self, kept: Option<Place>) -> Result<Option<WireLogPage>, SessionEnd> {
        if self.inbound_by == InboundBy::Poll {
            return Ok(None);
        }
        match log::page(&self.client, kept.map_or(0, |place| place.seq)).await {
            // Where a log was read before there is one.
            Err(trouble) if trouble.is_nothing_there() && kept.is_none_or(|place| place.seq == 0) => Ok(None),
            page => self.answered(page).map(Some),
        }
    }

    /// Starts a device that rests, unless it was put to rest while we were away for a moment.
    async fn set_off(&self, there: There, linked: bool) -> Result<WireDevice, SessionEnd> {
        if let (There::LoggedOut(reason), true) = (there, linked) {
            return Err(self.unlinked(reason.unwrap_or(Reason::LoggedOutOnPhone)).await?);
        }
        if let (true, Some(ended)) = (self.retries, state_in::ends(there, true)) {
            return Err(ended);
        }
        match self.client.ask(Ask::post(&["start"], json!({}))).await {
            // Somebody else was faster.
            Err(Trouble::Refused { status: 409, own: true, .. }) => {}
            started => drop(self.answered(started)?),
        }
        self.answered(self.show().await)
    }

    /// Forgets the link, and says how the session ends.
    pub(super) async fn unlinked(&self, reason: Reason) -> Result<SessionEnd, SessionEnd> {
        self.kept(self.keeping.set_unlinked().await)?;
        Ok(SessionEnd::LoggedOut(reason))
    }

    /// Tells where the device is when the session begins.
    async fn snapshot(&self, device: &WireDevice, behind: bool) -> Result<(), SessionEnd> {
        match state_in::of_device(device) {
            There::Ready => {
                if behind {
                    self.tell_groups(true).await?;
                }
                self.ready(device).await
            }
            There::Code => self.shown_code().await,
            There::Pairing => match state_in::account(device) {
                Some(account) => self.scanned(account).await,
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    async fn shown_code(&self) -> Result<(), SessionEnd> {
        let told = match self.client.data(Ask::get(&["qr"])).await {
            Err(trouble) if trouble.is_absence() => return Ok(()),
            told => self.answered(told)?,
        };
        let Some(code) = told["qr"].as_str() else { return Ok(()) };
        let left = told["expiresAt"].as_i64().map(|at| in_ms(at).since(self.clock.now()));
        self.code(code.to_owned(), left.unwrap_or(USUAL_CODE_MS)).await
    }

    /// A code to scan, unless it is shown already.
    pub(super) async fn code(&self, code: String, valid_ms: i64) -> Result<(), SessionEnd> {
        let shown = Stage::Code(code.clone());
        if valid_ms <= 0 || matches!(self.stage(), Stage::Ready | Stage::Pairing) || self.stage() == shown {
            return Ok(());
        }
        self.set_stage(shown);
        self.tell(EngineEvent::Code { code, valid_ms: valid_ms.min(LONGEST_CODE_MS) }).await
    }

    /// A phone accepted the link.
    pub(super) async fn scanned(&self, account: Account) -> Result<(), SessionEnd> {
        if matches!(self.stage(), Stage::Ready | Stage::Pairing) {
            return Ok(());
        }
        self.is_account(&account);
        self.set_stage(Stage::Pairing);
        self.tell(EngineEvent::Scanned(account)).await
    }

    /// The upstream's device is connected.
    pub(super) async fn ready(&self, device: &WireDevice) -> Result<(), SessionEnd> {
        if self.stage() == Stage::Ready {
            return Ok(());
        }
        let Some(account) = state_in::account(device) else { return Ok(()) };
        if matches!(self.stage(), Stage::Code(_)) {
            self.scanned(account.clone()).await?;
        }
        self.is_account(&account);
        self.kept(self.keeping.set_linked(true).await)?;
        self.set_stage(Stage::Ready);
        // Before the news: whoever hears it may send at once.
        self.online.cancel();
        self.tell(EngineEvent::Opened(account)).await
    }

    /// See [`crate::engine::Session::pairing_code`].
    pub(super) async fn code_to_type(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        let asked = Ask::post(&["pairing-code"], json!({ "phoneNumber": phone_number }));
        let told = self.client.data(asked).await.map_err(Trouble::into_session_error)?;
        let code = told["code"].as_str().ok_or(SessionError::Offline)?.to_owned();
        let left = told["expiresAt"].as_i64().map(|at| in_ms(at).since(self.clock.now()));
        let left = left.unwrap_or(LONGEST_CODE_MS).clamp(1, LONGEST_CODE_MS);
        Ok(PairingCode { code, valid_ms: left.unsigned_abs() })
    }

    /// Unlinks the device at the upstream; one that is not linked there, or not there, is no error. What the network
    /// unlinked is left alone: somebody there may have linked it again.
    pub(super) async fn unlink(&self) -> Result<(), SessionError> {
        if self.keeping.was_unlinked().await.unwrap_or_default() {
            return Ok(());
        }
        let told = self.client.ask(Ask::post(&["logout"], json!({}))).await;
        if let Err(error) = self.keeping.set_linked(false).await {
            tracing::warn!(device = %self.device, %error, "that a device is not linked could not be kept");
        }
        match told {
            Ok(_) => Ok(()),
            Err(Trouble::Refused { status: 409, own: true, .. }) => Ok(()),
            Err(trouble) if trouble.is_without_device() => Ok(()),
            Err(trouble) => Err(trouble.into_session_error()),
        }
    }
}
