//! Requests that pass through to a driver without being understood here.

use std::sync::Arc;

use serde_json::Value;

use super::ports::VaultPort;
use crate::domain::ids::DeviceId;
use crate::engine::{Callback, CallbackAnswer, ControlContext, ControlVerb};
use crate::service::media::port::MediaPort;
use crate::service::{Fleet, ServiceError};

impl Fleet {
    /// A request to the control API of a device's engine, where that has one.
    ///
    /// # Errors
    /// When there is no such device, its engine has no control API, or the driver refuses.
    pub async fn control(
        &self,
        device: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ServiceError> {
        let engine = self.registry.engine_of(device)?;
        let driver = self.registry.driver(&engine).ok_or(ServiceError::NoSuchCall)?;
        if !driver.capabilities().control {
            return Err(ServiceError::NoSuchCall);
        }
        let context = ControlContext {
            device: device.clone(),
            vault: Arc::new(VaultPort::new(self.store.clone(), device.clone())),
            media: Arc::new(MediaPort::of(&self.media, device)),
        };
        // An answer may wait for a session that the drain has closed already.
        tokio::select! {
            answer = driver.control(context, verb, body) => Ok(answer?),
            () = self.tasks.soft().cancelled() => Err(ServiceError::ShuttingDown),
        }
    }

    /// The header that signs a device's callbacks; none where there is no such device, or it takes none.
    #[must_use]
    pub fn callback_signature(&self, device: &DeviceId) -> Option<&'static str> {
        let engine = self.registry.engine_of(device).ok()?;
        self.registry.driver(&engine)?.callback_signature()
    }

    /// An upstream's callback for a device.
    ///
    /// # Errors
    /// When there is no such device, its engine takes none, the signature is wrong, or it has to come again.
    pub async fn callback(
        &self,
        device: &DeviceId,
        callback: Callback<'_>,
    ) -> Result<CallbackAnswer, ServiceError> {
        let engine = self.registry.engine_of(device)?;
        let driver = self.registry.driver(&engine).ok_or(ServiceError::NoSuchCall)?;
        let settings = self.settings_of(device).await?;
        tokio::select! {
            answer = driver.callback(device, &settings, callback) => Ok(answer?),
            () = self.tasks.soft().cancelled() => Err(ServiceError::ShuttingDown),
        }
    }
}
