//! The fleet: an actor for each device that exists, and the way to reach it.
//!
//! Invariants: each device's state is changed by its actor alone, one input after the other, and stored
//! with its events before anything is done about it; an actor that ends unexpectedly takes no other with
//! it and leaves its device `failed`, from where it can be started again.

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

/// Requests that may wait for one device's actor; who finds it full waits.
const MAILBOX: usize = 16;

impl Fleet {
    /// Hands an input to a device's actor and waits until it is stored.
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

    /// At start-up: every device that was running begins to connect again. Their states and events are one
    /// commit; their sessions open a few at a time.
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

    /// Starts the actor of a device that is stored; it opens a session when its turn is, if it is to.
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

    /// The actor itself panicked: a bug of ours. The device is failed, and can be started again.
    async fn replace_actor(&self, id: &DeviceId) {
        tracing::error!(device = %id, "the device's own task panicked; the device is failed");
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
            Err(error) => tracing::error!(device = %id, %error, "the failed device could not be stored"),
        }
    }

    /// The device is deleted: no caller reaches it any more.
    fn stop_actor(&self, id: &DeviceId, retired: &DeviceHandle) {
        let mut devices = self.registry.devices();
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
