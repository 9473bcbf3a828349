//! Sent files, locations, contact cards and polls, as the ledger shows them.

use super::files::Failing;
use super::*;
use crate::domain::content::{Attachment, ContactCard, Location, Poll};
use crate::domain::media::MediaKind;
use crate::engine::Quoted;

fn voice_note(daemon: &Daemon) -> Content {
    let file = daemon.files.put(b"OggS and a voice".to_vec());
    Content::Media(Attachment { kind: MediaKind::Ptt, file, filename: Some("note.ogg".into()) })
}

fn with(id: &str, body: &str, content: Content) -> Outgoing {
    Outgoing { content, ..outgoing(CONTACT, id, body) }
}

#[tokio::test]
async fn sent_file_is_shown_with_received_hash_and_size() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    let content = voice_note(&daemon);
    let Content::Media(Attachment { file, .. }) = content.clone() else { panic!() };

    assert_eq!(running.send_outgoing(with("A1", "listen", content)).await, SENT);

    let sent = daemon.network().await["sent"][0].clone();
    assert_eq!((&sent["type"], &sent["body"]), (&json!("ptt"), &json!("listen")));
    let media = json!({
        "sha256": file.hash, "filesize": 16, "mimetype": "audio/ogg", "filename": "note.ogg",
        "asVoice": true, "asSticker": false, "asDocument": false,
    });
    assert_eq!(sent["media"], media);
    running.stop().await;
}

#[tokio::test]
async fn unreadable_file_leaves_no_copy() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    let cases = [
        (Failing::Torn, ("transient", "media_unreadable")),
        (Failing::Broken, ("transient", "media_unreadable")),
        (Failing::Damaged, ("permanent", "media_damaged")),
    ];
    for (failing, expected) in cases {
        let content = voice_note(&daemon);
        daemon.files.fail(failing);
        assert_eq!(outcome(&running.send_outgoing(with("A1", "", content)).await), expected, "{failing:?}");
    }
    daemon.files.fail(Failing::Not);
    let Content::Media(mut gone) = voice_note(&daemon) else { panic!() };
    gone.file.hash = crate::domain::media::MediaHash::of_digest(&[7; 32]);
    let gone = running.send_outgoing(with("A1", "", Content::Media(gone))).await;
    assert_eq!(outcome(&gone), ("permanent", "media_gone"));
    assert_eq!(daemon.network().await["sent"], json!([]));
    running.stop().await;
}

#[tokio::test]
async fn places_cards_and_polls_are_shown_as_sent() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    let place = Location { latitude: 52.5, longitude: -13.25, description: Some("Mill".into()) };
    let card = ContactCard { display_name: "Bakery".into(), vcard: "BEGIN:VCARD".into() };
    let poll = Poll {
        name: "When?".into(),
        options: vec!["Monday".into(), "Friday".into()],
        allow_multiple_answers: false,
        votes: Vec::new(),
    };
    for (id, content) in
        [("A1", Content::Location(place)), ("A2", Content::Contacts(vec![card])), ("A3", Content::Poll(poll))]
    {
        assert_eq!(running.send_outgoing(with(id, "", content)).await, SENT);
    }
    let sent = daemon.network().await["sent"].clone();
    assert_eq!(sent[0]["location"], json!({ "latitude": 52.5, "longitude": -13.25, "description": "Mill" }));
    assert_eq!(sent[1]["contacts"], json!([{ "displayName": "Bakery", "vcard": "BEGIN:VCARD" }]));
    assert_eq!(sent[2]["poll"]["options"], json!(["Monday", "Friday"]));
    let types: Vec<&Value> = sent.as_array().unwrap().iter().map(|m| &m["type"]).collect();
    assert_eq!(types, ["location", "vcard", "poll_creation"]);
    running.stop().await;
}

#[tokio::test]
async fn quotes_mentions_and_forwards_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "plain").await;
    let quoted = Quoted {
        id: message_id(&format!("false_{CONTACT}_N7")),
        author: CONTACT.parse().unwrap(),
        body: "what?".into(),
    };
    let answer = Outgoing {
        quoted: Some(quoted),
        mentions: vec![CONTACT.parse().unwrap()],
        forwarded: true,
        ..outgoing(CONTACT, "A2", "that")
    };
    running.send_outgoing(answer).await;
    let sent = daemon.network().await["sent"].clone();
    let fields: Vec<&str> = sent[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["arrivals", "at", "body", "networkId", "shown", "to", "type"]);
    assert_eq!(sent[1]["quotedNetworkId"], "N7");
    assert_eq!(sent[1]["mentions"], json!([CONTACT]));
    assert_eq!(sent[1]["forwarded"], true);
    running.stop().await;
}
