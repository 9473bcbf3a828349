//! Lists, creates, changes, starts, stops, logs out and deletes devices. Inputs are validated before anything is
//! stored.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::clock::Millis;
use crate::domain::device::{Device, DeviceChange, DeviceStats};
use crate::domain::engine_name::{current_engine, rename_settings};
use crate::domain::ids::DeviceId;
use crate::domain::reason::Reason;
use crate::domain::secret_settings::{keep, sent_elsewhere};
use crate::domain::state::{Input, State};
use crate::service::registry::DeviceCommand;
use crate::service::{CreatedWebhook, DeviceLifecycleEvent, Fleet, NewWebhook, ServiceError};
use crate::store::{StoreError, Tx};

/// A device and its counts.
#[derive(Debug, Clone)]
pub struct DeviceView {
    /// The device.
    pub device: Device,
    /// Its counts.
    pub stats: DeviceStats,
}

/// A device to be created.
#[derive(Debug, Clone, Default)]
pub struct NewDevice {
    /// Its id; a UUID if absent.
    pub id: Option<DeviceId>,
    /// Its display name; its id if absent.
    pub name: Option<String>,
    /// Its engine; the default one if absent.
    pub engine: Option<String>,
    /// Its settings.
    pub settings: Map<String, Value>,
}

/// Maximum length of a name.
const NAME_CHARS: usize = 128;
/// Maximum bytes of a device's settings as JSON.
const SETTINGS_BYTES: usize = 65_536;

impl Fleet {
    /// The devices with these ids, or all, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn devices(&self, only: Option<&[DeviceId]>) -> Result<Vec<DeviceView>, ServiceError> {
        let only = only.map(<[DeviceId]>::to_vec);
        self.store
            .read(move |store| {
                let wanted = |device: &Device| only.as_ref().is_none_or(|ids| ids.contains(&device.id));
                let devices = store.devices()?.into_iter().filter(wanted);
                devices
                    .map(|device| Ok(DeviceView { stats: store.device_stats(&device.id)?, device }))
                    .collect()
            })
            .await
    }

    /// One device.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn device(&self, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        let id = id.clone();
        self.store
            .read(move |store| {
                let device = store.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                Ok(DeviceView { stats: store.device_stats(&id)?, device })
            })
            .await
    }

    /// A device without its counts, which require several queries.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn device_record(&self, id: &DeviceId) -> Result<Arc<Device>, ServiceError> {
        self.store.device_record(id).await?.ok_or(ServiceError::DeviceNotFound)
    }

    /// Creates a device and starts to connect it.
    ///
    /// # Errors
    /// If a field is invalid, the id is in use, or the store fails.
    pub async fn create_device(&self, new: NewDevice) -> Result<DeviceView, ServiceError> {
        self.create_device_with(new, None).await.map(|(view, _)| view)
    }

    /// As [`Fleet::create_device`], with a webhook that receives all events from the first connection on.
    ///
    /// # Errors
    /// As [`Fleet::create_device`], and if the webhook is invalid; then nothing is created.
    pub async fn create_device_with(
        &self,
        new: NewDevice,
        webhook: Option<NewWebhook>,
    ) -> Result<(DeviceView, Option<CreatedWebhook>), ServiceError> {
        if let Some(webhook) = webhook.clone() {
            self.webhooks.check_webhook(webhook)?;
        }
        let id = self.store_new_device(new, Vec::new()).await?;
        let created = match webhook {
            Some(webhook) => {
                Some(self.webhooks.create_webhook(NewWebhook { device: Some(id.clone()), ..webhook }).await?)
            }
            None => None,
        };
        self.apply(&id, Input::Start).await?;
        Ok((self.device(&id).await?, created))
    }

    /// Stores a new device and starts its actor, without a session.
    pub(in crate::service) async fn store_new_device(
        &self,
        new: NewDevice,
        declared: Vec<String>,
    ) -> Result<DeviceId, ServiceError> {
        let id = new.id.unwrap_or_else(|| DeviceId::random(&*self.random));
        let mut device = Device {
            name: new.name.unwrap_or_else(|| id.to_string()),
            engine: current_engine(new.engine.as_deref().unwrap_or(&self.limits.default_engine)).to_owned(),
            settings: new.settings,
            declared,
            state: State::Created,
            account: None,
            last_seen: None,
            created_at: self.clock.now(),
            id: id.clone(),
        };
        use_current_settings(&device.engine, &mut device.settings)?;
        let secrets = self.check_and_mask(&mut device)?;
        let max = self.limits.max_devices;
        let stored = device.clone();
        let secret = self.media.new_media_secret();
        let access = self.access.clone();
        self.store
            .write(move |tx| {
                insert(tx, &stored, max)?;
                // The deletion of a previous device with this id has not revoked its grants yet.
                if tx.device_generation(&stored.id)? != access.device_generation(&stored.id) {
                    return Err(ServiceError::DeviceBeingDeleted);
                }
                secrets.store(tx, &stored.id)?;
                Ok::<_, ServiceError>(tx.set_media_secret(&stored.id, &secret)?)
            })
            .await?;
        self.spawn_actor(device, false);
        tracing::info!(device = %id, "device created");
        self.registry.publish(DeviceLifecycleEvent::Added(id.clone()));
        Ok(id)
    }

    /// Changes a device. Settings of its engine take effect at its next connection.
    ///
    /// # Errors
    /// If a field is invalid, a file sets it, or the store fails.
    pub async fn update_device(
        &self,
        id: &DeviceId,
        change: DeviceChange,
    ) -> Result<DeviceView, ServiceError> {
        let (fleet, of) = (self.clone(), id.clone());
        self.store
            .write(move |tx| {
                let mut change = change.clone();
                let mut device = tx.device(&of)?.ok_or(ServiceError::DeviceNotFound)?;
                if let Some(settings) = &mut change.settings {
                    use_current_settings(&device.engine, settings)?;
                }
                if let Some(field) = device.declared_conflict(&change) {
                    return Err(ServiceError::SetByFile(field));
                }
                if let Some(name) = change.name {
                    device.name = name;
                }
                device.settings = fleet.with_secrets(tx, &device)?;
                let wanted = change.settings.unwrap_or_default();
                if let Some(place) = sent_elsewhere(&wanted, &device.settings) {
                    let wrong = "must be given again, as the address that it goes to is to change";
                    return Err(ServiceError::invalid(format!("settings.{place}"), wrong));
                }
                for (key, value) in keep(wanted, &device.settings) {
                    if value.is_null() {
                        device.settings.remove(&key);
                    } else {
                        device.settings.insert(key, value);
                    }
                }
                let secrets = fleet.check_and_mask(&mut device)?;
                secrets.store(tx, &device.id)?;
                Ok::<_, ServiceError>(tx.configure_device(&device)?)
            })
            .await?;
        self.registry.wake_outbox(id);
        self.device(id).await
    }

    /// Deletes a device: logs out if linked, revokes the grants of the device, and removes its data in the background
    /// unless it is kept. Returns the ids of the keys without a remaining device.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn delete_device(
        &self,
        id: &DeviceId,
        keep_messages: bool,
    ) -> Result<Vec<String>, ServiceError> {
        self.remove_device(id, keep_messages).await?;
        self.registry.publish(DeviceLifecycleEvent::Removed(id.clone()));
        self.end_feed_and_purge(id, !keep_messages);
        Ok(self.access.keys_without_devices(id))
    }

    /// Starts a device; a running one is not changed.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn start_device(&self, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        self.apply(id, Input::Start).await?;
        self.device(id).await
    }

    /// Stops a device; it stays linked.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn stop_device(&self, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        self.apply(id, Input::Stop(Reason::StoppedByOperator)).await?;
        self.device(id).await
    }

    /// Stops a device if it runs, and starts it.
    ///
    /// # Errors
    /// If there is no such device, or the store fails.
    pub async fn restart_device(&self, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        self.ask(id, |reply| DeviceCommand::Restart { reply }).await?;
        self.device(id).await
    }

    /// Unlinks a device at its network and removes its credentials.
    ///
    /// # Errors
    /// If there is no such device, it is not linked, or the store fails.
    pub async fn log_out_device(&self, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        self.apply(id, Input::LogOut).await?;
        self.device(id).await
    }

    /// Validates a device.
    pub(in crate::service) fn check(&self, device: &Device) -> Result<(), ServiceError> {
        let name = device.name.trim();
        if name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
            let right = format!("must have 1 to {NAME_CHARS} characters and no control characters");
            return Err(ServiceError::invalid("name", right));
        }
        let Some(driver) = self.registry.driver(device.engine.as_str()) else {
            let mut known: Vec<&str> = self.registry.engines().collect();
            known.sort_unstable();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let wrong = format!("there is no engine '{}' here; available: {known}", device.engine);
            return Err(ServiceError::invalid("engine", wrong));
        };
        let size = serde_json::to_string(&device.settings).map_or(usize::MAX, |text| text.len());
        if size > SETTINGS_BYTES {
            let wrong = format!("must be at most {SETTINGS_BYTES} bytes of JSON, not {size}");
            return Err(ServiceError::invalid("settings", wrong));
        }
        driver.check_settings(&device.settings)?;
        check_bridge(&device.settings)?;
        crate::service::messaging::outbox::settings::check(&device.settings)
    }
}

