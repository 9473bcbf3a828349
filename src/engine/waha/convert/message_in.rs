//! A message as the server tells it (WAMessage), in our words.

use serde_json::Value;

use super::ids;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::content::{ContactCard, Content, Location, Poll};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::{Jid, JidKind};
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::{Incoming, Quoted};

/// A message, and what belongs to it at the server.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Message {
    /// In our words; where it has a file, its content is the type alone until the file is there.
    pub(in super::super) incoming: Incoming,
    /// The file that it came with.
    pub(in super::super) file: Option<File>,
    /// How far it is, for messages of the account.
    pub(in super::super) ack: Option<Ack>,
    /// When its text was changed, where it was.
    pub(in super::super) edited: Option<Millis>,
    /// Whether it was taken back.
    pub(in super::super) revoked: bool,
}

/// A file at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct File {
    /// Where it is; nowhere when the server could not have it.
    pub(in super::super) url: Option<String>,
    /// As what it was sent.
    pub(in super::super) kind: MediaKind,
    /// What the sender calls it.
    pub(in super::super) filename: Option<String>,
    /// The id of its message, in the server's own spelling: by it the file is asked for again.
    pub(in super::super) message: String,
}

/// What whatsapp-web.js calls things that stand in a chat and are no messages.
const NO_MESSAGES: [&str; 8] = [
    "e2e_notification",
    "notification",
    "notification_template",
    "gp2",
    "protocol",
    "ciphertext",
    "reaction",
    "poll_update",
];

/// Whether it stands in a chat and is no message: where this is not so and it cannot be read, something is lost.
pub(in super::super) fn is_none(told: &Value) -> bool {
    NO_MESSAGES.contains(&kind(told))
}

fn kind(told: &Value) -> &str {
    told.pointer("/_data/type").and_then(Value::as_str).unwrap_or_default()
}

/// Reads a message that is told `now`; `None` where it is none.
pub(in super::super) fn message(told: &Value, me: Option<&Jid>, now: Millis) -> Option<Message> {
    let kind = kind(told);
    if is_none(told) {
        return None;
    }
    let id = ids::message(told.get("id"))?;
    let from = author(told, &id, me)?;
    let file = file(told, kind);
    let revoked = kind == "revoked";
    let content = match &file {
        Some(file) => Content::Other(file.kind.message_type()),
        None => content(told, kind),
    };
    let body = match &content {
        Content::Location(_) | Content::Contacts(_) | Content::Poll(_) => String::new(),
        _ => text(told.get("body")).unwrap_or_default(),
    };
    let incoming = Incoming {
        network_id: id.network.clone(),
        chat: id.chat.clone(),
        from,
        from_me: id.from_me,
        body,
        content,
        quoted: quoted(told, &id, me),
        mentions: mentions(told),
        forwarded: told.pointer("/_data/isForwarded").and_then(Value::as_bool).unwrap_or(false),
        timestamp: believed(time(told.get("timestamp")).unwrap_or(Millis(0)), now),
        notify_name: notify_name(told).filter(|_| !id.from_me),
    };
    let ack = told.get("ack").and_then(Value::as_i64).and_then(|level| Ack::try_from(level).ok());
    let edited = told.pointer("/_data/latestEditSenderTimestampMs").and_then(Value::as_i64).map(Millis);
    let edited = edited.map(|at| believed(at, now));
    Some(Message { incoming, file, ack: ack.filter(|_| id.from_me), edited, revoked })
}

/// A time in seconds, or in milliseconds where it is too large for those.
pub(in super::super) fn time(value: Option<&Value>) -> Option<Millis> {
    const SECONDS: i64 = 100_000_000_000;
    let value = value?;
    let number = value.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "what no time can be is cut")]
        value.as_f64().map(|seconds| seconds as i64)
    });
    let number = number.or_else(|| value.as_str()?.parse().ok())?;
    Some(Millis(if number.abs() < SECONDS { number.saturating_mul(1_000) } else { number }))
}

/// A time that something can have happened at: clocks differ by less than a day, and what is said to happen later
/// than that happened now. It would stand above everything else until then.
pub(in super::super) fn believed(at: Millis, now: Millis) -> Millis {
    const DIFFER_MS: i64 = 86_400_000;
    if at.since(now) > DIFFER_MS { now } else { at }
}

/// A text that says something.
pub(in super::super) fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn author(told: &Value, id: &MessageId, me: Option<&Jid>) -> Option<Jid> {
    if id.from_me {
        return me.cloned().or_else(|| ids::jid(told.get("from")));
    }
    // Status updates of everybody stand in one chat, which writes nothing itself.
    if !matches!(id.chat.kind(), JidKind::Group | JidKind::Status) {
        return Some(id.chat.clone());
    }
    let named =
        [told.get("participant"), told.get("author"), told.pointer("/_data/author"), told.get("from")];
    let mut named = ids::author(told.get("id")).into_iter().chain(named.into_iter().filter_map(ids::jid));
    named.find(|who| matches!(who.kind(), JidKind::Person | JidKind::Lid))
}

