//! Mutes of notifications: by operator, device and chat, until a time.

use rusqlite::{Row, params};

use super::column_codec::{parsed, time_if_any};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::OperatorId;

/// A mute. An absent field matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// The operator that the mute applies to.
    pub operator: Option<OperatorId>,
    /// The muted device.
    pub device: Option<DeviceId>,
    /// The muted chat.
    pub chat: Option<Jid>,
    /// End of the mute; without an end when absent.
    pub until: Option<Millis>,
}

impl Mute {
    /// Whether the mute is active at this time.
    #[must_use]
    pub fn counts_at(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| until > now)
    }

    fn place(&self) -> (&str, &str, String) {
        (
            self.operator.as_ref().map_or("", OperatorId::as_str),
            self.device.as_ref().map_or("", DeviceId::as_str),
            self.chat.as_ref().map(Jid::to_string).unwrap_or_default(),
        )
    }
}

impl Reader<'_> {
    /// All active mutes, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_mutes(&self, now: Millis) -> Result<Vec<Mute>, StoreError> {
        self.all(
            "SELECT operator, device_id, chat_id, ends_at FROM notification_mutes WHERE ends_at IS NULL OR ends_at > ?1
             ORDER BY created_at DESC, rowid DESC",
            [now.0],
            mute,
        )
    }
}

impl Tx<'_> {
    /// Adds a mute or changes its end; removes expired mutes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_notify_mute(&self, mute: &Mute, now: Millis) -> Result<(), StoreError> {
        let (operator, device, chat) = mute.place();
        self.run("DELETE FROM notification_mutes WHERE ends_at <= ?1", [now.0])?;
        self.run(
            "INSERT OR REPLACE INTO notification_mutes (operator, device_id, chat_id, ends_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![operator, device, chat, mute.until.map(|until| until.0), now.0],
        )?;
        Ok(())
    }

    /// Removes a mute.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_notify_mute(&self, mute: &Mute) -> Result<(), StoreError> {
        let (operator, device, chat) = mute.place();
        self.run(
            "DELETE FROM notification_mutes WHERE operator = ?1 AND device_id = ?2 AND chat_id = ?3",
            params![operator, device, chat],
        )?;
        Ok(())
    }

    /// Number of mutes of this operator and of all operators with the same API key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_mutes_of(&self, operator: &OperatorId) -> Result<i64, StoreError> {
        let (from, to) = counted_with(operator);
        self.number(
            "SELECT count(*) FROM notification_mutes WHERE operator >= ?1 AND operator < ?2",
            [from, to],
        )
    }

    /// Number of a device's mutes that apply to all operators.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_mutes_for_all_operators(&self, device: Option<&DeviceId>) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM notification_mutes WHERE operator = '' AND device_id = ?1",
            [device.map_or("", DeviceId::as_str)],
        )
    }

    /// Number of all mutes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notify_mute_count(&self) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM notification_mutes", [])
    }
}

/// Key range of the operators that share a limit: all labels of one API key, because its holder chooses them
/// freely, or one verified person. The upper bound is exclusive.
pub(super) fn counted_with(operator: &OperatorId) -> (String, String) {
    let text = operator.as_str();
    match text.strip_prefix("key ").and_then(|rest| rest.split_once(' ')) {
        // `!` follows the space that ends the key's id.
        Some((key, _)) => (format!("key {key} "), format!("key {key}!")),
        None => (text.to_owned(), format!("{text}\u{1}")),
    }
}

fn mute(row: &Row<'_>) -> Result<Mute, StoreError> {
    let given = |column: &str| -> Result<bool, StoreError> { Ok(!row.get::<_, String>(column)?.is_empty()) };
    Ok(Mute {
        operator: given("operator")?.then(|| row.get("operator")).transpose()?.map(OperatorId::stored),
        device: given("device_id")?.then(|| parsed(row, "device_id", "device id")).transpose()?,
        chat: given("chat_id")?.then(|| parsed(row, "chat_id", "chat id")).transpose()?,
        until: time_if_any(row, "ends_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_key_are_counted_together() {
        let (from, to) = counted_with(&OperatorId::of_key("k1", Some("anna")));
        let within = |operator: OperatorId| {
            let text = operator.as_str();
            from.as_str() <= text && text < to.as_str()
        };
        assert!(
            within(OperatorId::of_key("k1", None)) && within(OperatorId::of_key("k1", Some("\u{10ffff}")))
        );
        assert!(!within(OperatorId::of_key("k10", None)) && !within(OperatorId::of_key("k0", Some("z"))));
        assert!(!within(OperatorId::verified("key k1 anna")));
        let (from, to) = counted_with(&OperatorId::verified("anna"));
        assert!(
            from.as_str() <= "person anna" && "person anna" < to.as_str() && "person anna b" >= to.as_str()
        );
    }
}
