//! Reads and replaces the grants of a device's inbox. A removed user gets no event after the commit, and is the assignee
//! of no conversation.

use std::collections::BTreeMap;

use super::OperatorChat;
use super::assignment::release_without_access;
use super::error::ChatError;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::{GrantSource, Grantee, InboxGrant, InvalidGrant, MAX_GRANTS};
use crate::service::error::require_device;
use crate::store::{StoreError, Tx};

/// The grants of a device's file: each is whom it names, and the word of the rights.
#[derive(Debug, Clone)]
pub struct DeclaredInbox {
    /// The device.
    pub device: DeviceId,
    /// The grants.
    pub grants: Vec<(String, String)>,
}

impl OperatorChat {
    /// The grants of a device's inbox.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn inbox_grants(&self, device: &DeviceId) -> Result<Vec<InboxGrant>, ChatError> {
        let device = device.clone();
        self.store
            .read(move |store| {
                require_device(store, &device)?;
                Ok(store.inbox_grants(&device)?)
            })
            .await
    }

    /// Replaces the grants of a device's inbox that are not those of its file; each is whom it names, and the word of
    /// the rights. Returns all grants.
    ///
    /// # Errors
    /// When a grant is invalid, there is no such device, or the store fails.
    pub async fn set_inbox_grants(
        &self,
        device: &DeviceId,
        grants: &[(String, String)],
    ) -> Result<Vec<InboxGrant>, ChatError> {
        if grants.len() > MAX_GRANTS {
            return Err(ChatError::invalid("operators", format!("must have at most {MAX_GRANTS} grants")));
        }
        let grants = self.parse_grants(grants, GrantSource::Api)?;
        let (device, now) = (device.clone(), self.now());
        self.store
            .write(move |tx| {
                require_device(tx, &device)?;
                tx.set_inbox_grants(&device, &grants)?;
                Ok(access_changed(tx, &device, now)?)
            })
            .await
    }

    /// Applies the grants of all device files. Devices that are not named lose those of an earlier file. A failure is
    /// logged and affects one device only. Returns the number of failed devices.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn reconcile_inbox_grants(&self, declared: Vec<DeclaredInbox>) -> Result<usize, ChatError> {
        let earlier = self.store.read::<_, StoreError, _>(|store| store.devices_with_declared_grants());
        let mut all: BTreeMap<DeviceId, Vec<(String, String)>> =
            earlier.await?.into_iter().map(|device| (device, Vec::new())).collect();
        let named = declared.into_iter().filter(|inbox| !inbox.grants.is_empty());
        all.extend(named.map(|inbox| (inbox.device, inbox.grants)));
        self.drop_tokens_without_claim().await?;
        let mut failed = 0;
        for (device, grants) in all {
            if let Err(error) = self.declare_inbox_grants(&device, &grants).await {
                failed += 1;
                tracing::error!(%device, %error, "the inbox grants of a device file are not applied");
            }
        }
        Ok(failed)
    }

    /// Removes the access by tokens of identities that have no `devices_claim` any more.
    async fn drop_tokens_without_claim(&self) -> Result<(), ChatError> {
        let providers = self.providers();
        let with_claim = providers.iter().filter(|provider| provider.devices_claim.is_some());
        let tenants: Vec<String> = with_claim.map(|provider| provider.name.clone()).collect();
        let now = self.now();
        let write = self.store.write_patiently::<_, StoreError, _>(move |tx| {
            for (user, tenant) in tx.users_with_token_devices()? {
                if !tenants.contains(&tenant) {
                    set_token_devices(tx, user, &[], now)?;
                }
            }
            Ok(())
        });
        Ok(write.await?)
    }

    async fn declare_inbox_grants(
        &self,
        device: &DeviceId,
        grants: &[(String, String)],
    ) -> Result<(), ChatError> {
        let grants = self.parse_grants(grants, GrantSource::File)?;
        let (device, now) = (device.clone(), self.now());
        self.store
            .write_patiently(move |tx| {
                require_device(tx, &device)?;
                let known =
                    tx.inbox_grants(&device)?.into_iter().filter(|grant| grant.source == GrantSource::File);
                if known.collect::<Vec<_>>() == grants {
                    return Ok(());
                }
                tx.set_declared_inbox_grants(&device, &grants)?;
                access_changed(tx, &device, now)?;
                Ok(())
            })
            .await
    }

    fn parse_grants(
        &self,
        grants: &[(String, String)],
        source: GrantSource,
    ) -> Result<Vec<InboxGrant>, ChatError> {
        let tenants = self.tenants();
        let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
        let grant = |(who, rights): &(String, String)| -> Result<InboxGrant, ChatError> {
            let wrong = |error: InvalidGrant| error.to_string();
            Ok(InboxGrant {
                who: Grantee::parse(who, &tenants)
                    .map_err(|error| ChatError::invalid("operators.who", wrong(error)))?,
                rights: rights
                    .parse()
                    .map_err(|error| ChatError::invalid("operators.rights", wrong(error)))?,
                source,
            })
        };
        grants.iter().map(grant).collect()
    }
}

/// Replaces the devices that the newest token of a user grants. The access to each changed device is part of the same
/// transaction.
pub(super) fn set_token_devices(
    tx: &Tx<'_>,
    user: UserPk,
    devices: &[DeviceId],
    now: Millis,
) -> Result<(), StoreError> {
    let known = tx.token_devices_of(user)?;
    tx.set_token_devices(user, devices)?;
    let added = devices.iter().filter(|device| !known.contains(device));
    let removed = known.iter().filter(|device| !devices.contains(device));
    for device in added.chain(removed) {
        access_changed(tx, device, now)?;
    }
    Ok(())
}

/// Records that the grants of a device changed, and releases the conversations of users without access. Returns the
/// grants.
fn access_changed(tx: &Tx<'_>, device: &DeviceId, now: Millis) -> Result<Vec<InboxGrant>, StoreError> {
    let grants = tx.inbox_grants(device)?;
    tx.append_chat_event(&ChatLogEntry::InboxAccess { device: device.to_string() }, now)?;
    release_without_access(tx, device, &grants, &tx.assignees_of(device)?, now)?;
    Ok(grants)
}
