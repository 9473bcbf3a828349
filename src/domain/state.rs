//! The device state machine: a pure function from a state and an input to a state and effects.
//!
//! Invariants:
//! - An input that is not valid in a state is an [`InvalidTransition`].
//! - Each change of state emits one `state` event; leaving [`State::Ready`] also emits `disconnected`.
//! - Replaying the emitted events over [`State::Created`] yields the stored state.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::clock::Millis;
use super::device::Account;
use super::event::{DeviceStateEvent, Event};
use super::passkey::PasskeyStep;
use super::reason::Reason;

/// Time online after which a connection counts as stable and the backoff restarts, in milliseconds.
pub const STABLE_AFTER_MS: i64 = 60_000;

/// The state of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The device was never started.
    Created,
    /// The engine opens a session with the network.
    Connecting {
        /// Failed attempts so far.
        attempt: u32,
        /// When this state was entered.
        since: Millis,
        /// Why the device connects again; absent for a first connection.
        reason: Option<Reason>,
    },
    /// A QR code waits to be scanned by a phone.
    Qr {
        /// The raw string a phone scans.
        code: String,
        /// The number of this code, from 1.
        attempt: u32,
        /// When a phone no longer accepts it.
        expires_at: Millis,
        /// When this state was entered.
        since: Millis,
    },
    /// A phone accepted the link, and the network asks for a passkey of the account.
    Passkey {
        /// The open step.
        step: PasskeyStep,
        /// When the step ends the attempt.
        expires_at: Millis,
        /// When this state was entered.
        since: Millis,
    },
    /// A phone accepted the link, and the engine completes it.
    Pairing {
        /// When this state was entered.
        since: Millis,
    },
    /// The device can send and receive.
    Ready {
        /// When this state was entered.
        since: Millis,
        /// Failed attempts before this connection; the backoff of a flapping connection continues from it.
        attempt: u32,
    },
    /// The device is linked and offline, and connects again.
    Reconnecting {
        /// Failed attempts so far, from 1.
        attempt: u32,
        /// Why the link was lost.
        reason: Reason,
        /// When this state was entered.
        since: Millis,
    },
    /// The device stays offline until an operator or its declaration starts it.
    Stopped {
        /// Why the device stopped.
        reason: Reason,
        /// When this state was entered.
        since: Millis,
    },
    /// The device is no longer linked.
    LoggedOut {
        /// Why the device was unlinked.
        reason: Reason,
        /// When this state was entered.
        since: Millis,
    },
    /// The device cannot continue until an operator acts.
    Failed {
        /// Why the device failed.
        reason: Reason,
        /// When this state was entered.
        since: Millis,
    },
}

/// An input of the state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An operator, or the declaration, starts the device.
    Start,
    /// An operator, or the declaration, stops the device.
    Stop(Reason),
    /// An operator unlinks the device.
    LogOut,
    /// The daemon starts and the stored state of the device is active.
    Resume,
    /// The network sent a QR code.
    Code {
        /// The raw string of the code.
        code: String,
        /// How long a phone accepts the code, in milliseconds.
        valid_ms: i64,
    },
    /// No code was scanned, and the network sends no more codes.
    CodesExhausted,
    /// The network asks for a signature by a passkey of the account.
    PasskeyRequested {
        /// The `PublicKeyCredentialRequestOptions` of the network.
        options: serde_json::Map<String, serde_json::Value>,
        /// How long the network waits for the signature, in milliseconds.
        valid_ms: i64,
    },
    /// The network accepted the signature; the phone shows a code to compare.
    PasskeySigned {
        /// The code.
        code: String,
        /// The time limit of the confirmation, in milliseconds.
        valid_ms: i64,
    },
    /// The link by passkey ended without success.
    PasskeyEnded(Reason),
    /// A phone accepted the link.
    Scanned(Account),
    /// The session is open: the device can send and receive.
    Opened(Account),
    /// The session ended; the device reconnects.
    LinkLost(Reason),
    /// The engine panicked.
    Panicked {
        /// Number of consecutive failures after which the device becomes failed.
        limit: u32,
    },
    /// The network reports that the device is no longer linked.
    LoggedOut(Reason),
    /// The session ended; the device must not reconnect automatically.
    Fatal(Reason),
}

