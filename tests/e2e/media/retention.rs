//! Retention and deletion of media files.

use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::files::{media_dir, on_disk, png, sha256};
use super::{SEND, UPLOAD, get_without_key, message_with, path, sent, upload};
use crate::support::{ANNA, TestApp};

const HOUR_MS: i64 = 3_600_000;
/// Why an absent deletion is observed for a while.
const DELETION: &str = "files are deleted in the background";

async fn revoke(app: &TestApp, message: &Value) {
    let body = json!({ "messageId": message["id"], "forEveryone": true });
    app.post("/devices/shop/messages/delete", body).await.ok();
}

async fn sweep(app: &TestApp) {
    app.app().services.maintenance.sweep().await.unwrap();
}

async fn wait_until_empty(app: &TestApp) {
    app.wait_until("the files to be gone", async || on_disk(app).is_empty().then_some(())).await;
}

/// Unsent uploads keep a file for a day.
async fn expire_uploads(app: &TestApp) {
    app.clock.advance(24 * HOUR_MS + 1);
    sweep(app).await;
}

#[tokio::test]
async fn file_is_deleted_with_its_last_message() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, &png()).await;
    let (one, two) = (sent(&app, &uploaded).await, sent(&app, &uploaded).await);
    expire_uploads(&app).await;
    revoke(&app, &one).await;
    app.assert_stays("the shared file", DELETION, async || !on_disk(&app).is_empty()).await;
    assert_eq!(get_without_key(&app, &two["mediaUrl"]).await.bytes, png());
    revoke(&app, &two).await;
    wait_until_empty(&app).await;
    app.get(&path(&two, "download")).await.refused(404, "no_media");
}

#[tokio::test]
async fn fresh_upload_is_deleted_with_its_message() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, &png()).await;
    let (one, two) = (sent(&app, &uploaded).await, sent(&app, &uploaded).await);
    revoke(&app, &one).await;
    let again = sent(&app, &uploaded).await;
    revoke(&app, &again).await;
    assert_eq!(get_without_key(&app, &two["mediaUrl"]).await.bytes, png());
    revoke(&app, &two).await;
    wait_until_empty(&app).await;
    let body = json!({ "to": ANNA, "media": { "mediaId": uploaded["mediaId"] } });
    app.post(SEND, body).await.refused(404, "media_not_found");
}

#[tokio::test]
async fn upload_survives_deletion_of_equal_file() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("other").await;
    let request = app.request("POST", "/devices/other/media").body(png());
    let others = app.with_key(&app.key).send(request).await.created();
    let message = message_with(&app, &png(), "").await;
    revoke(&app, &message).await;
    app.assert_stays("the other device's file", DELETION, async || !on_disk(&app).is_empty()).await;
    let body = json!({ "to": ANNA, "media": { "mediaId": others["data"]["mediaId"] } });
    app.post("/devices/other/messages/send", body).await.created();
}

#[tokio::test]
async fn unsent_upload_expires_after_a_day() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, b"never sent").await;
    app.clock.advance(23 * HOUR_MS);
    sweep(&app).await;
    assert_eq!(on_disk(&app), [sha256(b"never sent")]);
    app.clock.advance(HOUR_MS + 1);
    sweep(&app).await;
    wait_until_empty(&app).await;
    let body = json!({ "to": ANNA, "media": { "mediaId": uploaded["mediaId"] } });
    app.post(SEND, body).await.refused(404, "media_not_found");
}

#[tokio::test]
async fn expired_file_leaves_media_description() {
    let app = TestApp::start_with(&[("WHARF__RETENTION__MEDIA_DAYS", "2")]).await;
    app.device("shop").await;
    let message = message_with(&app, &png(), "a.png").await;
    expire_uploads(&app).await;
    assert_eq!(get_without_key(&app, &message["mediaUrl"]).await.status, 200);
    app.clock.advance(24 * HOUR_MS);
    sweep(&app).await;
    assert!(on_disk(&app).is_empty());
    get_without_key(&app, &message["mediaUrl"]).await.refused(404, "media_gone");
    app.get(&path(&message, "thumbnail")).await.refused(404, "media_gone");
    let info = app.get(&path(&message, "info")).await.ok()["data"].clone();
    assert_eq!((&info["downloadUrl"], &info["filename"]), (&Value::Null, &json!("a.png")));
    let body = json!({ "messageId": message["id"], "to": ANNA });
    app.post("/devices/shop/messages/forward", body).await.refused(422, "media_gone");
    message_with(&app, &png(), "b.png").await;
    assert_eq!(on_disk(&app).len(), 2);
}

#[tokio::test]
async fn queued_message_keeps_file() {
    let app =
        TestApp::start_with(&[("WHARF__RETENTION__MEDIA_DAYS", "1"), ("WHARF__MEDIA__MAX_TOTAL_BYTES", "1")])
            .await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let uploaded = upload(&app, b"waits").await;
    let body = json!({ "to": ANNA, "media": { "mediaId": uploaded["mediaId"] } });
    let accepted = app.post(SEND, body).await.created();
    app.clock.advance(72 * HOUR_MS);
    sweep(&app).await;
    assert_eq!(on_disk(&app), [sha256(b"waits")]);
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_status("shop", accepted["data"]["id"].as_str().unwrap(), "read").await;
    sweep(&app).await;
    wait_until_empty(&app).await;
}

