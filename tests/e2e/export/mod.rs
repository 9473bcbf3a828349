//! Export of chats from one device and import into another, and rejection of invalid exports.

use std::io::{Cursor, Read as _, Write as _};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{ANNA, BEN, Reply, TestApp};

mod hostile;
mod limits;

const GROUP: &str = "120363000000000007@g.us";

/// Downloads an export.
async fn export(app: &TestApp, device: &str, chat: &str, query: &str) -> Reply {
    app.get(&format!("/devices/{device}/chats/{chat}/export?{query}")).await
}

async fn import(app: &TestApp, device: &str, query: &str, body: impl Into<reqwest::Body>) -> Reply {
    let path = format!("/devices/{device}/chats/import?{query}");
    app.with_key(&app.key).send(app.request("POST", &path).body(body)).await
}

/// A device that was never linked.
async fn unlinked_device(app: &TestApp, id: &str) {
    app.new_device(id, json!({})).await;
}

/// All messages of a chat, page by page, oldest first.
async fn messages(app: &TestApp, device: &str, chat: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut page = format!("/devices/{device}/chats/{chat}/messages?limit=100");
    loop {
        let found = app.get(&page).await.ok();
        let mut older = found["data"].as_array().unwrap().clone();
        older.append(&mut all);
        all = older;
        let Some(before) = found["pagination"]["cursors"]["older"]["before"].as_str() else { return all };
        page = format!("/devices/{device}/chats/{chat}/messages?limit=100&before={before}");
    }
}

/// Removes the media links, which differ between devices.
fn without_links(mut message: Value) -> Value {
    for pointer in ["", "/quotedMessage"] {
        let Some(Value::Object(fields)) = message.pointer_mut(pointer) else { continue };
        fields.remove("mediaUrl");
        if let Some(Value::Object(info)) = fields.get_mut("mediaInfo") {
            info.remove("downloadUrl");
            info.remove("thumbnailUrl");
        }
    }
    message
}

async fn comparable(app: &TestApp, device: &str, chat: &str) -> Vec<Value> {
    messages(app, device, chat).await.into_iter().map(without_links).collect()
}

/// Direction, minute and body of each text.
fn text_lines(messages: &[Value]) -> Vec<(bool, i64, String)> {
    let text_lines = |m: &Value| {
        let minute = m["timestamp"].as_i64().unwrap() / 60_000;
        (m["fromMe"] == true, minute, m["body"].as_str().unwrap().to_owned())
    };
    messages.iter().map(text_lines).collect()
}

/// Sends a message from a contact through the simulator.
async fn incoming_message(app: &TestApp, device: &str, message: Value) -> String {
    let reply = app.post(&format!("/simulator/{device}/incoming"), message).await.ok();
    reply["data"]["messageId"].as_str().unwrap().to_owned()
}

/// Adds media, polls, reactions and edits to a chat.
async fn rich_messages(app: &TestApp, device: &str) {
    let place = json!({ "latitude": 52.5, "longitude": 13.4, "description": "Here (by the door)" });
    let first =
        incoming_message(app, device, json!({ "from": ANNA, "location": place, "forwarded": true })).await;
    let network = first.rsplit('_').next().unwrap().to_owned();
    incoming_message(app, device, json!({ "from": ANNA, "body": "That place", "quotedNetworkId": network }))
        .await;
    incoming_message(app, device, json!({ "from": ANNA, "body": "@15550100002 too", "mentions": [BEN] }))
        .await;
    let send = async |body: Value| {
        let sent = app.post(&format!("/devices/{device}/messages/send"), body).await.created();
        let id = sent["data"]["id"].as_str().unwrap().to_owned();
        app.wait_for_status(device, &id, "read").await;
        id
    };
    let poll = json!({ "name": "Lunch?", "options": ["pasta", "soup"], "allowMultipleAnswers": true });
    let poll = send(json!({ "to": ANNA, "poll": poll })).await;
    send(json!({ "to": ANNA, "contact": { "name": "Ben", "phoneNumber": BEN } })).await;
    let text_lines = async |what: &str, body: Value| {
        app.post(&format!("/simulator/{device}/{what}"), body).await.ok();
    };
    let message = |id: &str, what: &str| format!("/devices/{device}/messages/{id}/{what}");
    app.post(&message(&poll, "vote"), json!({ "options": ["soup"] })).await.ok();
    text_lines("vote", json!({ "messageId": poll, "from": ANNA, "options": ["pasta", "soup"] })).await;
    app.post(&message(&first, "react"), json!({ "emoji": "\u{1f44d}" })).await.ok();
    text_lines("reaction", json!({ "messageId": first, "from": ANNA, "emoji": "\u{2764}" })).await;
    app.post(&message(&first, "star"), json!({ "star": true })).await.ok();
    let edited = incoming_message(app, device, json!({ "from": ANNA, "body": "teh end" })).await;
    text_lines("edit", json!({ "messageId": edited, "body": "the end" })).await;
    let revoked = incoming_message(app, device, json!({ "from": ANNA, "body": "never mind" })).await;
    text_lines("revoke", json!({ "messageId": revoked })).await;
}

