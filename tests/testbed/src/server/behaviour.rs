//! How the people around an account react to messages: a part of a scan's `world`.

use serde_json::Value;

/// Delays are in milliseconds from a message's arrival; `None` means never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Until the server's ack.
    pub ack_server_ms: Option<u64>,
    /// Until the delivery receipt.
    pub ack_device_ms: Option<u64>,
    /// Until the read receipt.
    pub ack_read_ms: Option<u64>,
    /// Whether people repeat what they receive.
    pub echo: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { ack_server_ms: Some(20), ack_device_ms: Some(80), ack_read_ms: Some(200), echo: false }
    }
}

impl Behaviour {
    /// Reads the fields of a world; absent fields have defaults.
    #[must_use]
    pub fn of(world: &Value) -> Self {
        let default = Self::default();
        let delay = |name: &str, default| world.get(name).map_or(default, Value::as_u64);
        Self {
            ack_server_ms: delay("ackServerMs", default.ack_server_ms),
            ack_device_ms: delay("ackDeviceMs", default.ack_device_ms),
            ack_read_ms: delay("ackReadMs", default.ack_read_ms),
            echo: world.get("echo").and_then(Value::as_bool).unwrap_or(default.echo),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Behaviour;

    #[test]
    fn null_means_never_and_absent_means_default() {
        let read = Behaviour::of(&json!({ "ackReadMs": null, "echo": true }));
        assert_eq!(read, Behaviour { ack_read_ms: None, echo: true, ..Behaviour::default() });
    }
}
