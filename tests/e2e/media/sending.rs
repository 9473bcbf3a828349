//! Media of outgoing messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::files::{mp4, ogg, on_disk, png, sha256};
use super::{SEND, get_without_key, sent, sent_media, upload, upload_named};
use crate::support::{ANNA, TestApp};

async fn arrived_messages(app: &TestApp) -> Vec<Value> {
    let network = app.get("/simulator/shop/network").await.ok();
    network["data"]["sent"].as_array().unwrap().clone()
}

// covers: POST /devices/{id}/messages/send
#[tokio::test]
async fn uploaded_file_arrives_and_downloads_whole() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let bytes = mp4(700_000);
    let uploaded = upload_named(&app, &bytes, "film.mp4").await;
    let message = sent(&app, &uploaded).await;
    assert_eq!((&message["type"], &message["hasMedia"]), (&json!("video"), &json!(true)));
    assert_eq!((&message["mimetype"], &message["filename"]), (&json!("video/mp4"), &json!("film.mp4")));
    assert_eq!(
        (&message["filesize"], &message["mediaUrl"]),
        (&json!(700_000), &message["mediaInfo"]["downloadUrl"])
    );
    let seen = arrived_messages(&app).await.remove(0)["media"].clone();
    assert_eq!((&seen["sha256"], &seen["filesize"]), (&json!(sha256(&bytes)), &json!(700_000)));
    let download = get_without_key(&app, &message["mediaUrl"]).await;
    assert_eq!((download.status, download.bytes == bytes), (200, true));
}

#[tokio::test]
async fn caption_and_name_are_sent_with_file() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, &png()).await;
    let media = json!({ "mediaId": uploaded["mediaId"], "mimetype": "text/html", "caption": "Look", "filename": "a/b.png" });
    let message = sent_media(&app, media).await;
    assert_eq!((&message["type"], &message["body"]), (&json!("image"), &json!("Look")));
    assert_eq!((&message["mimetype"], &message["filename"]), (&json!("image/png"), &json!("ab.png")));
    assert_eq!(message["mediaInfo"]["dimensions"], json!({ "width": 640, "height": 480 }));
    assert_eq!(arrived_messages(&app).await[0]["body"], "Look");
}

#[tokio::test]
async fn small_file_is_accepted_inline() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let message = sent_media(&app, json!({ "data": STANDARD.encode(ogg()), "asVoice": true })).await;
    assert_eq!((&message["type"], &message["mimetype"]), (&json!("ptt"), &json!("audio/ogg")));
    assert_eq!(arrived_messages(&app).await[0]["media"]["sha256"], sha256(&ogg()));
}

#[tokio::test]
async fn mismatched_media_type_is_rejected() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let data = STANDARD.encode(png());
    for (flag, code) in [("asVoice", "not_audio"), ("asSticker", "not_webp")] {
        let refused = app.post(SEND, json!({ "to": ANNA, "media": { "data": data, flag: true } })).await;
        assert!(refused.refused(422, code)["error"].as_str().unwrap().contains("image/png"));
    }
    let message = sent_media(&app, json!({ "data": data, "asDocument": true })).await;
    assert_eq!(message["type"], "document");
}

#[tokio::test]
async fn upload_belongs_to_its_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("other").await;
    let id = upload(&app, b"a secret").await["mediaId"].clone();
    let body = json!({ "to": ANNA, "media": { "mediaId": id } });
    app.post("/devices/other/messages/send", body.clone()).await.refused(404, "media_not_found");
    let unknown = json!({ "to": ANNA, "media": { "mediaId": "nothing" } });
    app.post(SEND, unknown).await.refused(404, "media_not_found");
    app.post(SEND, body.clone()).await.created();
    app.post(SEND, body).await.created();
}

#[tokio::test]
async fn file_sent_often_is_stored_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for _ in 0..3 {
        let uploaded = upload(&app, b"the same").await;
        sent(&app, &uploaded).await;
    }
    assert_eq!(on_disk(&app), [sha256(b"the same")]);
}

#[tokio::test]
async fn forwarded_file_is_shared() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let uploaded = upload(&app, b"send it on").await;
    let message = sent(&app, &uploaded).await;
    let forward = json!({ "messageId": message["id"], "to": crate::support::BEN });
    app.post("/devices/shop/messages/forward", forward).await.created();
    app.wait_until("both to arrive", async || (arrived_messages(&app).await.len() == 2).then_some(())).await;
    assert!(arrived_messages(&app).await.iter().all(|seen| seen["media"]["sha256"] == sha256(b"send it on")));
}

#[tokio::test]
async fn repeated_request_stores_file_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let send = async |data: &str| {
        let body = json!({ "to": ANNA, "media": { "data": STANDARD.encode(data) } });
        let request = app.request("POST", SEND).header("Idempotency-Key", "once").json(&body);
        app.with_key(&app.key).send(request).await
    };
    let (first, again) = (send("one").await.created(), send("one").await.created());
    assert_eq!(first["data"]["id"], again["data"]["id"]);
    send("another").await.refused(422, "idempotency_mismatch");
    assert_eq!(on_disk(&app), [sha256(b"one")]);
}
