//! The fleet: an actor for each device that exists, and the way to reach it.
//!
//! Invariants: each device's state is changed by its actor alone, one input after the other, and stored
//! with its events before anything is done about it; an actor that ends unexpectedly takes no other with
//! it and leaves its device `failed`, from where it can be started again.

mod actor;
mod running_session;
mod start_limiter;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use self::actor::{Actor, ActorParams};
use crate::domain::device::Device;
use crate::domain::event::Event;
use crate::domain::ids::DeviceId;
use crate::domain::reason::Reason;
use crate::domain::state::{Effect, Input, State, step};
use crate::engine::Session;
use crate::service::messaging::outbox::store_all_failed;
use crate::service::{Core, ServiceError};
use crate::store::{StoreError, Tx};

/// Requests that may wait for one device's actor; who finds it full waits.
const MAILBOX: usize = 16;

/// What an actor is asked to do.
pub(in crate::service) enum Command {
    /// An operator's input.
    Apply { input: Input, reply: oneshot::Sender<Result<(), ServiceError>> },
    /// Stop if it runs, then start.
    Restart { reply: oneshot::Sender<Result<(), ServiceError>> },
    /// News of a session about the link.
    FromSession { generation: u64, input: Input, reply: oneshot::Sender<Result<(), StoreError>> },
    /// Unlink, close, and end: the device is deleted.
    Retire { keep_data: bool, reply: oneshot::Sender<Result<(), ServiceError>> },
}

/// What others may know of a device without asking its actor.
#[derive(Default)]
pub(in crate::service) struct LiveDevice {
    /// The session, once it can send and receive.
    session: Mutex<Option<Arc<dyn Session>>>,
    /// The session before that.
    connecting: Mutex<Option<Arc<dyn Session>>>,
    /// Something new is in the outbox.
    pub(in crate::service) outbox: Notify,
    /// Held while the network is told what was done here.
    pub(in crate::service) telling: tokio::sync::Mutex<()>,
    /// Held while news of people are taken in, and alone while it is learnt which ids are one person's.
    pub(in crate::service) people: tokio::sync::RwLock<()>,
    /// What is known from moment to moment.
    pub(in crate::service) pulse: crate::service::registry::liveness::Liveness,
}