/// Rejects invalid `settings.chat`.
fn check_bridge(settings: &Map<String, Value>) -> Result<(), ServiceError> {
    let bridge = match settings.get("chat") {
        None => return Ok(()),
        Some(Value::Object(chat)) if chat.keys().all(|key| key == "bridge") => chat.get("bridge"),
        Some(_) => return Err(ServiceError::invalid("settings.chat", "must have the field bridge only")),
    };
    match bridge.map(Value::as_str) {
        None | Some(Some("off" | "people" | "all")) => Ok(()),
        _ => Err(ServiceError::invalid("settings.chat.bridge", "must be off, people or all")),
    }
}

fn insert(tx: &Tx<'_>, device: &Device, max: usize) -> Result<(), ServiceError> {
    if tx.device(&device.id)?.is_some() {
        return Err(ServiceError::DeviceExists);
    }
    if tx.is_being_purged(&device.id)? {
        return Err(ServiceError::DeviceBeingDeleted);
    }
    if usize::try_from(tx.device_count()?).unwrap_or(usize::MAX) >= max {
        return Err(ServiceError::TooManyDevices(max));
    }
    Ok::<_, StoreError>(tx.insert_device(device)?).map_err(ServiceError::from)
}

/// When a device was last online: now if it is online.
#[must_use]
pub fn last_seen(device: &Device, now: Millis) -> Option<Millis> {
    if device.state.is_ready() { Some(now) } else { device.last_seen }
}

/// Moves settings under an engine's former name to its current name.
pub(super) fn use_current_settings(
    engine: &str,
    settings: &mut Map<String, Value>,
) -> Result<(), ServiceError> {
    if rename_settings(engine, settings) {
        return Ok(());
    }
    let wrong = "is the former name of settings.remote: give only one of the two";
    Err(ServiceError::invalid("settings.wwebjs", wrong))
}