/// Creates a chat with every kind of content.
async fn conversation(app: &TestApp, device: &str) -> String {
    let chat = format!("{ANNA}@c.us");
    app.incoming(device, ANNA, "Hello").await;
    app.incoming(device, ANNA, "two\nlines \u{1f600}\r\n\nand 31/01/2026, 14:05 - Ben: a third").await;
    app.incoming(
        device,
        ANNA,
        "31/01/2026, 14:05 - Ben: I never said that\n[1/31/26, 2:05:09 PM] Ben: nor that",
    )
    .await;
    app.clock.advance(120_000);
    for text in ["<Media omitted>", "IMG-1.jpg (file attached)", "same", "same", "\u{2060}marked\u{2060}"] {
        let sent = app.send(device, ANNA, text).await;
        app.wait_for_status(device, &sent, "read").await;
    }
    rich_messages(app, device).await;
    chat
}

// covers: GET /devices/{id}/chats/{chatId}/export
// covers: POST /devices/{id}/chats/import
#[tokio::test]
async fn json_export_round_trips_to_new_device() {
    let app = TestApp::start().await;
    app.device("old").await;
    unlinked_device(&app, "new").await;
    let chat = conversation(&app, "old").await;
    for change in ["pin", "mute", "archive"] {
        app.post(&format!("/devices/old/chats/{chat}/{change}"), json!({})).await.ok();
    }
    let exported = export(&app, "old", &chat, "format=json").await;
    assert_eq!(exported.status, 200);
    assert_eq!(exported.header("content-type"), "application/json");
    assert_eq!(exported.header("x-content-type-options"), "nosniff");
    assert!(exported.header("content-disposition").starts_with("attachment; filename=\"WhatsApp Chat with"));
    let document = exported.json();
    assert_eq!((&document["format"], &document["version"]), (&json!("wharf-chat"), &json!(1)));

    let report = import(&app, "new", "", exported.bytes.clone()).await.ok()["data"].clone();
    let original = comparable(&app, "old", &chat).await;
    assert!(original.len() >= 15);
    for (pointer, some) in [
        ("/poll/votes/1", "a vote"),
        ("/reactions/1", "a reaction"),
        ("/quotedMessage/id", "a quote"),
        ("/mentionedIds/0", "a mention"),
        ("/location/description", "a place"),
        ("/vCards/0", "a card"),
    ] {
        assert!(
            original.iter().any(|m| m.pointer(pointer).is_some_and(|v| !v.is_null())),
            "{some}: {original:#?}"
        );
    }
    for flag in ["isEdited", "isStarred", "isForwarded"] {
        assert!(original.iter().any(|m| m[flag] == true), "{flag}");
    }
    assert!(original.iter().any(|m| m["type"] == "revoked"));
    assert_eq!((&report["imported"], &report["skipped"]), (&json!(original.len()), &json!(0)));
    assert_eq!(report["chatId"], json!(chat));
    assert_eq!(comparable(&app, "new", &chat).await, original);
    for message in &original {
        let path = |device: &str| format!("/devices/{device}/messages/{}", message["id"].as_str().unwrap());
        let (old, new) = (app.get(&path("old")).await.ok(), app.get(&path("new")).await.ok());
        assert_eq!(new["data"]["receipts"], old["data"]["receipts"]);
        assert_eq!(new["data"]["status"], old["data"]["status"]);
    }
    let path = |device: &str| format!("/devices/{device}/chats/{chat}");
    let (old, mut new) = (app.get(&path("old")).await.ok(), app.get(&path("new")).await.ok());
    assert_eq!(new["data"]["unreadCount"], 0);
    new["data"]["unreadCount"] = old["data"]["unreadCount"].clone();
    assert_eq!(new, old);

    let again = import(&app, "new", "", exported.bytes).await.ok()["data"].clone();
    assert_eq!((&again["imported"], &again["skipped"]), (&json!(0), &json!(original.len())));
    let silent = app.log("new").await;
    assert!(
        silent.iter().all(|entry| entry["type"] != "message" && entry["type"] != "contact:update"),
        "{silent:?}"
    );
}