fn notify_name(told: &Value) -> Option<String> {
    let data = told.get("_data")?;
    let names = ["notifyName", "pushName"].into_iter().map(|name| data.get(name));
    names.chain([data.pointer("/Info/PushName")]).find_map(text)
}

fn mentions(told: &Value) -> Vec<Jid> {
    let lists = [told.get("mentionedIds"), told.pointer("/_data/mentionedJidList")];
    let list = lists.into_iter().flatten().find_map(Value::as_array);
    list.into_iter().flatten().filter_map(|id| ids::jid(Some(id))).collect()
}

fn quoted(told: &Value, id: &MessageId, me: Option<&Jid>) -> Option<Quoted> {
    let reply = told.get("replyTo").filter(|reply| reply.is_object())?;
    let whole = ids::message(reply.get("id"));
    let author = ids::jid(reply.get("participant"));
    let from_me = match &whole {
        Some(id) => id.from_me,
        None => author.is_some() && author.as_ref() == me,
    };
    let author = author
        .or_else(|| if from_me { me.cloned() } else { (!id.chat.is_group()).then(|| id.chat.clone()) })?;
    let network = ids::network(reply.get("id"))?;
    let participant = (id.chat.is_group() && !from_me).then(|| author.clone());
    let id = MessageId { from_me, chat: id.chat.clone(), network, participant };
    Some(Quoted { id, author, body: text(reply.get("body")).unwrap_or_default() })
}

fn file(told: &Value, kind: &str) -> Option<File> {
    let media = told.get("media").filter(|media| media.is_object());
    if !told.get("hasMedia").and_then(Value::as_bool).unwrap_or(media.is_some()) {
        return None;
    }
    let mimetype = media.and_then(|media| text(media.get("mimetype"))).unwrap_or_default();
    let kind = match kind {
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        "ptt" => MediaKind::Ptt,
        "sticker" => MediaKind::Sticker,
        "document" => MediaKind::Document,
        _ => MediaKind::of_mimetype(mimetype.split(';').next().unwrap_or_default().trim()),
    };
    let url = media.and_then(|media| text(media.get("url")));
    let filename = media.and_then(|media| text(media.get("filename")));
    let id = told.get("id");
    let message = text(id).or_else(|| text(id?.get("_serialized"))).unwrap_or_default();
    Some(File { url, kind, filename, message })
}

fn content(told: &Value, kind: &str) -> Content {
    if let Some(place) = told.get("location").and_then(location) {
        return Content::Location(place);
    }
    let cards = told.get("vCards").and_then(Value::as_array).into_iter().flatten();
    let cards: Vec<ContactCard> =
        cards.filter_map(|card| Some(ContactCard::of_vcard(text(Some(card))?, None))).collect();
    if !cards.is_empty() {
        return Content::Contacts(cards);
    }
    match kind {
        "poll_creation" => {
            told.get("_data").and_then(poll).map_or(Content::Other(MessageType::PollCreation), Content::Poll)
        }
        "call_log" => Content::Other(MessageType::CallLog),
        "revoked" => Content::Other(MessageType::Revoked),
        _ if text(told.get("body")).is_some() || kind == "chat" => Content::Text,
        _ => Content::Other(MessageType::Unknown),
    }
}

fn location(told: &Value) -> Option<Location> {
    let degrees = |name: &str| {
        let value = told.get(name)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    };
    let named = ["description", "title", "name"].into_iter().find_map(|name| text(told.get(name)));
    Some(Location { latitude: degrees("latitude")?, longitude: degrees("longitude")?, description: named })
}

/// A poll as whatsapp-web.js keeps it: as many answers as there are may be chosen where no number is set.
fn poll(data: &Value) -> Option<Poll> {
    let options = data.get("pollOptions").and_then(Value::as_array)?;
    let options = options.iter().filter_map(|option| text(option.get("name"))).collect();
    let most = data.get("pollSelectableOptionsCount").and_then(Value::as_i64).unwrap_or(0);
    let name = text(data.get("pollName")).unwrap_or_default();
    Some(Poll { name, options, allow_multiple_answers: most == 0, votes: Vec::new() })
}

