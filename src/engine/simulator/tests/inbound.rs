//! What comes in besides text: files that wait, quotes that are found, everything as it was written.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files::Failing;
use super::*;
use crate::domain::content::Attachment;
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::domain::reason::Reason;
use crate::engine::{Incoming, Quoted};

const GROUP: &str = "120363000000000001@g.us";

impl Daemon {
    async fn receive(&self, body: Value) -> Incoming {
        self.post("incoming", body).await.unwrap();
        self.last_message()
    }

    fn last_message(&self) -> Incoming {
        let message = |event| match event {
            EngineEvent::Message(message) => Some(*message),
            _ => None,
        };
        self.told.all().into_iter().rev().find_map(message).unwrap()
    }
}

fn attachment(message: Incoming) -> Attachment {
    match message.content {
        Content::Media(attachment) => attachment,
        other => panic!("no file: {other:?}"),
    }
}

fn kept_files(dir: &std::path::Path) -> usize {
    fs::read_dir(dir.join("simulator/files")).unwrap().count()
}

#[tokio::test]
async fn a_file_is_in_the_store_before_its_message_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let _running = daemon.connect_linked(json!({})).await;
    let media = json!({
        "data": STANDARD.encode(b"OggS hum"), "filename": "hum.ogg", "caption": "listen", "asVoice": true,
    });

    let message = daemon.receive(json!({ "from": CONTACT, "media": media })).await;

    assert_eq!(message.body, "listen");
    let Attachment { kind, file, filename } = attachment(message);
    assert_eq!((kind, filename.as_deref(), file.filesize), (MediaKind::Ptt, Some("hum.ogg"), 8));
    assert_eq!(daemon.files.get(&file.hash).as_deref(), Some(&b"OggS hum"[..]));
    assert_eq!(kept_files(dir.path()), 0, "what is acknowledged is not kept");
}

#[tokio::test]
async fn a_made_up_file_has_the_size_and_the_beginning_of_its_type() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let _running = daemon.connect_linked(json!({})).await;
    let types: [(&str, &[u8], MediaKind); 8] = [
        ("image/png", b"\x89PNG", MediaKind::Image),
        ("image/jpeg", b"\xff\xd8\xff", MediaKind::Image),
        ("image/webp", b"RIFF", MediaKind::Image),
        ("video/mp4", b"\0\0\0\x18ftyp", MediaKind::Video),
        ("audio/ogg", b"OggS", MediaKind::Audio),
        ("audio/wav", b"RIFF", MediaKind::Audio),
        ("application/pdf", b"%PDF", MediaKind::Document),
        ("application/x-strange", b"", MediaKind::Document),
    ];
    for (mimetype, start, kind) in types {
        let media = json!({ "mimetype": mimetype, "sizeBytes": 200_001 });
        let found = attachment(daemon.receive(json!({ "from": CONTACT, "media": media })).await);
        let bytes = daemon.files.get(&found.file.hash).unwrap();
        assert!(bytes.starts_with(start), "{mimetype}");
        assert_eq!((found.kind, bytes.len()), (kind, 200_001), "{mimetype}");
    }
    let tiny = json!({ "mimetype": "image/png", "sizeBytes": 3 });
    assert_eq!(attachment(daemon.receive(json!({ "from": CONTACT, "media": tiny })).await).file.filesize, 3);
}

