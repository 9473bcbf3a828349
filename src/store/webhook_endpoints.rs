//! Webhook endpoints: configuration, health and sealed secrets.

use rusqlite::{Row, params};

use super::Store;
use super::column_codec::{from_json, from_word, parsed, text, time_if_any, to_json, to_word};
use super::error::StoreError;
use super::seal::SealContext;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{DisabledReason, Endpoint, EndpointId, EndpointSecrets, Subscription};

/// Placeholder for "all devices" in the device column; never a valid device id.
pub(super) const ALL_DEVICES: &str = "";

const COLUMNS: &str = "pk, id, device_id, declared, name, url, events, exclude, format, ordering, header_names, \
     timeout_ms, custom_ca, secrets, sealed, disabled_reason, disabled_at, failing_since, failed_at, delivered_at, \
     created_at";

/// Row id of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey(pub(super) i64);

/// An endpoint's secrets in their stored form.
#[derive(Debug, Clone)]
pub struct SealedSecrets {
    bytes: Vec<u8>,
    sealed: bool,
}

/// An endpoint with its row id and sealed secrets.
#[derive(Debug, Clone)]
pub struct StoredEndpoint {
    /// Row id.
    pub key: EndpointKey,
    /// The endpoint without its secrets.
    pub endpoint: Endpoint,
    /// The sealed secrets.
    pub secrets: SealedSecrets,
}

/// Selects the endpoints to list.
#[derive(Debug, Clone)]
pub enum EndpointsOf {
    /// All endpoints, also those that cover all devices.
    All,
    /// Only the endpoints of these devices.
    Devices(Vec<DeviceId>),
}

impl Store {
    /// Seals an endpoint's secrets with the key of the vault.
    ///
    /// # Errors
    /// When the secrets cannot be serialized or sealed.
    pub fn seal_webhook(
        &self,
        id: &EndpointId,
        secrets: &EndpointSecrets,
    ) -> Result<SealedSecrets, StoreError> {
        let bytes = to_json(secrets, "webhook's secrets")?.into_bytes();
        let (bytes, sealed) = self.inner.seal.close(place(id), bytes)?;
        Ok(SealedSecrets { bytes, sealed })
    }

    /// Opens an endpoint's sealed secrets.
    ///
    /// # Errors
    /// When the secrets cannot be opened or parsed.
    pub fn open_webhook(&self, stored: &StoredEndpoint) -> Result<EndpointSecrets, StoreError> {
        let SealedSecrets { bytes, sealed } = stored.secrets.clone();
        let bytes = self.inner.seal.open(place(&stored.endpoint.id), sealed, bytes)?;
        serde_json::from_slice(&bytes).map_err(|_| StoreError::Unreadable("webhook's secrets"))
    }
}

/// Seal context of webhook secrets; no engine and no device uses the same.
fn place(id: &EndpointId) -> SealContext<'_> {
    SealContext { device: ALL_DEVICES, space: "webhooks", key: id.as_str() }
}

impl Reader<'_> {
    /// Lists endpoints, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks(&self, of: &EndpointsOf) -> Result<Vec<Endpoint>, StoreError> {
        let all = self.all(
            &format!("SELECT {COLUMNS} FROM webhook_endpoints WHERE ending = 0 ORDER BY pk"),
            [],
            stored,
        )?;
        let wanted = |endpoint: &Endpoint| match of {
            EndpointsOf::All => true,
            EndpointsOf::Devices(ids) => endpoint.device.as_ref().is_some_and(|id| ids.contains(id)),
        };
        Ok(all.into_iter().map(|stored| stored.endpoint).filter(wanted).collect())
    }

    /// Lists a device's own endpoints, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_of(&self, device: &DeviceId) -> Result<Vec<StoredEndpoint>, StoreError> {
        self.all(
            &format!(
                "SELECT {COLUMNS} FROM webhook_endpoints WHERE device_id = ?1 AND ending = 0 ORDER BY pk"
            ),
            [device.as_str()],
            stored,
        )
    }

    /// One endpoint, unless it is being removed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook(&self, id: &EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        self.one(
            &format!("SELECT {COLUMNS} FROM webhook_endpoints WHERE id = ?1 AND ending = 0"),
            [id.as_str()],
            stored,
        )
    }

    /// One endpoint for delivery, also while it is being removed; `None` once delivery has ended.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_to_send(&self, key: EndpointKey) -> Result<Option<StoredEndpoint>, StoreError> {
        self.one(
            &format!(
                "SELECT {COLUMNS} FROM webhook_endpoints WHERE pk = ?1 AND ending < 2 AND disabled_at IS NULL"
            ),
            [key.0],
            stored,
        )
    }

    /// The public id of an endpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_id(&self, key: EndpointKey) -> Result<Option<EndpointId>, StoreError> {
        self.one("SELECT id FROM webhook_endpoints WHERE pk = ?1", [key.0], |row| {
            parsed(row, "id", "webhook id")
        })
    }

    /// Number of endpoints.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_count(&self) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM webhook_endpoints WHERE ending = 0", [])
    }

    /// Counts the endpoints of one device that clients created.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_count_of(&self, device: &DeviceId) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM webhook_endpoints WHERE ending = 0 AND device_id = ?1 AND declared IS NULL",
            [device.as_str()],
        )
    }

    /// Endpoints that are being removed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhooks_ending(&self) -> Result<Vec<EndpointKey>, StoreError> {
        self.all("SELECT pk FROM webhook_endpoints WHERE ending > 0", [], |row| Ok(EndpointKey(row.get(0)?)))
    }
}

