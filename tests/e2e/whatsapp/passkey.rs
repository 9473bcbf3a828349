//! Linking an account that is protected by a passkey, against the testbed.

use serde_json::{Value, json};
use testbed::phone::passkey::Passkey;

use super::{ME, Native};
use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA};

const PASSKEY: &str = "/devices/shop/passkey";

/// A device whose code was scanned by a phone with a passkey.
async fn scanned() -> (Native, Passkey, Value) {
    let native = Native::start().await;
    let passkey = Passkey::generate().unwrap();
    native.testbed.world().directory.get_or_create(ME).unwrap().lock().passkey = Some(passkey.clone());
    native.new_device("shop", json!({})).await;
    native.app.post("/simulator/shop/scan", json!({ "phoneNumber": ME })).await.ok();
    native.app.wait_for_state("shop", "passkey").await;
    let step = native.app.get(PASSKEY).await.ok()["data"].clone();
    (native, passkey, step)
}

#[tokio::test]
async fn account_with_passkey_is_linked_and_can_send() {
    let (native, passkey, step) = scanned().await;
    assert_eq!((&step["stage"], &step["options"]["rpId"]), (&json!("signature"), &json!("whatsapp.com")));
    let (mut wire, _) = Wire::open(&native.app).await;
    wire.join("shop", ADMIN_KEY).await;
    native.app.post(&format!("{PASSKEY}/response"), passkey.sign(&step["options"])).await.ok();
    let shown = wire.event("shop", "passkey:confirmation").await["code"].as_str().unwrap().to_owned();
    let of_phone = native
        .app
        .wait_until("the phone to show a code", async || native.testbed.world().passkey_code(ME))
        .await;
    assert_eq!(shown.replace('-', ""), of_phone);
    let late = passkey.sign(&step["options"]);
    native.app.post(&format!("{PASSKEY}/response"), late).await.refused(409, "no_passkey_pending");
    // A repeated confirmation does not disturb the exchange of keys.
    let path = format!("{PASSKEY}/confirm");
    let confirm = || native.app.post(&path, json!({}));
    let (first, second) = tokio::join!(confirm(), confirm());
    let statuses = [first.status, second.status];
    assert!(statuses.contains(&200) && !statuses.contains(&422), "{statuses:?}");
    let device = native.app.wait_for_state("shop", "ready").await;
    assert_eq!(device["phoneNumber"], ME);
    let message = native.app.send("shop", ANNA, "hello").await;
    native.app.wait_for_status("shop", &message, "delivered").await;
    native.stop().await;
}

#[tokio::test]
async fn signature_of_another_passkey_ends_as_rejected() {
    let (native, _, step) = scanned().await;
    let mut other = Passkey::generate().unwrap().sign(&step["options"]);
    let id = &step["options"]["allowCredentials"][0]["id"];
    other["id"] = id.clone();
    other["rawId"] = id.clone();
    native.app.post(&format!("{PASSKEY}/response"), other).await.refused(422, "refused_by_network");
    let device = native.app.wait_for_state("shop", "stopped").await;
    assert_eq!(device["reason"], "passkey_rejected");
    native.app.post("/devices/shop/start", json!({})).await.ok();
    native.app.wait_for_state("shop", "qr").await;
    native.stop().await;
}

#[tokio::test]
async fn lost_connection_during_passkey_ends_as_failed() {
    let (native, _, _) = scanned().await;
    native.testbed.world().drop_pending(ME);
    let device = native.app.wait_for_state("shop", "stopped").await;
    assert_eq!(device["reason"], "passkey_failed");
    native.stop().await;
}