impl Input {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop(_) => "stop",
            Self::LogOut => "log out",
            Self::Resume => "resume",
            Self::Code { .. } => "code",
            Self::CodesExhausted => "codes exhausted",
            Self::PasskeyRequested { .. } => "passkey requested",
            Self::PasskeySigned { .. } => "passkey signed",
            Self::PasskeyEnded(_) => "passkey ended",
            Self::Scanned(_) => "scanned",
            Self::Opened(_) => "opened",
            Self::LinkLost(_) => "link lost",
            Self::Panicked { .. } => "panicked",
            Self::LoggedOut(_) => "logged out",
            Self::Fatal(_) => "fatal",
        }
    }
}

/// An action that follows a transition. The caller performs the effects in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Append an event to the device's log.
    Emit(Box<Event>),
    /// Open a session.
    Open,
    /// Open a session after the backoff of this attempt (from 1).
    OpenLater {
        /// Failed attempts so far.
        attempt: u32,
    },
    /// Close the session and keep the credentials.
    Close,
    /// Unlink the device at the network if a session is open, and delete the credentials.
    Unlink,
    /// Store the account of the device.
    Link(Account),
}

/// An input that is not valid in the current state.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the input '{input}' is not valid for a device in state '{state}'")]
pub struct InvalidTransition {
    /// The state's name.
    pub state: &'static str,
    /// The input's name.
    pub input: &'static str,
}

impl State {
    /// The name of the exact state on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Connecting { .. } => "connecting",
            Self::Qr { .. } => "qr",
            Self::Passkey { .. } => "passkey",
            Self::Pairing { .. } => "pairing",
            Self::Ready { .. } => "ready",
            Self::Reconnecting { .. } => "reconnecting",
            Self::Stopped { .. } => "stopped",
            Self::LoggedOut { .. } => "logged_out",
            Self::Failed { .. } => "failed",
        }
    }

    /// `status` in `state` events: one of four values that dashboards compare.
    #[must_use]
    pub fn event_status(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "CONNECTED",
            Self::Connecting { .. }
            | Self::Qr { .. }
            | Self::Passkey { .. }
            | Self::Pairing { .. }
            | Self::Reconnecting { .. } => "CONNECTING",
            Self::Created | Self::Stopped { .. } | Self::LoggedOut { .. } => "DISCONNECTED",
            Self::Failed { .. } => "ERROR",
        }
    }

    /// `status` in REST's device object.
    #[must_use]
    pub fn rest_status(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Qr { .. } => "qr",
            Self::Connecting { .. } | Self::Passkey { .. } | Self::Pairing { .. } => "connecting",
            Self::Created | Self::Stopped { .. } | Self::LoggedOut { .. } | Self::Reconnecting { .. } => {
                "disconnected"
            }
            Self::Failed { .. } => "error",
        }
    }

    /// Whether the device is online or tries to get online.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(
            self,
            Self::Connecting { .. }
                | Self::Qr { .. }
                | Self::Passkey { .. }
                | Self::Pairing { .. }
                | Self::Ready { .. }
                | Self::Reconnecting { .. }
        )
    }

    /// Whether the device can send messages now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// The reason for this state, if it has one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Connecting { reason, .. } => *reason,
            Self::Reconnecting { reason, .. }
            | Self::Stopped { reason, .. }
            | Self::LoggedOut { reason, .. }
            | Self::Failed { reason, .. } => Some(*reason),
            Self::Created
            | Self::Qr { .. }
            | Self::Passkey { .. }
            | Self::Pairing { .. }
            | Self::Ready { .. } => None,
        }
    }

    /// Failed attempts before this state; 0 for states that do not count attempts.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Connecting { attempt, .. }
            | Self::Ready { attempt, .. }
            | Self::Reconnecting { attempt, .. } => *attempt,
            _ => 0,
        }
    }

    /// The payload of a `state` event for this state.
    #[must_use]
    pub fn as_event(&self) -> DeviceStateEvent {
        DeviceStateEvent {
            status: self.event_status().to_owned(),
            state: self.name().to_owned(),
            reason: self.reason(),
            attempt: self.attempt(),
        }
    }

    /// The state after an event of the log with the timestamp `at`.
    #[must_use]
    pub fn replay(self, event: &Event, at: Millis) -> Self {
        match event {
            Event::Qr(qr) => {
                let since = if let Self::Qr { since, .. } = &self { *since } else { at };
                Self::Qr { code: qr.qr.clone(), attempt: qr.attempt, expires_at: qr.expires_at, since }
            }
            Event::PasskeyRequest(request) => {
                let step = PasskeyStep::Signature { options: request.options.clone() };
                Self::Passkey { step, expires_at: request.expires_at, since: self.passkey_since(at) }
            }
            Event::PasskeyConfirmation(confirmation) => {
                let step = PasskeyStep::Confirmation { code: confirmation.code.clone() };
                Self::Passkey { step, expires_at: confirmation.expires_at, since: self.passkey_since(at) }
            }
            Event::State(change) => self.replay_change(change, at),
            _ => self,
        }
    }

    fn passkey_since(&self, now: Millis) -> Millis {
        if let Self::Passkey { since, .. } = self { *since } else { now }
    }

    fn replay_change(self, change: &DeviceStateEvent, since: Millis) -> Self {
        let (attempt, reason) = (change.attempt, change.reason);
        match (change.state.as_str(), reason) {
            ("connecting", _) => Self::Connecting { attempt, since, reason },
            ("pairing", _) => Self::Pairing { since },
            ("ready", _) => Self::Ready { since, attempt },
            ("reconnecting", Some(reason)) => Self::Reconnecting { attempt, reason, since },
            ("stopped", Some(reason)) => Self::Stopped { reason, since },
            ("logged_out", Some(reason)) => Self::LoggedOut { reason, since },
            ("failed", Some(reason)) => Self::Failed { reason, since },
            // The `qr` or `passkey:request` event that follows in the log has the content.
            _ => self,
        }
    }
}

