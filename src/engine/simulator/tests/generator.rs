//! Settings, bodies of control requests, and generated traffic.

use super::*;
use crate::engine::{Callback, CallbackError, CallbackMethod, SettingError};
use serde_json::Map;

fn check(settings: &Value) -> Result<(), SettingError> {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    daemon.driver.check_settings(json!({ "simulator": settings, "outbox": 1 }).as_object().unwrap())
}

#[test]
fn invalid_setting_names_its_field() {
    check(&json!({})).unwrap();
    check(&json!({
        "autoScanMs": null, "ackServerMs": 0, "ackDeviceMs": null, "ackReadMs": null, "echo": true, "contacts": 5,
        "groups": 2, "history": 10, "trafficPerMinute": 60, "seed": 1,
    }))
    .unwrap();
    let wrong = [
        (json!([]), ""),
        (json!({ "autoscanMs": 1 }), ".autoscanMs"),
        (json!({ "ackServerMs": -1 }), ".ackServerMs"),
        (json!({ "ackReadMs": "never" }), ".ackReadMs"),
        (json!({ "ackDeviceMs": 1.5 }), ".ackDeviceMs"),
        (json!({ "echo": 1 }), ".echo"),
        (json!({ "contacts": 5_001 }), ".contacts"),
        (json!({ "contacts": [{ "name": "Bakery" }] }), ".contacts[0].number"),
        (json!({ "contacts": [{ "id": "12" }] }), ".contacts[0].id"),
        (json!({ "groups": [{ "id": CONTACT, "subject": "x" }] }), ".groups[0].id"),
        (
            json!({ "groups": [{ "id": "1@g.us", "subject": "x", "participants": [1] }] }),
            ".groups[0].participants[0]",
        ),
        (json!({ "history": 10_001 }), ".history"),
        (json!({ "trafficPerMinute": true }), ".trafficPerMinute"),
        (json!({ "seed": u64::MAX }), ".seed"),
    ];
    for (settings, field) in wrong {
        let error = check(&settings).expect_err(&settings.to_string());
        assert_eq!(error.field, format!("settings.simulator{field}"), "{error}");
    }
}

