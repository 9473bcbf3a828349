//! The list of notifications and the read marks of each operator.

use serde_json::json;

use super::{app, message_notifications};
use crate::support::{ANNA, BEN};

// covers: GET /notifications
// covers: GET /devices/{id}/notifications
// covers: POST /devices/{id}/notifications/read
#[tokio::test]
async fn read_marks_are_per_operator() {
    let app = app().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "one").await;
    app.incoming("shop", BEN, "two").await;
    message_notifications(&app, "shop", 2).await;
    let unread = async |who: &str| {
        let path = format!("/devices/shop/notifications?unread=true&access-token={who}");
        app.get(&path).await.ok()
    };
    let all = app.get("/notifications?limit=100").await.ok();
    let total = all["pagination"]["total"].as_i64().unwrap();
    assert!(total >= 2 && all["data"][0]["read"] == false, "{all}");
    assert_eq!(all["data"][0]["deviceId"], "shop");
    let id = all["data"][0]["id"].clone();
    let read = json!({ "ids": [id] });
    let left = app.post("/devices/shop/notifications/read?access-token=anna", read).await.ok();
    assert_eq!(left["data"]["unread"], total - 1);
    assert_eq!(unread("anna").await["pagination"]["total"], total - 1);
    assert_eq!(unread("ben").await["pagination"]["unread"], total);
    app.post("/devices/shop/notifications/read?access-token=anna", json!({})).await.ok();
    assert_eq!(unread("anna").await["data"], json!([]));
    assert_eq!(unread("ben").await["data"].as_array().unwrap().len(), usize::try_from(total).unwrap());
    app.get("/devices/none/notifications").await.refused(404, "device_not_found");
}

#[tokio::test]
async fn grown_notification_is_unread_again() {
    let app = app().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "one").await;
    message_notifications(&app, "shop", 1).await;
    let left = app.post("/devices/shop/notifications/read", json!({})).await.ok();
    assert_eq!(left["data"]["unread"], 0);
    app.incoming("shop", ANNA, "two").await;
    app.clock.advance(10_001);
    message_notifications(&app, "shop", 2).await;
    let unread = app.get("/devices/shop/notifications?unread=true").await.ok();
    assert_eq!((&unread["data"][0]["count"], &unread["pagination"]["unread"]), (&json!(2), &json!(1)));
}