#[tokio::test]
async fn text_export_keeps_authors_minutes_and_bodies() {
    let app = TestApp::start().await;
    app.device("old").await;
    unlinked_device(&app, "new").await;
    let chat = conversation(&app, "old").await;
    for zone in ["UTC", "Europe/Berlin", "%2B05:45"] {
        let exported = export(&app, "old", &chat, &format!("format=text&tz={zone}")).await;
        assert_eq!((exported.status, exported.header("content-type")), (200, "text/plain; charset=utf-8"));
        assert!(exported.header("content-disposition").contains(".txt"));
        let query = format!("chatId={chat}&tz={zone}&me=Simulated%20phone");
        let report = import(&app, "new", &query, exported.bytes).await.ok()["data"].clone();
        let original = messages(&app, "old", &chat).await;
        let new = messages(&app, "new", &chat).await;
        // Polls and cards become text with their content.
        let has_words = |m: &Value| m["poll"].is_null() && m["vCards"].is_null();
        let words = |all: &[Value]| {
            let kept = all.iter().zip(&original).filter(|(_, m)| has_words(m)).map(|(m, _)| m.clone());
            text_lines(&kept.collect::<Vec<_>>())
        };
        assert_eq!(new.len(), original.len());
        assert_eq!(words(&new), words(&original), "{zone}");
        let rest = |m: &Value| (m["location"].clone(), m["type"] == "revoked", m["isEdited"].clone());
        let rest = |all: &[Value]| all.iter().map(rest).collect::<Vec<_>>();
        assert_eq!(rest(&new), rest(&original), "{zone}");
        // The messages are the same in every time zone.
        let first = zone == "UTC";
        let expected = if first { (original.len(), 0) } else { (0, original.len()) };
        assert_eq!(
            (&report["imported"], &report["skipped"]),
            (&json!(expected.0), &json!(expected.1)),
            "{zone}"
        );
    }
}

