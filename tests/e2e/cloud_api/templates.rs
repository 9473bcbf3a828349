//! Templates, which Meta accepts outside the 24-hour window.

use serde_json::{Value, json};

use super::Cloud;
use crate::support::{ANNA, TestApp};

const SEND: &str = "/devices/shop/messages/send";

fn order_ready(gaps: &[&str]) -> Value {
    let gaps: Vec<Value> = gaps.iter().map(|gap| json!({ "type": "text", "text": gap })).collect();
    json!({ "name": "order_ready", "language": "en_US", "components": [{ "type": "body", "parameters": gaps }],
        "text": "Your order A-17 is ready." })
}

async fn sent(cloud: &Cloud, template: &Value) -> String {
    let request = json!({ "to": ANNA, "template": template });
    cloud.app.post(SEND, request).await.created()["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn template_is_sent_in_metas_form_and_shown_as_text() {
    let cloud = Cloud::start().await;
    let template = order_ready(&["A-17"]);
    let id = sent(&cloud, &template).await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let asked = cloud.number().asked().pop().unwrap();
    assert_eq!(asked["type"], "template");
    let metas = json!({ "name": "order_ready", "language": { "code": "en_US" }, "components": template["components"] });
    assert_eq!(asked["template"], metas);
    let shown = cloud.app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone();
    assert_eq!((&shown["type"], &shown["body"]), (&json!("chat"), &template["text"]));
    let kept = json!({ "name": "order_ready", "language": "en_US", "components": template["components"] });
    assert_eq!(shown["template"], kept);
    let found = cloud.app.get("/devices/shop/messages/search?query=order_ready").await.ok();
    assert_eq!(found["data"][0]["id"], id.as_str());
}

#[tokio::test]
async fn rejected_template_fails_with_its_reason() {
    let cloud = Cloud::start().await;
    let unknown = json!({ "name": "goodbye", "language": "en_US" });
    for (template, number) in [(order_ready(&[]), "132000"), (unknown, "132001")] {
        let id = sent(&cloud, &template).await;
        cloud.app.wait_for_status("shop", &id, "failed").await;
        let step = cloud.app.logged("shop", "message:status").await.pop().unwrap();
        assert_eq!(step["code"], "template_not_taken");
        assert!(step["error"].as_str().unwrap().contains(number), "{step}");
    }
}

#[tokio::test]
async fn export_contains_the_whole_template() {
    let cloud = Cloud::start().await;
    let id = sent(&cloud, &order_ready(&["A-17"])).await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let exported = cloud.app.get(&format!("/devices/shop/chats/{ANNA}@c.us/export?format=json")).await;
    let exported: Value = serde_json::from_slice(&exported.bytes).unwrap();
    let message = exported["messages"].as_array().unwrap().iter().find(|m| m["id"] == id.as_str()).unwrap();
    assert_eq!(message["template"]["name"], "order_ready");
}

#[tokio::test]
async fn engine_without_templates_rejects_them() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post(SEND, json!({ "to": ANNA, "template": order_ready(&["A-17"]) }))
        .await
        .refused(422, "not_supported_by_engine");
}
