//! Files of the devices directory, as the service's declarations.

use super::StartError;
use crate::domain::ids::{DeviceId, DeviceIdError};
use crate::domain::webhook::Subscription;
use crate::service::fleet::declared::Declaration;
use crate::service::operator_chat::DeclaredInbox;
use crate::service::{NewWebhook, Services};
use crate::settings::{DeclaredDevice, DeclaredWebhook, Settings, load_declared};

pub(super) async fn reconcile(services: &Services, settings: &Settings) -> Result<(), StartError> {
    let environment = |name: &str| std::env::var(name).ok();
    let devices = load_declared(&settings.devices.dir, &environment)?;
    let inboxes = devices.iter().map(declared_inbox).collect::<Result<Vec<_>, _>>()?;
    let declarations = devices.into_iter().map(declaration).collect::<Result<Vec<_>, _>>()?;
    let count = declarations.len();
    let mut failed = services.fleet.reconcile(declarations).await?;
    if let Some(chat) = &services.chat {
        failed +=
            chat.reconcile_inbox_grants(inboxes).await.map_err(|error| StartError::Chat(Box::new(error)))?;
    }
    if count > 0 || failed > 0 {
        tracing::info!(declared = count, failed, dir = %settings.devices.dir.display(), "declared devices reconciled");
    }
    Ok(())
}

fn device_id(device: &DeclaredDevice) -> Result<DeviceId, StartError> {
    let wrong = |error: DeviceIdError| StartError::Setting(format!("{}: {error}", device.file.display()));
    device.id.parse().map_err(wrong)
}

fn declared_inbox(device: &DeclaredDevice) -> Result<DeclaredInbox, StartError> {
    let grants = device.inbox_grants.iter().map(|grant| (grant.who.clone(), grant.rights.clone()));
    Ok(DeclaredInbox { device: device_id(device)?, grants: grants.collect() })
}

fn declaration(device: DeclaredDevice) -> Result<Declaration, StartError> {
    let id = device_id(&device)?;
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