/// The message that an event is about, where only the network's part of its id is told.
pub(super) fn beside(told: &Value, network: Option<&Value>) -> Option<MessageId> {
    let id = ids::message(told.get("id"))?;
    let network: NetworkId = ids::network(network)?;
    Some(MessageId { network, ..id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Millis = Millis(1_767_225_700_000);

    fn me() -> Jid {
        "15550100009@c.us".parse().unwrap()
    }

    fn read(told: &Value) -> Message {
        message(told, Some(&me()), NOW).unwrap()
    }

    #[test]
    fn a_text_is_read_with_its_answer_and_its_group() {
        let told = json!({
            "id": "false_1203@g.us_AAA_15550100001@s.whatsapp.net", "timestamp": 1_767_225_600, "from": "1203@g.us",
            "fromMe": false, "participant": "15550100001@c.us", "body": "Hello", "hasMedia": false, "ack": 1,
            "replyTo": { "id": "QQQ", "participant": "15550100009@c.us", "body": "?" },
            "_data": { "type": "chat", "notifyName": "Anna" },
        });
        let Message { incoming, ack, file, .. } = read(&told);
        assert_eq!(incoming.from.to_string(), "15550100001@c.us");
        assert_eq!(
            (incoming.timestamp, incoming.notify_name.as_deref()),
            (Millis(1_767_225_600_000), Some("Anna"))
        );
        let quoted = incoming.quoted.unwrap();
        assert_eq!((quoted.id.to_string().as_str(), quoted.author), ("true_1203@g.us_QQQ", me()));
        assert_eq!((ack, file), (None, None), "an ack is about messages of the account");
    }

    #[test]
    fn files_places_cards_and_polls_are_what_they_are() {
        let told = |more: Value| {
            let mut told = json!({ "id": "false_15550100001@c.us_AAA", "timestamp": 1 });
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&told)
        };
        let media = json!({ "url": "http://h/f", "mimetype": "audio/ogg; codecs=opus", "filename": null });
        let voice = told(json!({ "hasMedia": true, "media": media, "_data": { "type": "ptt" } }));
        assert_eq!(voice.file.unwrap().kind, MediaKind::Ptt);
        assert_eq!(voice.incoming.content, Content::Other(MessageType::Ptt));
        let place =
            told(json!({ "location": { "latitude": "52.5", "longitude": 13.4, "description": "Tower" } }));
        assert!(matches!(place.incoming.content, Content::Location(Location { latitude: 52.5, .. })));
        let cards = told(json!({ "vCards": ["BEGIN:VCARD\nFN:Cleo\nEND:VCARD"] }));
        assert!(
            matches!(cards.incoming.content, Content::Contacts(cards) if cards[0].display_name == "Cleo")
        );
        let poll = json!({ "type": "poll_creation", "pollName": "Lunch?", "pollOptions": [{ "name": "soup" }], "pollSelectableOptionsCount": 1 });
        let poll = told(json!({ "_data": poll }));
        assert!(matches!(poll.incoming.content, Content::Poll(poll) if !poll.allow_multiple_answers));
    }

    #[test]
    fn nothing_happened_in_days_to_come() {
        let at = |seconds: i64| {
            let data = json!({ "latestEditSenderTimestampMs": seconds * 1_000 });
            let told = json!({ "id": "false_15550100001@c.us_AAA", "timestamp": seconds, "body": "x", "_data": data });
            let Message { incoming, edited, .. } = read(&told);
            assert_eq!(edited, Some(incoming.timestamp));
            incoming.timestamp
        };
        let now = NOW.0 / 1_000;
        assert_eq!(at(now - 60), NOW.plus(-60_000));
        assert_eq!(at(now + 3_600), NOW.plus(3_600_000), "clocks differ");
        assert_eq!(at(now + 365 * 86_400), NOW);
    }

    #[test]
    fn a_status_update_is_by_whoever_posted_it() {
        for told in [
            json!({ "id": "false_status@broadcast_AAA_15550100001@c.us" }),
            json!({ "id": "false_status@broadcast_AAA", "participant": "15550100001@c.us" }),
            json!({ "id": "false_status@broadcast_AAA", "from": "status@broadcast", "_data": { "author": "15550100001@c.us" } }),
            json!({ "id": "false_status@broadcast_AAA", "from": "15550100001@c.us" }),
        ] {
            let Incoming { chat, from, .. } = read(&told).incoming;
            assert_eq!(
                (chat.to_string().as_str(), from.to_string().as_str()),
                ("status@broadcast", "15550100001@c.us")
            );
        }
        let by_nobody = json!({ "id": "false_status@broadcast_AAA", "from": "status@broadcast" });
        assert_eq!(message(&by_nobody, Some(&me()), NOW), None);
    }

    #[test]
    fn what_is_no_message_is_none() {
        for told in [
            json!({ "id": "false_1@c.us_AAA", "_data": { "type": "gp2" } }),
            json!({ "id": "nonsense" }),
            json!({ "id": "false_1203@g.us_AAA" }),
            json!(null),
        ] {
            assert_eq!(message(&told, None, NOW), None, "{told}");
        }
    }
}
