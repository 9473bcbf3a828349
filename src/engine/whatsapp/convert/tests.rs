//! Outgoing messages round-trip; messages that are only received are parsed.

use whatsapp_rust::waproto::buffa::MessageField;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message as part;

use super::content_in::{MessageBody, ParsedMessage, parse, people_in, text_of, view_once_placeholder};
use super::content_out::{MessageExtras, UploadedMedia, edited, message_of};
use super::message_key::KeyContext;
use super::message_key::tests::{ids, jid};
use crate::domain::clock::Millis;
use crate::domain::content::{Attachment, ContactCard, Content, Location, Poll};
use crate::domain::ids::MessageId;
use crate::domain::media::{Dimensions, MediaHash, MediaKind, StoredMedia};
use crate::domain::message::MessageType;
use crate::engine::{EditContext, IncomingChange, Outgoing, Quoted};

const ME: &str = "15550100001@c.us";
const PEER: &str = "15550100002@c.us";
const GROUP: &str = "120363000000000001@g.us";
const AT: Millis = Millis(1_700_000_000_000);

fn id(text: &str) -> MessageId {
    text.parse().unwrap()
}

fn outgoing(content: Content) -> Outgoing {
    Outgoing {
        id: id("true_15550100002@c.us_3EB0AA"),
        chat: jid(PEER),
        body: "hello".into(),
        content,
        quoted: None,
        mentions: Vec::new(),
        forwarded: false,
        timestamp: AT,
        again: false,
    }
}

fn sent(outgoing: &Outgoing) -> wa::Message {
    let uploaded = outgoing.content.file().map(|_| UploadedMedia {
        url: "https://mmg.whatsapp.net/v/f".into(),
        path: "/v/f".into(),
        key: vec![1; 32],
        key_made: 5,
        hash: vec![2; 32],
        encrypted_hash: vec![3; 32],
        size: 7,
        sidecar: None,
        thumbnail: None,
    });
    let secret = matches!(outgoing.content, Content::Poll(_)).then(|| vec![9; 32]);
    message_of(outgoing, MessageExtras { file: uploaded, secret }, &jid(ME)).unwrap()
}

fn read(message: &wa::Message, chat: &str, writer: &str) -> MessageBody {
    let ids = ids();
    parse(message, &KeyContext { ids: &ids, chat: &jid(chat), writer: &jid(writer) }, AT, false)
}

fn parsed(message: &wa::Message) -> ParsedMessage {
    match read(message, PEER, ME) {
        MessageBody::Message(parsed) => *parsed,
        other => panic!("{other:?}"),
    }
}

fn attachment(kind: MediaKind, mimetype: &str) -> Attachment {
    let file = StoredMedia {
        hash: MediaHash::of_digest(&[2; 32]),
        mimetype: mimetype.into(),
        filesize: 7,
        duration: Some(1.2),
        dimensions: Some(Dimensions { width: 4, height: 3 }),
        has_thumbnail: false,
    };
    Attachment { kind, file, filename: Some("price.pdf".into()) }
}

