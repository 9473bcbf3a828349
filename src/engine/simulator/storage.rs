//! The simulated network's part of the vault: the link, the groups and the undelivered messages of
//! one device.
//!
//! All of it belongs to the link: without credentials there are no groups and no messages.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::group_rules::SimulatedGroup;
use super::network_message::NetworkMessage;
use crate::domain::device::Account;
use crate::domain::vault::VaultBatch;
use crate::engine::{Vault, VaultError, VaultView};

const SPACE: &str = "simulator";
const CREDENTIALS: &str = "session";
/// Followed by the group's id.
const GROUP: &str = "group/";
/// Followed by the message's number in 16 hexadecimal digits, so that keys sort by number.
const MESSAGE: &str = "message/";

/// The credentials of a linked device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credentials {
    #[serde(flatten)]
    pub(super) account: Account,
    /// Whether contacts, groups and history were delivered since the link.
    #[serde(default)]
    pub(super) synchronised: bool,
}

/// The stored state of one device.
#[derive(Default)]
pub(super) struct StoredDevice {
    pub(super) account: Option<Account>,
    pub(super) groups: Vec<SimulatedGroup>,
    /// Undelivered messages by their numbers, oldest first.
    pub(super) messages: Vec<(u64, NetworkMessage)>,
}

/// Access to one device's part.
#[derive(Clone)]
pub(super) struct Storage(pub(super) Arc<dyn Vault>);

impl Storage {
    /// Reads the state. Remains of an ended link are removed.
    pub(super) async fn load(&self) -> Result<StoredDevice, VaultError> {
        let mut stored = StoredDevice::default();
        let values = self.0.list(SPACE, "").await?;
        if !values.iter().any(|(key, _)| key == CREDENTIALS) {
            if !values.is_empty() {
                self.clear().await?;
            }
            return Ok(stored);
        }
        for (key, value) in values {
            if key == CREDENTIALS {
                stored.account = Some(parse::<Credentials>(&value)?.account);
            } else if key.starts_with(GROUP) {
                stored.groups.push(parse(&value)?);
            } else if let Some(number) = key.strip_prefix(MESSAGE) {
                let number = u64::from_str_radix(number, 16).map_err(failed)?;
                stored.messages.push((number, parse(&value)?));
            }
        }
        Ok(stored)
    }

    /// Reads the credentials, which the daemon may have removed since the last read.
    pub(super) async fn credentials(&self) -> Result<Option<Credentials>, VaultError> {
        self.0.get(SPACE, CREDENTIALS).await?.as_deref().map(parse).transpose()
    }

    pub(super) async fn put_credentials(&self, credentials: &Credentials) -> Result<(), VaultError> {
        self.0.put(SPACE, CREDENTIALS, Some(bytes(credentials)?)).await
    }

    pub(super) async fn put_group(&self, group: &SimulatedGroup) -> Result<(), VaultError> {
        self.0.put(SPACE, &group_key(group), Some(bytes(group)?)).await
    }

    /// Stores a message, unless it was delivered or dropped in the meantime: `is_pending` is evaluated inside
    /// the transaction.
    pub(super) async fn put_message(
        &self,
        number: u64,
        message: &NetworkMessage,
        is_pending: impl Fn() -> bool + Send + 'static,
    ) -> Result<(), VaultError> {
        let value = bytes(message)?;
        let change = move |_: &dyn VaultView| {
            let mut batch = VaultBatch::new();
            if is_pending() {
                batch.put(SPACE, message_key(number), value.clone());
            }
            Ok(batch)
        };
        self.0.update(Box::new(change)).await
    }

    pub(super) async fn remove_messages(&self, numbers: &[u64]) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        for number in numbers {
            batch.remove(SPACE, message_key(*number));
        }
        self.0.apply(batch).await
    }

    /// Stores groups and messages that an earlier version had in files.
    pub(super) async fn import(
        &self,
        groups: &[SimulatedGroup],
        messages: &[(u64, NetworkMessage)],
    ) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        for group in groups {
            batch.put(SPACE, group_key(group), bytes(group)?);
        }
        for (number, message) in messages {
            batch.put(SPACE, message_key(*number), bytes(message)?);
        }
        self.0.apply(batch).await
    }

    /// Removes all values of the device.
    pub(super) async fn clear(&self) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        batch.remove_space(SPACE);
        self.0.apply(batch).await
    }
}

fn group_key(group: &SimulatedGroup) -> String {
    format!("{GROUP}{}", group.group.id)
}

fn message_key(number: u64) -> String {
    format!("{MESSAGE}{number:016x}")
}

fn bytes(value: &impl Serialize) -> Result<Vec<u8>, VaultError> {
    serde_json::to_vec(value).map_err(failed)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, VaultError> {
    serde_json::from_slice(bytes).map_err(failed)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> VaultError {
    VaultError(Box::new(error))
}
