//! Tests that the document describes domain objects as they are sent.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::ack::Ack;
use crate::domain::chat::{Chat, LastMessage};
use crate::domain::clock::Millis;
use crate::domain::contact::Contact;
use crate::domain::content::{ContactCard, Location, Poll, PollVote, Template};
use crate::domain::device::DeviceStats;
use crate::domain::group::{Participant, Role};
use crate::domain::health::{HealthInput, compute_health};
use crate::domain::media::{Dimensions, Media, MediaHash, MediaKind, MediaLinks, StoredMedia};
use crate::domain::message::{Message, MessageType, Receipt, SentBy};
use crate::domain::outbox::{QuietHours, Warmup};
use crate::domain::state::State;
use crate::service::{Cleared, DeviceQueue, HoldReason, QueueTotals};

fn schema(name: &str) -> Value {
    let document: Value = serde_json::from_str(&crate::api::openapi_json()).unwrap();
    document["components"]["schemas"][name].clone()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// Checks a schema: `sent` has every documented field, and all fields besides `optional` are required.
fn check(name: &str, sent: &impl Serialize, optional: &[&str]) {
    let schema = schema(name);
    let (sent, documented) = (names(&serde_json::to_value(sent).unwrap()), names(&schema["properties"]));
    assert_eq!(sent, documented, "{name}");
    let required: BTreeSet<String> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field.as_str().unwrap().to_owned())
        .collect();
    let always: BTreeSet<String> =
        sent.into_iter().filter(|field| !optional.contains(&field.as_str())).collect();
    assert_eq!(required, always, "{name}: required");
}

fn message() -> Message {
    Message {
        id: "false_120363000000000001@g.us_A_15550100001@c.us".parse().unwrap(),
        chat_id: "120363000000000001@g.us".parse().unwrap(),
        from: "120363000000000001@g.us".parse().unwrap(),
        to: "15550100002@c.us".parse().unwrap(),
        author: Some("15550100001@c.us".parse().unwrap()),
        from_me: false,
        body: "hi".to_owned(),
        kind: MessageType::Chat,
        timestamp: Millis(1),
        ack: Ack::Read,
        has_media: true,
        media: Some(media()),
        location: Some(Location { latitude: 1.0, longitude: 2.0, description: Some("here".to_owned()) }),
        contacts: vec![ContactCard { display_name: "Ada".to_owned(), vcard: "BEGIN:VCARD".to_owned() }],
        poll: Some(poll()),
        template: Some(template()),
        quoted_message: None,
        is_forwarded: false,
        is_starred: false,
        is_edited: false,
        notify_name: "Ada".to_owned(),
        mentioned_ids: Vec::new(),
        reactions: Vec::new(),
        sent_by: Some(SentBy { id: "desk:ada".to_owned(), name: "Ada".to_owned() }),
    }
}

fn media() -> Media {
    Media {
        kind: MediaKind::Video,
        file: StoredMedia {
            hash: MediaHash::of_digest(&[1; 32]),
            mimetype: "video/mp4".to_owned(),
            filesize: 1,
            duration: Some(1.0),
            dimensions: Some(Dimensions { width: 1, height: 1 }),
            has_thumbnail: true,
        },
        filename: Some("a.mp4".to_owned()),
        available: true,
        links: Some(MediaLinks { download: "/d".to_owned(), thumbnail: Some("/t".to_owned()) }),
    }
}

fn template() -> Template {
    Template { name: "order_ready".to_owned(), language: "en_US".to_owned(), components: vec![json!({})] }
}

fn poll() -> Poll {
    let vote =
        PollVote { voter: "15550100001@c.us".parse().unwrap(), options: Vec::new(), timestamp: Millis(1) };
    Poll {
        name: "Lunch?".to_owned(),
        options: vec!["yes".to_owned()],
        allow_multiple_answers: false,
        votes: vec![vote],
    }
}

#[test]
fn messages() {
    let answer = Message { quoted_message: Some(Box::new(message())), ..message() };
    let sometimes = [
        "author",
        "mimetype",
        "filename",
        "filesize",
        "duration",
        "mediaUrl",
        "mediaInfo",
        "location",
        "vCards",
        "poll",
        "template",
        "quotedMessage",
        "sentBy",
    ];
    check("Message", &answer, &sometimes);
    let info = serde_json::to_value(media()).unwrap()["mediaInfo"].clone();
    check("MediaInfo", &info, &["filename", "duration", "dimensions", "downloadUrl", "thumbnailUrl"]);
    check("Location", &message().location, &["description"]);
    check("ContactCard", &message().contacts[0], &[]);
    check("Template", &message().template, &[]);
    check("SentBy", &message().sent_by, &[]);
    check("Poll", &poll(), &[]);
    check("PollVote", &poll().votes[0], &[]);
    let receipt = Receipt { participant: message().to, ack: Ack::Read, timestamp: Millis(1) };
    check("Receipt", &receipt, &[]);
}