fn protocol(kind: part::protocol_message::Type, from_me: bool, edited: Option<&str>) -> wa::Message {
    let edited = edited.map(|body| wa::Message { conversation: Some(body.into()), ..Default::default() });
    let protocol = part::ProtocolMessage {
        key: MessageField::some(wa::MessageKey {
            remote_jid: None,
            from_me: Some(from_me),
            id: Some("3EB0BB".into()),
            participant: None,
        }),
        r#type: Some(kind),
        edited_message: edited.into(),
        timestamp_ms: Some(AT.0 - 5),
        ..Default::default()
    };
    wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

#[test]
fn plain_text_round_trips_as_conversation() {
    let message = sent(&outgoing(Content::Text));
    assert_eq!(message.conversation.as_deref(), Some("hello"));
    let parsed = parsed(&message);
    assert_eq!((parsed.body.as_str(), parsed.content, parsed.forwarded), ("hello", Content::Text, false));
}

#[test]
fn quote_mentions_and_forwarded_mark_round_trip() {
    let quoted = Quoted { id: id("false_15550100002@c.us_3EB0CC"), author: jid(PEER), body: "before".into() };
    let outgoing = Outgoing {
        quoted: Some(quoted.clone()),
        mentions: vec![jid("15550100003@c.us")],
        forwarded: true,
        ..outgoing(Content::Text)
    };
    let message = sent(&outgoing);
    let context = &message.extended_text_message.context_info;
    assert_eq!(context.participant.as_deref(), Some("15550100002@s.whatsapp.net"));
    assert_eq!(context.remote_jid, None);
    let parsed = parsed(&message);
    assert_eq!((parsed.quoted, parsed.forwarded), (Some(quoted), true));
    assert_eq!(parsed.mentions, outgoing.mentions);
}

#[test]
fn edited_caption_keeps_type_quote_and_mentions() {
    let quoted = Quoted { id: id("false_15550100002@c.us_3EB0CC"), author: jid(PEER), body: "before".into() };
    let mentions = vec![jid("15550100003@c.us")];
    let edit = |kind| {
        let kept = EditContext { kind, quoted: Some(quoted.clone()), mentions: mentions.clone() };
        edited("new", &kept, &jid(PEER), &jid(ME))
    };
    let (image, video) = (edit(MessageType::Image).image_message, edit(MessageType::Video).video_message);
    assert_eq!((image.caption.as_deref(), video.caption.as_deref()), (Some("new"), Some("new")));
    assert_eq!(image.context_info.stanza_id.as_deref(), Some("3EB0CC"));
    assert_eq!(video.context_info.mentioned_jid, ["15550100003@s.whatsapp.net"]);
    let document = edit(MessageType::Document).document_with_caption_message.message.document_message.clone();
    assert_eq!(document.caption.as_deref(), Some("new"));
    assert_eq!(parsed(&edit(MessageType::Chat)).mentions, mentions);
    let bare = edited("new", &EditContext::of_text(), &jid(PEER), &jid(ME));
    assert_eq!(bare.conversation.as_deref(), Some("new"));
}

#[test]
fn quote_from_another_chat_round_trips() {
    let quoted = Quoted { id: id(&format!("true_{GROUP}_3EB0CC")), author: jid(ME), body: "there".into() };
    let message = sent(&Outgoing { quoted: Some(quoted.clone()), ..outgoing(Content::Text) });
    assert_eq!(message.extended_text_message.context_info.remote_jid.as_deref(), Some(GROUP));
    assert_eq!(parsed(&message).quoted, Some(quoted));
}

#[test]
fn files_of_every_kind_round_trip_with_keys() {
    for (kind, mimetype, caption) in [
        (MediaKind::Image, "image/jpeg", "hello"),
        (MediaKind::Video, "video/mp4", "hello"),
        (MediaKind::Audio, "audio/mpeg", ""),
        (MediaKind::Ptt, "audio/ogg", ""),
        (MediaKind::Document, "application/pdf", "hello"),
        (MediaKind::Sticker, "image/webp", ""),
    ] {
        let message = sent(&outgoing(Content::Media(attachment(kind, mimetype))));
        let parsed = parsed(&message);
        assert_eq!(parsed.content, Content::Other(kind.message_type()), "{kind:?}");
        assert_eq!(parsed.body, caption, "{kind:?}");
        let file = parsed.file.unwrap();
        assert_eq!((file.kind, file.path.as_deref(), file.size), (kind, Some("/v/f"), Some(7)), "{kind:?}");
        assert_eq!((file.key, file.hash), (Some(vec![1; 32]), Some(vec![2; 32])), "{kind:?}");
        assert_eq!(file.encrypted_hash, Some(vec![3; 32]), "{kind:?}");
        let named = (kind == MediaKind::Document).then_some("price.pdf");
        assert_eq!(file.filename.as_deref(), named, "{kind:?}");
    }
}

#[test]
fn file_message_has_type_size_and_duration() {
    let image = sent(&outgoing(Content::Media(attachment(MediaKind::Image, "image/jpeg")))).image_message;
    assert_eq!(
        (image.width, image.height, image.mimetype.as_deref()),
        (Some(4), Some(3), Some("image/jpeg"))
    );
    let voice = sent(&outgoing(Content::Media(attachment(MediaKind::Ptt, "audio/ogg")))).audio_message;
    assert_eq!((voice.ptt, voice.seconds), (Some(true), Some(2)));
    assert_eq!(voice.mimetype.as_deref(), Some("audio/ogg; codecs=opus"));
    let outgoing = outgoing(Content::Media(attachment(MediaKind::Image, "image/jpeg")));
    assert!(message_of(&outgoing, MessageExtras::default(), &jid(ME)).is_none(), "without its file");
}

#[test]
fn only_captioned_document_is_wrapped() {
    let content = Content::Media(attachment(MediaKind::Document, "application/pdf"));
    assert!(sent(&outgoing(content.clone())).document_with_caption_message.is_set());
    let bare = sent(&Outgoing { body: String::new(), ..outgoing(content) });
    assert!(bare.document_message.is_set() && !bare.document_with_caption_message.is_set());
}

#[test]
fn debug_output_omits_file_key() {
    let message = sent(&outgoing(Content::Media(attachment(MediaKind::Image, "image/jpeg"))));
    let shown = format!("{:?}", parsed(&message).file.unwrap());
    assert!(shown.contains("Image") && !shown.contains("1, 1") && !shown.contains("/v/f"), "{shown}");
}

#[test]
fn location_round_trips_with_name_and_address() {
    let place = Location { latitude: 1.5, longitude: -2.5, description: Some("Pier\nHarbour 1".into()) };
    let message = sent(&outgoing(Content::Location(place.clone())));
    assert_eq!(message.location_message.name.as_deref(), Some("Pier"));
    assert_eq!(message.location_message.address.as_deref(), Some("Harbour 1"));
    assert_eq!(parsed(&message).content, Content::Location(place));
}

#[test]
fn invalid_location_becomes_unknown_message() {
    let off = part::LocationMessage { degrees_latitude: Some(91.0), ..Default::default() };
    let message = wa::Message { location_message: MessageField::some(off), ..Default::default() };
    assert_eq!(parsed(&message).content, Content::Other(MessageType::Unknown));
}

#[test]
fn contact_cards_round_trip() {
    let card = |name: &str| ContactCard::of_person(&jid("15550100003@c.us"), Some(name.into()), None);
    let one = Content::Contacts(vec![card("Ada")]);
    assert!(sent(&outgoing(one.clone())).contact_message.is_set());
    assert_eq!(parsed(&sent(&outgoing(one.clone()))).content, one);
    let two = Content::Contacts(vec![card("Ada"), card("Bo")]);
    assert_eq!(parsed(&sent(&outgoing(two.clone()))).content, two);
    let none = outgoing(Content::Contacts(Vec::new()));
    assert!(message_of(&none, MessageExtras::default(), &jid(ME)).is_none());
}

#[test]
fn poll_round_trips_with_secret() {
    for several in [true, false] {
        let poll = Poll {
            name: "Lunch?".into(),
            options: vec!["Yes".into(), "No".into()],
            allow_multiple_answers: several,
            votes: Vec::new(),
        };
        let message = sent(&outgoing(Content::Poll(poll.clone())));
        assert_eq!(message.poll_creation_message.is_set(), several);
        let parsed = parsed(&message);
        assert_eq!((parsed.content, parsed.secret), (Content::Poll(poll), Some(vec![9; 32])));
    }
}

#[test]
fn poll_of_own_device_has_outer_secret() {
    let poll = part::PollCreationMessage { name: Some("Lunch?".into()), ..Default::default() };
    let inner = wa::Message { poll_creation_message_v3: MessageField::some(poll), ..Default::default() };
    let sent =
        part::DeviceSentMessage { message: MessageField::some(inner), destination_jid: None, phash: None };
    let secret = wa::MessageContextInfo { message_secret: Some(vec![4; 32]), ..Default::default() };
    let message = wa::Message {
        device_sent_message: MessageField::some(sent),
        message_context_info: MessageField::some(secret),
        ..Default::default()
    };
    assert_eq!(parsed(&message).secret, Some(vec![4; 32]));
}

#[test]
fn reaction_has_our_message_id() {
    let reaction = part::ReactionMessage {
        key: MessageField::some(wa::MessageKey {
            remote_jid: Some("15550100001@s.whatsapp.net".into()),
            from_me: Some(false),
            id: Some("3EB0BB".into()),
            participant: None,
        }),
        text: Some("👍".into()),
        sender_timestamp_ms: Some(AT.0 - 7),
        ..Default::default()
    };
    let message = wa::Message { reaction_message: MessageField::some(reaction), ..Default::default() };
    let expected = IncomingChange::Reaction {
        id: id("true_15550100002@c.us_3EB0BB"),
        from: jid(PEER),
        from_me: false,
        emoji: "👍".into(),
        at: Millis(AT.0 - 7),
    };
    assert_eq!(read(&message, PEER, PEER), MessageBody::Change(expected));
}

#[test]
fn edit_applies_to_writers_message_only() {
    let edit = |from_me| protocol(part::protocol_message::Type::MESSAGE_EDIT, from_me, Some("better"));
    for from_me in [true, false] {
        let expected = IncomingChange::Edited {
            id: id("false_15550100002@c.us_3EB0BB"),
            body: "better".into(),
            at: Millis(AT.0 - 5),
        };
        assert_eq!(read(&edit(from_me), PEER, PEER), MessageBody::Change(expected), "{from_me}");
    }
    let wrapped = part::FutureProofMessage { message: MessageField::some(edit(true)) };
    let wrapped = wa::Message { edited_message: MessageField::some(wrapped), ..Default::default() };
    assert!(
        matches!(read(&wrapped, PEER, ME), MessageBody::Change(IncomingChange::Edited { id, .. }) if id.from_me)
    );
}

#[test]
fn only_writer_or_group_admin_can_revoke() {
    let revoke = |from_me| protocol(part::protocol_message::Type::REVOKE, from_me, None);
    let theirs = id("false_15550100002@c.us_3EB0BB");
    assert_eq!(read(&revoke(true), PEER, PEER), MessageBody::Change(IncomingChange::Revoked { id: theirs }));
    assert_eq!(read(&revoke(false), PEER, PEER), MessageBody::Nothing, "ours, by them");
    let mut of_another = revoke(false);
    of_another.protocol_message.get_or_insert_default().key.get_or_insert_default().participant =
        Some("15550100003@s.whatsapp.net".into());
    assert_eq!(read(&of_another, GROUP, PEER), MessageBody::Nothing, "by a member");
    let ids = ids();
    let frame = KeyContext { ids: &ids, chat: &jid(GROUP), writer: &jid(PEER) };
    let taken = IncomingChange::Revoked { id: id(&format!("false_{GROUP}_3EB0BB_15550100003@c.us")) };
    assert_eq!(parse(&of_another, &frame, AT, true), MessageBody::Change(taken), "by an admin");
}

#[test]
fn vote_stays_encrypted_and_has_poll_id() {
    let vote = part::PollUpdateMessage {
        poll_creation_message_key: MessageField::some(wa::MessageKey {
            remote_jid: Some(GROUP.into()),
            from_me: Some(false),
            id: Some("3EB0BB".into()),
            participant: Some("990001@lid".into()),
        }),
        vote: MessageField::some(part::PollEncValue {
            enc_payload: Some(vec![1, 2]),
            enc_iv: Some(vec![3; 12]),
        }),
        ..Default::default()
    };
    let message = wa::Message { poll_update_message: MessageField::some(vote), ..Default::default() };
    let MessageBody::Vote(sealed) = read(&message, GROUP, PEER) else { panic!() };
    assert_eq!((sealed.poll, sealed.at), (id(&format!("true_{GROUP}_3EB0BB")), AT));
    assert_eq!((sealed.payload, sealed.iv), (vec![1, 2], vec![3; 12]));
}

#[test]
fn protocol_messages_are_nothing_and_others_unknown() {
    let keys = wa::Message {
        sender_key_distribution_message: MessageField::some(part::SenderKeyDistributionMessage::default()),
        message_context_info: MessageField::some(wa::MessageContextInfo::default()),
        ..Default::default()
    };
    assert_eq!(read(&keys, GROUP, PEER), MessageBody::Nothing);
    assert_eq!(read(&wa::Message::default(), PEER, PEER), MessageBody::Nothing);
    let settings = protocol(part::protocol_message::Type::EPHEMERAL_SETTING, true, None);
    assert_eq!(read(&settings, PEER, PEER), MessageBody::Nothing);
    let invite = part::GroupInviteMessage { caption: Some("join".into()), ..Default::default() };
    let invite = wa::Message { group_invite_message: MessageField::some(invite), ..Default::default() };
    let invite = parsed(&invite);
    assert_eq!((invite.body.as_str(), invite.content), ("join", Content::Other(MessageType::Unknown)));
    assert_eq!(view_once_placeholder().content, Content::Other(MessageType::Unknown));
}

#[test]
fn business_messages_become_text() {
    let chosen =
        part::TemplateButtonReplyMessage { selected_display_text: Some("Yes".into()), ..Default::default() };
    let message =
        wa::Message { template_button_reply_message: MessageField::some(chosen), ..Default::default() };
    assert_eq!(text_of(&message), "Yes");
    let buttons = part::ButtonsMessage { content_text: Some("Choose".into()), ..Default::default() };
    let message = wa::Message { buttons_message: MessageField::some(buttons), ..Default::default() };
    assert_eq!((parsed(&message).body.as_str(), parsed(&message).content), ("Choose", Content::Text));
}

#[test]
fn ids_in_message_are_listed() {
    let quoted = Quoted {
        id: id(&format!("false_{GROUP}_3EB0CC_990003@lid")),
        author: jid("990003@lid"),
        body: "before".into(),
    };
    let mentions = vec![jid("990004@lid")];
    let message = sent(&Outgoing { quoted: Some(quoted), mentions, ..outgoing(Content::Text) });
    let people = people_in(&message);
    assert!(
        people.contains(&"990003@lid".to_owned()) && people.contains(&"990004@lid".to_owned()),
        "{people:?}"
    );
}
