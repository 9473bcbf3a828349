//! The actor of one device. It applies inputs in order, stores the new state with its events, and then executes the
//! effects.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::running_session::{Outcome, Running};
use super::start_limiter::{ConnectPermit, LONGEST};
use super::{deleted, persist};
use crate::domain::device::Device;
use crate::domain::event::EphemeralEvent;
use crate::domain::reason::Reason;
use crate::domain::state::{Effect, Input, InvalidTransition, State, step};
use crate::engine::{Session, SessionContext, SessionEnd};
use crate::service::fleet::ports::{InboundPort, VaultPort};
use crate::service::media::port::MediaPort;
use crate::service::messaging::outbox::store_all_failed;
use crate::service::registry::{DeviceCommand, LiveDevice};
use crate::service::{Fleet, ServiceError};
use crate::store::StoreError;

/// Time limit for the network's answer to a log-out.
const LOG_OUT_GRACE: Duration = Duration::from_secs(5);
/// The pause before the store of a transition is retried.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The dependencies of an actor.
pub(super) struct ActorParams {
    pub(super) fleet: Fleet,
    pub(super) device: Device,
    pub(super) live: Arc<LiveDevice>,
    /// Weak: the actor ends when no handle is left.
    pub(super) mailbox: mpsc::WeakSender<DeviceCommand>,
    pub(super) commands: mpsc::Receiver<DeviceCommand>,
    pub(super) opens: bool,
}

pub(super) struct Actor {
    fleet: Fleet,
    device: Device,
    live: Arc<LiveDevice>,
    mailbox: mpsc::WeakSender<DeviceCommand>,
    commands: mpsc::Receiver<DeviceCommand>,
    running: Option<Running>,
    /// Counts sessions, so that late events of an earlier session are recognized.
    generation: u64,
    open_at: Option<Instant>,
    /// The time at which the start limiter admits this device.
    is_turn: bool,
    /// The permit of the start limiter while the device connects, and its deadline.
    room: Option<(OwnedSemaphorePermit, Instant)>,
}

enum ActorInput {
    Command(DeviceCommand),
    Ended(Outcome),
    Open,
    Slow,
    Leave,
}

impl Actor {
    pub(super) fn new(birth: ActorParams) -> Self {
        Self {
            fleet: birth.fleet,
            device: birth.device,
            live: birth.live,
            mailbox: birth.mailbox,
            commands: birth.commands,
            running: None,
            generation: 0,
            open_at: birth.opens.then(Instant::now),
            is_turn: false,
            room: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.turn().await {
                ActorInput::Command(DeviceCommand::Retire { keep_data, reply }) => {
                    let done = self.remove_device(keep_data).await;
                    let gone = done.is_ok();
                    let _ = reply.send(done);
                    if gone {
                        return;
                    }
                }
                ActorInput::Command(command) => self.serve(command).await,
                ActorInput::Ended(outcome) => self.session_ended(outcome).await,
                ActorInput::Open => self.open_in_turn().await,
                ActorInput::Slow => self.room = None,
                ActorInput::Leave => break,
            }
        }
        self.leave().await;
    }

    async fn turn(&mut self) -> ActorInput {
        let soft = self.fleet.tasks.soft().clone();
        let open_at = self.open_at;
        let slow_at = self.room.as_ref().map(|(_, until)| *until);
        tokio::select! {
            biased;
            () = soft.cancelled() => ActorInput::Leave,
            command = self.commands.recv() => command.map_or(ActorInput::Leave, ActorInput::Command),
            outcome = ended(&mut self.running) => ActorInput::Ended(outcome),
            () = at(open_at) => ActorInput::Open,
            () = at(slow_at) => ActorInput::Slow,
        }
    }

    async fn serve(&mut self, command: DeviceCommand) {
        match command {
            DeviceCommand::Apply { input, reply } => {
                let done = self.ask(input).await;
                let _ = reply.send(done);
            }
            DeviceCommand::Restart { reply } => {
                let done = self.restart().await;
                let _ = reply.send(done);
            }
            DeviceCommand::FromSession { generation, input, reply } => {
                self.apply_from_session(generation, input, reply).await;
            }
            // Served by `run`, which ends after it.
            DeviceCommand::Retire { .. } => {}
        }
    }

