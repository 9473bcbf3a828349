//! Hand-written and hostile exports: an import gains no access to foreign files and stores nothing invalid.

use serde_json::{Value, json};

use super::{archive, export, import, messages, unlinked_device};
use crate::media::files;
use crate::support::{ANNA, BEN, TestApp};

/// A message in export format from Anna, with these fields replaced.
fn message(number: usize, fields: &Value) -> Value {
    let mut message = json!({
        "id": format!("false_{ANNA}@c.us_HAND{number}"), "chatId": format!("{ANNA}@c.us"),
        "from": format!("{ANNA}@c.us"), "to": format!("{BEN}@c.us"), "fromMe": false, "body": "hello",
        "type": "chat", "timestamp": 1_767_225_600_000_i64 + i64::try_from(number).unwrap(), "ack": 2,
        "hasMedia": false, "isForwarded": false, "isStarred": false, "isEdited": false, "notifyName": "Anna",
        "status": "delivered",
    });
    for (name, value) in fields.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn document(messages: &[Value]) -> String {
    let chat = json!({ "id": format!("{ANNA}@c.us"), "name": "Anna" });
    json!({ "format": "wharf-chat", "version": 1, "exportedAt": 1, "chat": chat, "messages": messages })
        .to_string()
}

/// The media fields of a message that claims this file.
fn with_file(sha256: &str) -> Value {
    let info = json!({
        "mediaType": "image", "mimetype": "image/png", "filesize": 9_223_372_036_854_775_808_u64,
        "filename": "../a\"b.png", "duration": 7.5, "dimensions": { "width": 9, "height": 9 },
        "sha256": sha256, "downloadUrl": "x", "thumbnailUrl": "x",
    });
    json!({
        "type": "image", "hasMedia": true, "mediaUrl": "x", "mimetype": "image/png", "filename": "a.png",
        "filesize": 1, "duration": null, "mediaInfo": info,
    })
}

async fn send_file(app: &TestApp, device: &str, bytes: &[u8]) {
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let body = json!({ "to": ANNA, "media": { "data": data, "filename": "secret.html" } });
    app.post(&format!("/devices/{device}/messages/send"), body).await.created();
}

#[tokio::test]
async fn import_by_hash_gives_no_foreign_file() {
    let app = TestApp::start().await;
    app.device("b").await;
    unlinked_device(&app, "a").await;
    let secret = b"<html>only b has this</html>".to_vec();
    send_file(&app, "b", &secret).await;
    let claims = with_file(&files::sha256(&secret));
    let quote = message(2, &claims);
    let body = document(&[
        message(1, &claims),
        message(2, &with_file(&files::sha256(b"nobody has this"))),
        message(3, &json!({ "quotedMessage": quote })),
    ]);
    let report = import(&app, "a", "", body).await.ok()["data"].clone();
    assert_eq!(report["media"], json!({ "attached": 0, "missing": 2, "refused": 0 }));
    let found = messages(&app, "a", ANNA).await;
    for shown in [&found[0], &found[1], &found[2]["quotedMessage"]] {
        assert!(shown["mediaUrl"].is_null() && shown["mediaInfo"]["downloadUrl"].is_null(), "{shown}");
        assert!(shown["mediaInfo"]["thumbnailUrl"].is_null(), "{shown}");
    }
    let path = format!("/devices/a/messages/{}", found[0]["id"].as_str().unwrap());
    app.get(&format!("{path}/media/download")).await.refused(404, "media_gone");
    let again = export(&app, "a", ANNA, "media=true").await;
    let archive = zip::ZipArchive::new(std::io::Cursor::new(again.bytes)).unwrap();
    assert_eq!(archive.len(), 1, "the archive holds the chat only");
}

#[tokio::test]
async fn imported_file_type_follows_content() {
    let app = TestApp::start().await;
    app.device("a").await;
    let page = b"<!DOCTYPE html><script>alert(1)</script>".to_vec();
    send_file(&app, "a", &page).await;
    let body = document(&[message(1, &with_file(&files::sha256(&page)))]);
    let report = import(&app, "a", "", body).await.ok()["data"].clone();
    assert_eq!(report["media"], json!({ "attached": 1, "missing": 0, "refused": 0 }));
    let all = messages(&app, "a", ANNA).await;
    let found = all.iter().find(|m| m["body"] == "hello").unwrap();
    let sent = all.iter().find(|m| m["fromMe"] == true).unwrap();
    for field in ["type", "mimetype", "filesize", "duration"] {
        assert_eq!(found[field], sent[field], "{field}: {found}");
    }
    for field in ["mediaType", "dimensions", "thumbnailUrl"] {
        assert_eq!(found["mediaInfo"][field], sent["mediaInfo"][field], "{field}: {found}");
    }
    assert_eq!(found["filename"], "ab.png");
    let path = format!("/devices/a/messages/{}/media/download", found["id"].as_str().unwrap());
    let reply = app.get(&path).await;
    assert_eq!((reply.status, &reply.bytes), (200, &page));
    assert_eq!(reply.header("content-length"), page.len().to_string());
    assert!(reply.header("content-disposition").starts_with("attachment"));
}

#[tokio::test]
async fn oversized_import_value_names_position_and_stores_none() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    let people =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("1555020{n:04}@c.us")).collect() };
    let reactions: Vec<_> =
        people(2_049).iter().map(|id| json!({ "emoji": "x", "from": id, "fromMe": false })).collect();
    let poll = |options: usize| {
        let options: Vec<_> = (0..options).map(|n| n.to_string()).collect();
        json!({ "type": "poll_creation", "poll": { "name": "?", "options": options, "allowMultipleAnswers": true } })
    };
    let quote = message(3, &json!({ "body": "b".repeat(65_537) }));
    let card = json!({ "displayName": "x", "vcard": "BEGIN:VCARD" });
    for (fields, sentence) in [
        (json!({ "body": "b".repeat(65_537) }), "body must have at most 65536 bytes"),
        (json!({ "body": "b".repeat(2 << 20) }), "one value has more than 1048576 bytes"),
        (json!({ "quotedMessage": quote }), "quotedMessage: body must have"),
        (json!({ "notifyName": "n".repeat(257) }), "notifyName must have at most 256 characters"),
        (json!({ "mentionedIds": people(1_025) }), "mentionedIds must have at most 1024 entries"),
        (json!({ "reactions": reactions }), "reactions must have at most 2048 entries"),
        (poll(65), "poll.options must have at most 64"),
        (json!({ "type": "vcard", "vCards": vec![card; 65] }), "vCards must have at most 64"),
    ] {
        let reply = import(&app, "a", "", document(&[message(1, &json!({})), message(2, &fields)])).await;
        let error = reply.refused(400, "invalid_import")["error"].as_str().unwrap().to_owned();
        assert!(error.contains(sentence) && error.contains("(after 1 messages)"), "{error}");
    }
    let line = format!("31/12/2025, 14:05 - Anna: x\n31/12/2025, 14:05 - {}: x\n", "n".repeat(257));
    let reply = import(&app, "a", &format!("chatId={ANNA}&me=Me"), line).await;
    let error = reply.refused(400, "invalid_import")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("line 2: an author's name must have at most 256 characters"), "{error}");
    app.get(&format!("/devices/a/chats/{ANNA}")).await.refused(404, "chat_not_found");
}

