//! Early or unsigned callbacks, and settings without access to secrets.

use serde_json::{Value, json};

use super::{Cloud, text};
use crate::support::ANNA;

fn reaction(emoji: &str) -> Value {
    json!({ "messages": [{ "from": ANNA, "id": "wamid.R=", "timestamp": "1700000001",
        "type": "reaction", "reaction": { "message_id": "wamid.A=", "emoji": emoji } }] })
}

#[tokio::test]
async fn reaction_before_its_message_applies_when_it_comes() {
    let cloud = Cloud::start().await;
    for _ in 0..2 {
        assert_eq!(cloud.call_back(&cloud.envelope(&reaction("👍"))).await, 200);
    }
    assert!(cloud.app.logged("shop", "message:reaction").await.is_empty());
    let app = cloud.app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    let cloud = Cloud { app, graph: cloud.graph };
    assert_eq!(cloud.call_back(&cloud.envelope(&text("wamid.A=", "hello"))).await, 200);
    let log = cloud.app.log("shop").await;
    let place = |kind: &str| log.iter().position(|entry| entry["type"] == kind);
    assert!(place("message") < place("message:reaction"), "{log:?}");
    assert_eq!(cloud.app.logged("shop", "message:reaction").await.len(), 1);
    let id = cloud.app.logged("shop", "message").await[0]["message"]["id"].clone();
    let message = cloud.app.get(&format!("/devices/shop/messages/{}", id.as_str().unwrap())).await.ok();
    assert_eq!(message["data"]["reactions"][0]["emoji"], "👍", "{message}");
}

#[tokio::test]
async fn unsigned_callback_is_not_read_and_reveals_nothing() {
    let cloud = Cloud::start().await;
    let body = json!({ "id": "till", "engine": "simulator", "settings": { "simulator": {} } });
    cloud.app.post("/devices", body).await.created();
    let call = async |device: &str| {
        let request = cloud.app.request("POST", &format!("//hooks/{device}")).body(vec![b'x'; 9_000_000]);
        request.send().await.map(|answer| answer.status().as_u16()).ok()
    };
    // The answer may arrive before the whole body is sent, which a client may report as a broken connection.
    assert!(matches!(call("shop").await, Some(401) | None));
    let (simulated, absent) = (call("till").await, call("nobody").await);
    assert!(matches!(simulated, Some(404) | None) && matches!(absent, Some(404) | None));
    let small = cloud.app.request("POST", "//hooks/till").body("{}").send().await.unwrap();
    assert_eq!(small.status(), 404);
}

#[tokio::test]
async fn new_host_needs_the_secret_again() {
    let cloud = Cloud::start().await;
    let shown = cloud.app.get("/devices/shop").await.ok()["data"]["settings"]["cloud-api"].clone();
    assert_eq!(shown["accessToken"], "********");
    let mut moved = shown.clone();
    moved["baseUrl"] = "https://graph.example.org".into();
    let change = async |settings: &Value| {
        cloud.app.patch("/devices/shop", json!({ "settings": { "cloud-api": settings } })).await
    };
    let refused = change(&moved).await.refused(400, "invalid_field");
    assert_eq!(refused["details"][0]["field"], "settings.cloud-api.accessToken", "{refused}");
    for secret in ["accessToken", "appSecret", "verifyToken"] {
        moved[secret] = "given-anew".into();
    }
    change(&moved).await.ok();
    change(&json!({ "phoneNumberId": shown["phoneNumberId"], "baseUrl": "https://graph.example.org" }))
        .await
        .ok();
}