/// Applies an input to a state. Returns the next state and the effects, without side effects of its own.
///
/// # Errors
/// [`InvalidTransition`] when `input` is not valid in `state`.
pub fn step(state: &State, input: Input, now: Millis) -> Result<(State, Vec<Effect>), InvalidTransition> {
    let invalid = InvalidTransition { state: state.name(), input: input.name() };
    let next = match (state, &input) {
        (
            State::Created | State::Stopped { .. } | State::LoggedOut { .. } | State::Failed { .. },
            Input::Start,
        ) => State::Connecting { attempt: 0, since: now, reason: None },
        (s, Input::Resume) if s.is_active() => {
            State::Connecting { attempt: 0, since: now, reason: Some(Reason::DaemonRestarted) }
        }
        (State::Stopped { .. }, Input::Stop(_)) => return Err(invalid),
        (_, Input::Stop(reason)) => State::Stopped { reason: *reason, since: now },
        (State::Created | State::LoggedOut { .. }, Input::LogOut) => return Err(invalid),
        (_, Input::LogOut) => State::LoggedOut { reason: Reason::LoggedOutByOperator, since: now },
        (s, Input::Code { code, valid_ms })
            if s.is_active()
                && !matches!(s, State::Passkey { .. } | State::Pairing { .. } | State::Ready { .. }) =>
        {
            next_code(s, code, now.plus(*valid_ms), now)
        }
        (State::Qr { .. } | State::Connecting { .. } | State::Pairing { .. }, Input::CodesExhausted) => {
            State::Stopped { reason: Reason::QrCodesExhausted, since: now }
        }
        (
            State::Qr { .. } | State::Pairing { .. } | State::Passkey { .. },
            Input::PasskeyRequested { options, valid_ms },
        ) => State::Passkey {
            step: PasskeyStep::Signature { options: options.clone() },
            expires_at: now.plus(*valid_ms),
            since: state.passkey_since(now),
        },
        (State::Passkey { since, .. }, Input::PasskeySigned { code, valid_ms }) => State::Passkey {
            step: PasskeyStep::Confirmation { code: code.clone() },
            expires_at: now.plus(*valid_ms),
            since: *since,
        },
        (s, Input::PasskeyEnded(reason)) if s.is_active() => State::Stopped { reason: *reason, since: now },
        // Nothing is retried: a person has to scan again.
        (State::Passkey { .. }, Input::LinkLost(_) | Input::Panicked { .. }) => {
            State::Stopped { reason: Reason::PasskeyFailed, since: now }
        }
        (State::Qr { .. } | State::Connecting { .. } | State::Passkey { .. }, Input::Scanned(_)) => {
            State::Pairing { since: now }
        }
        (State::Connecting { .. } | State::Pairing { .. } | State::Reconnecting { .. }, Input::Opened(_)) => {
            State::Ready { since: now, attempt: state.attempt() }
        }
        (s, Input::LinkLost(reason)) if s.is_active() => lost(s, *reason, now),
        (s, Input::Panicked { limit }) if s.is_active() => panicked(s, *limit, now),
        (s, Input::LoggedOut(reason)) if s.is_active() => State::LoggedOut { reason: *reason, since: now },
        (s, Input::Fatal(reason)) if s.is_active() => State::Failed { reason: *reason, since: now },
        _ => return Err(invalid),
    };
    let effects = effects(state, &next, input);
    Ok((next, effects))
}

