//! Push subscriptions of browsers; their targets are sealed with the key of the vault.

use rusqlite::{Row, params};

use super::Store;
use super::column_codec::{from_json, to_json};
use super::error::StoreError;
use super::seal::SealContext;
use super::tx::{Reader, Tx};
use crate::domain::access::GrantedDevice;
use crate::domain::clock::Millis;
use crate::domain::notify::OperatorId;

/// A browser's push subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// The operator who subscribed.
    pub operator: OperatorId,
    /// Id of the API key that created it.
    pub key_id: String,
    /// The devices it covers; all devices of the key when absent.
    pub devices: Option<Vec<GrantedDevice>>,
    /// Label given by the operator.
    pub label: String,
    /// Origin of the push address.
    pub origin: String,
    /// When it was created.
    pub created_at: Millis,
    target: Vec<u8>,
    sealed: bool,
}

fn place(id: &str) -> SealContext<'_> {
    SealContext { device: "", space: "push", key: id }
}

impl Store {
    /// Seals the target of a subscription with the key of the vault.
    ///
    /// # Errors
    /// When the target cannot be sealed.
    pub fn seal_subscription(
        &self,
        subscription: Subscription,
        target: Vec<u8>,
    ) -> Result<Subscription, StoreError> {
        let (target, sealed) = self.inner.seal.close(place(&subscription.id), target)?;
        Ok(Subscription { target, sealed, ..subscription })
    }

    /// Opens the sealed target of a subscription.
    ///
    /// # Errors
    /// When the target cannot be opened.
    pub fn open_subscription(&self, subscription: &Subscription) -> Result<Vec<u8>, StoreError> {
        let Subscription { id, target, sealed, .. } = subscription;
        self.inner.seal.open(place(id), *sealed, target.clone())
    }
}

impl Subscription {
    /// Sets the label.
    #[must_use]
    pub fn endpoint_of(self, label: String) -> Self {
        Self { label, ..self }
    }

    /// Sets the covered devices.
    #[must_use]
    pub fn of_devices(self, devices: Option<Vec<GrantedDevice>>) -> Self {
        Self { devices, ..self }
    }

    /// A subscription without a target.
    #[must_use]
    pub fn new(id: String, operator: OperatorId, key_id: String, origin: String, created_at: Millis) -> Self {
        let (label, devices) = (String::new(), None);
        Self { id, operator, key_id, devices, label, origin, created_at, target: Vec::new(), sealed: false }
    }
}

const COLUMNS: &str = "id, operator, key_id, origin, devices, label, target, sealed, created_at";

impl Reader<'_> {
    /// All subscriptions, oldest first; with `of`, only those of this operator.
    ///
    /// # Errors
    /// When the store fails.
    pub fn push_subscriptions(&self, of: Option<&OperatorId>) -> Result<Vec<Subscription>, StoreError> {
        let of = of.map(OperatorId::as_str);
        self.all(
            &format!(
                "SELECT {COLUMNS} FROM push_subscriptions WHERE ?1 IS NULL OR operator = ?1 ORDER BY pk"
            ),
            [of],
            subscription,
        )
    }
}

impl Tx<'_> {
    /// Adds a subscription or replaces the one with the same address; `digest` identifies the address.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_subscription(&self, subscription: &Subscription, digest: &[u8]) -> Result<(), StoreError> {
        let Subscription { id, operator, key_id, devices, label, origin, created_at, target, sealed } =
            subscription;
        self.run(
            "INSERT OR REPLACE INTO push_subscriptions
                 (id, operator, key_id, digest, origin, devices, label, target, sealed, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                id,
                operator.as_str(),
                key_id,
                digest,
                origin,
                to_json(devices, "devices")?,
                label,
                target,
                sealed,
                created_at.0
            ],
        )?;
        Ok(())
    }

    /// Removes a subscription; with `of`, only one of this operator. Returns `false` when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_subscription(&self, id: &str, of: Option<&OperatorId>) -> Result<bool, StoreError> {
        let of = of.map(OperatorId::as_str);
        let removed = self.run(
            "DELETE FROM push_subscriptions WHERE id = ?1 AND (?2 IS NULL OR operator = ?2)",
            params![id, of],
        )?;
        Ok(removed > 0)
    }

    /// Counts subscriptions; with `key_id`, only those created with this key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn subscription_count(&self, key_id: Option<&str>) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM push_subscriptions WHERE ?1 IS NULL OR key_id = ?1", [key_id])
    }
}

fn subscription(row: &Row<'_>) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        id: row.get("id")?,
        operator: OperatorId::stored(row.get("operator")?),
        key_id: row.get("key_id")?,
        devices: from_json(&row.get::<_, String>("devices")?, "devices")?,
        label: row.get("label")?,
        origin: row.get("origin")?,
        created_at: Millis(row.get("created_at")?),
        target: row.get("target")?,
        sealed: row.get("sealed")?,
    })
}