#[tokio::test]
async fn phone_export_is_imported() {
    let app = TestApp::start().await;
    unlinked_device(&app, "new").await;
    let text = "[1/31/26, 2:05:09\u{202f}PM] Anna: \u{200e}Messages and calls are end-to-end encrypted.\r\n\
        [1/31/26, 2:06:00\u{202f}PM] ~\u{202f}Anna: first\r\nsecond\r\n\
        [1/31/26, 2:07:00\u{202f}PM] Me: \u{200e}image omitted\r\n\
        [1/31/26, 2:08:00\u{202f}PM] Me: \u{200e}You deleted this message.\r\n\
        [1/31/26, 2:09:00\u{202f}PM] Anna: Location: https://maps.google.com/?q=52.5,13.4\r\n";
    let report = import(&app, "new", &format!("chatId={ANNA}&me=Me&tz=UTC"), text).await.ok()["data"].clone();
    assert_eq!((&report["imported"], &report["systemLines"]), (&json!(4), &json!(1)), "{report}");
    assert_eq!(
        report["authors"][0],
        json!({ "name": "Anna", "id": format!("{ANNA}@c.us"), "isMe": false, "known": true })
    );
    let found = messages(&app, "new", ANNA).await;
    assert_eq!(found[0]["body"], "first\nsecond");
    assert_eq!(found[0]["timestamp"], 1_769_868_360_000_i64);
    assert_eq!((&found[2]["type"], &found[2]["fromMe"]), (&json!("revoked"), &json!(true)));
    assert_eq!(found[3]["location"]["latitude"], 52.5);
    let chat = app.get(&format!("/devices/new/chats/{ANNA}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["unreadCount"]), (&json!("Anna"), &json!(0)));
}

#[tokio::test]
async fn group_export_keeps_members() {
    let app = TestApp::start().await;
    let contacts = json!([{ "id": ANNA, "name": "Anna" }, { "id": BEN, "name": "Ben: the second" }]);
    app.device_with("old", json!({ "contacts": contacts, "groups": [{ "id": GROUP, "subject": "Harbour", "participants": [ANNA, BEN] }] })).await;
    for id in ["as-json", "as-text", "unknown"] {
        unlinked_device(&app, id).await;
    }
    for (from, body) in [(ANNA, "Who comes?"), (BEN, "I do"), ("15550100003", "And I")] {
        let incoming = json!({ "from": from, "groupId": GROUP, "body": body });
        app.post("/simulator/old/incoming", incoming).await.ok();
    }
    let sent = app.send("old", GROUP, "Fine").await;
    app.wait_for_status("old", &sent, "read").await;

    let document = export(&app, "old", GROUP, "format=json").await;
    import(&app, "as-json", "", document.bytes).await.ok();
    let original = comparable(&app, "old", GROUP).await;
    assert_eq!(comparable(&app, "as-json", GROUP).await, original);
    let receipts = async |device: &str| {
        let id = original[3]["id"].as_str().unwrap();
        app.get(&format!("/devices/{device}/messages/{id}")).await.ok()["data"]["receipts"].clone()
    };
    let (old, new) = (receipts("old").await, receipts("as-json").await);
    assert!(new == old && new.as_array().unwrap().len() >= 2, "{old} {new}");
    assert_eq!(app.get(&format!("/devices/as-json/chats/{GROUP}")).await.ok()["data"]["name"], "Harbour");

    let text = export(&app, "old", GROUP, "format=text").await;
    let query =
        format!("chatId={GROUP}&me=Simulated+phone&authors=Anna={ANNA}&authors=Ben:+the+second={BEN}");
    import(&app, "as-text", &query, text.bytes.clone()).await.ok();
    let new = messages(&app, "as-text", GROUP).await;
    assert_eq!(text_lines(&new), text_lines(&original));
    let authors = |all: &[Value]| all[..3].iter().map(|m| m["author"].clone()).collect::<Vec<_>>();
    assert_eq!(authors(&new), authors(&original));

    let report = import(&app, "unknown", &format!("chatId={GROUP}"), text.bytes.clone()).await.ok();
    let known: Vec<_> =
        report["data"]["authors"].as_array().unwrap().iter().map(|a| a["known"].clone()).collect();
    assert_eq!(known, [false, false, true, false], "{report}");
    let again = export(&app, "unknown", GROUP, "format=text").await;
    assert_eq!(again.text(), text.text(), "names are kept with stand-in ids");
}

#[tokio::test]
async fn zip_export_contains_chat() {
    let app = TestApp::start().await;
    app.device("old").await;
    for id in ["json", "text"] {
        unlinked_device(&app, id).await;
    }
    let chat = conversation(&app, "old").await;
    for (format, name) in [("json", "chat.json"), ("text", "chat.txt")] {
        let exported = export(&app, "old", &chat, &format!("format={format}&media=true")).await;
        assert_eq!(exported.header("content-type"), "application/zip");
        let mut archive = zip::ZipArchive::new(Cursor::new(exported.bytes.clone())).unwrap();
        let mut content = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut content).unwrap();
        assert!(content.contains("two"));
        let query = format!("chatId={chat}&me=Simulated+phone");
        let report = import(&app, format, &query, exported.bytes).await.ok()["data"].clone();
        assert_eq!(report["imported"], json!(messages(&app, "old", &chat).await.len()));
    }
    assert_eq!(comparable(&app, "json", &chat).await, comparable(&app, "old", &chat).await);
}

#[tokio::test]
async fn long_chat_streams_out_and_in() {
    const LONG: usize = 5_000;
    let app = TestApp::start().await;
    for id in ["first", "second", "third"] {
        unlinked_device(&app, id).await;
    }
    let mut text = String::new();
    for n in 0..LONG {
        let (day, hour, minute) = (n / 1_440 + 1, n / 60 % 24, n % 60);
        let who = if n % 3 == 0 { "Me" } else { "Anna" };
        text.push_str(&format!("{day:02}/02/2026, {hour:02}:{minute:02} - {who}: message {n}\n"));
    }
    let chat = format!("{ANNA}@c.us");
    let query = format!("chatId={ANNA}&me=Me");
    let report = import(&app, "first", &query, text.clone()).await.ok()["data"].clone();
    assert_eq!(report["imported"], json!(LONG));
    let document = export(&app, "first", &chat, "").await;
    assert_eq!(document.json()["messages"].as_array().unwrap().len(), LONG);
    import(&app, "second", "format=json", document.bytes).await.ok();
    assert_eq!(comparable(&app, "second", &chat).await, comparable(&app, "first", &chat).await);
    let exported = export(&app, "second", &chat, "format=text").await;
    assert_eq!(exported.text().lines().count(), LONG);
    import(&app, "third", &format!("chatId={ANNA}&me=You"), exported.bytes).await.ok();
    assert_eq!(
        text_lines(&messages(&app, "third", &chat).await),
        text_lines(&messages(&app, "first", &chat).await)
    );
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn invalid_export_is_rejected_with_position() {
    let app = TestApp::start_with(&[("WHARF__IMPORT__MAX_UNPACKED_BYTES", "20000000")]).await;
    unlinked_device(&app, "new").await;
    let query = format!("chatId={ANNA}&me=Me");
    let line = "31/01/2026, 14:05 - Me: x\n";
    let document = |messages: &str| {
        format!(
            "{{\"format\":\"wharf-chat\",\"version\":1,\"chat\":{{\"id\":\"{ANNA}@c.us\",\"name\":\"A\"}},\n\"messages\":[{messages}]}}"
        )
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "empty"),
        ("prose", b"Dear diary,\n".to_vec(), "line 1 is no message"),
        ("no UTF-8", b"31/01/2026, 14:05 - Me: x\n\xff\xfe\n".to_vec(), "line 2 is not UTF-8 from byte 0"),
        (
            "no such day",
            b"31/01/2026, 14:05 - Me: x\n31/02/2026, 14:05 - Me: x\n".to_vec(),
            "line 2: there is no day 31/2/2026",
        ),
        ("a huge line", [line.as_bytes(), &vec![b'a'; 2 << 20]].concat(), "line 2 is longer than"),
        ("half a document", b"{\"format\":\"wharf-chat\",\"messages\":[".to_vec(), "line 1 column"),
        ("another format", b"{\"format\":\"other\",\"version\":1}".to_vec(), "wharf-chat"),
        ("wrong types", document("{\"id\":7}").into_bytes(), "line 2"),
        ("no message", document("5").into_bytes(), "line 2"),
        ("a list", b"{\"messages\":7}".to_vec(), "a list of messages"),
        ("a broken archive", b"PK\x03\x04 and no more".to_vec(), "the archive cannot be read"),
        ("an archive without a chat", archive(&[("a.jpg", b"x")]), "the archive has no chat"),
        ("two chats", archive(&[("chat.txt", b"x"), ("sub/_chat.txt", b"x")]), "several chats"),
        ("a trap by ratio", archive(&[("chat.txt", &vec![b'\n'; 8 << 20])]), "times larger"),
        (
            "a trap by size",
            archive(&[("chat.txt", line.as_bytes()), ("a", &noise(12 << 20)), ("b", &noise(12 << 20))]),
            "max_unpacked_bytes",
        ),
    ];
    for (what, body, sentence) in cases {
        let reply = import(&app, "new", &query, body).await;
        let error = reply.refused(400, "invalid_import")["error"].as_str().unwrap().to_owned();
        assert!(error.contains(sentence), "{what}: {error}");
    }
    app.get(&format!("/devices/new/chats/{ANNA}")).await.refused(404, "chat_not_found");
}

/// Incompressible bytes.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test]
async fn import_query_errors_use_standard_codes() {
    let app = TestApp::start_with(&[("WHARF__IMPORT__MAX_BYTES", "2000")]).await;
    unlinked_device(&app, "new").await;
    let text = "31/01/2026, 14:05 - Me: x\n31/01/2026, 14:06 - Anna: y\n";
    import(&app, "none", "", text).await.refused(404, "device_not_found");
    import(&app, "new", &format!("chatId={ANNA}"), "x".repeat(5_000)).await.refused(413, "too_large");
    for (query, field) in [
        ("", "chatId"),
        ("chatId=15550100001", "me"),
        ("chatId=15550100001&me=Carl", "me"),
        ("chatId=15550100001&tz=Mars", "tz"),
        ("chatId=15550100001&format=pdf", "format"),
        ("chatId=15550100001&dateOrder=x", "dateOrder"),
        ("chatId=15550100001&authors=Anna", "authors[0]"),
    ] {
        let refused = import(&app, "new", query, text).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field, "{query}: {refused}");
    }
    let of_group = format!("{text}31/01/2026, 14:07 - Ben: z\n");
    let refused = import(&app, "new", "chatId=15550100001", of_group).await.refused(400, "invalid_field");
    assert_eq!(refused["details"][0]["field"], "chatId");
    assert!(refused["details"][0]["message"].as_str().unwrap().contains("@g.us"), "{refused}");
    export(&app, "new", ANNA, "").await.refused(404, "chat_not_found");
    export(&app, "new", ANNA, "format=pdf").await.refused(400, "invalid_field");
    export(&app, "none", ANNA, "").await.refused(404, "device_not_found");
}