#[tokio::test]
async fn oldest_files_are_evicted_over_quota() {
    let app = TestApp::start_with(&[("WHARF__MEDIA__MAX_TOTAL_BYTES", "2500")]).await;
    app.device("shop").await;
    let mut messages = Vec::new();
    for letter in [b'a', b'b', b'c', b'd'] {
        messages.push(message_with(&app, &[letter; 1_000], "").await);
        app.clock.advance(2 * HOUR_MS);
    }
    sweep(&app).await;
    for (message, status) in messages.iter().zip([404, 404, 200, 200]) {
        assert_eq!(get_without_key(&app, &message["mediaUrl"]).await.status, status);
    }
    assert_eq!(on_disk(&app).len(), 2);
}

#[tokio::test]
async fn over_quota_upload_is_kept_for_ten_minutes() {
    let app = TestApp::start_with(&[("WHARF__MEDIA__MAX_TOTAL_BYTES", "1500")]).await;
    app.device("shop").await;
    let first = upload(&app, &[b'a'; 1_000]).await;
    app.clock.advance(6 * 60_000);
    upload(&app, &[b'b'; 1_000]).await;
    sweep(&app).await;
    assert_eq!(on_disk(&app).len(), 2);
    app.clock.advance(5 * 60_000);
    sweep(&app).await;
    assert_eq!(on_disk(&app), [sha256(&[b'b'; 1_000])]);
    let body = json!({ "to": ANNA, "media": { "mediaId": first["mediaId"] } });
    let refused = app.post(SEND, body).await.refused(404, "media_not_found");
    assert!(refused["error"].as_str().unwrap().contains("media.max_total_bytes"), "{refused}");
}

#[tokio::test]
async fn deleted_device_files_go_unless_shared() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("other").await;
    message_with(&app, b"only in the shop", "").await;
    upload(&app, b"uploaded and not sent").await;
    message_with(&app, b"in both", "").await;
    let request = app.request("POST", "/devices/other/media").body("in both");
    app.with_key(&app.key).send(request).await.created();
    app.delete("/devices/shop").await.ok();
    app.wait_until("its files to be gone", async || (on_disk(&app) == [sha256(b"in both")]).then_some(()))
        .await;
}

/// Writes a file into the media store that no row refers to; returns its name.
fn write_unreferenced_file(app: &TestApp) -> String {
    let name = "ab".repeat(32);
    let folder = media_dir(app).join("files/ab/ab");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&name), b"unreferenced").unwrap();
    name
}

#[tokio::test]
async fn crash_leftovers_are_removed_at_start() {
    let app = TestApp::start().await;
    app.device("shop").await;
    message_with(&app, b"belongs to a message", "").await;
    let stray = write_unreferenced_file(&app);
    std::fs::write(media_dir(&app).join("staging/9.part"), b"half").unwrap();
    let app = app.restarted().await;
    app.assert_stays("the fresh file", DELETION, async || on_disk(&app).contains(&stray)).await;
    app.clock.advance(2 * HOUR_MS);
    let app = app.restarted().await;
    let kept = [sha256(b"belongs to a message")];
    app.wait_until("the stray file to be gone", async || (on_disk(&app) == kept).then_some(())).await;
}

#[tokio::test]
async fn unreferenced_files_are_swept() {
    let app = TestApp::start().await;
    app.device("shop").await;
    message_with(&app, b"belongs to a message", "").await;
    let stray = write_unreferenced_file(&app);
    sweep(&app).await;
    assert!(on_disk(&app).contains(&stray), "a fresh file is kept");
    app.clock.advance(HOUR_MS);
    sweep(&app).await;
    assert_eq!(on_disk(&app), [sha256(b"belongs to a message")]);
}

#[tokio::test]
async fn upload_to_deleted_device_leaves_nothing() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = Arc::clone(&gate);
    let rest = futures_util::stream::once(async move {
        opened.notified().await;
        Ok::<_, std::io::Error>("a file")
    });
    let pieces = futures_util::stream::iter([Ok("half ")]).chain(rest);
    let request = app.request("POST", UPLOAD).body(reqwest::Body::wrap_stream(pieces));
    let asker = app.with_key(&app.key);
    let delete = async {
        app.wait_until("the upload to begin", async || (on_disk(&app).len() == 1).then_some(())).await;
        app.delete("/devices/shop").await.ok();
        gate.notify_one();
    };
    let (answer, ()) = tokio::join!(asker.send(request), delete);
    answer.refused(404, "device_not_found");
    wait_until_empty(&app).await;
}

#[tokio::test]
async fn reupload_during_deletion_succeeds() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for _ in 0..15 {
        let message = message_with(&app, b"back and forth", "").await;
        let (_, uploaded) = tokio::join!(revoke(&app, &message), upload(&app, b"back and forth"));
        let message = sent(&app, &uploaded).await;
        assert_eq!(get_without_key(&app, &message["mediaUrl"]).await.text(), "back and forth");
    }
}
