//! Incoming content besides text: files, quotes, and everything that the vault stores.

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
        self.recorder.all().into_iter().rev().find_map(message).unwrap()
    }
}

fn attachment(message: Incoming) -> Attachment {
    match message.content {
        Content::Media(attachment) => attachment,
        other => panic!("no file: {other:?}"),
    }
}

#[tokio::test]
async fn file_is_saved_before_its_message_is_delivered() {
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
}

#[tokio::test]
async fn fake_file_has_size_and_header_of_its_type() {
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
async fn undelivered_file_survives_kill() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.recorder.held.send_replace(true);
    let given = json!({ "data": STANDARD.encode(b"\x89PNG picture") });
    let made_up = json!({ "mimetype": "image/jpeg", "sizeBytes": 70_000 });
    let one = daemon.posting("incoming", json!({ "from": CONTACT, "body": "a", "media": given }));
    tokio::time::sleep(SHORT_WAIT).await;
    let two = daemon.posting("incoming", json!({ "from": CONTACT, "body": "b", "media": made_up }));
    tokio::time::sleep(SHORT_WAIT).await;
    drop((one, two, running));

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;

    daemon.recorder.until("both", |recorder| recorder.bodies() == ["a", "b"]).await;
    daemon.say("after").await.unwrap();
    let messages = daemon.recorder.all().into_iter().filter_map(|event| match event {
        EngineEvent::Message(message) => match message.content {
            Content::Media(attachment) => Some(attachment),
            _ => None,
        },
        _ => None,
    });
    let files: Vec<Attachment> = messages.collect();
    assert_eq!(daemon.files.get(&files[0].file.hash).as_deref(), Some(&b"\x89PNG picture"[..]));
    assert_eq!((files[0].kind, files[1].file.filesize), (MediaKind::Image, 70_000));
    assert_eq!(daemon.stored_messages(), 0);
    running.stop().await;
}

#[tokio::test]
async fn undelivered_file_that_was_deleted_leaves_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.recorder.held.send_replace(true);
    let call = daemon.posting("incoming", json!({ "from": CONTACT, "media": { "data": "iVBORw0K" } }));
    daemon.until_stored(1).await;
    drop((call, running));

    let mut daemon = daemon.restart(dir.path()).await;
    daemon.files = Arc::default();
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("the message", |recorder| recorder.bodies().len() == 1).await;
    assert_eq!(daemon.last_message().content, Content::Other(MessageType::Image));
    running.stop().await;
}

#[tokio::test]
async fn fake_file_is_retried_after_media_store_failure() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    let body = json!({ "from": CONTACT, "media": { "mimetype": "image/png", "sizeBytes": 100 } });
    daemon.files.fail(Failing::Broken);
    let mut call = daemon.posting("incoming", body);
    assert_eq!(running.ended().await, SessionEnd::LinkLost(Reason::EngineError));
    daemon.files.fail(Failing::Not);
    let _running = daemon.connect(json!({})).await;
    assert!(call.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(attachment(daemon.last_message()).kind, MediaKind::Image);
}

#[tokio::test]
async fn given_file_fails_or_is_left_out_at_acceptance() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let _running = daemon.connect_linked(json!({})).await;
    let body = json!({ "from": CONTACT, "type": "image", "media": { "data": "iVBORw0K" } });
    daemon.files.fail(Failing::Broken);
    assert_eq!(daemon.post("incoming", body.clone()).await, Err(ControlError::Storage));
    daemon.files.fail(Failing::Full);
    assert_eq!(daemon.receive(body).await.content, Content::Other(MessageType::Image));
}

#[tokio::test]
async fn log_out_removes_undelivered_messages() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.recorder.held.send_replace(true);
    let _call = daemon.posting("incoming", json!({ "from": CONTACT, "media": { "data": "YQ==" } }));
    daemon.until_stored(1).await;
    running.session.log_out().await.unwrap();
    assert!(daemon.vault.0.lock().is_empty());
}

#[tokio::test]
async fn all_parts_of_message_survive_kill() {
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
        daemon.recorder.all().into_iter().filter_map(message).collect()
    };
    daemon.recorder.held.send_replace(true);
    let mut calls = Vec::new();
    for body in &bodies {
        let mut body = body.clone();
        body["from"] = json!(CONTACT);
        calls.push(daemon.posting("incoming", body));
        daemon.until_stored(calls.len()).await;
    }
    let undelivered = daemon.vault.0.lock().clone();
    daemon.recorder.held.send_replace(false);
    for mut call in calls {
        call.join_next().await.unwrap().unwrap().unwrap();
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

    // As if the daemon was killed before the first acknowledgement.
    running.stop().await;
    *daemon.vault.0.lock() = undelivered;
    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("all again", |recorder| recorder.bodies().len() == bodies.len()).await;
    assert_eq!(all(&daemon), before);
    running.stop().await;
}

#[tokio::test]
async fn quote_resolves_to_earlier_message() {
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
