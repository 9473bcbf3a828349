//! The former name `wwebjs` of the engine: stored devices, requests and files that use it.

use std::path::Path;

use serde_json::{Value, json};

use super::Chain;
use crate::support::ANNA;

/// Settings by their former name.
fn former(settings: &Value) -> Value {
    json!({ "wwebjs": settings["remote"] })
}

/// Rewrites the database as the version before the rename left it: its schema, engine, settings and secrets.
fn downgrade(data: &Path) {
    let (current, older) = (data.join("current.db"), data.join("wharf.db"));
    std::fs::rename(&older, &current).unwrap();
    // A stop may leave committed transactions in the write-ahead log.
    let log = data.join("wharf.db-wal");
    if log.exists() {
        std::fs::rename(log, data.join("current.db-wal")).unwrap();
    }
    let database = rusqlite::Connection::open(&older).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap() < "0013");
    for file in &files {
        database.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
    database.pragma_update(None, "user_version", i64::try_from(files.len()).unwrap()).unwrap();
    database.execute("ATTACH DATABASE ?1 AS current", [current.to_str().unwrap()]).unwrap();
    database
        .execute_batch(
            "INSERT INTO devices (id, name, engine, settings, declared, state, phone_number, client_name, last_seen, created_at)
                 SELECT id, name, 'wwebjs', replace(settings, '\"remote\"', '\"wwebjs\"'), '[]',
                        state, phone_number, client_name, last_seen, created_at FROM current.devices;
             INSERT INTO device_secrets (device_id, secrets, sealed)
                 SELECT device_id, CAST(replace(CAST(secrets AS TEXT), '/remote/', '/wwebjs/') AS BLOB), sealed
                   FROM current.device_secrets;
             INSERT INTO vault (device_id, space, key, value, expires_at, sealed)
                 SELECT device_id, space, key, value, expires_at, sealed FROM current.vault;
             INSERT INTO log_heads (device_id, last_seq) SELECT device_id, last_seq FROM current.log_heads;
             INSERT INTO events (device_id, seq, type, at, payload)
                 SELECT device_id, seq, type, at, payload FROM current.events;",
        )
        .unwrap();
    let engines: Vec<String> = database
        .prepare("SELECT engine FROM devices")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(engines, ["wwebjs"]);
}

#[tokio::test]
async fn device_of_an_old_database_goes_on_as_remote() {
    let mut chain = Chain::start().await;
    chain.device("shop").await;
    chain.writes("shop", ANNA, "one").await;
    chain.received("shop", 1).await;
    chain.front = chain.front.restarted_after_change(downgrade).await;
    chain.front.wait_for_state("shop", "ready").await;
    chain.writes("shop", ANNA, "two").await;
    assert_eq!(chain.received("shop", 2).await, ["one", "two"], "the position in the vault still counts");
    let device = chain.front.get("/devices/shop").await.ok()["data"].clone();
    assert_eq!((&device["engine"], &device["settings"]["wwebjs"]), (&json!("remote"), &Value::Null));
    assert_eq!(device["settings"]["remote"]["apiKey"], "********");
    // The secret survives the rename, a change of other settings included.
    let unchanged = json!({ "remote": { "baseUrl": chain.link.base(), "device": "shop" } });
    chain.front.patch("/devices/shop", json!({ "settings": unchanged })).await.ok();
    chain.front.post("/devices/shop/restart", json!({})).await.ok();
    chain.front.wait_for_state("shop", "ready").await;
}

#[tokio::test]
async fn requests_may_use_the_former_name() {
    let chain = Chain::start().await;
    chain.back.device("shop", &json!({ "autoScanMs": 0 })).await;
    let settings = chain.settings("shop");
    let body = json!({ "id": "shop", "engine": "wwebjs", "settings": former(&settings) });
    let made = chain.front.post("/devices", body).await.created()["data"].clone();
    assert_eq!((&made["engine"], &made["settings"]["wwebjs"]), (&json!("remote"), &Value::Null));
    assert_eq!(made["settings"]["remote"]["device"], "shop");
    chain.front.wait_for_state("shop", "ready").await;
    let changed = chain.front.patch("/devices/shop", json!({ "settings": former(&settings) })).await.ok();
    assert_eq!(changed["data"]["settings"]["wwebjs"], Value::Null);
    let mut both = settings.clone();
    both["wwebjs"] = settings["remote"].clone();
    let refused =
        chain.front.patch("/devices/shop", json!({ "settings": both })).await.refused(400, "invalid_field");
    assert_eq!(refused["details"][0]["field"], "settings.wwebjs");
}

#[tokio::test]
async fn declared_device_may_use_the_former_name() {
    let mut chain = Chain::start().await;
    chain.back.device("shop", &json!({ "autoScanMs": 0 })).await;
    // The key of a declared device must be a reference to the environment, so the file leaves it out and the
    // device cannot be set up; that the answer names the current field shows which settings were read.
    let file =
        "id = \"shop\"\nengine = \"wwebjs\"\n[settings.wwebjs]\nbaseUrl = \"https://wharf.example.com\"\n";
    std::fs::create_dir_all(chain.front.devices_dir()).unwrap();
    std::fs::write(chain.front.devices_dir().join("shop.toml"), file).unwrap();
    chain.front = chain.front.restarted().await;
    assert_eq!(crate::support::said("ERROR", "settings.remote.apiKey"), 1);
}