#[tokio::test]
async fn invalid_control_body_names_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let wrong = [
        ("scan", json!([]), "body"),
        ("scan", json!({ "qr": 5 }), "qr"),
        ("scan", json!({ "phoneNumber": "1@g.us" }), "phoneNumber"),
        ("incoming", json!({}), "from"),
        ("incoming", json!({ "from": "x", "body": "a" }), "from"),
        ("incoming", json!({ "from": CONTACT }), "body"),
        ("incoming", json!({ "from": CONTACT, "body": "x".repeat(65_537) }), "body"),
        ("incoming", json!({ "from": CONTACT, "body": "a", "networkId": "a@b" }), "networkId"),
        ("incoming", json!({ "from": CONTACT, "body": "a", "groupId": CONTACT }), "groupId"),
        ("incoming", json!({ "from": "1@g.us", "body": "a" }), "author"),
        ("incoming", json!({ "from": CONTACT, "body": "a", "author": CONTACT }), "author"),
        ("incoming", json!({ "from": CONTACT, "body": "a", "timestamp": "now" }), "timestamp"),
        ("incoming", json!({ "from": CONTACT, "body": "a", "type": "song" }), "type"),
        ("incoming", json!({ "from": CONTACT, "text": "a" }), "text"),
        ("incoming", json!({ "from": CONTACT, "type": "image" }), "media"),
        (
            "incoming",
            json!({ "from": CONTACT, "type": "chat", "location": { "latitude": 1, "longitude": 1 } }),
            "type",
        ),
        (
            "incoming",
            json!({ "from": CONTACT, "type": "poll_creation", "media": { "sizeBytes": 1 } }),
            "type",
        ),
        ("incoming", json!({ "from": CONTACT, "media": {} }), "media.data"),
        ("incoming", json!({ "from": CONTACT, "media": { "data": "?" } }), "media.data"),
        (
            "incoming",
            json!({ "from": CONTACT, "media": { "data": "YQ==", "sizeBytes": 1 } }),
            "media.sizeBytes",
        ),
        ("incoming", json!({ "from": CONTACT, "media": { "sizeBytes": 268_435_457 } }), "media.sizeBytes"),
        (
            "incoming",
            json!({ "from": CONTACT, "type": "image", "media": { "sizeBytes": 1, "asVoice": true } }),
            "media.asVoice",
        ),
        (
            "incoming",
            json!({ "from": CONTACT, "body": "a", "media": { "sizeBytes": 1, "caption": "b" } }),
            "body",
        ),
        (
            "incoming",
            json!({ "from": CONTACT, "location": { "latitude": 91, "longitude": 0 } }),
            "location.latitude",
        ),
        ("incoming", json!({ "from": CONTACT, "contacts": [] }), "contacts"),
        ("incoming", json!({ "from": CONTACT, "contact": { "displayName": "B" } }), "contact.vcard"),
        (
            "incoming",
            json!({ "from": CONTACT, "poll": { "name": "?", "options": ["a", "a"] } }),
            "poll.options",
        ),
        ("incoming", json!({ "from": CONTACT, "body": "a", "mentions": ["x"] }), "mentions[0]"),
        ("incoming", json!({ "from": CONTACT, "body": "a", "quotedBody": "b" }), "quotedBody"),
        (
            "incoming",
            json!({ "from": CONTACT, "body": "a", "quotedNetworkId": "N", "quotedParticipant": CONTACT }),
            "quotedParticipant",
        ),
        ("receipt", json!({ "messageId": "x", "ack": 2 }), "messageId"),
        ("reaction", json!({ "messageId": format!("true_{CONTACT}_A"), "emoji": "x" }), "from"),
        ("reaction", json!({ "messageId": format!("true_{CONTACT}_A"), "from": CONTACT }), "emoji"),
        (
            "vote",
            json!({ "messageId": format!("true_{CONTACT}_A"), "voter": CONTACT, "options": [1] }),
            "options[0]",
        ),
        ("edit", json!({ "messageId": format!("false_{CONTACT}_A"), "body": "" }), "body"),
        ("revoke", json!({ "messageId": "A" }), "messageId"),
        ("star", json!({ "messageId": format!("false_{CONTACT}_A"), "on": 1 }), "on"),
        ("chat", json!({ "chatId": CONTACT }), "chatId"),
        ("chat", json!({ "chatId": CONTACT, "pin": true, "archive": true }), "pin"),
        ("chat", json!({ "chatId": CONTACT, "mute": "long" }), "mute"),
        ("chat", json!({ "chatId": CONTACT, "clear": false }), "clear"),
        ("call", json!({ "from": CONTACT, "status": "busy" }), "status"),
        ("receipt", json!({ "messageId": format!("false_{CONTACT}_A"), "ack": 2 }), "messageId"),
        ("receipt", json!({ "messageId": format!("true_{CONTACT}_A"), "ack": 0 }), "ack"),
        (
            "receipt",
            json!({ "messageId": format!("true_{CONTACT}_A"), "ack": 2, "participant": CONTACT }),
            "participant",
        ),
        ("typing", json!({ "from": CONTACT, "kind": "drum" }), "kind"),
        ("presence", json!({ "from": CONTACT, "online": "yes" }), "online"),
        ("fault", json!({ "kind": "flood" }), "kind"),
        ("fault", json!({ "kind": "panic", "count": -1 }), "count"),
        ("fault", json!({ "kind": "panic", "value": 1 }), "value"),
        ("fault", json!({ "kind": "ban", "value": "short" }), "value"),
    ];
    for (name, body, expected) in wrong {
        match daemon.post(name, body.clone()).await {
            Err(ControlError::Invalid { field, .. }) => assert_eq!(field, expected, "{name}"),
            other => panic!("{name} {expected}: {other:?}"),
        }
    }
    assert_eq!(daemon.post("dance", json!({})).await, Err(ControlError::NotFound));
    let callback = Callback { method: CallbackMethod::Post, query: &[], headers: &[], body: b"" };
    assert_eq!(daemon.driver.callback(&device(), &Map::new(), callback).await, Err(CallbackError::NotTaken));
    for kind in ["log_out", "ban"] {
        assert_eq!(code_of(daemon.post("fault", json!({ "kind": kind })).await.unwrap_err()), "not_linked");
    }
}

#[tokio::test]
async fn traffic_has_configured_rate() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "trafficPerMinute": 3_000, "contacts": 4 })).await;
    let began = tokio::time::Instant::now();
    daemon.recorder.until("fifty messages", |recorder| recorder.bodies().len() >= 50).await;
    // Fifty gaps of 20 ms on average.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(500), "{took:?}");
    let bodies = daemon.recorder.bodies();
    assert_eq!(bodies[..3], ["Message 1", "Message 2", "Message 3"]);
    running.stop().await;
}
