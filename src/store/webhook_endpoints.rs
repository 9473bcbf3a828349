//! Where events are pushed to.

use rusqlite::{Row, params};

use super::Store;
use super::column_codec::{from_json, from_word, parsed, time_if_any, to_json, to_word};
use super::error::StoreError;
use super::seal::SealContext;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{DisabledReason, Endpoint, EndpointId, EndpointSecrets, Subscription};

/// Stands for all devices, which no device's id can be.
pub(super) const ALL_DEVICES: &str = "";

const COLUMNS: &str = "pk, id, device_id, declared, name, url, events, exclude, format, ordering, header_names, \
     timeout_ms, custom_ca, secrets, sealed, disabled_reason, disabled_at, failing_since, failed_at, delivered_at, \
     created_at";

/// Names an endpoint within the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey(pub(super) i64);

/// An endpoint's secrets as they stand in the store.
#[derive(Debug, Clone)]
pub struct SealedSecrets {
    bytes: Vec<u8>,
    sealed: bool,
}

/// An endpoint as it is stored.
#[derive(Debug, Clone)]
pub struct StoredEndpoint {
    /// Its key.
    pub key: EndpointKey,
    /// What may be shown of it.
    pub endpoint: Endpoint,
    /// The rest.
    pub secrets: SealedSecrets,
}

/// Whose endpoints to list.
#[derive(Debug, Clone)]
pub enum EndpointsOf {
    /// Everybody's.
    All,
    /// Those of these devices alone.
    Devices(Vec<DeviceId>),
}

impl Store {
    /// Makes an endpoint's secrets ready to be stored: sealed as the vault is.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn seal_webhook(
        &self,
        id: &EndpointId,
        secrets: &EndpointSecrets,
    ) -> Result<SealedSecrets, StoreError> {
        let bytes = to_json(secrets, "webhook's secrets")?.into_bytes();
        let (bytes, sealed) = self.inner.seal.close(place(id), bytes)?;
        Ok(SealedSecrets { bytes, sealed })
    }

    /// The other way round.
    ///
    /// # Errors
    /// When they are not what was written.
    pub fn open_webhook(&self, stored: &StoredEndpoint) -> Result<EndpointSecrets, StoreError> {
        let SealedSecrets { bytes, sealed } = stored.secrets.clone();
        let bytes = self.inner.seal.open(place(&stored.endpoint.id), sealed, bytes)?;
        serde_json::from_slice(&bytes).map_err(|_| StoreError::Unreadable("webhook's secrets"))
    }
}

/// Beside the vault, and sealed as it is: no engine's device and no engine's space.
fn place(id: &EndpointId) -> SealContext<'_> {
    SealContext { device: ALL_DEVICES, space: "webhooks", key: id.as_str() }
}

impl Reader<'_> {
    /// Endpoints, oldest first.
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

    /// One device's own endpoints, oldest first.
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

    /// One endpoint, unless it is on its way out.
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

    /// One endpoint to send to, also while it is on its way out; `None` once nothing is to be sent to it.
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

    /// What an endpoint is called outside of the store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_id(&self, key: EndpointKey) -> Result<Option<EndpointId>, StoreError> {
        self.one("SELECT id FROM webhook_endpoints WHERE pk = ?1", [key.0], |row| {
            parsed(row, "id", "webhook id")
        })
    }

    /// How many endpoints there are.
    ///
    /// # Errors
    /// When the store fails.
    pub fn webhook_count(&self) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM webhook_endpoints WHERE ending = 0", [])
    }

    /// Endpoints on their way out.
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

    /// Writes what people configure of an endpoint.
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

    /// Switches an endpoint off; `false` when it was off already.
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

    /// Something reached an endpoint. `true` when it failed before.
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

    /// Something did not reach an endpoint. Since when that is so: a failure that comes more than `lapse_ms`
    /// after the last one begins anew.
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

    /// Takes an endpoint away from everybody's eyes. With `deliver`, what waits for it is still sent; then, or at
    /// once, it goes (see [`Tx::remove_some_webhook`]).
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

    /// A device is being deleted: its own endpoints hear of it, and go.
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

    /// Removes some of an ending endpoint's rows, and in the end the endpoint; `true` while there is more to do now.
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
        // Each of these conditions has its index.
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
        format: from_word(row.get("format")?, "webhook's format")?,
        ordering: from_word(row.get("ordering")?, "webhook's ordering")?,
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
