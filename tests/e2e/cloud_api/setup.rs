//! Setting up a number as a device.

use serde_json::{Value, json};

use super::Cloud;
use crate::support::{ANNA, TestApp};
use crate::upstream::cloud_api::{GraphFault, GraphServer};

// covers: GET /hooks/{deviceId}
#[tokio::test]
async fn challenge_needs_the_right_token() {
    let cloud = Cloud::start().await;
    let token = cloud.number().verify_token.clone();
    let ask = async |token: &str| {
        let path =
            format!("//hooks/shop?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        cloud.app.with_key("").send(cloud.app.request("GET", &path)).await
    };
    let right = ask(&token).await;
    assert_eq!((right.status, right.text().as_str()), (200, "1158201444"));
    assert_eq!(ask("another").await.status, 403);
    assert_eq!(ask("").await.status, 403);
}

#[tokio::test]
async fn device_is_ready_and_its_secrets_are_masked() {
    let cloud = Cloud::start().await;
    let device = cloud.app.get("/devices/shop").await.ok()["data"].clone();
    assert_eq!((&device["state"], &device["clientName"]), (&json!("ready"), &json!("Simulated business")));
    let text = device.to_string();
    let number = cloud.number();
    for secret in [&number.token, &number.app_secret, &number.verify_token] {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
    assert_eq!(device["settings"]["cloud-api"]["accessToken"], "********");
    assert!(cloud.app.logged("shop", "qr").await.is_empty());
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let cloud = Cloud::start().await;
    for (settings, field) in [
        (json!({}), "phoneNumberId"),
        (json!({ "phoneNumberId": "1", "accessToken": "t", "verifyToken": "v" }), "appSecret"),
        (
            json!({ "phoneNumberId": "1", "accessToken": "t", "verifyToken": "v", "appSecret": "s",
            "baseUrl": "http://10.0.0.1/" }),
            "baseUrl",
        ),
        (
            json!({ "phoneNumberId": "1", "accessToken": "t", "verifyToken": "v", "appSecret": "s",
            "baseUrl": "http://:pw@graph.example.org/" }),
            "baseUrl",
        ),
    ] {
        let body = json!({ "id": "other", "engine": "cloud-api", "settings": { "cloud-api": settings } });
        let refused = cloud.app.post("/devices", body).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], format!("settings.cloud-api.{field}"));
    }
}

async fn failed_with(change: impl FnOnce(&mut Value)) -> Value {
    let graph = GraphServer::start().await;
    let app = TestApp::start_on(graph.clone(), &[]).await;
    let mut settings = graph.prepare("shop", &json!({})).await;
    change(&mut settings["cloud-api"]);
    app.post("/devices", json!({ "id": "shop", "settings": settings })).await.created();
    app.wait_for_state("shop", "failed").await
}

#[tokio::test]
async fn wrong_token_or_number_fails_the_device() {
    let token = failed_with(|settings| settings["accessToken"] = "EAAJwrong".into()).await;
    assert_eq!(token["reason"], "upstream_unauthorized", "{token}");
    let number = failed_with(|settings| settings["phoneNumberId"] = "1".into()).await;
    assert_eq!(number["reason"], "upstream_unauthorized", "{number}");
}

#[tokio::test]
async fn unreachable_upstream_is_retried_until_it_is_back() {
    let cloud = Cloud::start().await;
    cloud.number().down.send_replace(true);
    let away = cloud.app.wait_for_state("shop", "reconnecting").await;
    assert_eq!(away["reason"], "upstream_unavailable");
    cloud.number().down.send_replace(false);
    cloud.app.wait_for_state("shop", "ready").await;
    let id = cloud.app.send("shop", ANNA, "hello").await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
}

#[tokio::test]
async fn single_gateway_error_does_not_end_the_session() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Gateway, 1);
    tokio::time::sleep(std::time::Duration::from_millis(1_600)).await;
    assert_eq!(cloud.app.logged("shop", "ready").await.len(), 1);
}

#[tokio::test]
async fn unsupported_types_are_rejected() {
    let cloud = Cloud::start().await;
    let app = &cloud.app;
    let poll = json!({ "to": ANNA, "poll": { "name": "Lunch?", "options": ["pasta", "soup"] } });
    app.post("/devices/shop/messages/send", poll).await.refused(422, "not_supported_by_engine");
    let group = json!({ "subject": "Crew", "participants": [ANNA] });
    app.post("/devices/shop/groups", group).await.refused(422, "not_supported_by_engine");
}