#[tokio::test]
async fn longest_messages_are_imported_whole() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    let long: Vec<_> = (0..60).map(|n| message(n, &json!({ "body": "b".repeat(65_536) }))).collect();
    let report = import(&app, "a", "", document(&long)).await.ok()["data"].clone();
    assert_eq!(report["imported"], 60);
    let found = messages(&app, "a", ANNA).await;
    assert!(found.len() == 60 && found.iter().all(|m| m["body"].as_str().unwrap().len() == 65_536));
}

#[tokio::test]
async fn corrupt_archive_file_drops_only_the_attachment() {
    let app = TestApp::start().await;
    for id in ["json", "text"] {
        unlinked_device(&app, id).await;
    }
    let (good, bad) = (b"good notes".to_vec(), b"bad notes!".to_vec());
    let named = |number: usize, name: &str, bytes: &[u8]| {
        let mut fields = with_file(&files::sha256(bytes));
        fields["file"] = json!(name);
        message(number, &fields)
    };
    let document = document(&[named(1, "bad.txt", &bad), named(2, "good.txt", &good)]);
    let text = "31/12/2025, 14:05 - Anna: bad.txt (file attached)\n\
                31/12/2025, 14:06 - Anna: good.txt (file attached)\n";
    for (device, name, chat) in [("json", "chat.json", document.as_str()), ("text", "_chat.txt", text)] {
        let mut zip = archive(&[(name, chat.as_bytes()), ("bad.txt", &bad), ("good.txt", &good)]);
        // Checksums occur before the file and in the central directory.
        let checksum = crc32(&bad);
        for at in 0..zip.len() - 4 {
            if zip[at..at + 4] == checksum {
                zip[at] ^= 1;
            }
        }
        let query = format!("chatId={ANNA}&me=Me");
        let report = import(&app, device, &query, zip).await.ok()["data"].clone();
        assert_eq!(report["imported"], 2);
        assert_eq!(report["media"], json!({ "attached": 1, "missing": 0, "refused": 1 }), "{device}");
    }
}

