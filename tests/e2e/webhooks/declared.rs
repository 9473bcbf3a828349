//! Webhooks that a device's file declares.

use serde_json::json;

use super::app;
use crate::support::TestApp;

/// Set for every test by Cargo, so that nothing has to be set here.
const REFERENCE: &str = "${CARGO_PKG_NAME}";

fn declare(app: &TestApp, webhooks: &str) {
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    let text = format!("id = 'shop'\n{webhooks}");
    std::fs::write(app.devices_dir().join("shop.toml"), text).unwrap();
}

fn one(rest: &str) -> String {
    format!(
        "[[webhooks]]\nname = 'orders'\nurl = 'https://hooks.example.com/'\nformat = 'waha'\nsecret = '{REFERENCE}'\n{rest}\n"
    )
}

#[tokio::test]
async fn a_file_makes_changes_and_removes_its_webhooks() {
    let app = app().await;
    declare(&app, &one("events = ['message']"));
    app.app().reconcile().await.unwrap();
    let list = async || app.get("/devices/shop/webhooks").await.ok()["data"].as_array().unwrap().clone();
    let made = list().await.remove(0);
    assert_eq!(
        (&made["declared"], &made["events"], &made["name"]),
        (&json!(true), &json!(["message"]), &json!("orders"))
    );
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    app.patch(&path, json!({ "enabled": false })).await.refused(409, "set_by_file");
    app.delete(&path).await.refused(409, "set_by_file");
    declare(&app, &one("events = ['*']"));
    app.app().reconcile().await.unwrap();
    let changed = list().await.remove(0);
    assert_eq!((&changed["id"], &changed["events"]), (&made["id"], &json!(["*"])));
    declare(&app, "");
    app.app().reconcile().await.unwrap();
    assert!(list().await.is_empty());
}
