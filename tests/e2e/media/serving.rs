//! Download of media: ranges, caching headers, security headers and signed links.

use serde_json::{Value, json};

use super::files::{mp4, png, sha256};
use super::{get_without_key, message_with, path, request_without_key};
use crate::support::{ANNA, Reply, TestApp};

/// Requests the media of a message with the API key.
async fn get_media(app: &TestApp, method: &str, message: &Value, headers: &[(&str, &str)]) -> Reply {
    let mut request = app.request(method, &path(message, "download"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.with_key(&app.key).send(request).await
}

// covers: GET /devices/{id}/messages/{mid}/media/download
#[tokio::test]
async fn file_is_served_whole_and_in_ranges() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let bytes = mp4(300_000);
    let message = message_with(&app, &bytes, "film.mp4").await;
    let whole = get_media(&app, "GET", &message, &[]).await;
    assert_eq!((whole.status, whole.header("content-length"), whole.bytes == bytes), (200, "300000", true));
    assert_eq!((whole.header("content-type"), whole.header("accept-ranges")), ("video/mp4", "bytes"));
    assert_eq!(whole.header("content-disposition"), "inline; filename=\"film.mp4\"");
    assert_eq!(whole.header("etag"), format!("\"{}\"", sha256(&bytes)));
    for (range, part, content_range) in [
        ("bytes=0-99", 0..100, "bytes 0-99/300000"),
        ("bytes=299990-", 299_990..300_000, "bytes 299990-299999/300000"),
        ("bytes=-10", 299_990..300_000, "bytes 299990-299999/300000"),
        ("bytes=70000-200000", 70_000..200_001, "bytes 70000-200000/300000"),
    ] {
        let reply = get_media(&app, "GET", &message, &[("Range", range)]).await;
        assert_eq!((reply.status, reply.header("content-range")), (206, content_range));
        assert!(reply.bytes == bytes[part], "{range}");
    }
    let head = get_media(&app, "HEAD", &message, &[("Range", "bytes=0-99")]).await;
    assert_eq!((head.status, head.header("content-length"), head.bytes.len()), (206, "100", 0));
    let beyond = get_media(&app, "GET", &message, &[("Range", "bytes=300000-")]).await;
    assert_eq!(beyond.header("content-range"), "bytes */300000");
    beyond.refused(416, "range_not_satisfiable");
}

#[tokio::test]
async fn cached_file_answers_304() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let message = message_with(&app, &png(), "").await;
    let etag = get_media(&app, "GET", &message, &[]).await.header("etag").to_owned();
    let unchanged = get_media(&app, "GET", &message, &[("If-None-Match", &etag)]).await;
    assert_eq!((unchanged.status, unchanged.bytes.len(), unchanged.header("etag")), (304, 0, etag.as_str()));
    let part = [("Range", "bytes=0-9"), ("If-Range", etag.as_str())];
    assert_eq!(get_media(&app, "GET", &message, &part).await.status, 206);
    let other = [("Range", "bytes=0-9"), ("If-Range", "\"another\"")];
    assert_eq!(get_media(&app, "GET", &message, &other).await.status, 200);
}

#[tokio::test]
async fn file_is_never_compressed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let text = "so easy to compress ".repeat(500);
    let message = message_with(&app, text.as_bytes(), "a.txt").await;
    let reply = get_media(&app, "GET", &message, &[("Accept-Encoding", "gzip")]).await;
    assert_eq!((reply.header("content-encoding"), reply.header("content-length")), ("", "10000"));
    assert_eq!(reply.text(), text);
}

#[tokio::test]
async fn served_files_have_security_headers() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for (bytes, mimetype, how) in [
        (png(), "image/png", "inline"),
        (b"<!doctype html><script>alert(1)</script>".to_vec(), "text/html", "attachment"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(),
            "image/svg+xml",
            "attachment",
        ),
        (b"%PDF-1.7".to_vec(), "application/pdf", "attachment"),
    ] {
        let message = message_with(&app, &bytes, "").await;
        let reply = get_without_key(&app, &message["mediaUrl"]).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, mimetype));
        assert!(reply.header("content-disposition").starts_with(&format!("{how};")), "{mimetype}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("content-security-policy"), "sandbox; default-src 'none'");
        assert_eq!(reply.header("cache-control"), "private, max-age=31536000, immutable");
    }
}