#[tokio::test]
async fn archive_names_cannot_escape_folder() {
    let app = TestApp::start().await;
    unlinked_device(&app, "new").await;
    let chat =
        b"31/01/2026, 14:05 - Me: ../../escape.jpg (file attached)\nlook\n31/01/2026, 14:06 - Anna: y\n";
    let files: [(&str, &[u8]); 3] =
        [("WhatsApp Chat with Anna.txt", chat), ("../../escape.jpg", b"x"), ("/etc/evil", b"x")];
    let report =
        import(&app, "new", &format!("chatId={ANNA}&me=Me"), archive(&files)).await.ok()["data"].clone();
    assert_eq!(report["imported"], 2, "{report}");
    assert_eq!(messages(&app, "new", ANNA).await[0]["body"], "look");
    let data = app.stop().await;
    let parent = data.path().parent().unwrap();
    assert!(!parent.join("escape.jpg").exists() && !parent.parent().unwrap().join("escape.jpg").exists());
}

#[tokio::test]
async fn archive_carries_media_files() {
    let app = TestApp::start().await;
    app.device("old").await;
    for id in ["json", "text", "bare"] {
        unlinked_device(&app, id).await;
    }
    let chat = format!("{ANNA}@c.us");
    let (picture, notes) = (crate::media::files::png(), b"some notes".to_vec());
    let data = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    for media in [
        json!({ "data": data(&picture), "caption": "look\nhere" }),
        json!({ "data": data(&notes), "filename": "notes.txt" }),
        json!({ "data": data(&picture) }),
    ] {
        let sent =
            app.post("/devices/old/messages/send", json!({ "to": ANNA, "media": media })).await.created();
        app.wait_for_status("old", sent["data"]["id"].as_str().unwrap(), "read").await;
    }
    let original = comparable(&app, "old", &chat).await;
    let download = async |device: &str, id: &Value| {
        app.get(&format!("/devices/{device}/messages/{}/media/download", id.as_str().unwrap())).await.bytes
    };
    for format in ["json", "text"] {
        let exported = export(&app, "old", &chat, &format!("format={format}&media=true")).await;
        let names = zip::ZipArchive::new(Cursor::new(exported.bytes.clone())).unwrap();
        assert_eq!(names.len(), 3, "a shared file is stored once");
        let query = format!("chatId={chat}&me=Simulated+phone");
        let report = import(&app, format, &query, exported.bytes).await.ok()["data"].clone();
        assert_eq!(report["media"], json!({ "attached": 3, "missing": 0, "refused": 0 }));
        let new = comparable(&app, format, &chat).await;
        assert_eq!(text_lines(&new), text_lines(&original));
        for (at, bytes) in [&picture, &notes, &picture].into_iter().enumerate() {
            assert_eq!(&download(format, &new[at]["id"]).await, bytes, "{format} {at}");
            assert_eq!(
                (&new[at]["type"], &new[at]["filename"]),
                (&original[at]["type"], &original[at]["filename"])
            );
        }
    }
    assert_eq!(comparable(&app, "json", &chat).await, original);
    // A file's hash alone gives no access to the file.
    let document = export(&app, "old", &chat, "").await;
    let report = import(&app, "bare", "", document.bytes).await.ok()["data"].clone();
    assert_eq!(report["media"], json!({ "attached": 0, "missing": 3, "refused": 0 }));
    assert_eq!(comparable(&app, "bare", &chat).await, original);
    assert!(messages(&app, "bare", &chat).await.iter().all(|m| m["mediaUrl"].is_null()));
}

#[tokio::test]
async fn export_answer_can_be_compressed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, &"hello ".repeat(500)).await;
    let path = "/devices/shop/chats/15550100001@c.us/export?format=json";
    let whole = app.get(path).await.text();
    for _ in 0..20 {
        let request =
            app.request("GET", path).header("Accept-Encoding", "gzip").header("X-API-KEY", &app.key);
        let reply = request.send().await.unwrap();
        assert_eq!(reply.headers()["content-encoding"], "gzip");
        // A truncated body is an error here.
        assert!(reply.bytes().await.unwrap().len() < whole.len());
    }
}
