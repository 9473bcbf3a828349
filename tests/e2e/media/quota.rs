//! Limits of a device's files: stored bytes and bytes in a minute.

use base64::Engine as _;
use futures_util::StreamExt as _;
use serde_json::json;

use super::files::{on_disk, sha256};
use super::{SEND, UPLOAD, upload};
use crate::support::{ANNA, Reply, TestApp};

const QUOTA: (&str, &str) = ("WHARF__MEDIA__MAX_BYTES_PER_DEVICE", "2500");
const RATE: (&str, &str) = ("WHARF__MEDIA__MAX_UPLOAD_BYTES_PER_MINUTE", "2000");
const MINUTE_MS: i64 = 60_000;

async fn try_upload(app: &TestApp, device: &str, bytes: Vec<u8>) -> Reply {
    let request = app.request("POST", &format!("/devices/{device}/media")).body(bytes);
    app.with_key(&app.key).send(request).await
}

async fn send_inline(app: &TestApp, bytes: &[u8]) -> Reply {
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    app.post(SEND, json!({ "to": ANNA, "media": { "data": data } })).await
}

#[tokio::test]
async fn device_over_its_quota_cannot_store_more_files() {
    let app = TestApp::start_with(&[QUOTA]).await;
    app.device("shop").await;
    app.device("other").await;
    upload(&app, &[b'a'; 1_000]).await;
    let accepted = send_inline(&app, &[b'b'; 1_000]).await.created();
    let message = accepted["data"]["id"].as_str().unwrap();
    app.wait_for_status("shop", message, "read").await;

    let refused = try_upload(&app, "shop", vec![b'c'; 1_000]).await.refused(429, "media_quota_exceeded");
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("2500 bytes (media.max_bytes_per_device)"), "{refused}");
    send_inline(&app, &[b'd'; 501]).await.refused(429, "media_quota_exceeded");
    app.wait_until("the refused files to be gone", async || (on_disk(&app).len() == 2).then_some(())).await;

    // Equal content, other devices and messages without a file are not affected.
    upload(&app, &[b'a'; 1_000]).await;
    upload(&app, &[b'e'; 500]).await;
    try_upload(&app, "shop", b"x".to_vec()).await.refused(429, "media_quota_exceeded");
    try_upload(&app, "other", vec![b'c'; 1_000]).await.created();
    let text = app.send("shop", ANNA, "still sent").await;
    app.wait_for_status("shop", &text, "read").await;

    let delete = json!({ "messageId": message, "forEveryone": true });
    app.post("/devices/shop/messages/delete", delete).await.ok();
    app.wait_until("room for a file", async || {
        (try_upload(&app, "shop", vec![b'f'; 900]).await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test]
async fn parallel_uploads_do_not_exceed_the_quota() {
    let app = TestApp::start_with(&[QUOTA]).await;
    app.device("shop").await;
    let uploads = (b'a'..b'i').map(|letter| try_upload(&app, "shop", vec![letter; 1_000]));
    let replies = futures_util::future::join_all(uploads).await;
    let stored = replies.iter().filter(|reply| reply.status == 201).count();
    assert!(stored <= 2, "{stored} files of 1,000 bytes are stored");
    app.wait_until("the refused files to be gone", async || (on_disk(&app).len() == stored).then_some(()))
        .await;
}

#[tokio::test]
async fn device_over_its_upload_rate_is_refused_for_a_minute() {
    let app = TestApp::start_with(&[RATE]).await;
    app.device("shop").await;
    app.device("other").await;
    upload(&app, &[b'a'; 1_500]).await;
    // An upload that never ends counts too.
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(vec![b'b'; 600])]);
    let endless = reqwest::Body::wrap_stream(pieces.chain(futures_util::stream::pending()));
    let request = app.request("POST", UPLOAD).header("X-API-KEY", &app.key).body(endless);
    let reached = app.wait_until("the limit", async || {
        (try_upload(&app, "shop", b"c".to_vec()).await.status == 429).then_some(())
    });
    tokio::select! {
        _ = request.send() => panic!("an upload without an end was answered"),
        () = reached => {}
    }

    let reply = try_upload(&app, "shop", b"c".to_vec()).await;
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let refused = reply.refused(429, "upload_rate_exceeded");
    assert!(refused["error"].as_str().unwrap().contains("media.max_upload_bytes_per_minute"), "{refused}");
    send_inline(&app, b"c").await.refused(429, "upload_rate_exceeded");
    try_upload(&app, "other", b"c".to_vec()).await.created();
    let text = app.send("shop", ANNA, "still sent").await;
    app.wait_for_status("shop", &text, "read").await;

    app.clock.advance(MINUTE_MS);
    upload(&app, b"after the minute").await;
    assert!(on_disk(&app).contains(&sha256(b"after the minute")));
}