// covers: GET /devices/{id}/messages/{mid}/media/thumbnail
// covers: GET /devices/{id}/messages/{mid}/media/info
#[tokio::test]
async fn picture_has_thumbnail_and_metadata() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let message = message_with(&app, &png(), "a.png").await;
    let info = app.get(&path(&message, "info")).await.ok()["data"].clone();
    assert_eq!(info, message["mediaInfo"]);
    assert_eq!((&info["mediaType"], &info["sha256"]), (&json!("image"), &json!(sha256(&png()))));
    let small = get_without_key(&app, &info["thumbnailUrl"]).await;
    assert_eq!((small.status, small.header("content-type")), (200, "image/jpeg"));
    let decoded = image::load_from_memory(&small.bytes).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (320, 240));
    assert_ne!(small.header("etag"), get_without_key(&app, &info["downloadUrl"]).await.header("etag"));
}

#[tokio::test]
async fn missing_media_has_specific_error() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let text = json!({ "id": app.send("shop", ANNA, "no file").await });
    for what in ["info", "download", "thumbnail"] {
        app.get(&path(&text, what)).await.refused(404, "no_media");
        app.get(&path(&json!({ "id": "true_15550100001@c.us_NOSUCH" }), what))
            .await
            .refused(404, "message_not_found");
    }
    let document = message_with(&app, b"just text", "").await;
    assert_eq!(document["mediaInfo"]["thumbnailUrl"], Value::Null);
    app.get(&path(&document, "thumbnail")).await.refused(404, "no_thumbnail");
}

#[tokio::test]
async fn signed_link_opens_its_file_only() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (one, other) = (message_with(&app, b"one", "").await, message_with(&app, b"other", "").await);
    let signature =
        |message: &Value| message["mediaUrl"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    let with = |message: &Value, query: &str| json!(format!("/api/v1{}?{query}", path(message, "download")));
    assert_eq!(get_without_key(&app, &with(&one, &signature(&one))).await.text(), "one");
    get_without_key(&app, &with(&other, &signature(&one))).await.refused(403, "invalid_signature");
    get_without_key(&app, &with(&one, "signature=")).await.refused(401, "unauthorized");
    get_without_key(&app, &with(&one, "signature=AAAA")).await.refused(403, "invalid_signature");
    let elsewhere =
        json!(format!("/api/v1/devices/shop/messages/{}?{}", one["id"].as_str().unwrap(), signature(&one)));
    get_without_key(&app, &elsewhere).await.refused(401, "unauthorized");
    let wrong_key = request_without_key(&app, "GET", &one["mediaUrl"]).header("X-API-KEY", "wrong");
    Reply::of(wrong_key.send().await.unwrap()).await.refused(401, "invalid_api_key");
}

// covers: POST /devices/{id}/media/revoke-urls
#[tokio::test]
async fn all_links_of_device_can_be_revoked() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let message = message_with(&app, &png(), "").await;
    app.post("/devices/shop/media/revoke-urls", json!({})).await.ok();
    for url in [&message["mediaUrl"], &message["mediaInfo"]["thumbnailUrl"]] {
        get_without_key(&app, url).await.refused(403, "invalid_signature");
    }
    let again = app.get(&format!("/devices/shop/messages/{}", message["id"].as_str().unwrap())).await.ok();
    assert_eq!(get_without_key(&app, &again["data"]["mediaUrl"]).await.bytes, png());
    let reader = app.post("/api-keys", json!({ "name": "r", "scopes": ["messages:read"] })).await.created();
    let reader = app.with_key(reader["data"]["key"].as_str().unwrap());
    reader.post("/devices/shop/media/revoke-urls", json!({})).await.refused(403, "missing_scope");
}
