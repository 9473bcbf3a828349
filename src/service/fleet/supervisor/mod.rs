//! Starts an actor for each device and sends inputs to it.
//!
//! Invariants: only its actor changes a device's state, one input at a time, and stores it with its events before the
//! effects are executed. An actor that panics affects no other device and leaves its device `failed`.

mod actor;
mod running_session;
mod start_limiter;

pub(in crate::service::fleet) use start_limiter::StartLimiter;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use self::actor::{Actor, ActorParams};
use crate::domain::device::Device;
use crate::domain::event::Event;
use crate::domain::ids::DeviceId;
use crate::domain::reason::Reason;
use crate::domain::state::{Effect, Input, State, step};
use crate::service::messaging::outbox::store_all_failed;
use crate::service::registry::{DeviceCommand, DeviceHandle, LiveDevice};
use crate::service::{Fleet, ServiceError};
use crate::store::{StoreError, Tx};

/// Maximum requests that wait for an actor; further callers wait for capacity.
const MAILBOX: usize = 16;

impl Fleet {
    /// Sends an input to a device's actor and waits until it is stored.
    pub(in crate::service) async fn apply(&self, id: &DeviceId, input: Input) -> Result<(), ServiceError> {
        self.ask(id, |reply| DeviceCommand::Apply { input, reply }).await
    }

    pub(in crate::service) async fn ask(
        &self,
        id: &DeviceId,
        command: impl FnOnce(oneshot::Sender<Result<(), ServiceError>>) -> DeviceCommand,
    ) -> Result<(), ServiceError> {
        let handle = self.registry.handle(id)?;
        self.ask_of(&handle, command).await
    }

    async fn ask_of(
        &self,
        handle: &DeviceHandle,
        command: impl FnOnce(oneshot::Sender<Result<(), ServiceError>>) -> DeviceCommand,
    ) -> Result<(), ServiceError> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            if self.tasks.soft().is_cancelled() {
                ServiceError::ShuttingDown
            } else {
                ServiceError::DeviceNotFound
            }
        };
        handle.mailbox.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// At start-up: resumes every device that was running. Their states and events are one commit; the start limiter
    /// staggers their sessions.
    pub(in crate::service) async fn start_fleet(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let devices = self
            .store
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

    /// Starts the actor of a stored device; it opens a session if the device should run.
    pub(in crate::service) fn spawn_actor(&self, device: Device, opens: bool) {
        let (mailbox, commands) = mpsc::channel(MAILBOX);
        let live = Arc::new(LiveDevice::default());
        let handle = DeviceHandle {
            mailbox: mailbox.clone(),
            live: live.clone(),
            engine: device.engine.as_str().into(),
        };
        let id = device.id.clone();
        self.registry.devices().insert(id.clone(), handle);
        self.metrics.device_moved(None, Some(device.state.name()));
        let birth =
            ActorParams { fleet: self.clone(), device, live, mailbox: mailbox.downgrade(), commands, opens };
        let work = self.tasks.spawn("device", Actor::new(birth).run());
        let fleet = self.clone();
        self.tasks.spawn("device-watch", async move {
            if work.await.is_err_and(|error| error.is_panic()) {
                fleet.replace_actor(&id).await;
            }
        });
    }

    /// Fails a device whose actor panicked; it can be started again.
    async fn replace_actor(&self, id: &DeviceId) {
        tracing::error!(device = %id, "device actor panicked; device failed");
        self.metrics.engine_panics.inc();
        let now = self.clock.now();
        let device = id.clone();
        let stored = self
            .store
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
                self.registry.devices().remove(id);
            }
            Err(error) => tracing::error!(device = %id, %error, "state of failed device not stored"),
        }
    }

    /// Removes a deleted device from the registry.
    fn stop_actor(&self, id: &DeviceId, retired: &DeviceHandle) {
        let mut devices = self.registry.devices();
        // A new device may already have the id.
        if devices.get(id).is_some_and(|handle| handle.mailbox.same_channel(&retired.mailbox)) {
            devices.remove(id);
        }
    }

    /// Stops a device's actor and deletes the device.
    pub(in crate::service) async fn remove_device(
        &self,
        id: &DeviceId,
        keep_data: bool,
    ) -> Result<(), ServiceError> {
        let handle = self.registry.handle(id)?;
        self.ask_of(&handle, |reply| DeviceCommand::Retire { keep_data, reply }).await?;
        self.stop_actor(id, &handle);
        Ok(())
    }
}

fn resume(tx: &Tx<'_>, device: &mut Device, now: crate::domain::clock::Millis) -> Result<(), StoreError> {
    match step(&device.state, Input::Resume, now) {
        Ok((state, effects)) => persist(tx, device, state, &effects, now).map(|_| ()),
        Err(error) => {
            tracing::error!(device = %device.id, %error, "running device not resumed");
            Ok(())
        }
    }
}

/// Stores a transition: the state, a change of the account, and the events. `false` if the device does not exist.
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
        // A crash may have come between the log-out and the removal of the credentials.
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
                // Contacts and groups belong to the account; chats stay.
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