#[tokio::test]
async fn a_file_waits_with_its_message_through_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.told.held.send_replace(true);
    let given = json!({ "data": STANDARD.encode(b"\x89PNG picture") });
    let made_up = json!({ "mimetype": "image/jpeg", "sizeBytes": 70_000 });
    let one = daemon.posting("incoming", json!({ "from": CONTACT, "body": "a", "media": given }));
    tokio::time::sleep(MOMENT).await;
    let two = daemon.posting("incoming", json!({ "from": CONTACT, "body": "b", "media": made_up }));
    tokio::time::sleep(MOMENT).await;
    drop((one, two, running));
    fs::write(dir.path().join("simulator/files/0123456789abcdef"), b"nobody waits for this").unwrap();

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;

    daemon.told.until("both", |told| told.bodies() == ["a", "b"]).await;
    daemon.say("after").await.unwrap();
    let messages = daemon.told.all().into_iter().filter_map(|event| match event {
        EngineEvent::Message(message) => match message.content {
            Content::Media(attachment) => Some(attachment),
            _ => None,
        },
        _ => None,
    });
    let files: Vec<Attachment> = messages.collect();
    assert_eq!(daemon.files.get(&files[0].file.hash).as_deref(), Some(&b"\x89PNG picture"[..]));
    assert_eq!((files[0].kind, files[1].file.filesize), (MediaKind::Image, 70_000));
    assert_eq!(kept_files(dir.path()), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_gets_the_file_later_and_one_that_is_full_only_the_message() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    let body = json!({ "from": CONTACT, "type": "image", "media": { "data": "iVBORw0K" } });
    daemon.files.fail(Failing::Broken);
    let mut call = daemon.posting("incoming", body.clone());
    assert_eq!(running.ended().await, Ended::LinkLost(Reason::EngineError));
    daemon.files.fail(Failing::Not);
    let _running = daemon.connect(json!({})).await;
    assert!(call.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(attachment(daemon.last_message()).kind, MediaKind::Image);

    daemon.files.fail(Failing::Full);
    let message = daemon.receive(body).await;
    assert_eq!(message.content, Content::Other(MessageType::Image));
}

#[tokio::test]
async fn what_waits_for_a_device_that_is_logged_out_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.told.held.send_replace(true);
    let _call = daemon.posting("incoming", json!({ "from": CONTACT, "media": { "data": "YQ==" } }));
    tokio::time::sleep(MOMENT).await;
    assert_eq!(kept_files(dir.path()), 1);
    running.session.log_out().await.unwrap();
    assert_eq!(kept_files(dir.path()), 0);
}

#[tokio::test]
async fn everything_about_a_message_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    let bodies = [
        json!({ "location": { "latitude": 1.5, "longitude": 2.25, "description": "Mill" } }),
        json!({ "contact": { "displayName": "Bakery", "number": "+15550110002" } }),
        json!({ "poll": { "name": "When?", "options": ["a", "b"], "allowMultipleAnswers": true } }),
        json!({ "type": "unknown" }),
        json!({ "body": "hi", "quotedNetworkId": "Q1", "quotedBody": "what?", "mentions": [CONTACT], "forwarded": true, "notifyName": "Ada" }),
        json!({ "body": "mine", "fromMe": true }),
    ];
    let all = |daemon: &Daemon| -> Vec<Incoming> {
        let message = |event| match event {
            EngineEvent::Message(message) => Some(*message),
            _ => None,
        };
        daemon.told.all().into_iter().filter_map(message).collect()
    };
    for body in &bodies {
        let mut body = body.clone();
        body["from"] = json!(CONTACT);
        daemon.receive(body).await;
    }
    let before = all(&daemon);
    assert_eq!(before.len(), bodies.len());
    let quoted = Quoted {
        id: message_id(&format!("false_{CONTACT}_Q1")),
        author: CONTACT.parse().unwrap(),
        body: "what?".into(),
    };
    assert_eq!(before[4].quoted, Some(quoted));
    assert!(before[5].from_me && before[5].from != before[5].chat);

    // As if the acknowledgements had never been written.
    running.stop().await;
    daemon.driver.flush().await.unwrap();
    let path = dir.path().join("simulator/network.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let kept = lines.lines().filter(|line| !line.contains(r#""kind":"acknowledged""#));
    fs::write(&path, kept.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.told.until("all again", |told| told.bodies().len() == bodies.len()).await;
    assert_eq!(all(&daemon), before);
    running.stop().await;
}

#[tokio::test]
async fn a_quote_names_the_message_that_the_network_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "ours").await;
    daemon.receive(json!({ "from": CONTACT, "groupId": GROUP, "body": "theirs", "networkId": "G1" })).await;

    let message = daemon.receive(json!({ "from": CONTACT, "body": "re", "quotedNetworkId": "A1" })).await;
    let quoted = message.quoted.unwrap();
    assert_eq!((quoted.id.to_string(), quoted.body.as_str()), (format!("true_{CONTACT}_A1"), "ours"));

    let other = "15550110002@c.us";
    let group = |id: &str| json!({ "from": other, "groupId": GROUP, "body": "re", "quotedNetworkId": id });
    let quoted = daemon.receive(group("G1")).await.quoted.unwrap();
    assert_eq!((quoted.author.to_string(), quoted.body.as_str()), (CONTACT.to_owned(), "theirs"));
    assert_eq!(quoted.id.to_string(), format!("false_{GROUP}_G1_{CONTACT}"));

    let unknown = daemon.post("incoming", group("G2")).await;
    assert!(matches!(unknown, Err(ControlError::Invalid { field, .. }) if field == "quotedParticipant"));
    running.stop().await;
}
