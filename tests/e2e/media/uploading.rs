//! Uploads: raw bodies, forms, limits, slow and aborted clients.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use super::files::{mp4, ogg, on_disk, png, sha256};
use super::{SEND, UPLOAD, upload, upload_named};
use crate::support::{ANNA, Reply, TestApp};

/// A multipart form with one field before and one after its file.
fn form(filename: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let mut body = b"--x7\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x7\r\n".to_vec();
    body.extend(
        format!("Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n").bytes(),
    );
    body.extend(b"Content-Type: image/png\r\n\r\n");
    body.extend(bytes);
    body.extend(b"\r\n--x7\r\nContent-Disposition: form-data; name=\"end\"\r\n\r\nx\r\n--x7--\r\n");
    ("multipart/form-data; boundary=x7".to_owned(), body)
}

async fn post_form(app: &TestApp, content_type: &str, body: Vec<u8>) -> Reply {
    let request = app.request("POST", UPLOAD).header("Content-Type", content_type).body(body);
    app.with_key(&app.key).send(request).await
}

// covers: POST /devices/{id}/media
#[tokio::test]
async fn raw_body_is_stored_with_detected_type() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let bytes = png();
    let uploaded = upload_named(&app, &bytes, "holiday.png").await;
    assert_eq!(uploaded["mimetype"], "image/png");
    assert_eq!((&uploaded["filesize"], &uploaded["filename"]), (&json!(bytes.len()), &json!("holiday.png")));
    assert_eq!((&uploaded["sha256"], &uploaded["hasThumbnail"]), (&json!(sha256(&bytes)), &json!(true)));
    assert_eq!(uploaded["dimensions"], json!({ "width": 640, "height": 480 }));
    assert_eq!(upload(&app, &mp4(5_000)).await["mimetype"], "video/mp4");
    assert_eq!(upload(&app, &ogg()).await["mimetype"], "audio/ogg");
    assert_eq!(upload(&app, "Grüße".as_bytes()).await["mimetype"], "text/plain");
}

#[tokio::test]
async fn form_file_is_stored_with_detected_type() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (content_type, body) = form("report.pdf", b"%PDF-1.7 not a picture");
    let uploaded = post_form(&app, &content_type, body).await.created()["data"].clone();
    assert_eq!(
        (&uploaded["mimetype"], &uploaded["filename"]),
        (&json!("application/pdf"), &json!("report.pdf"))
    );
    assert_eq!(uploaded["sha256"], sha256(b"%PDF-1.7 not a picture"));
}

#[tokio::test]
async fn upload_name_is_taken_from_header() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let header = "attachment; filename=\"x.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt";
    let request = app.request("POST", UPLOAD).header("Content-Disposition", header).body("hello");
    let uploaded = app.with_key(&app.key).send(request).await.created();
    assert_eq!(uploaded["data"]["filename"], "Größe.txt");
}

