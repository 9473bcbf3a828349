//! State that survives a restart: devices, keys, messages, queue and log.

use serde_json::json;

use crate::support::{ANNA, TestApp, said};

#[tokio::test]
async fn restart_restores_running_and_stopped_devices() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    app.post("/devices/home/stop", json!({})).await.ok();
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    assert_eq!(app.get("/devices/home").await.ok()["data"]["state"], "stopped");
    let states = app.logged("shop", "state").await;
    assert!(states.iter().any(|s| s["reason"] == "daemon_restarted"), "{states:?}");
    let scans = usize::from(app.can(|engine| engine.qr));
    assert_eq!(app.logged("shop", "qr").await.len(), scans, "no second scan");
}

#[tokio::test]
async fn keys_messages_and_log_survive_restart() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let made = app.post("/api-keys", json!({ "name": "a", "scopes": ["messages:read"] })).await.created();
    let key = made["data"]["key"].as_str().unwrap().to_owned();
    let before = app.log("shop").await;
    let app = app.restarted().await;
    let after = app.log("shop").await;
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.last().unwrap()["seq"], after.len());
    let chats = app.with_key(&key).get("/devices/shop/chats").await.ok();
    assert_eq!(chats["data"][0]["lastMessage"]["body"], "hello");
}

#[tokio::test]
async fn queued_messages_are_sent_after_restart() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let id = app.send("shop", ANNA, "hello").await;
    let app = app.restarted().await;
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_status("shop", &id, "read").await;
    let network = app.get("/simulator/shop/network").await.ok();
    assert_eq!(network["data"]["sent"][0]["shown"], 1);
}

#[tokio::test]
async fn stored_state_equals_folded_log() {
    use wharf::domain::clock::Millis;
    use wharf::domain::event::{DeviceStateEvent, Event, QrEvent};
    use wharf::domain::state::State;

    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "drop_link" })).await;
    app.wait_until("the link to be back", async || {
        (app.logged("shop", "ready").await.len() == 2).then_some(())
    })
    .await;
    let mut rebuilt = State::Created;
    for entry in app.log("shop").await {
        let event = match entry["type"].as_str().unwrap() {
            "state" => {
                Event::State(serde_json::from_value::<DeviceStateEvent>(entry["payload"].clone()).unwrap())
            }
            "qr" => Event::Qr(serde_json::from_value::<QrEvent>(entry["payload"].clone()).unwrap()),
            _ => continue,
        };
        rebuilt = rebuilt.replay(&event, Millis(entry["timestamp"].as_i64().unwrap()));
    }
    let stored = app.app().services.fleet.device(&"shop".parse().unwrap()).await.unwrap().device.state;
    assert_eq!(rebuilt, stored);
}

#[tokio::test]
async fn new_database_beside_other_data_is_reported() {
    const WARNING: &str = "the database is new, but other data is there";
    let app = TestApp::start().await;
    app.device("shop").await;
    let request = app.request("POST", "/devices/shop/media").body("a file");
    app.with_key(&app.key).send(request).await.created();
    let app = app.restarted().await;
    assert_eq!(said("WARN", WARNING), 0);
    let app = app
        .restarted_after_change(|data| {
            for name in ["wharf.db", "wharf.db-wal", "wharf.db-shm"] {
                let _ = std::fs::remove_file(data.join(name));
            }
        })
        .await;
    assert_eq!(said("WARN", WARNING), 1);
    assert_eq!(said("WARN", "media/files, wharf.position"), 1);
    app.get("/devices/shop").await.refused(404, "device_not_found");
}
