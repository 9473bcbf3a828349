//! Acknowledgement levels of messages, in any order of the reports.

use serde_json::{Value, json};

use crate::support::{ANNA, TestApp};

async fn levels(app: &TestApp, message: &str) -> Vec<i64> {
    let acks = app.logged("shop", "message:ack").await;
    acks.iter().filter(|a| a["messageId"] == message).map(|a| a["ack"].as_i64().unwrap()).collect()
}

async fn silent_device(app: &TestApp) -> Value {
    app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await
}

async fn receipt(app: &TestApp, message: &str, ack: i64) {
    app.post("/simulator/shop/receipt", json!({ "messageId": message, "ack": ack })).await.ok();
}

// covers: ack 1 server
// covers: ack 2 device
// covers: ack 3 read
#[tokio::test]
async fn message_passes_each_status_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "read").await;
    assert_eq!(app.steps("shop", &id).await, ["queued", "sending", "sent", "delivered", "read"]);
    assert_eq!(levels(&app, &id).await, [1, 2, 3]);
}

// covers: ack levels never go down
// covers: ack 4 played
#[tokio::test]
async fn ack_never_decreases_and_duplicate_emits_nothing() {
    let app = TestApp::start().await;
    silent_device(&app).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sent").await;
    for ack in [3, 2, 3, 4, 1] {
        receipt(&app, &id, ack).await;
    }
    app.wait_for_status("shop", &id, "played").await;
    assert_eq!(levels(&app, &id).await, [1, 3, 4]);
}

// covers: ack -1 error
// covers: ack -1 is final
#[tokio::test]
async fn failure_after_server_ack_is_final() {
    let app = TestApp::start().await;
    silent_device(&app).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sent").await;
    for ack in [-1, 2, 3] {
        receipt(&app, &id, ack).await;
    }
    let failed = app.wait_for_status("shop", &id, "failed").await;
    assert_eq!(failed["ack"], -1);
    assert_eq!(levels(&app, &id).await, [1, -1]);
}

// covers: ack levels never go down
#[tokio::test]
async fn failure_after_delivery_changes_nothing() {
    let app = TestApp::start().await;
    silent_device(&app).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sent").await;
    for ack in [2, -1, 3] {
        receipt(&app, &id, ack).await;
    }
    app.wait_for_status("shop", &id, "read").await;
    assert_eq!(levels(&app, &id).await, [1, 2, 3]);
}

// covers: ack of a group is its lowest
// covers: GET /devices/{id}/messages/{mid}
#[tokio::test]
async fn group_ack_is_minimum_of_members() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    let group = "120363000000000001@g.us";
    let members = ["15550100001", "15550100002"];
    let groups = json!([{ "id": group, "subject": "Team", "participants": members }]);
    app.device_with("shop", json!({ "groups": groups, "ackDeviceMs": null, "ackReadMs": null })).await;
    let id = app.send("shop", group, "hello all").await;
    app.wait_for_status("shop", &id, "sent").await;
    let receipt = async |who: &str, ack: i64| {
        let body = json!({ "messageId": id, "ack": ack, "participant": who });
        app.post("/simulator/shop/receipt", body).await.ok();
    };
    receipt(members[0], 3).await;
    assert_eq!(app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"]["ack"], 1);
    receipt(members[1], 2).await;
    let found = app.wait_for_status("shop", &id, "delivered").await;
    assert_eq!(found["receipts"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(levels(&app, &id).await, [1, 2]);
}

// covers: ack levels never go down
#[tokio::test]
async fn receipts_in_reverse_order_end_as_read() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "reorder_receipts" })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "read").await;
    let levels = levels(&app, &id).await;
    assert!(levels.is_sorted() && levels.last() == Some(&3), "{levels:?}");
}

// covers: ack of a group is its lowest
#[tokio::test]
async fn early_member_receipt_does_not_raise_group_ack() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    let group = "120363000000000001@g.us";
    let groups = json!([{ "id": group, "subject": "Team", "participants": ["15550100001", "15550100002"] }]);
    let slow = json!({ "groups": groups, "ackServerMs": 500, "ackDeviceMs": null, "ackReadMs": null });
    app.device_with("shop", slow).await;
    let id = app.send("shop", group, "hello all").await;
    app.wait_for_status("shop", &id, "sending").await;
    let early = json!({ "messageId": id, "ack": 3, "participant": "15550100001" });
    app.post("/simulator/shop/receipt", early).await.ok();
    app.wait_for_status("shop", &id, "sent").await;
    let late = json!({ "messageId": id, "ack": 2, "participant": "15550100002" });
    app.post("/simulator/shop/receipt", late).await.ok();
    app.wait_for_status("shop", &id, "delivered").await;
    assert_eq!(levels(&app, &id).await, [1, 2]);
}