/// CRC-32 as in zip files: IEEE 802.3, little-endian.
fn crc32(bytes: &[u8]) -> [u8; 4] {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let crc =
        bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    (!crc).to_le_bytes()
}

#[tokio::test]
async fn byte_order_mark_is_skipped() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    let body = format!("\u{feff}{}", document(&[message(1, &json!({}))]));
    assert_eq!(import(&app, "a", "", body).await.ok()["data"]["imported"], 1);
}

#[tokio::test]
async fn multipart_import_error_names_alternative() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    let path = format!("/devices/a/chats/import?chatId={ANNA}");
    let request = app
        .request("POST", &path)
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhello\r\n--x--\r\n");
    let refused = app.with_key(&app.key).send(request).await.refused(415, "unsupported_media_type");
    assert!(refused["error"].as_str().unwrap().contains("--data-binary @file"), "{refused}");
}

#[tokio::test]
async fn impossible_times_are_rejected_with_position() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    for at in [-1, 253_402_300_800_000_i64, i64::MAX, i64::MIN] {
        for fields in [
            json!({ "timestamp": at }),
            json!({ "editedAt": at }),
            json!({ "receipts": [{ "participant": format!("{ANNA}@c.us"), "ack": 2, "timestamp": at }] }),
        ] {
            let body = document(&[message(1, &json!({})), message(2, &fields)]);
            let error = import(&app, "a", "", body).await.refused(400, "invalid_import")["error"].to_string();
            assert!(error.contains("since 1970") && error.contains("(after 1 messages)"), "{error}");
        }
    }
    let text = "31/12/2025, 14:05 - Me: x\n31/12/9998, 14:05 - Me: x\n";
    let reply = import(&app, "a", &format!("chatId={ANNA}&me=Me"), text).await;
    let error = reply.refused(400, "invalid_import")["error"].to_string();
    assert!(error.contains("line 2: its time must be"), "{error}");
}

#[tokio::test]
async fn imported_unsent_messages_are_failed() {
    let app = TestApp::start().await;
    unlinked_device(&app, "a").await;
    let waiting = |number: usize, status: &str| {
        let id = format!("true_{ANNA}@c.us_HAND{number}");
        message(number, &json!({ "id": id, "fromMe": true, "ack": 0, "status": status }))
    };
    import(&app, "a", "", document(&[waiting(1, "queued"), waiting(2, "sending")])).await.ok();
    for found in messages(&app, "a", ANNA).await {
        let path = format!("/devices/a/messages/{}", found["id"].as_str().unwrap());
        let shown = app.get(&path).await.ok()["data"].clone();
        assert_eq!((&shown["status"], &shown["ack"]), (&json!("failed"), &json!(-1)), "{shown}");
        assert!(shown.to_string().contains("not_sent"), "{shown}");
    }
}
