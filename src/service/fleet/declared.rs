//! Applies the device files of the devices directory: creates and configures their devices. A device whose file was
//! removed is stopped and never deleted.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::devices::use_current_settings;
use crate::domain::engine_name::current_engine;
use crate::domain::ids::DeviceId;
use crate::domain::notify::RuleSpec;
use crate::domain::reason::Reason;
use crate::domain::state::{Input, State};
use crate::service::{DeviceView, Fleet, NewDevice, NewWebhook, ServiceError};

/// The content of a device file.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The device's id.
    pub id: DeviceId,
    /// Its name, if the file sets it.
    pub name: Option<String>,
    /// Its engine, if the file sets it.
    pub engine: Option<String>,
    /// The settings that the file sets.
    pub settings: Map<String, Value>,
    /// Whether it should run.
    pub autostart: bool,
    /// Its webhooks, besides those created over the API.
    pub webhooks: Vec<NewWebhook>,
    /// Its notification rules.
    pub notify: Vec<RuleSpec>,
}

impl Declaration {
    /// The fields that PATCH cannot change.
    fn fields(&self) -> Vec<String> {
        let mut fields = vec!["declared".to_owned()];
        fields.extend(self.name.as_ref().map(|_| "name".to_owned()));
        fields.extend(self.engine.as_ref().map(|_| "engine".to_owned()));
        fields.extend(self.settings.keys().map(|key| format!("settings.{key}")));
        fields
    }
}

impl Fleet {
    /// Applies the files: creates new devices, configures and restarts changed ones, and stops those whose file was
    /// removed. A failure is logged and affects one device only. Returns the number of failed devices.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn reconcile(&self, declarations: Vec<Declaration>) -> Result<usize, ServiceError> {
        let mut existing: HashMap<DeviceId, DeviceView> =
            self.devices(None).await?.into_iter().map(|view| (view.device.id.clone(), view)).collect();
        let mut failed = 0;
        for declaration in declarations {
            let id = declaration.id.clone();
            let known = existing.remove(&id);
            if let Err(error) = self.declare(declaration, known).await {
                failed += 1;
                tracing::error!(device = %id, %error, "declared device not configured");
            }
        }
        let undeclared = existing.into_values().filter(|view| !view.device.declared.is_empty());
        for view in undeclared {
            let id = view.device.id.clone();
            if let Err(error) = self.undeclare(view).await {
                failed += 1;
                tracing::error!(device = %id, %error, "device without its file not stopped");
            }
        }
        Ok(failed)
    }

    async fn declare(
        &self,
        mut declaration: Declaration,
        known: Option<DeviceView>,
    ) -> Result<(), ServiceError> {
        let stored = known.as_ref().map(|view| view.device.engine.as_str());
        let engine = declaration.engine.as_deref().or(stored).unwrap_or(&self.limits.default_engine);
        use_current_settings(current_engine(engine), &mut declaration.settings)?;
        declaration.engine = declaration.engine.map(|engine| current_engine(&engine).to_owned());
        let (id, autostart, fields) = (declaration.id.clone(), declaration.autostart, declaration.fields());
        let Some(view) = known else {
            let new = NewDevice {
                id: Some(declaration.id),
                name: declaration.name,
                engine: declaration.engine,
                settings: declaration.settings,
            };
            self.store_new_device(new, fields).await?;
            self.webhooks.reconcile_webhooks(&id, declaration.webhooks).await?;
            self.notify.reconcile_notify_rules(&id, declaration.notify).await?;
            return if autostart { self.apply(&id, Input::Start).await } else { Ok(()) };
        };
        let mut device = view.device;
        let before = device.clone();
        if declaration.engine.as_ref().is_some_and(|engine| *engine != device.engine) {
            let wrong =
                "cannot change for a device that exists; delete the device first, or declare another id";
            return Err(ServiceError::invalid("engine", wrong));
        }
        device.name = declaration.name.unwrap_or(device.name);
        let settings = self.settings_of(&id).await?;
        device.settings.clone_from(&settings);
        device.settings.extend(declaration.settings);
        device.declared = fields;
        let changed = device.settings != settings;
        let secrets = self.check_and_mask(&mut device)?;
        if changed || device != before {
            let stored = device.clone();
            self.store
                .write_patiently(move |tx| {
                    secrets.store(tx, &stored.id)?;
                    Ok::<_, ServiceError>(tx.configure_device(&stored)?)
                })
                .await?;
            self.registry.wake_outbox(&id);
        }
        self.webhooks.reconcile_webhooks(&id, declaration.webhooks).await?;
        self.notify.reconcile_notify_rules(&id, declaration.notify).await?;
        let by_declaration =
            matches!(before.state, State::Stopped { reason: Reason::StoppedByDeclaration, .. });
        match (autostart, before.state.is_active()) {
            (false, true) => self.apply(&id, Input::Stop(Reason::StoppedByDeclaration)).await,
            (true, true) if changed => self.restart_device(&id).await.map(|_| ()),
            // A device that an operator stopped stays stopped.
            (true, false) if by_declaration || before.state == State::Created => {
                self.apply(&id, Input::Start).await
            }
            _ => Ok(()),
        }
    }

    async fn undeclare(&self, view: DeviceView) -> Result<(), ServiceError> {
        let mut device = view.device;
        device.declared.clear();
        let active = device.state.is_active();
        let id = device.id.clone();
        self.store.write_patiently(move |tx| tx.configure_device(&device)).await?;
        self.webhooks.reconcile_webhooks(&id, Vec::new()).await?;
        self.notify.reconcile_notify_rules(&id, Vec::new()).await?;
        tracing::info!(device = %id, "device file removed; device stopped, its data kept");
        if active {
            self.apply(&id, Input::Stop(Reason::StoppedByDeclaration)).await?;
        }
        Ok(())
    }
}
