//! Files of the devices directory, as the service's declarations.

use super::StartError;
use crate::domain::webhook::Subscription;
use crate::service::fleet::declared::Declaration;
use crate::service::{NewWebhook, Services};
use crate::settings::{DeclaredDevice, DeclaredWebhook, Settings, load_declared};

pub(super) async fn reconcile(services: &Services, settings: &Settings) -> Result<(), StartError> {
    let environment = |name: &str| std::env::var(name).ok();
    let devices = load_declared(&settings.devices.dir, &environment)?;
    let declarations = devices.into_iter().map(declaration).collect::<Result<Vec<_>, _>>()?;
    let count = declarations.len();
    let failed = services.fleet.reconcile(declarations).await?;
    if count > 0 || failed > 0 {
        tracing::info!(declared = count, failed, dir = %settings.devices.dir.display(), "declared devices reconciled");
    }
    Ok(())
}

fn declaration(device: DeclaredDevice) -> Result<Declaration, StartError> {
    let id = device
        .id
        .parse()
        .map_err(|error| StartError::Setting(format!("{}: {error}", device.file.display())))?;
    Ok(Declaration {
        id,
        name: device.name,
        engine: device.engine,
        settings: device.settings,
        autostart: device.autostart,
        webhooks: device.webhooks.into_iter().map(webhook).collect(),
        notify: device.notify,
    })
}

fn webhook(declared: DeclaredWebhook) -> NewWebhook {
    NewWebhook {
        device: None,
        declared: Some(declared.name.clone()),
        name: declared.name,
        url: declared.url,
        subscription: Subscription {
            events: declared.events.unwrap_or_else(|| Subscription::default().events),
            exclude: declared.exclude,
        },
        format: declared.format,
        ordering: declared.ordering,
        headers: declared.headers,
        secret: Some(declared.secret),
        timeout_ms: declared.timeout_ms,
        custom_ca: declared.custom_ca,
        disabled: !declared.enabled,
    }
}