#[tokio::test]
async fn oversized_upload_is_refused_with_limit() {
    let app = TestApp::start_with(&[("WHARF__MEDIA__MAX_BYTES", "2048")]).await;
    app.device("shop").await;
    let says_limit = |reply: Reply| {
        let refused = reply.refused(413, "media_too_large");
        assert!(refused["error"].as_str().unwrap().contains("2048 bytes"), "{refused}");
    };
    for size in [2_049, 300_000] {
        let request = app.request("POST", UPLOAD).body(vec![b'x'; size]);
        says_limit(app.with_key(&app.key).send(request).await);
        let pieces = futures_util::stream::iter(vec![b'x'; size]).chunks(1_000);
        let pieces = pieces.map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::from(piece)));
        let request = app.request("POST", UPLOAD).body(reqwest::Body::wrap_stream(pieces));
        says_limit(app.with_key(&app.key).send(request).await);
        let (content_type, body) = form("x", &vec![b'x'; size]);
        says_limit(post_form(&app, &content_type, body).await);
    }
    upload(&app, &[b'x'; 2_048]).await;
    app.wait_until("the refused ones to be gone", async || {
        (on_disk(&app) == [sha256(&[b'x'; 2_048])]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn upload_without_file_is_rejected() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.with_key(&app.key).send(app.request("POST", UPLOAD)).await.refused(400, "empty_file");
    let (content_type, body) = form("x", b"");
    post_form(&app, &content_type, body).await.refused(400, "empty_file");
    let (content_type, body) = form("x", &[b'x'; 1_000]);
    post_form(&app, &content_type, body[..body.len() - 500].to_vec()).await.refused(400, "upload_incomplete");
    for (content_type, body) in [
        ("multipart/form-data", "--x7--"),
        ("multipart/form-data; boundary=x7", "no form at all"),
        ("multipart/form-data; boundary=x7", "--x7--\r\n"),
        (
            "multipart/form-data; boundary=x7",
            "--x7\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--x7--",
        ),
    ] {
        post_form(&app, content_type, body.into()).await.refused(400, "invalid_field");
    }
}

#[tokio::test]
async fn upload_requires_device_and_send_scope() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let nowhere = app.request("POST", "/devices/nowhere/media").body("hello");
    app.with_key(&app.key).send(nowhere).await.refused(404, "device_not_found");
    let made =
        app.post("/api-keys", json!({ "name": "reader", "scopes": ["messages:read"] })).await.created();
    let reader = app.with_key(made["data"]["key"].as_str().unwrap());
    reader.send(app.request("POST", UPLOAD).body("hello")).await.refused(403, "missing_scope");
    Reply::of(app.request("POST", UPLOAD).body("hello").send().await.unwrap())
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn long_upload_outlives_request_timeout() {
    let app = TestApp::start_with(&[("WHARF__SERVER__REQUEST_TIMEOUT_MS", "200")]).await;
    app.device("shop").await;
    let pieces = futures_util::stream::iter(["slow ", "and ", "steady"]).then(async |piece| {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok::<_, std::io::Error>(piece)
    });
    let request = app.request("POST", UPLOAD).body(reqwest::Body::wrap_stream(pieces));
    let uploaded = app.with_key(&app.key).send(request).await.created();
    assert_eq!(uploaded["data"]["sha256"], sha256(b"slow and steady"));
}

#[tokio::test]
async fn aborted_upload_leaves_nothing() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let pieces = futures_util::stream::iter([Ok("half a file"), Err(std::io::Error::other("gone"))]);
    let request = app.request("POST", UPLOAD).header("X-API-KEY", &app.key);
    assert!(request.body(reqwest::Body::wrap_stream(pieces)).send().await.is_err());
    app.wait_until("the upload to be removed", async || on_disk(&app).is_empty().then_some(())).await;
}

/// An upload that starts and never ends.
fn stalled_upload(
    app: &TestApp,
    device: &str,
) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
    let endless =
        futures_util::stream::iter([Ok::<_, std::io::Error>("a")]).chain(futures_util::stream::pending());
    let request = app.request("POST", &format!("/devices/{device}/media")).header("X-API-KEY", &app.key);
    request.body(reqwest::Body::wrap_stream(endless)).send()
}

#[tokio::test]
async fn concurrent_uploads_are_limited_per_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("other").await;
    let hanging = futures_util::future::join_all((0..8).map(|_| stalled_upload(&app, "shop")));
    let asked = async {
        app.wait_until("all to have begun", async || (on_disk(&app).len() == 8).then_some(())).await;
        let refused = app.with_key(&app.key).send(app.request("POST", UPLOAD).body("hello")).await;
        assert!(!refused.header("retry-after").is_empty());
        refused.refused(429, "too_many_uploads");
        for media in [json!({ "data": "aGk=" }), json!({ "url": "http://a.example/a.png" })] {
            let body = json!({ "to": ANNA, "media": media });
            app.post(SEND, body).await.refused(429, "too_many_uploads");
        }
        let request = app.request("POST", "/devices/other/media").body("hello");
        app.with_key(&app.key).send(request).await.created();
    };
    tokio::select! {
        _ = hanging => panic!("a stalled upload ended"),
        () = asked => {}
    }
    let freed = async || {
        let body = json!({ "to": ANNA, "media": { "data": "aGk=" } });
        (app.post(SEND, body).await.status == 201).then_some(())
    };
    app.wait_until("upload capacity to be released", freed).await;
}
