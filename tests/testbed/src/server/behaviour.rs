//! How the people around an account behave: the part of a scan's `world` that concerns messages.

use serde_json::Value;

/// Delays are in milliseconds, from a message's arrival; `None`: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Until the server says that it has it.
    pub ack_server_ms: Option<u64>,
    /// Until the recipient's device has it.
    pub ack_device_ms: Option<u64>,
    /// Until it is read.
    pub ack_read_ms: Option<u64>,
    /// Whether people answer what they are sent.
    pub echo: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { ack_server_ms: Some(20), ack_device_ms: Some(80), ack_read_ms: Some(200), echo: false }
    }
}

impl Behaviour {
    /// Reads what concerns it; what is not there has its default.
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
    fn null_means_never_and_nothing_means_the_default() {
        let read = Behaviour::of(&json!({ "ackReadMs": null, "echo": true }));
        assert_eq!(read, Behaviour { ack_read_ms: None, echo: true, ..Behaviour::default() });
    }
}
