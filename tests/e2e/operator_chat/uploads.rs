//! Uploads: a file as a message of the `underscore` dialect, or as fields of a message of the `namespace` dialect; their
//! order of events, limits, addresses and removal. What a contact receives is checked at the simulator's network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{
    ChatClient, LostClient, SECRET, app, app_with, rest, seconds, signed, token, unassigned_app,
};
use super::inbox::inbox;
use super::support::{ANNA, Reply, TestApp};
use super::underscore::{PAGE_SECRET, connect, contents, drain, named, open, page_app, pair, staff};
use crate::media::files::{on_disk, picture, png, sha256};

const DAY_MS: i64 = 86_400_000;
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SVG: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
/// The end of an archive whose directory names the parts of a Word document.
const DOCX: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.txt\
    PK\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0[Content_Types].xml\
    PK\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0word/document.xml\
    PK\x05\x06\0\0\0\0\0\0\0\0\x80\0\0\0\x23\0\0\0\0\0";

/// The conversation of anna and ben; its id.
async fn opened(app: &TestApp) -> String {
    // The first request of a user stores the user.
    rest(app, &staff("ben"), "GET", "/api/chat/conversations", None).await.with_status(200);
    open(app).await
}

/// Posts a form with a receiver and a file.
async fn post_file(app: &TestApp, token: &str, path: &str, filename: &str, bytes: &[u8]) -> Reply {
    let mut body =
        b"--x7\r\nContent-Disposition: form-data; name=\"receiverId\"\r\n\r\nben\r\n--x7\r\n".to_vec();
    body.extend(
        format!("Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n").bytes(),
    );
    // The stated type is not used.
    body.extend(b"Content-Type: image/png\r\n\r\n");
    body.extend(bytes);
    body.extend(b"\r\n--x7--\r\n");
    let request = app.request("POST", &format!("/{path}"));
    let request = request.header("Authorization", format!("Bearer {token}"));
    let request = request.header("Content-Type", "multipart/form-data; boundary=x7").body(body);
    Reply::of(request.send().await.unwrap()).await
}

async fn post_to(app: &TestApp, token: &str, id: &str, filename: &str, bytes: &[u8]) -> Reply {
    post_file(app, token, &format!("/api/chat/conversations/{id}/upload"), filename, bytes).await
}

async fn upload(app: &TestApp, user: &str, id: &str, filename: &str, bytes: &[u8]) -> Value {
    post_to(app, &staff(user), id, filename, bytes).await.with_status(201)["message"].clone()
}

/// Requests an address as a page does: without a token.
async fn fetch(app: &TestApp, url: &Value) -> Reply {
    let path = url.as_str().unwrap();
    Reply::of(app.request("GET", &format!("/{path}")).send().await.unwrap()).await
}

/// A token of a user that is valid for a month.
fn long_token(secret: &str, user: &str) -> String {
    let claims = json!({ "sub": user, "role": "ADMIN", "exp": seconds() + 30 * DAY_MS / 1_000 });
    signed(Algorithm::HS256, secret, &claims)
}

async fn sweep(app: &TestApp) {
    app.app().services.maintenance.sweep().await.unwrap();
}

/// The files that the network received, oldest first.
async fn sent_files(app: &TestApp, count: usize) -> Vec<Value> {
    app.wait_until("the files to be sent", async || {
        let network = app.get("/simulator/shop/network").await.ok();
        let sent = network["data"]["sent"].as_array().unwrap();
        (sent.len() == count).then(|| sent.iter().map(|sent| sent["media"].clone()).collect())
    })
    .await
}