impl LiveDevice {
    pub(in crate::service) fn session(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_session(&self, session: Option<Arc<dyn Session>>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
        self.set_connecting(None);
    }

    fn connecting(&self) -> Option<Arc<dyn Session>> {
        self.connecting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_connecting(&self, session: Option<Arc<dyn Session>>) {
        *self.connecting.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

#[derive(Clone)]
struct Handle {
    mailbox: mpsc::Sender<Command>,
    live: Arc<LiveDevice>,
    engine: Arc<str>,
}

/// All devices that exist, by id.
pub(in crate::service) struct Supervisor {
    devices: Mutex<HashMap<DeviceId, Handle>>,
    ramp: start_limiter::StartLimiter,
}

impl Supervisor {
    /// So many may begin to connect in a second, and be connecting at once.
    pub(in crate::service) fn new(per_second: u32, at_once: usize) -> Self {
        Self { devices: Mutex::default(), ramp: start_limiter::StartLimiter::new(per_second, at_once) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Handle>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &DeviceId) -> Option<Handle> {
        self.lock().get(id).cloned()
    }
}

impl Core {
    /// All devices that exist.
    #[must_use]
    pub fn device_ids(&self) -> Vec<DeviceId> {
        self.inner.fleet.lock().keys().cloned().collect()
    }

    /// Whether a device exists.
    #[must_use]
    pub fn device_exists(&self, id: &DeviceId) -> bool {
        self.inner.fleet.lock().contains_key(id)
    }

    /// The engine of a device.
    pub(in crate::service) fn engine_of(&self, id: &DeviceId) -> Result<Arc<str>, ServiceError> {
        Ok(self.inner.fleet.get(id).ok_or(ServiceError::DeviceNotFound)?.engine)
    }

    /// What others may know of a device.
    pub(in crate::service) fn live(&self, id: &DeviceId) -> Result<Arc<LiveDevice>, ServiceError> {
        Ok(self.inner.fleet.get(id).ok_or(ServiceError::DeviceNotFound)?.live)
    }

    /// The device's open session.
    pub(in crate::service) fn session(&self, id: &DeviceId) -> Result<Arc<dyn Session>, ServiceError> {
        let handle = self.inner.fleet.get(id).ok_or(ServiceError::DeviceNotFound)?;
        handle.live.session().ok_or(ServiceError::Offline)
    }

    /// The device's session while it is being linked.
    pub(in crate::service) fn linking_session(
        &self,
        id: &DeviceId,
    ) -> Result<Arc<dyn Session>, ServiceError> {
        let handle = self.inner.fleet.get(id).ok_or(ServiceError::DeviceNotFound)?;
        handle.live.connecting().ok_or(ServiceError::Offline)
    }

    /// Tells a device's outbox that there is something new.
    pub(in crate::service) fn wake_outbox(&self, id: &DeviceId) {
        if let Some(handle) = self.inner.fleet.get(id) {
            handle.live.outbox.notify_one();
        }
    }

    /// Hands an input to a device's actor and waits until it is stored.
    pub(in crate::service) async fn apply(&self, id: &DeviceId, input: Input) -> Result<(), ServiceError> {
        self.ask(id, |reply| Command::Apply { input, reply }).await
    }

    pub(in crate::service) async fn ask(
        &self,
        id: &DeviceId,
        command: impl FnOnce(oneshot::Sender<Result<(), ServiceError>>) -> Command,
    ) -> Result<(), ServiceError> {
        let handle = self.inner.fleet.get(id).ok_or(ServiceError::DeviceNotFound)?;
        self.ask_of(&handle, command).await
    }

    async fn ask_of(
        &self,
        handle: &Handle,
        command: impl FnOnce(oneshot::Sender<Result<(), ServiceError>>) -> Command,
    ) -> Result<(), ServiceError> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            if self.tasks().soft().is_cancelled() {
                ServiceError::ShuttingDown
            } else {
                ServiceError::DeviceNotFound
            }
        };
        handle.mailbox.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// At start-up: every device that was running begins to connect again. Their states and events are one
    /// commit; their sessions open a few at a time.
    pub(in crate::service) async fn start_fleet(&self) -> Result<(), ServiceError> {
        let now = self.now();
        let devices = self
            .store()
            .write_patiently(move |tx| {
                let mut devices = tx.devices()?;
                for device in devices.iter_mut().filter(|d| d.state.is_active()) {
                    resume(tx, device, now)?;
                }
                Ok::<_, StoreError>(devices)
            })
            .await?;
        for device in devices {
            let opens = device.state.is_active();
            self.spawn_actor(device, opens);
        }
        Ok(())
    }

    /// Starts the actor of a device that is stored; it opens a session when its turn is, if it is to.
    pub(in crate::service) fn spawn_actor(&self, device: Device, opens: bool) {
        let (mailbox, commands) = mpsc::channel(MAILBOX);
        let live = Arc::new(LiveDevice::default());
        let handle =
            Handle { mailbox: mailbox.clone(), live: live.clone(), engine: device.engine.as_str().into() };
        let id = device.id.clone();
        self.inner.fleet.lock().insert(id.clone(), handle);
        self.metrics().device_moved(None, Some(device.state.name()));
        let birth =
            ActorParams { core: self.clone(), device, live, mailbox: mailbox.downgrade(), commands, opens };
        let work = self.tasks().spawn("device", Actor::new(birth).run());
        let core = self.clone();
        self.tasks().spawn("device-watch", async move {
            if work.await.is_err_and(|error| error.is_panic()) {
                core.replace_actor(&id).await;
            }
        });
    }

    /// The actor itself panicked: a bug of ours. The device is failed, and can be started again.
    async fn replace_actor(&self, id: &DeviceId) {
        tracing::error!(device = %id, "the device's own task panicked; the device is failed");
        self.metrics().engine_panics.inc();
        let now = self.now();
        let device = id.clone();
        let stored = self
            .store()
            .write_patiently(move |tx| {
                let Some(mut device) = tx.device(&device)? else { return Ok(None) };
                if let Ok((state, effects)) = step(&device.state, Input::Fatal(Reason::EnginePanicked), now) {
                    persist(tx, &mut device, state, &effects, now)?;
                }
                Ok::<_, StoreError>(Some(device))
            })
            .await;
        match stored {
            Ok(Some(device)) => self.spawn_actor(device, false),
            Ok(None) => {
                self.inner.fleet.lock().remove(id);
            }
            Err(error) => tracing::error!(device = %id, %error, "the failed device could not be stored"),
        }
    }

    /// The device is deleted: nobody reaches it any more.
    fn stop_actor(&self, id: &DeviceId, retired: &Handle) {
        let mut devices = self.inner.fleet.lock();
        // A new device may have the id already.
        if devices.get(id).is_some_and(|handle| handle.mailbox.same_channel(&retired.mailbox)) {
            devices.remove(id);
        }
    }

    /// Ends a device's actor for good, and its data.
    pub(in crate::service) async fn remove_device(
        &self,
        id: &DeviceId,
        keep_data: bool,
    ) -> Result<(), ServiceError> {
        let handle = self.inner.fleet.get(id).ok_or(ServiceError::DeviceNotFound)?;
        self.ask_of(&handle, |reply| Command::Retire { keep_data, reply }).await?;
        self.stop_actor(id, &handle);
        Ok(())
    }
}

fn resume(tx: &Tx<'_>, device: &mut Device, now: crate::domain::clock::Millis) -> Result<(), StoreError> {
    match step(&device.state, Input::Resume, now) {
        Ok((state, effects)) => persist(tx, device, state, &effects, now).map(|_| ()),
        Err(error) => {
            tracing::error!(device = %device.id, %error, "a running device could not be resumed");
            Ok(())
        }
    }
}

/// Stores a transition: the state, the account it brings or takes, and its events. `false` when the
/// device is gone.
fn persist(
    tx: &Tx<'_>,
    device: &mut Device,
    state: State,
    effects: &[Effect],
    now: crate::domain::clock::Millis,
) -> Result<bool, StoreError> {
    let started_over = matches!(device.state, State::LoggedOut { .. }) && state.is_active();
    if !tx.set_state(&device.id, &state, now)? {
        return Ok(false);
    }
    if started_over {
        // Should a crash have come between logging out and forgetting the credentials.
        tx.vault_clear(&device.id)?;
    }
    if device.state.is_ready() && !state.is_ready() {
        tx.set_last_seen(&device.id, now)?;
        tx.count(&device.id, crate::store::hourly_counters::Counter::Disconnected, now)?;
    }
    device.state = state;
    for effect in effects {
        match effect {
            Effect::Emit(event) => {
                tx.append(&device.id, event, now)?;
            }
            Effect::Link(account) => {
                tx.set_account(&device.id, Some(account))?;
                device.account = Some(account.clone());
            }
            Effect::Unlink => {
                tx.set_account(&device.id, None)?;
                // They are the account's; the chats stay.
                tx.remove_groups(&device.id)?;
                tx.remove_pending_sync(&device.id)?;
                device.account = None;
                store_all_failed(tx, &device.id, "logged_out", "the device was logged out", now)?;
            }
            Effect::Open | Effect::OpenLater { .. } | Effect::Close => {}
        }
    }
    Ok(true)
}

/// The last event of a log.
fn deleted() -> Event {
    Event::DeviceDeleted(crate::domain::event::DeviceDeletedEvent {})
}
