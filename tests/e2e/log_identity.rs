//! The id of the event log, which changes when an older copy replaces the database.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, TestApp};

const DATABASE: &str = "wharf.db";

fn replace_database(data: &Path, copy: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("{DATABASE}{suffix}")));
    }
    std::fs::write(data.join(DATABASE), copy).unwrap();
}

async fn first_chunk(app: &TestApp, path: &str) -> String {
    let request =
        app.request("GET", path).header("X-API-KEY", &app.key).header("accept", "text/event-stream");
    let mut chunks = request.send().await.unwrap().bytes_stream();
    let chunk = tokio::time::timeout(Duration::from_secs(10), chunks.next()).await.unwrap().unwrap();
    String::from_utf8_lossy(&chunk.unwrap()).into_owned()
}

// covers: resume after a restored backup
#[tokio::test]
async fn clients_resync_after_an_older_copy_was_restored() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let old = app.get("/devices/shop/events").await.ok()["logId"].as_str().unwrap().to_owned();
    let mut copy = Vec::new();
    let app = app.restarted_after_change(|data| copy = std::fs::read(data.join(DATABASE)).unwrap()).await;
    app.wait_for_state("shop", "ready").await;
    let page = app.get(&format!("/devices/shop/events?after=1&logId={old}")).await.ok();
    assert_eq!((&page["logId"], &page["resync"]), (&json!(old), &json!(false)), "a restart keeps the log");
    for n in 0..5 {
        app.incoming("shop", ANNA, &n.to_string()).await;
    }

    let app = app.restarted_after_change(|data| replace_database(data, &copy)).await;
    let page = app.get(&format!("/devices/shop/events?after=1&logId={old}")).await.ok();
    assert_eq!((&page["data"], &page["resync"]), (&json!([]), &json!(true)));
    let new = page["logId"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    let page = app.get(&format!("/devices/shop/events?after=1&logId={new}")).await.ok();
    assert_eq!(page["resync"], false);

    let stream = first_chunk(&app, &format!("/devices/shop/events?after=1&logId={old}")).await;
    assert!(stream.starts_with(&format!(": logId={new}\n")) && stream.contains("event: resync"), "{stream}");

    let (mut wire, _) = Wire::open(&app).await;
    let auth = json!({ "apiKey": ADMIN_KEY, "since": 1, "logId": old });
    wire.send(&format!("40/device/shop,{auth}")).await;
    assert!(wire.event("shop", "resync").await["newestSeq"].is_i64());
    assert_eq!(wire.event("shop", "state").await["logId"], new);
}
