//! Incoming calls, as events.

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, TestApp};

// covers: event call
#[tokio::test]
async fn a_call_and_its_end_are_told() {
    let app = TestApp::start().await;
    if !app.has_phone() {
        return app.skip("phone");
    }
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    let ringing = app.post("/simulator/shop/call", json!({ "from": ANNA, "video": true })).await.ok();
    let call = &ringing["data"]["callId"];
    let told = wire.event("shop", "call").await;
    assert_eq!(
        (&told["callId"], &told["from"], &told["video"], &told["status"]),
        (call, &json!("15550100001@c.us"), &json!(true), &json!("ringing"))
    );
    assert!(told["seq"].is_i64() && told["timestamp"].is_i64(), "{told}");
    let end = if app.says("calls that end") { "ended" } else { "rejected" };
    let over = json!({ "from": ANNA, "video": true, "callId": call, "status": end });
    app.post("/simulator/shop/call", over).await.ok();
    assert_eq!(wire.event("shop", "call").await["status"], end);
}

// covers: event call
#[tokio::test]
async fn a_call_that_the_network_tells_again_is_told_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let end = if app.says("calls that end") { "missed" } else { "accepted" };
    for status in ["ringing", "ringing", end, end] {
        let call = json!({ "from": ANNA, "callId": "C1", "status": status });
        app.post("/simulator/shop/call", call).await.ok();
    }
    let told: Vec<Value> =
        app.logged("shop", "call").await.iter().map(|call| call["status"].clone()).collect();
    assert_eq!(told, ["ringing", end]);
}