// covers: POST /api/chat/conversations/{id}/upload
// covers: GET /api/chat/files/{id}
#[tokio::test]
async fn upload_is_one_message_with_its_file() {
    let app = page_app(&[]).await;
    let id = opened(&app).await;
    let image = upload(&app, "anna", &id, "cat.png", &png()).await;
    for (field, value) in [
        ("conversationId", json!(id)),
        ("content", json!("Shared an image: cat.png")),
        ("messageType", json!("IMAGE")),
        ("senderId", json!("anna")),
        ("receiverId", json!("ben")),
        ("readReceipts", json!([])),
    ] {
        assert_eq!(image[field], value, "{field}");
    }
    let file = &image["attachments"][0];
    assert_eq!((&file["fileName"], &file["fileType"]), (&json!("cat.png"), &json!("image/png")));
    assert_eq!(file["fileSize"], png().len());
    assert!(file["id"].is_string());
    let shown = fetch(&app, &file["fileUrl"]).await;
    assert_eq!((shown.status, shown.bytes == png()), (200, true));
    assert_eq!(shown.header("content-type"), "image/png");
    assert_eq!(shown.header("content-disposition"), "inline; filename=\"cat.png\"");
    let path = format!("/{}", file["fileUrl"].as_str().unwrap());
    let part = app.request("GET", &path).header("Range", "bytes=1-3").send().await.unwrap();
    assert_eq!(
        (part.status(), part.bytes().await.unwrap().as_ref()),
        (reqwest::StatusCode::PARTIAL_CONTENT, &b"PNG"[..])
    );

    let document = upload(&app, "anna", &id, "../cv.pdf", b"%PDF-1.7 x").await;
    assert_eq!(
        (&document["content"], &document["messageType"]),
        (&json!("Shared a PDF document: cv.pdf"), &json!("FILE"))
    );
    let path = format!("/api/chat/conversations/{id}/messages");
    let page = rest(&app, &staff("ben"), "GET", &path, None).await.with_status(200);
    let listed = page["messages"].as_array().unwrap();
    assert_eq!(
        listed[1..].iter().map(|message| &message["attachments"]).collect::<Vec<_>>(),
        [&image["attachments"], &document["attachments"]]
    );
    let list = rest(&app, &staff("ben"), "GET", "/api/chat/conversations", None).await.with_status(200);
    assert_eq!(list["conversations"][0]["messages"][0]["attachments"], document["attachments"]);
}

// covers: underscore file_uploaded
#[tokio::test]
async fn uploader_gets_message_once_after_announcement() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let mut other = connect(&app, &staff("anna"), "anna").await;
    other.ask("join_conversation", json!({ "conversationId": id })).await;
    drain(&mut ben).await;
    let message = upload(&app, "anna", &id, "cat.png", &png()).await;
    assert_eq!(ben.payload("new_message").await, message, "the others get it at once");
    let notified = ben.payload("notification").await;
    assert_eq!(notified, json!({ "type": "file_uploaded", "conversationId": id, "message": message }));
    for client in [&mut anna, &mut other] {
        assert!(named(&drain(client).await, "new_message").is_empty());
    }
    let announced = json!({ "conversationId": id, "senderId": "anna", "receiverId": "ben", "message": { "id": message["id"] } });
    anna.emit("file_uploaded", announced.clone()).await;
    for client in [&mut anna, &mut other] {
        assert_eq!(client.payload("new_message").await, message);
    }
    assert_eq!(anna.ask("file_uploaded", announced.clone()).await, json!({ "success": true }));
    assert_eq!(other.ask("file_uploaded", announced).await, json!({ "success": true }));
    app.clock.advance(6_000);
    // Later messages come after a second copy would have.
    anna.ask("send_message", json!({ "conversationId": id, "content": "end" })).await;
    for client in [&mut anna, &mut other, &mut ben] {
        assert_eq!(client.payload("new_message").await["content"], "end");
    }
}

#[tokio::test]
async fn uploader_gets_message_five_seconds_after_answer() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let mut other = connect(&app, &staff("anna"), "anna").await;
    other.ask("join_conversation", json!({ "conversationId": id })).await;
    let message = upload(&app, "anna", &id, "cat.png", &png()).await;
    assert_eq!(ben.payload("new_message").await, message);
    for client in [&mut anna, &mut other] {
        assert!(named(&drain(client).await, "new_message").is_empty());
    }
    app.clock.advance(5_000);
    for client in [&mut anna, &mut other] {
        assert_eq!(client.payload("new_message").await, message);
    }
    let late = json!({ "conversationId": id, "message": { "id": message["id"] } });
    assert_eq!(anna.ask("file_uploaded", late).await, json!({ "success": true }));
    anna.ask("send_message", json!({ "conversationId": id, "content": "end" })).await;
    for client in [&mut anna, &mut other] {
        assert_eq!(client.payload("new_message").await["content"], "end");
    }
}