impl Tx<'_> {
    /// Adds an endpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub fn insert_webhook(&self, endpoint: &Endpoint, secrets: &SealedSecrets) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO webhook_endpoints (id, device_id, declared, name, url, events, exclude, format, ordering,
                 header_names, timeout_ms, custom_ca, secrets, sealed, disabled_reason, disabled_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            params![
                endpoint.id.as_str(),
                endpoint.device.as_ref().map_or(ALL_DEVICES, DeviceId::as_str),
                endpoint.declared,
                endpoint.name,
                endpoint.url,
                to_json(&endpoint.subscription.events, "webhook's events")?,
                to_json(&endpoint.subscription.exclude, "webhook's exclusions")?,
                endpoint.format.as_str(),
                endpoint.ordering.as_str(),
                to_json(&endpoint.header_names, "webhook's headers")?,
                endpoint.timeout_ms,
                endpoint.custom_ca,
                secrets.bytes,
                secrets.sealed,
                reason_word(endpoint)?,
                endpoint.disabled.map(|(_, at)| at.0),
                endpoint.created_at.0,
            ],
        )?;
        Ok(())
    }

    /// Updates an endpoint's configuration.
    ///
    /// # Errors
    /// When the store fails.
    pub fn configure_webhook(
        &self,
        key: EndpointKey,
        endpoint: &Endpoint,
        secrets: &SealedSecrets,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_endpoints SET name = ?2, url = ?3, events = ?4, exclude = ?5, format = ?6,
                 ordering = ?7, header_names = ?8, timeout_ms = ?9, custom_ca = ?10, secrets = ?11, sealed = ?12,
                 disabled_reason = ?13, disabled_at = ?14, failing_since = ?15, failed_at = ?16 WHERE pk = ?1",
            params![
                key.0,
                endpoint.name,
                endpoint.url,
                to_json(&endpoint.subscription.events, "webhook's events")?,
                to_json(&endpoint.subscription.exclude, "webhook's exclusions")?,
                endpoint.format.as_str(),
                endpoint.ordering.as_str(),
                to_json(&endpoint.header_names, "webhook's headers")?,
                endpoint.timeout_ms,
                endpoint.custom_ca,
                secrets.bytes,
                secrets.sealed,
                reason_word(endpoint)?,
                endpoint.disabled.map(|(_, at)| at.0),
                endpoint.failing_since.map(|at| at.0),
                endpoint.failed_at.map(|at| at.0),
            ],
        )?;
        self.note_endpoint(key);
        Ok(())
    }

    /// Disables an endpoint. Returns `false` when it was disabled already.
    ///
    /// # Errors
    /// When the store fails.
    pub fn disable_webhook(
        &self,
        key: EndpointKey,
        reason: DisabledReason,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE webhook_endpoints SET disabled_reason = ?2, disabled_at = ?3
             WHERE pk = ?1 AND disabled_at IS NULL",
            params![key.0, to_word(&reason, "reason")?, now.0],
        )?;
        if changed > 0 {
            self.note_endpoint(key);
        }
        Ok(changed > 0)
    }

    /// Records a successful delivery. Returns `true` when the endpoint was failing before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_endpoint_success(&self, key: EndpointKey, now: Millis) -> Result<bool, StoreError> {
        let failed =
            self.number("SELECT failing_since IS NOT NULL FROM webhook_endpoints WHERE pk = ?1", [key.0])?;
        self.run(
            "UPDATE webhook_endpoints SET failing_since = NULL, delivered_at = ?2
             WHERE pk = ?1 AND (failing_since IS NOT NULL OR delivered_at IS NULL OR delivered_at < ?2 - 60000
                 OR delivered_at > ?2)",
            params![key.0, now.0],
        )?;
        Ok(failed > 0)
    }

    /// Records a failed delivery and since when the endpoint fails. A failure more than `lapse_ms` after the
    /// previous one starts a new period.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_endpoint_failure(
        &self,
        key: EndpointKey,
        now: Millis,
        lapse_ms: i64,
    ) -> Result<Millis, StoreError> {
        let since = self.one(
            "UPDATE webhook_endpoints SET failed_at = ?2,
                 failing_since = CASE WHEN failing_since IS NULL OR failing_since > ?2 OR failed_at < ?2 - ?3
                     THEN ?2 ELSE failing_since END
             WHERE pk = ?1 RETURNING failing_since",
            params![key.0, now.0, lapse_ms],
            |row| Ok(Millis(row.get(0)?)),
        )?;
        Ok(since.unwrap_or(now))
    }

    /// Hides an endpoint and starts its removal. With `deliver`, waiting deliveries are still sent before the
    /// endpoint is removed (see [`Tx::remove_some_webhook`]).
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_webhook(&self, id: &EndpointId, deliver: bool) -> Result<bool, StoreError> {
        let ended = self.one(
            "UPDATE webhook_endpoints SET ending = ?2 WHERE id = ?1 AND ending = 0 RETURNING pk",
            params![id.as_str(), if deliver { 1 } else { 2 }],
            |row| Ok(EndpointKey(row.get(0)?)),
        )?;
        if let Some(key) = ended {
            self.note_endpoint(key);
        }
        Ok(ended.is_some())
    }

    /// Starts the removal of a deleted device's own endpoints, which still receive the deletion event.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_webhooks_of(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run(
            "UPDATE webhook_endpoints SET ending = 1 WHERE device_id = ?1 AND ending = 0",
            [device.as_str()],
        )?;
        Ok(())
    }

    /// Removes a batch of an ending endpoint's rows, at last the endpoint. Returns `true` while more rows
    /// remain.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_some_webhook(&self, key: EndpointKey, batch: usize) -> Result<bool, StoreError> {
        let batch = i64::try_from(batch).unwrap_or(i64::MAX);
        let waits = self.number(
            "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries d JOIN webhook_endpoints w ON w.pk = d.endpoint
                 WHERE d.endpoint = ?1 AND d.dead_at IS NULL AND d.due IS NOT NULL AND w.ending = 1
                     AND w.disabled_at IS NULL LIMIT 1)",
            [key.0],
        )?;
        if waits > 0 {
            return Ok(false);
        }
        let mut removed = 0;
        // Each of these conditions has its own index.
        for which in ["dead_at IS NOT NULL", "dead_at IS NULL"] {
            removed += self.run(
                &format!(
                    "DELETE FROM webhook_deliveries WHERE pk IN (
                         SELECT pk FROM webhook_deliveries WHERE endpoint = ?1 AND {which} LIMIT ?2)"
                ),
                params![key.0, batch],
            )?;
        }
        removed += self.run(
            "DELETE FROM webhook_attempts WHERE pk IN (
                 SELECT pk FROM webhook_attempts WHERE endpoint = ?1 LIMIT ?2)",
            params![key.0, batch],
        )?;
        if removed > 0 {
            return Ok(true);
        }
        self.run("DELETE FROM webhook_endpoints WHERE pk = ?1 AND ending > 0", [key.0])?;
        Ok(false)
    }
}

