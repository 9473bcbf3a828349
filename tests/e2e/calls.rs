//! Incoming calls and their events.

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, TestApp};

// covers: event call
#[tokio::test]
async fn call_and_its_end_emit_events() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    let ringing = app.post("/simulator/shop/call", json!({ "from": ANNA, "video": true })).await.ok();
    let call = &ringing["data"]["callId"];
    let event = wire.event("shop", "call").await;
    assert_eq!(
        (&event["callId"], &event["from"], &event["video"], &event["status"]),
        (call, &json!("15550100001@c.us"), &json!(true), &json!("ringing"))
    );
    assert!(event["seq"].is_i64() && event["timestamp"].is_i64(), "{event}");
    let end = if app.reports("calls that end") { "ended" } else { "rejected" };
    let over = json!({ "from": ANNA, "video": true, "callId": call, "status": end });
    app.post("/simulator/shop/call", over).await.ok();
    assert_eq!(wire.event("shop", "call").await["status"], end);
}

// covers: event call
#[tokio::test]
async fn repeated_call_emits_one_event() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let end = if app.reports("calls that end") { "missed" } else { "accepted" };
    for status in ["ringing", "ringing", end, end] {
        let call = json!({ "from": ANNA, "callId": "C1", "status": status });
        app.post("/simulator/shop/call", call).await.ok();
    }
    let statuses: Vec<Value> =
        app.logged("shop", "call").await.iter().map(|call| call["status"].clone()).collect();
    assert_eq!(statuses, ["ringing", end]);
}