#[test]
fn chats_and_contacts() {
    let Message { id, body, timestamp, from_me, author, kind, chat_id, .. } = message();
    let last = LastMessage { id, body, timestamp, from_me, author, kind };
    check("LastMessage", &last, &["author"]);
    let chat = Chat {
        id: chat_id.clone(),
        chat_id,
        name: "Friends".to_owned(),
        is_group: true,
        participants: Some(vec![Participant { id: message().to, role: Role::Admin }]),
        last_message: Some(last),
        unread_count: 1,
        pinned: false,
        archived: false,
        muted: false,
        muted_until: None,
        profile_pic_url: None,
        timestamp,
    };
    // Always present; null without a value.
    check("Chat", &chat, &["lastMessage", "participants", "mutedUntil", "profilePicUrl"]);
    check("Participant", &chat.participants.unwrap()[0], &[]);
    let contact = Contact {
        id: message().to,
        contact_id: message().to,
        name: "Ada".to_owned(),
        pushname: Some("Ada".to_owned()),
        number: Some("15550100002".to_owned()),
        lid: Some("1@lid".parse().unwrap()),
        is_my_contact: true,
    };
    check("Contact", &contact, &["pushname", "number", "lid"]);
}

#[test]
fn queues() {
    let totals = QueueTotals::default();
    check("QueueTotals", &totals, &[]);
    let held = HoldReason { reason: "schedule", until: Some(Millis(1)) };
    check("HeldBy", &held, &["until"]);
    let queue = DeviceQueue {
        device_id: "shop".parse().unwrap(),
        name: "Shop".to_owned(),
        state: "ready",
        totals,
        oldest: None,
        held_by: Some(held),
        config: serde_json::Map::new(),
        warmup_phase: None,
    };
    check("DeviceQueue", &queue, &["oldest", "heldBy", "warmupPhase"]);
    let cleared = Cleared { cancelled: 0, devices: std::collections::BTreeMap::new() };
    check("ClearedQueue", &cleared, &[]);
    let (from, to) = ("22:00".parse().unwrap(), "07:00".parse().unwrap());
    let quiet = QuietHours::new(from, to, "UTC".parse().unwrap()).unwrap();
    check("QuietHours", &quiet, &[]);
    check("Warmup", &Warmup { started_at: Millis(0), days: 1, start_percent: 1 }, &[]);
}

#[test]
fn devices_and_health() {
    check("DeviceStats", &DeviceStats::default(), &[]);
    let health = compute_health(&State::Created, &HealthInput::default());
    check("Health", &health, &[]);
    check("HealthMetrics", &health.metrics, &["lastActivity", "warmupPhase"]);
    check("HealthWarning", &health.warnings[0], &[]);
}

/// Every documented field of a send is read: a value of a wrong type is refused by its name.
#[test]
fn documented_fields_of_a_send_are_read() {
    use crate::api::http::input::request_tests::invalid_fields;
    use crate::api::http::messages::send_body::SendBody;
    let contents = ["SendText", "SendMedia", "SendLocation", "SendContact", "SendPoll", "SendTemplate"];
    let of_content = contents.iter().flat_map(|name| names(&schema(name)["allOf"][1]["properties"]));
    let shared = names(&schema("SendOptions")["properties"]);
    for field in of_content.chain(shared) {
        let mut body = json!({ "to": "15550100001" });
        if !["text", "media", "location", "contact", "poll", "template"].contains(&field.as_str()) {
            body["text"] = json!("hi");
        }
        body[&field] = json!([5]);
        let errors = invalid_fields::<SendBody>(body);
        assert!(errors.iter().any(|error| error.starts_with(&field)), "{field}: {errors:?}");
    }
}

/// Every text that matches the documented pattern of an id is accepted as an id.
#[test]
fn documented_ids_are_understood() {
    use crate::domain::ids::{DeviceId, MessageId};
    use crate::domain::jid::Jid;
    fn holds<T: std::str::FromStr>(pattern: &str) {
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        let texts = string_regex(bare).unwrap();
        let mut runner = TestRunner::deterministic();
        runner
            .run(&texts, |text| {
                prop_assert!(text.parse::<T>().is_ok(), "{text:?}");
                Ok(())
            })
            .unwrap();
    }
    holds::<DeviceId>(super::DEVICE);
    holds::<Jid>(super::PERSON);
    holds::<Jid>(super::CHAT);
    holds::<Jid>(super::GROUP);
    holds::<MessageId>(super::MESSAGE);
}
