//! Tests of the conversions in both directions.

use serde_json::{Value, json};

use super::ids::{MessageAliases as Aliases, Recipient};
use super::message_in::{CloudEvent, MessageContext, event, identities, referenced_ids};
use super::message_out::{BodyError, MessageRefs, body};
use super::status_in::{message_id, receipt};
use super::wire::{CallbackValues, Contact, Envelope, Message, Status};
use super::{message_out, vcards};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::content::{ContactCard, Content, Location, Poll};
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::{EngineEvent, IncomingChange, Outgoing};

const NOW: Millis = Millis(1_800_000_000_000);

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn read(message: Value, aliases: &Aliases) -> Option<CloudEvent> {
    let message: Message = serde_json::from_value(message).unwrap();
    let contacts: Vec<Contact> = serde_json::from_value(json!([
        { "profile": { "name": "Anna" }, "wa_id": "15550100001", "user_id": "US.1" },
    ]))
    .unwrap();
    let me = jid("15550100000");
    event(&message, &MessageContext { contacts: &contacts, aliases, me: &me, now: NOW })
}

fn text_in(change: &Value) -> Value {
    let mut message = json!({
        "from": "15550100001", "id": "wamid.A=", "timestamp": "1700000000", "type": "text", "text": { "body": "hello" },
    });
    for (key, value) in change.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn incoming(message: Value) -> crate::engine::Incoming {
    match read(message, &Aliases::new()) {
        Some(CloudEvent::Message(incoming, _)) => *incoming,
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_is_read_with_author_and_time() {
    let text = incoming(text_in(&json!({})));
    assert_eq!((text.chat.to_string(), text.body.as_str()), ("15550100001@c.us".into(), "hello"));
    assert_eq!((text.timestamp, text.notify_name.as_deref()), (Millis(1_700_000_000_000), Some("Anna")));
}

#[test]
fn person_without_a_number_has_the_other_id() {
    let text = incoming(text_in(&json!({ "from": null, "from_user_id": "US.1" })));
    assert_eq!(text.chat, super::ids::hidden("US.1").unwrap());
    assert_eq!(text.notify_name.as_deref(), Some("Anna"));
    assert_eq!(read(text_in(&json!({ "from": null })), &Aliases::new()), None, "no author");
    let both = json!([{ "profile": {}, "wa_id": "15550100001", "user_id": "US.1" }, { "user_id": "US.2" }]);
    let both: Vec<Contact> = serde_json::from_value(both).unwrap();
    assert_eq!(identities(&both).len(), 1);
}

#[test]
fn quotes_and_reactions_find_our_messages() {
    let ours: MessageId = "true_15550100001@c.us_3EB0A1".parse().unwrap();
    let aliases = Aliases::from([("wamid.O=".to_owned(), ours.clone())]);
    let answer = text_in(&json!({ "context": { "id": "wamid.O=", "from": "15550100000" } }));
    let parsed: Message = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(referenced_ids(&parsed), ["wamid.O="]);
    let Some(CloudEvent::Message(answer, _)) = read(answer, &aliases) else { panic!("no message") };
    assert_eq!(answer.quoted.unwrap().id, ours);
    let emoji = json!({ "type": "reaction", "reaction": { "message_id": "wamid.O=", "emoji": "👍" } });
    let Some(CloudEvent::Change(EngineEvent::MessageChange(IncomingChange::Reaction { id, emoji, .. }))) =
        read(text_in(&emoji), &aliases)
    else {
        panic!("no reaction")
    };
    assert_eq!((id, emoji.as_str()), (ours, "👍"));
    let back = json!({ "type": "reaction", "reaction": { "message_id": "wamid.B=" } });
    let Some(CloudEvent::Change(EngineEvent::MessageChange(IncomingChange::Reaction { id, emoji, .. }))) =
        read(text_in(&back), &aliases)
    else {
        panic!("no reaction")
    };
    assert_eq!((id.to_string().as_str(), emoji.as_str()), ("false_15550100001@c.us_wamid.B=", ""));
}

#[test]
fn edits_and_revocations_are_read() {
    let edit = json!({ "type": "edit", "edit": {
        "original_message_id": "wamid.B=", "message": { "type": "text", "text": { "body": "new" } } } });
    let Some(CloudEvent::Change(EngineEvent::MessageChange(IncomingChange::Edited { id, body, .. }))) =
        read(text_in(&edit), &Aliases::new())
    else {
        panic!("no edit")
    };
    assert_eq!((id.to_string().as_str(), body.as_str()), ("false_15550100001@c.us_wamid.B=", "new"));
    let gone = json!({ "type": "revoke", "revoke": { "original_message_id": "wamid.B=" } });
    assert!(matches!(
        read(text_in(&gone), &Aliases::new()),
        Some(CloudEvent::Change(EngineEvent::MessageChange(IncomingChange::Revoked { .. })))
    ));
}

#[test]
fn every_type_is_read_and_none_is_lost() {
    let voice = json!({ "type": "audio", "audio": { "id": "7", "voice": true } });
    let Some(CloudEvent::Message(message, Some(file))) = read(text_in(&voice), &Aliases::new()) else {
        panic!("no file")
    };
    assert_eq!((file.kind, message.content), (MediaKind::Ptt, Content::Other(MediaKind::Ptt.message_type())));
    let place = incoming(text_in(&json!({ "type": "location",
        "location": { "latitude": 1.5, "longitude": 2, "name": "Shop", "address": "Main St" } })));
    let expected = Location { latitude: 1.5, longitude: 2.0, description: Some("Shop, Main St".into()) };
    assert_eq!(place.content, Content::Location(expected));
    let button = incoming(text_in(&json!({ "type": "interactive",
        "interactive": { "type": "button_reply", "button_reply": { "id": "1", "title": "Yes" } } })));
    assert_eq!(button.body, "Yes");
    for kind in ["unsupported", "order", "something new"] {
        let message = incoming(text_in(&json!({ "type": kind, "text": null })));
        assert!(matches!(message.content, Content::Other(_)), "{kind}");
    }
}

#[test]
fn message_from_the_phone_is_from_me() {
    let echo = incoming(text_in(&json!({ "from": "15550100000", "to": "15550100001" })));
    assert!(echo.from_me && echo.chat == jid("15550100001"));
}

#[test]
fn messages_in_groups_have_their_authors() {
    let text = incoming(text_in(&json!({ "group_id": "Y2FwaV9ncm91cDo" })));
    assert!(text.chat.is_group() && text.from == jid("15550100001"));
}

#[test]
fn all_entries_and_changes_of_this_number_are_read() {
    let change = |number: &str, id: &str| {
        json!({ "field": "messages", "value": {
            "metadata": { "phone_number_id": number }, "messages": [text_in(&json!({ "id": id }))] } })
    };
    let other = json!({ "field": "account_update", "value": { "metadata": { "phone_number_id": "1" } } });
    let envelope = json!({ "object": "whatsapp_business_account", "entry": [
        { "id": "a", "changes": [change("1", "A"), change("2", "B"), other] },
        { "id": "b", "changes": [change("1", "C")] },
    ] });
    let values = Envelope::of(envelope).unwrap().values_of("1");
    let ids: Vec<_> = values.iter().flat_map(|values| &values.messages).map(|message| &message.id).collect();
    assert_eq!(ids, ["A", "C"]);
    assert!(values.iter().all(|values| values.unreadable.is_empty()));
}

fn values(value: &Value) -> Vec<CallbackValues> {
    let mut value = value.clone();
    value["metadata"] = json!({ "phone_number_id": 1 });
    let change = json!({ "field": "messages", "value": value });
    let envelope = json!({ "object": "whatsapp_business_account", "entry": [{ "changes": [change] }] });
    Envelope::of(envelope).unwrap().values_of("1")
}

#[test]
fn odd_field_does_not_hide_the_others() {
    for odd in [
        json!({ "contacts": null, "statuses": null, "calls": null }),
        json!({ "contacts": [{ "profile": null }] }),
        json!({ "contacts": [{ "profile": { "name": 7 }, "wa_id": 5 }] }),
    ] {
        let mut value = odd.clone();
        value["messages"] = json!([text_in(&json!({}))]);
        let values = values(&value);
        assert_eq!((values[0].messages.len(), values[0].unreadable.len()), (1, 0), "{odd}");
    }
    let odd = values(&json!({ "contacts": [5], "messages": ["odd", text_in(&json!({}))], "statuses": [[]] }));
    assert_eq!(odd[0].messages.len(), 1);
    assert_eq!(odd[0].unreadable, ["contacts", "messages", "statuses"]);
    let without_number = json!({ "object": "whatsapp_business_account",
        "entry": [null, { "changes": [{ "field": "messages", "value": { "metadata": null } }] }] });
    assert_eq!(
        Envelope::of(without_number).unwrap().values_of("1")[0].unreadable,
        ["a change without a number"]
    );
}

#[test]
fn message_with_odd_fields_is_kept() {
    let odd = incoming(text_in(&json!({ "context": { "forwarded": "yes", "id": 5 }, "timestamp": [] })));
    assert_eq!((odd.body.as_str(), odd.forwarded, odd.timestamp), ("hello", false, NOW));
    let long = "w".repeat(300);
    let one = incoming(text_in(&json!({ "id": long }))).network_id;
    assert_eq!(one, incoming(text_in(&json!({ "id": long }))).network_id);
    assert_ne!(one, incoming(text_in(&json!({ "id": "v".repeat(300) }))).network_id);
    for odd in [json!({ "text": null }), json!({ "text": 5 }), json!({ "type": null }), json!({ "type": [] })]
    {
        let message = incoming(text_in(&odd));
        assert_eq!(message.content, Content::Other(MessageType::Unknown), "{odd}");
    }
    let numbers = incoming(text_in(&json!({ "id": 7, "from": 15_550_100_001_i64 })));
    assert_eq!((numbers.network_id.as_str(), numbers.chat), ("7", jid("15550100001")));
}

#[test]
fn future_time_is_capped() {
    let ahead = incoming(text_in(&json!({ "timestamp": "99999999999" })));
    assert_eq!(ahead.timestamp, NOW.plus(86_400_000));
}

fn status(change: &Value) -> Status {
    let mut status = json!({ "id": "wamid.O=", "status": "sent", "timestamp": "1700000000" });
    for (key, value) in change.as_object().unwrap() {
        status[key] = value.clone();
    }
    serde_json::from_value(status).unwrap()
}

#[test]
fn status_names_its_message_by_callback_data() {
    let ours: MessageId = "true_15550100001@c.us_3EB0A1".parse().unwrap();
    let along = status(&json!({ "biz_opaque_callback_data": ours.to_string() }));
    assert_eq!(message_id(&along, &Aliases::new()), Some(ours.clone()));
    let named = status(&json!({ "biz_opaque_callback_data": "another program's" }));
    assert_eq!(message_id(&named, &Aliases::from([("wamid.O=".into(), ours.clone())])), Some(ours.clone()));
    assert_eq!(message_id(&named, &Aliases::new()), None);
    let theirs = status(&json!({ "biz_opaque_callback_data": "false_15550100001@c.us_3EB0A1" }));
    assert_eq!(message_id(&theirs, &Aliases::new()), None);
}

#[test]
fn statuses_map_to_acks_and_failure_codes() {
    let ours: MessageId = "true_15550100001@c.us_3EB0A1".parse().unwrap();
    for (word, ack) in
        [("sent", Ack::Server), ("delivered", Ack::Device), ("read", Ack::Read), ("played", Ack::Played)]
    {
        let receipt = receipt(&status(&json!({ "status": word })), ours.clone(), NOW).unwrap();
        assert_eq!((receipt.ack, receipt.timestamp), (ack, Millis(1_700_000_000_000)));
    }
    let failed = status(&json!({ "status": "failed", "errors": [{ "code": 131_047, "title": "x" }] }));
    let error = receipt(&failed, ours.clone(), NOW).unwrap().error.unwrap();
    assert_eq!(error.code, "window_closed");
    assert_eq!(receipt(&status(&json!({ "status": "warning" })), ours, Millis(0)), None);
}

fn outgoing(body: &str, content: Content) -> Outgoing {
    Outgoing {
        id: "true_15550100001@c.us_3EB0A1".parse().unwrap(),
        chat: jid("15550100001"),
        body: body.into(),
        content,
        quoted: None,
        mentions: Vec::new(),
        forwarded: false,
        timestamp: Millis(0),
        again: false,
    }
}

fn to_graph(message: &Outgoing) -> Result<Value, BodyError> {
    let enclosed = MessageRefs { file: Some("77".into()), quoted: Some("wamid.B=".into()) };
    body(message, &Recipient::Number("15550100001".into()), &enclosed)
}

#[test]
fn outbound_text_carries_its_id_and_quote() {
    let body = to_graph(&outgoing("see https://example.org", Content::Text)).unwrap();
    assert_eq!(
        body,
        json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "15550100001", "type": "text",
            "text": { "body": "see https://example.org", "preview_url": true },
            "context": { "message_id": "wamid.B=" },
            "biz_opaque_callback_data": "true_15550100001@c.us_3EB0A1",
        })
    );
    let hidden = body_to(&Recipient::User("US.1".into()));
    assert_eq!((&hidden["recipient"], hidden.get("to")), (&json!("US.1"), None));
    assert_eq!(body_to(&Recipient::Group("G".into()))["recipient_type"], "group");
}

fn body_to(recipient: &Recipient) -> Value {
    let enclosed = MessageRefs { file: None, quoted: None };
    body(&outgoing("hi", Content::Text), recipient, &enclosed).unwrap()
}

#[test]
fn unsupported_types_are_rejected() {
    let poll = Poll { name: "?".into(), options: vec![], allow_multiple_answers: false, votes: vec![] };
    assert_eq!(to_graph(&outgoing("", Content::Poll(poll))), Err(BodyError::NotSupported));
    let long = "x".repeat(message_out::MAX_TEXT + 1);
    assert_eq!(to_graph(&outgoing(&long, Content::Text)), Err(BodyError::TooLong));
}

#[test]
fn cards_keep_name_and_numbers_both_ways() {
    let card = ContactCard::of_person(&jid("15550100001"), Some("Anna, B.".into()), Some("Shop"));
    let graph = vcards::to_graph(&card);
    assert_eq!(graph["name"]["formatted_name"], "Anna, B.");
    assert_eq!(graph["phones"][0], json!({ "phone": "+15550100001", "wa_id": "15550100001" }));
    assert_eq!(graph["org"]["company"], "Shop");
    let back = vcards::from_graph(&graph);
    assert_eq!(back.display_name, "Anna, B.");
    assert!(back.vcard.contains("waid=15550100001:+15550100001"), "{}", back.vcard);
}
