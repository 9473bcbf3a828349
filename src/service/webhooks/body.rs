//! Builds request bodies, with one file per foreign format. Pure.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::Format;

mod to_waha;
mod to_wwebjs;

/// An event to deliver.
pub(super) struct Outgoing<'a> {
    /// The `webhook-id` header.
    pub(super) id: &'a str,
    /// Our event name.
    pub(super) kind: &'a str,
    /// The event name in the endpoint's format.
    pub(super) name: &'a str,
    /// The device of the event; empty for a test without a device.
    pub(super) device: &'a str,
    /// Time of the event.
    pub(super) at: Millis,
    /// The event's payload as logged.
    pub(super) payload: &'a RawValue,
    /// The device's account, if linked.
    pub(super) account: Option<&'a Account>,
}

/// Our own format: the logged payload unchanged, with id, type and time.
#[derive(Serialize)]
struct Ours<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: Millis,
    data: &'a RawValue,
}

/// Builds the body in an endpoint's format.
///
/// # Errors
/// When the payload is not a JSON object; payloads of the event log always are.
pub(super) fn of(format: Format, event: &Outgoing<'_>) -> serde_json::Result<Vec<u8>> {
    match format {
        Format::Wharf => serde_json::to_vec(&Ours {
            id: event.id,
            kind: event.kind,
            timestamp: event.at,
            data: event.payload,
        }),
        Format::Waha => serde_json::to_vec(&to_waha::envelope(event, &fields(event)?)),
        Format::Wwebjs => serde_json::to_vec(&to_wwebjs::envelope(event, &fields(event)?)),
    }
}

/// Reads the time of an event from its payload.
pub(super) fn time_of(payload: &RawValue) -> Option<Millis> {
    #[derive(serde::Deserialize)]
    struct Stamp {
        timestamp: Millis,
    }
    serde_json::from_str::<Stamp>(payload.get()).ok().map(|stamp| stamp.timestamp)
}

/// Builds the payload of a test event.
pub(super) fn test_payload(device: Option<&DeviceId>, at: Millis) -> serde_json::Result<Box<RawValue>> {
    let mut fields = Map::new();
    if let Some(device) = device {
        fields.insert("deviceId".to_owned(), Value::String(device.to_string()));
    }
    fields.insert("timestamp".to_owned(), Value::from(at.0));
    serde_json::value::to_raw_value(&fields)
}

fn fields(event: &Outgoing<'_>) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_str(event.payload.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn pushed(format: Format, kind: &str, name: &str, payload: &Value) -> Value {
        let account = Account { phone_number: "15550100099".to_owned(), client_name: "Shop".to_owned() };
        let payload = serde_json::value::to_raw_value(payload).unwrap();
        let event = Outgoing {
            id: "evt_01KDVDNA00ABCDEFGHJKMNPQRS",
            kind,
            name,
            device: "shop",
            at: Millis(1_767_225_600_000),
            payload: &payload,
            account: Some(&account),
        };
        serde_json::from_slice(&of(format, &event).unwrap()).unwrap()
    }

    #[test]
    fn wharf_format_is_event_with_name() {
        let payload = serde_json::json!({ "deviceId": "shop", "timestamp": 1_767_225_600_000_i64, "seq": 7, "chatId": "1@c.us" });
        let body = pushed(Format::Wharf, "message:ack", "message:ack", &payload);
        assert_eq!(body["type"], "message:ack");
        assert_eq!(body["data"], payload);
        assert_eq!(body["timestamp"], 1_767_225_600_000_i64);
    }

    #[test]
    fn body_time_is_event_timestamp() {
        let raw = RawValue::from_string(r#"{"timestamp":5,"x":1}"#.to_owned()).unwrap();
        assert_eq!(time_of(&raw), Some(Millis(5)));
        assert_eq!(time_of(&RawValue::from_string("{}".to_owned()).unwrap()), None);
    }
}
