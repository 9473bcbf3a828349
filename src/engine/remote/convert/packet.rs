//! Packets of Engine.IO 4 and Socket.IO 5, as far as a client needs them that asks for one namespace and sends no
//! binary data.

use serde_json::{Value, json};

/// What the server sent.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Packet {
    /// The transport is open: so long it may be silent, in milliseconds.
    Open { silent_ms: u64 },
    /// It asks whether we are there.
    Ping,
    /// We are in the namespace.
    Connected,
    /// We may not be in the namespace, and why.
    Refused(String),
    /// It ends.
    Closed,
    /// An event.
    Event { name: String, payload: Value },
    /// An answer to what we sent, or nothing that matters.
    Other,
}

/// What the answer to a ping is.
pub(in super::super) const PONG: &str = "3";

/// Asks to be let into a namespace with a key.
pub(in super::super) fn connect(namespace: &str, key: &str) -> String {
    format!("40{namespace},{}", json!({ "apiKey": key }))
}

/// An event for the server.
pub(in super::super) fn event(namespace: &str, name: &str, payload: &Value) -> String {
    format!("42{namespace},{}", json!([name, payload]))
}

/// Reads a packet; what is not one is nothing that matters.
pub(in super::super) fn read(text: &str) -> Packet {
    match text.split_at_checked(1) {
        Some(("0", rest)) => open(rest),
        Some(("1", _)) => Packet::Closed,
        Some(("2", _)) => Packet::Ping,
        Some(("4", rest)) => message(rest),
        _ => Packet::Other,
    }
}

fn open(rest: &str) -> Packet {
    let told: Value = serde_json::from_str(rest).unwrap_or_default();
    let ms = |name: &str, usual: u64| told[name].as_u64().unwrap_or(usual);
    Packet::Open { silent_ms: ms("pingInterval", 25_000).saturating_add(ms("pingTimeout", 20_000)) }
}

fn message(text: &str) -> Packet {
    let Some((kind, rest)) = text.split_at_checked(1) else { return Packet::Other };
    let data = if rest.starts_with('/') { rest.split_once(',').map_or("", |(_, data)| data) } else { rest };
    match kind {
        "0" => Packet::Connected,
        "1" => Packet::Closed,
        "2" => heard(data),
        "4" => {
            let told: Value = serde_json::from_str(data).unwrap_or_default();
            Packet::Refused(told["message"].as_str().unwrap_or_default().to_owned())
        }
        _ => Packet::Other,
    }
}

/// An event may be numbered, where an acknowledgement is wanted.
fn heard(data: &str) -> Packet {
    let list = data.trim_start_matches(|c: char| c.is_ascii_digit());
    let Ok(Value::Array(mut list)) = serde_json::from_str(list) else { return Packet::Other };
    let payload = if list.len() > 1 { list.swap_remove(1) } else { Value::Null };
    match list.into_iter().next() {
        Some(Value::String(name)) => Packet::Event { name, payload },
        _ => Packet::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_read_as_the_protocol_writes_them() {
        assert_eq!(
            read(r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#),
            Packet::Open { silent_ms: 45_000 }
        );
        assert_eq!(read("2"), Packet::Ping);
        assert_eq!(read(r#"40/device/shop,{"sid":"b"}"#), Packet::Connected);
        assert_eq!(
            read(r#"44/device/shop,{"message":"Invalid API key"}"#),
            Packet::Refused("Invalid API key".to_owned())
        );
        let typing = r#"42/device/shop,["typing:start",{"chatId":"1"}]"#;
        let heard = Packet::Event { name: "typing:start".to_owned(), payload: json!({ "chatId": "1" }) };
        assert_eq!(read(typing), heard);
        assert_eq!(read(r#"42/device/shop,17["typing:start",{"chatId":"1"}]"#), heard);
        assert_eq!(read("41/device/shop,"), Packet::Closed);
        for nothing in ["", "4", "6", "42/device/shop", "42[]", "451-[\"x\"]"] {
            assert_eq!(read(nothing), Packet::Other, "{nothing}");
        }
    }

    #[test]
    fn what_is_written_is_one_line_of_text() {
        assert_eq!(connect("/device/shop", "k"), r#"40/device/shop,{"apiKey":"k"}"#);
        assert_eq!(event("/device/shop", "a", &json!({ "b": 1 })), r#"42/device/shop,["a",{"b":1}]"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = read(&text);
        }
    }
}
