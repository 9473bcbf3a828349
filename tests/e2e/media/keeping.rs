//! How long files stay.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::files::{media_dir, on_disk, png, sha256};
use super::{SEND, UPLOAD, get_bare, message_with, path, sent, upload};
use crate::support::{ANNA, TestApp};

const HOUR_MS: i64 = 3_600_000;

async fn take_back(app: &TestApp, message: &Value) {
    let body = json!({ "messageId": message["id"], "forEveryone": true });
    app.post("/devices/shop/messages/delete", body).await.ok();
}

async fn sweep(app: &TestApp) {
    app.app().services.maintenance.sweep().await.unwrap();
}

async fn wait_until_empty(app: &TestApp) {
    app.wait_until("the files to be gone", async || on_disk(app).is_empty().then_some(())).await;
}

/// Uploads would refer to the files for a day.
async fn forget_uploads(app: &TestApp) {
    app.clock.advance(24 * HOUR_MS + 1);
    sweep(app).await;
}

#[tokio::test]
async fn a_file_goes_with_the_last_message_that_is_taken_back() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, &png()).await;
    let (one, two) = (sent(&app, &uploaded).await, sent(&app, &uploaded).await);
    forget_uploads(&app).await;
    take_back(&app, &one).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(get_bare(&app, &two["mediaUrl"]).await.bytes, png());
    take_back(&app, &two).await;
    wait_until_empty(&app).await;
    app.get(&path(&two, "download")).await.refused(404, "no_media");
}

#[tokio::test]
async fn a_file_that_was_uploaded_just_now_goes_too_when_its_message_is_taken_back() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, &png()).await;
    let (one, two) = (sent(&app, &uploaded).await, sent(&app, &uploaded).await);
    take_back(&app, &one).await;
    let again = sent(&app, &uploaded).await;
    take_back(&app, &again).await;
    assert_eq!(get_bare(&app, &two["mediaUrl"]).await.bytes, png());
    take_back(&app, &two).await;
    wait_until_empty(&app).await;
    let body = json!({ "to": ANNA, "media": { "mediaId": uploaded["mediaId"] } });
    app.post(SEND, body).await.refused(404, "media_not_found");
}

#[tokio::test]
async fn an_upload_stays_when_somebody_else_takes_the_same_file_back() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("other").await;
    let request = app.request("POST", "/devices/other/media").body(png());
    let others = app.with_key(&app.key).send(request).await.created();
    let message = message_with(&app, &png(), "").await;
    take_back(&app, &message).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let body = json!({ "to": ANNA, "media": { "mediaId": others["data"]["mediaId"] } });
    app.post("/devices/other/messages/send", body).await.created();
}

#[tokio::test]
async fn an_upload_that_is_not_sent_is_forgotten_after_a_day() {
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
async fn an_old_file_goes_and_its_message_still_says_what_it_was() {
    let app = TestApp::start_with(&[("WHARF__RETENTION__MEDIA_DAYS", "2")]).await;
    app.device("shop").await;
    let message = message_with(&app, &png(), "a.png").await;
    forget_uploads(&app).await;
    assert_eq!(get_bare(&app, &message["mediaUrl"]).await.status, 200);
    app.clock.advance(24 * HOUR_MS);
    sweep(&app).await;
    assert!(on_disk(&app).is_empty());
    get_bare(&app, &message["mediaUrl"]).await.refused(404, "media_gone");
    app.get(&path(&message, "thumbnail")).await.refused(404, "media_gone");
    let info = app.get(&path(&message, "info")).await.ok()["data"].clone();
    assert_eq!((&info["downloadUrl"], &info["filename"]), (&Value::Null, &json!("a.png")));
    let body = json!({ "messageId": message["id"], "to": ANNA });
    app.post("/devices/shop/messages/forward", body).await.refused(422, "media_gone");
    message_with(&app, &png(), "b.png").await;
    assert_eq!(on_disk(&app).len(), 2);
}

#[tokio::test]
async fn what_waits_to_be_sent_keeps_its_file() {
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
async fn beyond_the_room_for_all_files_the_oldest_go() {
    let app = TestApp::start_with(&[("WHARF__MEDIA__MAX_TOTAL_BYTES", "2500")]).await;
    app.device("shop").await;
    let mut messages = Vec::new();
    for letter in [b'a', b'b', b'c', b'd'] {
        messages.push(message_with(&app, &[letter; 1_000], "").await);
        app.clock.advance(2 * HOUR_MS);
    }
    sweep(&app).await;
    for (message, status) in messages.iter().zip([404, 404, 200, 200]) {
        assert_eq!(get_bare(&app, &message["mediaUrl"]).await.status, status);
    }
    assert_eq!(on_disk(&app).len(), 2);
}

#[tokio::test]
async fn the_room_for_all_files_is_kept_but_for_ten_minutes() {
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
async fn files_of_a_deleted_device_go_unless_another_has_them_too() {
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

#[tokio::test]
async fn what_a_crash_has_left_goes_with_the_next_start() {
    let app = TestApp::start().await;
    app.device("shop").await;
    message_with(&app, b"belongs to a message", "").await;
    let stray = "ab".repeat(32);
    let folder = media_dir(&app).join("files/ab/ab");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&stray), b"no row knows this").unwrap();
    std::fs::write(media_dir(&app).join("staging/9.part"), b"half").unwrap();
    let app = app.restarted().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(on_disk(&app).contains(&stray), "it may be of a moment ago");
    app.clock.advance(2 * HOUR_MS);
    let app = app.restarted().await;
    let kept = [sha256(b"belongs to a message")];
    app.wait_until("the stray file to be gone", async || (on_disk(&app) == kept).then_some(())).await;
}

#[tokio::test]
async fn what_belongs_to_nothing_goes_with_a_sweep() {
    let app = TestApp::start().await;
    app.device("shop").await;
    message_with(&app, b"belongs to a message", "").await;
    let stray = "cd".repeat(32);
    let folder = media_dir(&app).join("files/cd/cd");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&stray), b"no row knows this").unwrap();
    sweep(&app).await;
    assert!(on_disk(&app).contains(&stray), "it may be of a moment ago");
    app.clock.advance(HOUR_MS);
    sweep(&app).await;
    assert_eq!(on_disk(&app), [sha256(b"belongs to a message")]);
}

#[tokio::test]
async fn an_upload_to_a_device_that_is_deleted_meanwhile_leaves_nothing() {
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
        app.wait_until("it to begin", async || (on_disk(&app).len() == 1).then_some(())).await;
        app.delete("/devices/shop").await.ok();
        gate.notify_one();
    };
    let (answer, ()) = tokio::join!(asker.send(request), delete);
    answer.refused(404, "device_not_found");
    wait_until_empty(&app).await;
}

#[tokio::test]
async fn the_same_file_may_come_while_it_goes() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for _ in 0..15 {
        let message = message_with(&app, b"back and forth", "").await;
        let (_, uploaded) = tokio::join!(take_back(&app, &message), upload(&app, b"back and forth"));
        let message = sent(&app, &uploaded).await;
        assert_eq!(get_bare(&app, &message["mediaUrl"]).await.text(), "back and forth");
    }
}