#[tokio::test]
async fn recovered_uploader_gets_message_once() {
    let app = page_app(&[]).await;
    let (anna, _ben, id) = pair(&app).await;
    let mut other = connect(&app, &staff("anna"), "anna").await;
    other.ask("join_conversation", json!({ "conversationId": id })).await;
    let reconnect = async |lost: LostClient| {
        let (client, is_recovered) = lost.reconnect(&app, "/api/socket/", &staff("anna")).await;
        assert!(is_recovered);
        client
    };
    // Lost before the announcement: the message is still held back after the recovery.
    let first = upload(&app, "anna", &id, "cat.png", &png()).await;
    let mut anna = reconnect(anna.lose()).await;
    assert!(named(&drain(&mut anna).await, "new_message").is_empty());
    anna.ask("file_uploaded", json!({ "conversationId": id, "message": { "id": first["id"] } })).await;
    assert_eq!(anna.payload("new_message").await, first);
    let mut anna = reconnect(anna.lose()).await;
    assert!(named(&drain(&mut anna).await, "new_message").is_empty(), "the client has it already");
    // Lost while it was held back: it is one of the missed events.
    let second = upload(&app, "anna", &id, "dog.png", &png()).await;
    let lost = anna.lose();
    app.clock.advance(5_000);
    for message in [&first, &second] {
        assert_eq!(other.payload("new_message").await, *message);
    }
    assert_eq!(reconnect(lost).await.payload("new_message").await, second);
}

#[tokio::test]
async fn announcement_needs_own_message_with_file() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let file = upload(&app, "anna", &id, "cat.png", &png()).await["id"].clone();
    anna.ask("send_message", json!({ "conversationId": id, "content": "a text" })).await;
    let text = ben.payload("new_message").await;
    let text =
        if text["content"] == "a text" { text } else { ben.payload("new_message").await }["id"].clone();
    let mut eve = connect(&app, &staff("eve"), "eve").await;
    let announce = |message: Value| json!({ "conversationId": id, "message": { "id": message } });
    let refused = anna.ask("file_uploaded", announce(text)).await;
    assert_eq!(refused["message"], "message.id must be the message of an upload");
    let foreign = ben.ask("file_uploaded", announce(file.clone())).await;
    let missing = ben.ask("file_uploaded", announce(json!(999_999))).await;
    let absent = json!({ "message": "Message not found", "code": "not_found", "event": "file_uploaded" });
    assert_eq!((&foreign, &missing), (&absent, &absent));
    let outside = eve.ask("file_uploaded", announce(file.clone())).await;
    assert_eq!(outside["message"], "Conversation not found");
    let mut claimed = announce(file);
    claimed["senderId"] = json!("ben");
    assert_eq!(anna.ask("file_uploaded", claimed).await["code"], "not_you");
}

#[tokio::test]
async fn large_file_is_refused_with_its_size() {
    let app = page_app(&[("WHARF__CHAT__UPLOAD_MAX_BYTES", "1000")]).await;
    let id = opened(&app).await;
    let mut bytes = b"%PDF-1.7 ".to_vec();
    bytes.resize(1_000, b'x');
    upload(&app, "anna", &id, "a.pdf", &bytes).await;
    for size in [1_001, 3_000_000] {
        bytes.resize(size, b'x');
        let refused =
            post_to(&app, &staff("anna"), &id, "a.pdf", &bytes).await.refused(413, "file_too_large");
        assert_eq!((&refused["fileSize"], &refused["maxSize"]), (&json!(size), &json!(1_000)));
        assert!(refused["error"].is_string());
    }
    assert_eq!(on_disk(&app).len(), 1);
    assert_eq!(contents(&app, &staff("ben"), &id).await.len(), 2);
}

