//! The session at the server: created, linked, lost and unlinked.

use serde_json::{Value, json};

use super::Waha;
use crate::support::ANNA;
use crate::upstream::waha::SECRET;

#[tokio::test]
async fn session_is_created_with_our_webhook_and_linked_by_code() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    let session = waha.server.session("shop").unwrap();
    let webhooks = session.webhooks();
    assert_eq!(webhooks.len(), 1);
    assert_eq!(webhooks[0]["url"], format!("{}/hooks/shop", waha.server.daemon.url()));
    assert_eq!(webhooks[0]["hmac"]["key"], SECRET);
    assert!(webhooks[0]["retries"]["attempts"].as_u64() > Some(5));
    let states: Vec<Value> =
        waha.app.logged("shop", "state").await.iter().map(|state| state["state"].clone()).collect();
    assert_eq!(states, ["connecting", "qr", "pairing", "ready"]);
    waha.app.post("/devices/shop/restart", json!({})).await.ok();
    waha.app.wait_for_state("shop", "ready").await;
    assert_eq!(waha.asked("PUT /api/sessions/shop"), 0, "what is set up is left alone");
}

#[tokio::test]
async fn existing_session_keeps_its_configuration() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    let session = waha.server.session("shop").unwrap();
    let theirs = json!({ "url": "https://crm.example.org/hook", "events": ["message"] });
    session.state.lock().unwrap().config = json!({ "metadata": { "team": "a" }, "webhooks": [theirs] });
    waha.app.post("/devices/shop/restart", json!({})).await.ok();
    waha.app.wait_for_state("shop", "ready").await;
    let config = session.state.lock().unwrap().config.clone();
    assert_eq!((&config["metadata"], &config["webhooks"][0]), (&json!({ "team": "a" }), &theirs));
    assert_eq!(config["webhooks"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn pairing_code_links_the_session() {
    let waha = Waha::start("websocket").await;
    waha.app.new_device("shop", json!({})).await;
    waha.app.wait_for_state("shop", "qr").await;
    let asked =
        waha.app.post("/devices/shop/pairing-code", json!({ "phoneNumber": "+1 555 010 0042" })).await.ok();
    waha.app.post("/simulator/shop/pair", json!({ "code": asked["data"]["code"] })).await.ok();
    assert_eq!(waha.app.wait_for_state("shop", "ready").await["phoneNumber"], "15550100042");
}

#[tokio::test]
async fn removal_on_the_phone_logs_the_device_out() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.app.device("shop").await;
        waha.app.fault("shop", json!({ "kind": "log_out" })).await;
        let device = waha.app.wait_for_state("shop", "logged_out").await;
        assert_eq!(device["reason"], "logged_out_on_phone", "{inbound}");
        waha.app.post("/devices/shop/start", json!({})).await.ok();
        waha.app.wait_for_state("shop", "qr").await;
    }
}

#[tokio::test]
async fn passkey_requirement_fails_the_device_with_a_reason() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    let session = waha.server.session("shop").unwrap();
    session.becomes("PASSKEY_REQUIRED").await;
    let failed = async |times: usize| {
        let states = waha.app.logged("shop", "state").await;
        let failed =
            states.iter().filter(|state| state["state"] == "failed" && state["reason"] == "upstream_refused");
        (failed.count() == times).then_some(())
    };
    waha.app.wait_until("the device to fail", async || failed(1).await).await;
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.app.wait_until("the device to fail again", async || failed(2).await).await;
    session.becomes("WORKING").await;
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.app.wait_for_state("shop", "ready").await;
}

#[tokio::test]
async fn session_stopped_at_the_server_is_started_again() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    waha.server.session("shop").unwrap().stop().await;
    waha.app
        .wait_until("the device to be lost and back", async || {
            (waha.app.logged("shop", "ready").await.len() == 2).then_some(())
        })
        .await;
    let states = waha.app.logged("shop", "state").await;
    assert!(states.iter().any(|state| state["reason"] == "link_dropped"), "{states:?}");
    assert_eq!(waha.app.logged("shop", "qr").await.len(), 1, "no second scan");
}

#[tokio::test]
async fn restarted_server_is_reconnected() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.app.device("shop").await;
        let inside = waha.server.listener.close().unwrap();
        let waits = waha.app.send("shop", ANNA, "meanwhile").await;
        waha.app
            .wait_until("the server to be missed", async || {
                let states = waha.app.logged("shop", "state").await;
                states.iter().any(|state| state["reason"] == "upstream_unavailable").then_some(())
            })
            .await;
        waha.server.listener.open_to(inside);
        waha.app.wait_for_status("shop", &waits, "read").await;
        let network = waha.app.get("/simulator/shop/network").await.ok();
        assert_eq!(network["data"]["sent"][0]["shown"], 1, "{inbound}");
    }
}

#[tokio::test]
async fn wrong_key_fails_the_device_with_its_reason() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        let settings = waha.server.settings_of("shop", &json!({ "apiKey": "not-the-key-of-this-server" }));
        let body = json!({ "id": "shop", "settings": settings });
        waha.app.post("/devices", body).await.created();
        let device = waha.app.wait_for_state("shop", "failed").await;
        assert_eq!(device["reason"], "upstream_unauthorized", "{inbound}");
    }
}

#[tokio::test]
async fn stopped_device_is_unlinked_on_logout_and_deletion() {
    let waha = Waha::start("webhook").await;
    for (device, delete) in [("shop", false), ("home", true)] {
        waha.app.device(device).await;
        waha.app.post(&format!("/devices/{device}/stop"), json!({})).await.ok();
        assert_eq!(
            waha.server.session(device).unwrap().status(),
            "WORKING",
            "{device}: stopping unlinks nothing"
        );
        if delete {
            waha.app.delete(&format!("/devices/{device}")).await.ok();
        } else {
            waha.app.post(&format!("/devices/{device}/logout"), json!({})).await.ok();
        }
        assert_eq!(waha.asked(&format!("POST /api/sessions/{device}/logout")), 1);
        let session = waha.server.session(device).unwrap();
        assert_eq!((session.status(), session.me()), ("STOPPED", Value::Null), "{device}");
    }
}