fn reason_word(endpoint: &Endpoint) -> Result<Option<String>, StoreError> {
    endpoint.disabled.map(|(reason, _)| to_word(&reason, "reason")).transpose()
}

fn stored(row: &Row<'_>) -> Result<StoredEndpoint, StoreError> {
    let device: String = row.get("device_id")?;
    let device = (device != ALL_DEVICES).then(|| device.parse()).transpose();
    let disabled_at = time_if_any(row, "disabled_at")?;
    let reason: Option<String> = row.get("disabled_reason")?;
    let reason: Option<DisabledReason> = reason.map(|word| from_word(word, "reason")).transpose()?;
    let endpoint = Endpoint {
        id: parsed(row, "id", "webhook id")?,
        device: device.map_err(|_| StoreError::Unreadable("device id"))?,
        declared: row.get("declared")?,
        name: row.get("name")?,
        url: row.get("url")?,
        subscription: Subscription {
            events: from_json(&row.get::<_, String>("events")?, "webhook's events")?,
            exclude: from_json(&row.get::<_, String>("exclude")?, "webhook's exclusions")?,
        },
        format: from_word(text(row, "format")?, "webhook's format")?,
        ordering: from_word(text(row, "ordering")?, "webhook's ordering")?,
        header_names: from_json(&row.get::<_, String>("header_names")?, "webhook's headers")?,
        timeout_ms: row.get("timeout_ms")?,
        custom_ca: row.get("custom_ca")?,
        disabled: reason.zip(disabled_at),
        failing_since: time_if_any(row, "failing_since")?,
        failed_at: time_if_any(row, "failed_at")?,
        delivered_at: time_if_any(row, "delivered_at")?,
        created_at: Millis(row.get("created_at")?),
    };
    let secrets = SealedSecrets { bytes: row.get("secrets")?, sealed: row.get("sealed")? };
    Ok(StoredEndpoint { key: EndpointKey(row.get("pk")?), endpoint, secrets })
}
