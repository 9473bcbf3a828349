//! The vault: values are encrypted with the operator's key and never shown.

use std::sync::Arc;

use serde_json::json;
use wharf::app::{App, Environment, OsRandom, StartError};

use crate::support::{ANNA, TestApp, TestClock, settings};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const VARIABLE: &str = "WHARF__STORE__VAULT_KEY";
/// A part of the simulator's stored link that occurs nowhere else.
const KEPT: &str = "\"synchronised\":";

#[tokio::test]
async fn sealed_links_survive_restart_and_are_unreadable() {
    for (overrides, readable) in [(vec![], true), (vec![(VARIABLE, KEY)], false)] {
        let app = TestApp::start_with(&overrides).await;
        app.device("shop").await;
        let app = app.restarted().await;
        app.wait_for_state("shop", "ready").await;
        assert_eq!(app.logged("shop", "qr").await.len(), 1, "no second scan");
        let data = app.stop().await;
        let mut bytes = std::fs::read(data.path().join("wharf.db")).unwrap();
        bytes.extend(std::fs::read(data.path().join("wharf.db-wal")).unwrap_or_default());
        let found = bytes.windows(KEPT.len()).any(|window| window == KEPT.as_bytes());
        assert_eq!(found, readable);
    }
}

#[tokio::test]
async fn wrong_vault_key_refuses_start() {
    let app = TestApp::start_with(&[(VARIABLE, KEY)]).await;
    app.device("shop").await;
    let data = app.stop().await;
    let start = async |key: Option<&str>| {
        let overrides: Vec<_> = key.map(|key| (VARIABLE.to_owned(), key.to_owned())).into_iter().collect();
        let surroundings = Environment {
            clock: Arc::new(TestClock::default()),
            random: Arc::new(OsRandom),
            api_key: None,
            terminal: false,
            reload_settings: Box::new(|| unreachable!("this test does not reload")),
        };
        Box::pin(App::start(settings(data.path(), &overrides), surroundings)).await
    };
    let sentence = |refused: Result<App, StartError>| refused.err().unwrap().to_string();
    assert!(sentence(start(None).await).contains("store.vault_key is not set"));
    assert!(sentence(start(Some(OTHER_KEY)).await).contains("store.vault_key is not the key"));
    start(Some(KEY)).await.unwrap().stop().await;
}

#[tokio::test]
async fn vault_contents_are_never_exposed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let mark = "INSERT INTO vault (device_id, space, key, value) VALUES ('shop', 'wa/sessions', 'MARKED-KEY', x'4d41524b45442d56414c5545')";
    let app = app.restarted_after(mark).await;
    app.wait_for_state("shop", "ready").await;
    let chat = format!("/devices/shop/chats/{ANNA}@c.us");
    let export = format!("{chat}/export?format=json");
    let asked = [
        "/devices",
        "/devices/shop",
        "/devices/shop/events?after=0&limit=100",
        "/devices/shop/chats",
        "/devices/shop/contacts",
        "/devices/shop/health",
        "/devices/shop/stats",
        "/devices/shop/queue/status",
        &export,
        "//metrics",
        "//health",
    ];
    let mut answered = 0;
    for path in asked {
        let request = app.request("GET", path).header("X-API-KEY", &app.key);
        let response = request.send().await.unwrap();
        answered += usize::from(response.status().is_success());
        let text = response.text().await.unwrap();
        assert!(!text.contains("MARKED") && !text.contains("TUFSS0VE"), "{path}");
    }
    assert!(answered >= 8, "only {answered} were answered");
}

#[tokio::test]
async fn secret_settings_are_masked_kept_and_sealed() {
    const MASK: &str = "********";
    let app = TestApp::start_with(&[(VARIABLE, KEY)]).await;
    let shop = json!({ "apiKey": "the-secret-of-the-shop", "note": "plain" });
    let made = app.post("/devices", json!({ "id": "shop", "settings": { "shop": shop } })).await.created();
    assert_eq!(made["data"]["settings"]["shop"], json!({ "apiKey": MASK, "note": "plain" }));

    let refused = app.patch("/devices/shop", json!({ "settings": { "till": { "token": MASK } } })).await;
    assert_eq!(refused.refused(400, "invalid_field")["details"][0]["field"], "settings.till.token");
    for kept in [json!({ "note": "other" }), json!({ "apiKey": MASK, "note": "other" })] {
        app.patch("/devices/shop", json!({ "settings": { "shop": kept } })).await.ok();
        let shown = app.get("/devices/shop").await.ok()["data"]["settings"]["shop"].clone();
        assert_eq!(shown, json!({ "apiKey": MASK, "note": "other" }));
    }
    app.patch("/devices/shop", json!({ "settings": { "shop": { "apiKey": null } } })).await.ok();
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["settings"]["shop"], json!({}));

    app.patch("/devices/shop", json!({ "settings": { "shop": shop } })).await.ok();
    let app = app.restarted().await;
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["settings"]["shop"]["apiKey"], MASK);
    let data = app.stop().await;
    for file in ["wharf.db", "wharf.db-wal"] {
        let bytes = std::fs::read(data.path().join(file)).unwrap_or_default();
        let secret = b"the-secret-of-the-shop";
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file}");
    }
}
