//! Limits of imports: one per device, a minimum rate, and free disk space.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use super::{import, unlinked_device};
use crate::support::{ANNA, Reply, TestApp};

const SHORT_GRACE: (&str, &str) = ("WHARF__IMPORT__GRACE_MS", "300");
const TEXT: &str = "31/12/2025, 14:05 - Me: x\n";

fn query() -> String {
    format!("chatId={ANNA}&me=Me")
}

/// A body that sends one byte each 100 ms and never ends.
fn trickling_body() -> reqwest::Body {
    let bytes = futures_util::stream::repeat("x").then(async |byte| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, std::io::Error>(byte)
    });
    reqwest::Body::wrap_stream(bytes)
}

/// Waits until the device runs an import of another client.
async fn wait_for_running_import(app: &TestApp, device: &str) {
    app.wait_until("the other import to run", async || {
        let reply = import(app, device, &query(), "").await;
        (reply.status == 429).then_some(())
    })
    .await;
}

#[tokio::test]
async fn running_import_blocks_no_other_device() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    unlinked_device(&app, "b").await;
    let attack = async {
        let bodies = (0..6).map(|_| import(&app, "a", "", trickling_body()));
        let _replies: Vec<Reply> = futures_util::future::join_all(bodies).await;
    };
    let victim = async {
        wait_for_running_import(&app, "a").await;
        let error = import(&app, "a", &query(), TEXT).await.refused(429, "too_many_imports");
        assert!(error["error"].as_str().unwrap().contains("import.max_running_per_device"), "{error}");
        assert_eq!(import(&app, "b", &query(), TEXT).await.ok()["data"]["imported"], 1);
    };
    tokio::select! {
        () = attack => panic!("a trickling import ended before its grace period"),
        () = victim => {}
    }
}

#[tokio::test]
async fn trickling_import_ends_after_grace_period() {
    let app = TestApp::start_with(&[SHORT_GRACE]).await;
    unlinked_device(&app, "a").await;
    let attack = import(&app, "a", "", trickling_body());
    let reply = tokio::time::timeout(Duration::from_secs(10), attack).await.expect("the import goes on");
    let error = reply.refused(400, "invalid_import");
    assert!(error["error"].as_str().unwrap().contains("16384 bytes per second"), "{error}");
    assert_eq!(import(&app, "a", &query(), TEXT).await.ok()["data"]["imported"], 1);
}

#[tokio::test]
async fn files_are_refused_while_messages_pass_on_low_disk() {
    let app = TestApp::start_with(&[
        ("WHARF__MEDIA__MIN_FREE_PERCENT", "100"),
        ("WHARF__MEDIA__MIN_FREE_BYTES", "1125899906842624"),
    ])
    .await;
    app.device("shop").await;
    let upload = app.request("POST", "/devices/shop/media").body("a file");
    app.with_key(&app.key).send(upload).await.refused(503, "disk_full");
    let inline = json!({ "to": ANNA, "media": { "data": "YQ==", "filename": "a.txt" } });
    app.post("/devices/shop/messages/send", inline).await.refused(503, "disk_full");
    import(&app, "shop", &query(), TEXT).await.refused(503, "disk_full");
    let message = app.send("shop", ANNA, "still stored").await;
    app.wait_for_status("shop", &message, "read").await;
}