fn next_code(state: &State, code: &str, expires_at: Millis, now: Millis) -> State {
    let (attempt, since) = match state {
        State::Qr { attempt, since, .. } => (attempt + 1, *since),
        _ => (1, now),
    };
    State::Qr { code: code.to_owned(), attempt, expires_at, since }
}

fn lost(state: &State, reason: Reason, now: Millis) -> State {
    match state {
        State::Ready { since, attempt } => {
            let stable = now.since(*since) >= STABLE_AFTER_MS;
            let attempt = if stable { 1 } else { attempt.saturating_add(1) };
            State::Reconnecting { attempt, reason, since: now }
        }
        State::Reconnecting { attempt, .. } => {
            State::Reconnecting { attempt: attempt.saturating_add(1), reason, since: now }
        }
        other => {
            let attempt = other.attempt().saturating_add(1);
            State::Connecting { attempt, since: now, reason: Some(reason) }
        }
    }
}

fn panicked(state: &State, limit: u32, now: Millis) -> State {
    let next = lost(state, Reason::EnginePanicked, now);
    if next.attempt() >= limit.max(1) {
        return State::Failed { reason: Reason::EnginePanicked, since: now };
    }
    next
}

fn emit(event: Event) -> Effect {
    Effect::Emit(Box::new(event))
}

fn effects(before: &State, after: &State, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    let same_state = matches!(
        (before, after),
        (State::Qr { .. }, State::Qr { .. }) | (State::Passkey { .. }, State::Passkey { .. })
    );
    if !same_state {
        effects.push(emit(Event::State(after.as_event())));
    }
    if before.is_ready()
        && !after.is_ready()
        && let Some(reason) = after.reason()
    {
        effects.push(emit(Event::disconnected(reason)));
    }
    if let State::Qr { code, attempt, expires_at, .. } = after {
        effects.push(emit(Event::qr(code, *expires_at, *attempt)));
    }
    if let State::Passkey { step, expires_at, .. } = after {
        effects.push(emit(Event::passkey(step, *expires_at)));
    }
    if let (
        State::Passkey { .. },
        State::Stopped { reason, .. },
        Input::LinkLost(_) | Input::Panicked { .. },
    )
    | (_, State::Stopped { reason, .. }, Input::PasskeyEnded(_)) = (before, after, &input)
    {
        effects.push(emit(Event::passkey_error(*reason)));
    }
    match input {
        Input::Start | Input::Resume => effects.push(Effect::Open),
        Input::Scanned(account) => {
            effects.push(emit(Event::authenticated(&account)));
            effects.push(Effect::Link(account));
        }
        Input::Opened(account) => {
            effects.push(emit(Event::ready(&account)));
            effects.push(Effect::Link(account));
        }
        Input::LogOut | Input::LoggedOut(_) => effects.extend([Effect::Unlink, Effect::Close]),
        Input::Stop(_) | Input::CodesExhausted | Input::PasskeyEnded(_) | Input::Fatal(_) => {
            effects.push(Effect::Close);
        }
        Input::LinkLost(_) | Input::Panicked { .. } if after.is_active() => {
            effects.extend([Effect::Close, Effect::OpenLater { attempt: after.attempt() }]);
        }
        Input::LinkLost(_) | Input::Panicked { .. } => effects.push(Effect::Close),
        Input::Code { .. } | Input::PasskeyRequested { .. } | Input::PasskeySigned { .. } => {}
    }
    effects
}

#[cfg(test)]
mod tests;
