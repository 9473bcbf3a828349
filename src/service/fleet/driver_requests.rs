//! Passes control requests and callbacks on to a driver. Their content is not interpreted here.

use std::sync::Arc;

use serde_json::Value;

use super::ports::VaultPort;
use crate::domain::ids::DeviceId;
use crate::engine::{Callback, CallbackAnswer, ControlContext, ControlVerb};
use crate::service::media::port::MediaPort;
use crate::service::{Fleet, ServiceError};

impl Fleet {
    /// Passes a request to the control API of a device's engine.
    ///
    /// # Errors
    /// If there is no such device, its engine has no control API, or the driver refuses.
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
        // An answer may depend on a session that the shutdown has closed already.
        tokio::select! {
            answer = driver.control(context, verb, body) => Ok(answer?),
            () = self.tasks.soft().cancelled() => Err(ServiceError::ShuttingDown),
        }
    }

    /// The signature header of a device's callbacks; `None` if there is no such device or it has no callbacks.
    #[must_use]
    pub fn callback_signature(&self, device: &DeviceId) -> Option<&'static str> {
        let engine = self.registry.engine_of(device).ok()?;
        self.registry.driver(&engine)?.callback_signature()
    }

    /// Passes an upstream's callback to a device's engine.
    ///
    /// # Errors
    /// If there is no such device, its engine has no callbacks, the signature is wrong, or the upstream must retry.
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