#[tokio::test]
async fn file_type_is_decided_by_content() {
    let app = page_app(&[]).await;
    let id = opened(&app).await;
    let mut old_word = vec![0; 1_536];
    old_word[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    (old_word[30], old_word[48], old_word[1_024 + 64]) = (9, 1, 26);
    for (at, letter) in b"WordDocument".iter().enumerate() {
        old_word[1_024 + 2 * at] = *letter;
    }
    for (bytes, mimetype, content) in [
        (picture(4, 4, ImageFormat::Jpeg), "image/jpeg", "Shared an image: x.bin"),
        (picture(4, 4, ImageFormat::Gif), "image/gif", "Shared an image: x.bin"),
        (picture(4, 4, ImageFormat::WebP), "image/webp", "Shared an image: x.bin"),
        (SVG.to_vec(), "image/svg+xml", "Shared an image: x.bin"),
        (b"%PDF-1.7 x".to_vec(), "application/pdf", "Shared a PDF document: x.bin"),
        (DOCX.to_vec(), WORD, "Shared a Word document: x.bin"),
        (old_word, "application/msword", "Shared a Word document: x.bin"),
    ] {
        let message = upload(&app, "anna", &id, "x.bin", &bytes).await;
        assert_eq!(message["attachments"][0]["fileType"], mimetype);
        assert_eq!(message["content"], content);
    }
    for wrong in [&b"<html><script>x</script>"[..], b"a text", b"MZ\x90\0", b"PK\x03\x04\x14\0\0\0\x08\0"] {
        let refused = post_to(&app, &staff("anna"), &id, "cat.png", wrong).await;
        refused.refused(415, "unsupported_file_type");
    }
    post_to(&app, &staff("anna"), &id, "cat.png", b"").await.refused(400, "empty_file");
    assert_eq!(contents(&app, &staff("anna"), &id).await.len(), 8);
}

#[tokio::test]
async fn upload_needs_conversation_form_and_room() {
    let app = page_app(&[("WHARF__MEDIA__MAX_BYTES_PER_DEVICE", "2500")]).await;
    let id = opened(&app).await;
    let forbidden = post_to(&app, &staff("eve"), &id, "a.png", &png()).await;
    let missing = post_to(&app, &staff("eve"), "999999", "a.png", &png()).await;
    assert_eq!((forbidden.status, &forbidden.bytes), (404, &missing.bytes));
    assert_eq!(forbidden.json()["error"], "Conversation not found");
    post_to(&app, "wrong", &id, "a.png", &png()).await.refused(401, "unauthorized");
    let path = format!("//api/chat/conversations/{id}/upload");
    for (kind, body) in [
        ("application/json", "{}"),
        ("multipart/form-data", "--x7--"),
        ("multipart/form-data; boundary=x7", "no form"),
        (
            "multipart/form-data; boundary=x7",
            "--x7\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--x7--\r\n",
        ),
    ] {
        let request = app.request("POST", &path).header("Content-Type", kind).body(body);
        let request = request.header("Authorization", format!("Bearer {}", staff("anna")));
        Reply::of(request.send().await.unwrap()).await.refused(400, "invalid_field");
    }
    let pdf = |letter: u8| [b"%PDF-1.7 ".to_vec(), vec![letter; 1_000]].concat();
    upload(&app, "anna", &id, "a.pdf", &pdf(b'a')).await;
    upload(&app, "anna", &id, "b.pdf", &pdf(b'b')).await;
    upload(&app, "anna", &id, "again.pdf", &pdf(b'a')).await;
    let refused = post_to(&app, &staff("anna"), &id, "c.pdf", &pdf(b'c')).await;
    refused.refused(429, "media_quota_exceeded");
    upload(&app, "ben", &id, "c.pdf", &pdf(b'c')).await;
}

#[tokio::test]
async fn file_address_is_signed_and_svg_never_runs() {
    let app = page_app(&[("WHARF__SERVER__PUBLIC_URL", "https://wharf.example.com/below")]).await;
    let id = opened(&app).await;
    let file = upload(&app, "anna", &id, "a.svg", SVG).await["attachments"][0].clone();
    let url = file["fileUrl"].as_str().unwrap();
    let path = url.strip_prefix("https://wharf.example.com/below").unwrap();
    let svg = fetch(&app, &json!(path)).await;
    assert_eq!((svg.status, &svg.bytes[..]), (200, SVG));
    assert_eq!(svg.header("content-disposition"), "attachment; filename=\"a.svg\"");
    assert!(
        svg.header("content-security-policy").starts_with("sandbox"),
        "{:?}",
        svg.header("content-security-policy")
    );
    assert_eq!(svg.header("x-content-type-options"), "nosniff");
    let second = upload(&app, "anna", &id, "b.svg", SVG).await["attachments"][0]["id"].clone();
    let (own, signature) = path.split_once('?').unwrap();
    let foreign = own.replace(file["id"].as_str().unwrap(), second.as_str().unwrap());
    for wrong in [
        format!("{path}x"),
        format!("{foreign}?{signature}"),
        format!("/api/chat/files/99999?{signature}"),
        format!("/api/chat/files/x?{signature}"),
    ] {
        fetch(&app, &json!(wrong)).await.refused(403, "invalid_signature");
    }
    for unsigned in [own.to_owned(), format!("{own}?signature=")] {
        fetch(&app, &json!(unsigned)).await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn file_is_kept_until_its_message_is_deleted() {
    let app = page_app(&[("WHARF__RETENTION__MEDIA_DAYS", "1")]).await;
    let id = opened(&app).await;
    let message = upload(&app, "anna", &id, "a.pdf", b"%PDF-1.7 x").await;
    let url = &message["attachments"][0]["fileUrl"];
    app.clock.advance(3 * DAY_MS);
    sweep(&app).await;
    let app = app.restarted().await;
    sweep(&app).await;
    assert_eq!(fetch(&app, url).await.status, 200);
    let path = format!("/api/chat/conversations/{id}/messages");
    let page = rest(&app, &long_token(PAGE_SECRET, "ben"), "GET", &path, None).await.with_status(200);
    assert_eq!(&page["messages"][1]["attachments"][0]["fileUrl"], url);
}

// covers: POST /api/chat/upload
#[tokio::test]
async fn uploaded_attachment_is_sent_as_message() {
    let app = app().await;
    let body = json!({ "recipientId": "ben", "content": "first" });
    rest(&app, &token("ben"), "GET", "/api/messages/conversations", None).await.ok();
    let first = rest(&app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    let id = first["data"]["conversationId"].clone();
    let uploaded =
        post_file(&app, &token("anna"), "/api/chat/upload", "cv.pdf", b"%PDF-1.7 x").await.with_status(201);
    assert_eq!((&uploaded["attachmentName"], &uploaded["messageType"]), (&json!("cv.pdf"), &json!("file")));
    let image = post_file(&app, &token("anna"), "/api/chat/upload", "cat.png", &png()).await.with_status(201);
    assert_eq!(image["messageType"], "image");
    assert_eq!(fetch(&app, &image["attachmentUrl"]).await.bytes, png());
    let (mut socket, _) = ChatClient::connect_namespace(&app, &token("anna")).await;
    let mut ben = connect(&app, &token("ben"), "ben").await;
    let mut draft = uploaded.clone();
    (draft["conversationId"], draft["content"], draft["tempId"]) = (id.clone(), json!("my cv"), json!(5));
    let sent = socket.ask("message:send", draft.clone()).await["message"].clone();
    assert_eq!(
        (&sent["attachmentUrl"], &sent["attachmentName"]),
        (&uploaded["attachmentUrl"], &json!("cv.pdf"))
    );
    let seen = ben.payload("notification").await["message"].clone();
    let file = json!({ "id": seen["attachments"][0]["id"], "fileName": "cv.pdf", "fileUrl": uploaded["attachmentUrl"], "fileType": "application/pdf", "fileSize": 10 });
    assert_eq!((&seen["content"], &seen["attachments"]), (&json!("my cv"), &json!([file])));
    draft["tempId"] = json!(6);
    draft["attachmentUrl"] = json!(format!("{}x", uploaded["attachmentUrl"].as_str().unwrap()));
    let refused = socket.ask("message:send", draft).await;
    assert_eq!(refused["error"], "attachmentUrl must be the address that an upload returned", "{refused}");
    for wrong in [&b"a text"[..], b"MZ\x90\0"] {
        post_file(&app, &token("anna"), "/api/chat/upload", "x.png", wrong)
            .await
            .refused(415, "unsupported_file_type");
    }

    // The file of the message stays; the one that no message uses goes after a day, and the other with its message.
    app.clock.advance(DAY_MS + 700_000);
    sweep(&app).await;
    fetch(&app, &image["attachmentUrl"]).await.refused(403, "invalid_signature");
    assert_eq!(on_disk(&app), [sha256(b"%PDF-1.7 x")]);
    assert_eq!(fetch(&app, &uploaded["attachmentUrl"]).await.status, 200);
    let path = format!("/api/messages/{}", sent["id"]);
    rest(&app, &long_token(SECRET, "anna"), "DELETE", &path, None).await.with_status(200);
    fetch(&app, &uploaded["attachmentUrl"]).await.refused(403, "invalid_signature");
    app.clock.advance(700_000);
    sweep(&app).await;
    app.wait_until("the file to be gone", async || on_disk(&app).is_empty().then_some(())).await;
}

#[tokio::test]
async fn upload_of_operator_reaches_the_contact() {
    let app = unassigned_app().await;
    inbox(&app, json!([{ "who": "desk:bela" }, { "who": "desk:dora" }, { "who": "desk:role:support", "rights": "read" }])).await;
    let mut bela = connect(&app, &token("bela"), "bela").await;
    let mut dora = connect(&app, &token("dora"), "dora").await;
    app.incoming("shop", ANNA, "A picture, please").await;
    let id = bela.payload("notification").await["conversationId"].as_str().unwrap().to_owned();
    for client in [&mut bela, &mut dora] {
        client.ask("join_conversation", json!({ "conversationId": id })).await;
    }
    post_to(&app, &token("cleo"), &id, "cat.png", &png()).await.refused(403, "read_only");
    let message =
        post_to(&app, &token("bela"), &id, "cat.png", &png()).await.with_status(201)["message"].clone();
    assert_eq!(
        (&message["content"], &message["messageType"]),
        (&json!("Shared an image: cat.png"), &json!("IMAGE"))
    );
    assert_eq!(message["author"], json!({ "id": "bela", "name": "bela's name" }));
    assert_eq!(message["attachments"][0]["fileSize"], png().len());
    assert_eq!(fetch(&app, &message["attachments"][0]["fileUrl"]).await.bytes, png());
    let seen = dora.payload("new_message").await;
    assert_eq!((&seen["id"], &seen["senderId"]), (&message["id"], &json!("dora")));
    assert!(named(&drain(&mut bela).await, "new_message").is_empty());
    bela.emit("file_uploaded", json!({ "conversationId": id, "message": { "id": message["id"] } })).await;
    assert_eq!(bela.payload("new_message").await["id"], message["id"]);
    post_to(&app, &token("bela"), &id, "price.pdf", b"%PDF-1.7 x").await.with_status(201);
    let sent = sent_files(&app, 2).await;
    assert_eq!(sent[0]["sha256"], sha256(&png()));
    assert_eq!(sent[1]["sha256"], sha256(b"%PDF-1.7 x"));

    // The fields of an upload in the `namespace` dialect.
    let mut draft = post_file(&app, &token("bela"), "/api/chat/upload", "b.svg", SVG).await.with_status(201);
    (draft["conversationId"], draft["content"]) = (json!(id), json!("a drawing"));
    rest(&app, &token("bela"), "POST", "/api/chat/messages", Some(draft)).await.with_status(201);
    let sent = sent_files(&app, 3).await;
    assert_eq!(sent[2]["sha256"], sha256(SVG));

    let media = json!({ "data": STANDARD.encode(png()), "filename": "dog.png" });
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await.ok();
    let mut incoming = bela.payload("new_message").await;
    while incoming["senderId"] == "bela" {
        incoming = bela.payload("new_message").await;
    }
    assert_eq!(incoming["messageType"], "IMAGE");
    assert_eq!(fetch(&app, &incoming["attachments"][0]["fileUrl"]).await.bytes, png());
}

#[tokio::test]
async fn upload_counts_against_the_device_too() {
    let app = app_with(&[("WHARF__MEDIA__MAX_BYTES_PER_DEVICE", "1500")]).await;
    inbox(&app, json!([{ "who": "desk:bela" }, { "who": "desk:dora" }])).await;
    let mut bela = connect(&app, &token("bela"), "bela").await;
    app.incoming("shop", ANNA, "Hello?").await;
    let id = bela.payload("notification").await["conversationId"].as_str().unwrap().to_owned();
    let pdf = |letter: u8| [b"%PDF-1.7 ".to_vec(), vec![letter; 1_000]].concat();
    post_to(&app, &token("bela"), &id, "a.pdf", &pdf(b'a')).await.with_status(201);
    let refused = post_to(&app, &token("dora"), &id, "b.pdf", &pdf(b'b')).await;
    refused.refused(429, "media_quota_exceeded");
    assert_eq!(sent_files(&app, 1).await.len(), 1);
}
