//! Notification rules, created over REST or declared in device files.

use rusqlite::{Row, params};

use super::column_codec::{from_json, parsed, to_json};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Rule, RuleId, RuleOrigin, RuleSpec};

const ALL_DEVICES: &str = "";

impl Reader<'_> {
    /// All rules: declared ones first, then in the order of creation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_rules(&self) -> Result<Vec<Rule>, StoreError> {
        self.all(
            "SELECT id, device_id, declared, spec FROM notification_rules ORDER BY declared DESC, pk",
            [],
            rule,
        )
    }
}

impl Tx<'_> {
    /// Adds a rule after the existing ones.
    ///
    /// # Errors
    /// When the store fails.
    pub fn insert_notify_rule(&self, rule: &Rule, now: Millis) -> Result<(), StoreError> {
        let device = rule.device.as_ref().map_or(ALL_DEVICES, DeviceId::as_str);
        let spec = to_json(&rule.spec, "rule")?;
        self.run(
            "INSERT INTO notification_rules (id, device_id, declared, spec, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![rule.id.as_str(), device, rule.origin == RuleOrigin::File, spec, now.0],
        )?;
        Ok(())
    }

    /// Replaces a rule's content; its position stays.
    ///
    /// # Errors
    /// When the store fails.
    pub fn change_notify_rule(&self, id: &RuleId, spec: &RuleSpec) -> Result<(), StoreError> {
        self.run(
            "UPDATE notification_rules SET spec = ?2 WHERE id = ?1",
            params![id.as_str(), to_json(spec, "rule")?],
        )?;
        Ok(())
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_notify_rule(&self, id: &RuleId) -> Result<(), StoreError> {
        self.run("DELETE FROM notification_rules WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// Removes the rules that a device's file declares.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_declared_notify_rules(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM notification_rules WHERE device_id = ?1 AND declared = 1", [device.as_str()])?;
        Ok(())
    }
}

fn rule(row: &Row<'_>) -> Result<Rule, StoreError> {
    let device: String = row.get("device_id")?;
    let device = if device == ALL_DEVICES { None } else { Some(parsed(row, "device_id", "device id")?) };
    let origin = if row.get("declared")? { RuleOrigin::File } else { RuleOrigin::Api };
    let spec = from_json(&row.get::<_, String>("spec")?, "rule")?;
    let spec = RuleSpec::read(&spec).map_err(|_| StoreError::Unreadable("rule"))?;
    Ok(Rule::new(parsed(row, "id", "rule's id")?, device, origin, spec))
}
