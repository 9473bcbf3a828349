//! Hostile files: refused, or stored by their real type and never executed, decoded or unpacked.

use serde_json::{Value, json};

use super::files::{mp4, on_disk, picture, png, sha256};
use super::{get_without_key, message_with, path, upload_named};
use crate::support::TestApp;

/// Sends a file, checks that the download is identical, and returns its served type.
async fn served(app: &TestApp, bytes: &[u8], name: &str) -> (Value, String) {
    let message = message_with(app, bytes, name).await;
    let reply = get_without_key(app, &message["mediaUrl"]).await;
    assert!(reply.status == 200 && reply.bytes == bytes, "{name}");
    assert_eq!(reply.header("content-type"), message["mimetype"].as_str().unwrap());
    (message, reply.header("content-disposition").to_owned())
}

#[tokio::test]
async fn huge_picture_is_stored_and_never_decoded() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let mut huge = png();
    huge[16..20].copy_from_slice(&50_000_u32.to_be_bytes());
    huge[20..24].copy_from_slice(&50_000_u32.to_be_bytes());
    let (message, _) = served(&app, &huge, "huge.png").await;
    assert_eq!(message["mediaInfo"]["dimensions"], json!({ "width": 50_000, "height": 50_000 }));
    assert_eq!(message["mediaInfo"]["thumbnailUrl"], Value::Null);
    app.get(&path(&message, "thumbnail")).await.refused(404, "no_thumbnail");
}

#[tokio::test]
async fn truncated_files_keep_detected_type() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for (whole, mimetype) in [
        (png(), "image/png"),
        (picture(64, 64, image::ImageFormat::Gif), "image/gif"),
        (picture(64, 64, image::ImageFormat::WebP), "image/webp"),
        (mp4(4_000), "video/mp4"),
    ] {
        let (message, _) = served(&app, &whole[..whole.len() / 2], "cut").await;
        assert_eq!(message["mimetype"], mimetype);
        assert_eq!(message["mediaInfo"]["thumbnailUrl"], Value::Null, "{mimetype}");
    }
    let jpeg = picture(640, 480, image::ImageFormat::Jpeg);
    for length in [3, 20, 200, jpeg.len() / 2] {
        assert_eq!(served(&app, &jpeg[..length], "cut.jpg").await.0["mimetype"], "image/jpeg");
    }
}

#[tokio::test]
async fn zip_bomb_is_stored_without_unpacking() {
    let app = TestApp::start().await;
    app.device("shop").await;
    // A local header that declares four gigabytes of zeros in a few bytes.
    let mut bomb =
        b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\xff\xff\xff\xff\x05\0\0\0zeros".to_vec();
    bomb.extend([0xec, 0xc1, 0x01, 0x01, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee, 0x08, 0x0a, 0, 0]);
    let (message, disposition) = served(&app, &bomb, "holiday.jpg").await;
    assert_eq!((&message["mimetype"], &message["type"]), (&json!("application/zip"), &json!("document")));
    assert!(disposition.starts_with("attachment;"), "{disposition}");
    assert_eq!(on_disk(&app), [sha256(&bomb)]);
}

#[tokio::test]
async fn html_claimed_as_picture_is_html() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for (bytes, mimetype) in [
        (&b"<html><script>alert(1)</script>"[..], "text/html"),
        (b"\xef\xbb\xbf<!-- x --><svg onload=alert(1)>", "image/svg+xml"),
        (b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>", "image/svg+xml"),
    ] {
        let upload = app.request("POST", super::UPLOAD).header("Content-Type", "image/png").body(bytes);
        let uploaded = app.with_key(&app.key).send(upload).await.created();
        assert_eq!(uploaded["data"]["mimetype"], mimetype);
        let (message, disposition) = served(&app, bytes, "picture.png").await;
        assert_eq!((&message["mimetype"], &message["type"]), (&json!(mimetype), &json!("document")));
        assert_eq!(disposition, "attachment; filename=\"picture.png\"");
    }
}

#[tokio::test]
async fn file_name_cannot_escape_folder_or_header() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for (name, disposition) in [
        ("../../etc/passwd", "attachment; filename=\"etcpasswd\""),
        ("..\\..\\windows\\system.ini", "attachment; filename=\"windowssystem.ini\""),
        ("a\r\nSet-Cookie: b=c.txt", "attachment; filename=\"aSet-Cookie b=c.txt\""),
        (
            "x\"; filename=\"evil.html",
            "attachment; filename=\"x_ filename=evil.html\"; filename*=UTF-8''x%3B%20filename%3Devil.html",
        ),
        ("\u{202e}txt.exe", "attachment; filename=\"txt.exe\""),
        ("..", "attachment; filename=\"file.txt\""),
    ] {
        let bytes = format!("a file called {name}");
        assert_eq!(served(&app, bytes.as_bytes(), name).await.1, disposition);
    }
    assert!(on_disk(&app).iter().all(|name| name.len() == 64), "{:?}", on_disk(&app));
    assert_eq!(upload_named(&app, b"x", "../..").await["filename"], Value::Null);
}