    /// Applies an operator's command; idempotent.
    async fn ask(&mut self, input: Input) -> Result<(), ServiceError> {
        let state = &self.device.state;
        match input {
            Input::Start if state.is_active() => return Ok(()),
            Input::Stop(_) if matches!(state, State::Stopped { .. }) => return Ok(()),
            _ => {}
        }
        match self.apply(input).await {
            Ok(effects) => {
                self.act(effects).await;
                Ok(())
            }
            Err(Refusal::Invalid(invalid)) => Err(ServiceError::WrongState(invalid.to_string())),
            Err(Refusal::Gone) => Err(ServiceError::DeviceNotFound),
            Err(Refusal::Store(error)) => Err(error.into()),
        }
    }

    async fn restart(&mut self) -> Result<(), ServiceError> {
        if self.device.state.is_active() {
            self.ask(Input::Stop(Reason::StoppedByOperator)).await?;
        }
        self.ask(Input::Start).await
    }

    /// Applies an event of a session about the link; the session waits for the answer.
    async fn apply_from_session(
        &mut self,
        generation: u64,
        input: Input,
        reply: oneshot::Sender<Result<(), StoreError>>,
    ) {
        if generation != self.generation || self.running.is_none() {
            return;
        }
        match self.apply(input).await {
            Ok(effects) => {
                let _ = reply.send(Ok(()));
                self.act(effects).await;
                self.open_outbox_when_ready();
            }
            Err(Refusal::Invalid(invalid)) => {
                tracing::warn!(device = %self.device.id, %invalid, "engine event is invalid in this state");
                let _ = reply.send(Ok(()));
            }
            Err(Refusal::Gone) => {}
            Err(Refusal::Store(error)) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn open_outbox_when_ready(&mut self) {
        if let (State::Ready { .. }, Some(running)) = (&self.device.state, &mut self.running) {
            self.live.set_session(Some(running.session.clone()));
            running.open_outbox(&self.fleet, &self.device.id, &self.live);
            let (fleet, id) = (self.fleet.clone(), self.device.id.clone());
            self.fleet.tasks.spawn("untold", async move { fleet.messaging.flush_pending_sync(&id).await });
        }
    }

    async fn session_ended(&mut self, outcome: Outcome) {
        let input = match outcome {
            Outcome::Panicked => {
                self.fleet.metrics.engine_panics.inc();
                tracing::error!(device = %self.device.id, "engine panicked; only this device is affected");
                Input::Panicked { limit: self.fleet.limits.panics_before_failed }
            }
            Outcome::Ended(SessionEnd::CodesExhausted) => Input::CodesExhausted,
            Outcome::Ended(SessionEnd::PasskeyEnded(reason)) => Input::PasskeyEnded(reason),
            Outcome::Ended(SessionEnd::LinkLost(reason)) => Input::LinkLost(reason),
            Outcome::Ended(SessionEnd::LoggedOut(reason)) => Input::LoggedOut(reason),
            Outcome::Ended(SessionEnd::Fatal(reason)) => Input::Fatal(reason),
            Outcome::Ended(SessionEnd::Closed) => Input::LinkLost(Reason::EngineError),
        };
        self.close().await;
        self.apply_surely(input).await;
    }

    /// Applies an input without a caller that could repeat it; retried until the store accepts it.
    async fn apply_surely(&mut self, input: Input) {
        loop {
            match self.apply(input.clone()).await {
                Ok(effects) => return self.act(effects).await,
                Err(Refusal::Invalid(invalid)) => {
                    tracing::warn!(device = %self.device.id, %invalid, "invalid input dropped");
                    return;
                }
                Err(Refusal::Gone) => return,
                Err(Refusal::Store(error)) => {
                    tracing::error!(device = %self.device.id, %error, "change of state not stored; retrying");
                }
            }
            tokio::select! {
                () = self.fleet.tasks.soft().cancelled() => return,
                () = tokio::time::sleep(STORE_PAUSE) => {}
            }
        }
    }

    /// Applies an input to the state, stores the result, and returns the effects.
    async fn apply(&mut self, input: Input) -> Result<Vec<Effect>, Refusal> {
        let now = self.fleet.clock.now();
        let (state, effects) = step(&self.device.state, input, now).map_err(Refusal::Invalid)?;
        let device = self.device.clone();
        let to_store = effects.clone();
        let stored = self
            .fleet
            .store
            .write_patiently(move |tx| {
                let mut device = device.clone();
                // Settings may have changed meanwhile; the state is changed by this actor only.
                if let Some(fresh) = tx.device(&device.id)? {
                    device.settings = fresh.settings;
                    device.name = fresh.name;
                }
                let there = persist(tx, &mut device, state.clone(), &to_store, now)?;
                Ok::<_, StoreError>(there.then_some(device))
            })
            .await
            .map_err(Refusal::Store)?;
        let device = stored.ok_or(Refusal::Gone)?;
        self.moved_to(device);
        Ok(effects)
    }

    fn moved_to(&mut self, device: Device) {
        let (from, to) = (self.device.state.name(), device.state.name());
        let before = link_status(&self.device.state);
        self.device = device;
        if !self.is_connecting() {
            self.room = None;
        }
        if from == to {
            return;
        }
        self.fleet.metrics.device_moved(Some(from), Some(to));
        let reason = self.device.state.reason().map(Reason::code);
        tracing::info!(device = %self.device.id, from, to, reason, "device state changed");
        let status = link_status(&self.device.state);
        if status != before {
            self.fleet
                .logs
                .emit(&self.device.id, &EphemeralEvent::ConnectionStatus { status, latency_ms: None });
        }
    }

    async fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Emit(_) | Effect::Link(_) => {}
                Effect::Open => self.open_not_before(Instant::now()),
                Effect::OpenLater { attempt } => {
                    let unit = self.fleet.random.unit();
                    let delay = self.fleet.limits.backoff.delay_ms(attempt, unit);
                    self.open_not_before(Instant::now() + Duration::from_millis(delay));
                }
                Effect::Unlink => self.unlink().await,
                Effect::Close => self.close().await,
            }
        }
    }

    fn open_not_before(&mut self, moment: Instant) {
        self.open_at = Some(moment);
        self.is_turn = false;
    }

    /// Waits for the start limiter, so that devices that lost one network do not reconnect at the same time.
    async fn open_in_turn(&mut self) {
        let turn = self.open_at.filter(|_| self.is_turn);
        let (now, unit) = (Instant::now(), self.fleet.random.unit());
        match self.fleet.start_limiter.acquire(turn, now, unit) {
            ConnectPermit::Now(room) => {
                self.open().await;
                // The permit is also released when opening failed or has ended.
                self.room = self.is_connecting().then_some((room, now + LONGEST));
            }
            ConnectPermit::At(turn) => {
                self.open_at = Some(turn);
                self.is_turn = true;
            }
        }
    }

    fn is_connecting(&self) -> bool {
        matches!(self.device.state, State::Connecting { .. } | State::Reconnecting { .. })
    }

    async fn open(&mut self) {
        self.close().await;
        let Some(driver) = self.fleet.registry.driver(self.device.engine.as_str()).cloned() else {
            return self.apply_surely(Input::Fatal(Reason::EngineUnknown)).await;
        };
        let Some(settings) = self.settings().await else {
            return self.apply_surely(Input::Fatal(Reason::EngineError)).await;
        };
        let cancel = CancellationToken::new();
        match driver.open(self.context(settings, &cancel)).await {
            Ok(session) => {
                self.live.set_connecting(Some(session.clone()));
                self.running = Some(Running::start(&self.fleet.tasks, session, cancel));
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(device = %self.device.id, %error, cause, "session not opened");
                self.apply_surely(Input::Fatal(Reason::EngineError)).await;
            }
        }
    }

    /// The settings for the engine, with their secrets.
    async fn settings(&self) -> Option<Map<String, Value>> {
        let settings = self.fleet.settings_of(&self.device.id).await;
        let unreadable = |error: &ServiceError| {
            tracing::error!(device = %self.device.id, %error, "settings of the device not read");
        };
        settings.inspect_err(unreadable).ok()
    }

    /// The ports of a new session.
    fn context(&mut self, settings: Map<String, Value>, cancel: &CancellationToken) -> SessionContext {
        self.generation += 1;
        let (mailbox, generation) = (self.mailbox.clone(), self.generation);
        SessionContext {
            device: self.device.id.clone(),
            settings,
            account: self.device.account.clone(),
            vault: Arc::new(VaultPort::new(self.fleet.store.clone(), self.device.id.clone())),
            media: Arc::new(MediaPort::of(&self.fleet.media, &self.device.id)),
            inbound: Arc::new(InboundPort::new(
                &self.fleet,
                &self.device,
                mailbox,
                generation,
                cancel.clone(),
            )),
            cancel: cancel.clone(),
            clock: self.fleet.clock.clone(),
            random: self.fleet.random.clone(),
        }
    }

    /// The session for a log-out: the running one, or a new one.
    async fn able_to_log_out(&mut self) -> Option<Arc<dyn Session>> {
        if let Some(running) = &self.running {
            return Some(running.session.clone());
        }
        let driver = self.fleet.registry.driver(self.device.engine.as_str())?.clone();
        if !driver.unlinks_at_rest() {
            return None;
        }
        let settings = self.settings().await?;
        driver
            .open(self.context(settings, &CancellationToken::new()))
            .await
            .inspect_err(|error| {
                tracing::warn!(device = %self.device.id, %error, "no session for the log-out");
            })
            .ok()
    }

    /// Logs out at the network if possible, and removes the credentials in any case.
    async fn unlink(&mut self) {
        let telling = async {
            match self.able_to_log_out().await {
                Some(session) => session.log_out().await.is_ok(),
                None => true,
            }
        };
        if !tokio::time::timeout(LOG_OUT_GRACE, telling).await.unwrap_or(false) {
            tracing::warn!(device = %self.device.id, "log-out did not reach the network");
        }
        self.close().await;
        let id = self.device.id.clone();
        if let Err(error) = self.fleet.store.write_patiently(move |tx| tx.vault_clear(&id)).await {
            // The next start from `logged_out` clears them again.
            tracing::error!(device = %self.device.id, %error, "credentials not removed; the next start retries");
        }
    }

    async fn close(&mut self) {
        self.open_at = None;
        self.is_turn = false;
        self.room = None;
        self.live.set_session(None);
        if let Some(running) = self.running.take() {
            running.close(&self.device.id).await;
        }
    }

    async fn remove_device(&mut self, keep_data: bool) -> Result<(), ServiceError> {
        if self.device.account.is_some() {
            self.unlink().await;
        }
        self.close().await;
        let (id, now) = (self.device.id.clone(), self.fleet.clock.now());
        let generation = self
            .fleet
            .store
            .write_patiently(move |tx| {
                store_all_failed(tx, &id, "device_deleted", "the device was deleted", now)?;
                tx.append(&id, &deleted(), now)?;
                tx.delete_device(&id, keep_data)?;
                tx.begin_generation(&id)
            })
            .await?;
        if let Some(generation) = generation {
            self.fleet.access.begin_device_generation(&self.device.id, generation);
        }
        self.fleet.notify.remove_cached_rules(&self.device.id);
        if let Some(driver) = self.fleet.registry.driver(self.device.engine.as_str()) {
            driver.forget(&self.device.id).await;
        }
        self.fleet.metrics.device_moved(Some(self.device.state.name()), None);
        tracing::info!(device = %self.device.id, keep_data, "device deleted");
        Ok(())
    }

    /// Ends the session at shutdown. The state does not change, so that the next start reconnects the device.
    async fn leave(mut self) {
        let was_ready = self.device.state.is_ready();
        self.close().await;
        if !was_ready {
            return;
        }
        let (id, now) = (self.device.id.clone(), self.fleet.clock.now());
        if let Err(error) = self.fleet.store.write_patiently(move |tx| tx.set_last_seen(&id, now)).await {
            tracing::warn!(device = %self.device.id, %error, "last online time not stored");
        }
    }
}

enum Refusal {
    Invalid(InvalidTransition),
    Gone,
    Store(StoreError),
}

fn link_status(state: &State) -> &'static str {
    match state.event_status() {
        "CONNECTED" => "connected",
        "CONNECTING" => "connecting",
        _ => "disconnected",
    }
}

async fn ended(running: &mut Option<Running>) -> Outcome {
    match running {
        Some(running) => running.outcome().await,
        None => std::future::pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
