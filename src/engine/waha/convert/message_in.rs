//! Converts messages of the server (WAMessage).

use serde_json::Value;

use super::ids;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::content::{ContactCard, Content, Location, Poll};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::{Jid, JidKind};
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::relay::lenient::non_empty as text;
use crate::engine::{Incoming, Quoted};

/// A message, and its state at the server.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Message {
    /// The message; until its media is downloaded, the content is the type only.
    pub(in super::super) incoming: Incoming,
    pub(in super::super) file: Option<File>,
    /// Only for messages of the account.
    pub(in super::super) ack: Option<Ack>,
    /// When its text was edited last.
    pub(in super::super) edited: Option<Millis>,
    pub(in super::super) revoked: bool,
}

/// A file at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct File {
    /// The address; absent where the server could not download the file.
    pub(in super::super) url: Option<String>,
    pub(in super::super) kind: MediaKind,
    pub(in super::super) filename: Option<String>,
    /// The id of its message in the server's own form, to request the file again.
    pub(in super::super) message: String,
}

/// The types of whatsapp-web.js for entries of a chat that are no messages.
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

/// Whether an entry of a chat is no message. Any other entry that cannot be read is a loss.
pub(in super::super) fn is_no_message(entry: &Value) -> bool {
    NO_MESSAGES.contains(&kind(entry))
}

fn kind(entry: &Value) -> &str {
    entry.pointer("/_data/type").and_then(Value::as_str).unwrap_or_default()
}

/// Converts a message that arrives `now`; `None` where it is no message, or has no id or author.
pub(in super::super) fn message(entry: &Value, me: Option<&Jid>, now: Millis) -> Option<Message> {
    let kind = kind(entry);
    if is_no_message(entry) {
        return None;
    }
    let id = ids::message(entry.get("id"))?;
    let from = author(entry, &id, me)?;
    let file = file(entry, kind);
    let revoked = kind == "revoked";
    let content = match &file {
        Some(file) => Content::Other(file.kind.message_type()),
        None => content(entry, kind),
    };
    let body = match &content {
        Content::Location(_) | Content::Contacts(_) | Content::Poll(_) => String::new(),
        _ => text(entry.get("body")).unwrap_or_default(),
    };
    let incoming = Incoming {
        network_id: id.network.clone(),
        chat: id.chat.clone(),
        from,
        from_me: id.from_me,
        body,
        content,
        quoted: quoted(entry, &id, me),
        mentions: mentions(entry),
        forwarded: entry.pointer("/_data/isForwarded").and_then(Value::as_bool).unwrap_or(false),
        timestamp: capped(time(entry.get("timestamp")).unwrap_or(Millis(0)), now),
        notify_name: notify_name(entry).filter(|_| !id.from_me),
    };
    let ack = entry.get("ack").and_then(Value::as_i64).and_then(|level| Ack::try_from(level).ok());
    let edited = entry.pointer("/_data/latestEditSenderTimestampMs").and_then(Value::as_i64).map(Millis);
    let edited = edited.map(|at| capped(at, now));
    Some(Message { incoming, file, ack: ack.filter(|_| id.from_me), edited, revoked })
}

/// A time in seconds, or in milliseconds where the number is too large for seconds.
pub(in super::super) fn time(value: Option<&Value>) -> Option<Millis> {
    const SECONDS: i64 = 100_000_000_000;
    let value = value?;
    let number = value.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "a number that is no time is cut")]
        value.as_f64().map(|seconds| seconds as i64)
    });
    let number = number.or_else(|| value.as_str()?.parse().ok())?;
    Some(Millis(if number.saturating_abs() < SECONDS { number.saturating_mul(1_000) } else { number }))
}

/// Replaces a time of more than a day ahead by now: such a message would stay above all others until then.
pub(in super::super) fn capped(at: Millis, now: Millis) -> Millis {
    const MAX_AHEAD_MS: i64 = 86_400_000;
    if at.since(now) > MAX_AHEAD_MS { now } else { at }
}

fn author(entry: &Value, id: &MessageId, me: Option<&Jid>) -> Option<Jid> {
    if id.from_me {
        return me.cloned().or_else(|| ids::jid(entry.get("from")));
    }
    // All status updates are in one chat, which is never their author.
    if !matches!(id.chat.kind(), JidKind::Group | JidKind::Status) {
        return Some(id.chat.clone());
    }
    let named =
        [entry.get("participant"), entry.get("author"), entry.pointer("/_data/author"), entry.get("from")];
    let mut named = ids::author(entry.get("id")).into_iter().chain(named.into_iter().filter_map(ids::jid));
    named.find(|who| matches!(who.kind(), JidKind::Person | JidKind::Lid))
}

fn notify_name(entry: &Value) -> Option<String> {
    let data = entry.get("_data")?;
    let names = ["notifyName", "pushName"].into_iter().map(|name| data.get(name));
    names.chain([data.pointer("/Info/PushName")]).find_map(text)
}

fn mentions(entry: &Value) -> Vec<Jid> {
    let lists = [entry.get("mentionedIds"), entry.pointer("/_data/mentionedJidList")];
    let list = lists.into_iter().flatten().find_map(Value::as_array);
    list.into_iter().flatten().filter_map(|id| ids::jid(Some(id))).collect()
}

fn quoted(entry: &Value, id: &MessageId, me: Option<&Jid>) -> Option<Quoted> {
    let reply = entry.get("replyTo").filter(|reply| reply.is_object())?;
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

fn file(entry: &Value, kind: &str) -> Option<File> {
    let media = entry.get("media").filter(|media| media.is_object());
    if !entry.get("hasMedia").and_then(Value::as_bool).unwrap_or(media.is_some()) {
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
    let id = entry.get("id");
    let message = text(id).or_else(|| text(id?.get("_serialized"))).unwrap_or_default();
    Some(File { url, kind, filename, message })
}

fn content(entry: &Value, kind: &str) -> Content {
    if let Some(place) = entry.get("location").and_then(location) {
        return Content::Location(place);
    }
    let cards = entry.get("vCards").and_then(Value::as_array).into_iter().flatten();
    let cards: Vec<ContactCard> =
        cards.filter_map(|card| Some(ContactCard::of_vcard(text(Some(card))?, None))).collect();
    if !cards.is_empty() {
        return Content::Contacts(cards);
    }
    match kind {
        "poll_creation" => {
            entry.get("_data").and_then(poll).map_or(Content::Other(MessageType::PollCreation), Content::Poll)
        }
        "call_log" => Content::Other(MessageType::CallLog),
        "revoked" => Content::Other(MessageType::Revoked),
        _ if text(entry.get("body")).is_some() || kind == "chat" => Content::Text,
        _ => Content::Other(MessageType::Unknown),
    }
}

fn location(entry: &Value) -> Option<Location> {
    let degrees = |name: &str| {
        let value = entry.get(name)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    };
    let named = ["description", "title", "name"].into_iter().find_map(|name| text(entry.get(name)));
    Some(Location { latitude: degrees("latitude")?, longitude: degrees("longitude")?, description: named })
}

/// Converts a poll of whatsapp-web.js: without a number, all options may be selected.
fn poll(data: &Value) -> Option<Poll> {
    let options = data.get("pollOptions").and_then(Value::as_array)?;
    let options = options.iter().filter_map(|option| text(option.get("name"))).collect();
    let most = data.get("pollSelectableOptionsCount").and_then(Value::as_i64).unwrap_or(0);
    let name = text(data.get("pollName")).unwrap_or_default();
    Some(Poll { name, options, allow_multiple_answers: most == 0, votes: Vec::new() })
}

/// The id of a message whose event only has the network's part of it.
pub(super) fn id_with(entry: &Value, network: Option<&Value>) -> Option<MessageId> {
    let id = ids::message(entry.get("id"))?;
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

    fn read(entry: &Value) -> Message {
        message(entry, Some(&me()), NOW).unwrap()
    }

    #[test]
    fn text_is_read_with_its_quote_and_group() {
        let entry = json!({
            "id": "false_1203@g.us_AAA_15550100001@s.whatsapp.net", "timestamp": 1_767_225_600, "from": "1203@g.us",
            "fromMe": false, "participant": "15550100001@c.us", "body": "Hello", "hasMedia": false, "ack": 1,
            "replyTo": { "id": "QQQ", "participant": "15550100009@c.us", "body": "?" },
            "_data": { "type": "chat", "notifyName": "Anna" },
        });
        let Message { incoming, ack, file, .. } = read(&entry);
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
    fn media_location_contacts_and_poll_are_read() {
        let entry = |more: Value| {
            let mut entry = json!({ "id": "false_15550100001@c.us_AAA", "timestamp": 1 });
            entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&entry)
        };
        let media = json!({ "url": "http://h/f", "mimetype": "audio/ogg; codecs=opus", "filename": null });
        let voice = entry(json!({ "hasMedia": true, "media": media, "_data": { "type": "ptt" } }));
        assert_eq!(voice.file.unwrap().kind, MediaKind::Ptt);
        assert_eq!(voice.incoming.content, Content::Other(MessageType::Ptt));
        let place =
            entry(json!({ "location": { "latitude": "52.5", "longitude": 13.4, "description": "Tower" } }));
        assert!(matches!(place.incoming.content, Content::Location(Location { latitude: 52.5, .. })));
        let cards = entry(json!({ "vCards": ["BEGIN:VCARD\nFN:Cleo\nEND:VCARD"] }));
        assert!(
            matches!(cards.incoming.content, Content::Contacts(cards) if cards[0].display_name == "Cleo")
        );
        let poll = json!({ "type": "poll_creation", "pollName": "Lunch?", "pollOptions": [{ "name": "soup" }], "pollSelectableOptionsCount": 1 });
        let poll = entry(json!({ "_data": poll }));
        assert!(matches!(poll.incoming.content, Content::Poll(poll) if !poll.allow_multiple_answers));
    }

    #[test]
    fn time_at_the_bounds_of_numbers_is_read() {
        assert_eq!(time(Some(&json!(i64::MIN))), Some(Millis(i64::MIN)));
        assert_eq!(time(Some(&json!(i64::MAX))), Some(Millis(i64::MAX)));
    }

    #[test]
    fn future_time_is_capped() {
        let at = |seconds: i64| {
            let data = json!({ "latestEditSenderTimestampMs": seconds * 1_000 });
            let entry = json!({ "id": "false_15550100001@c.us_AAA", "timestamp": seconds, "body": "x", "_data": data });
            let Message { incoming, edited, .. } = read(&entry);
            assert_eq!(edited, Some(incoming.timestamp));
            incoming.timestamp
        };
        let now = NOW.0 / 1_000;
        assert_eq!(at(now - 60), NOW.plus(-60_000));
        assert_eq!(at(now + 3_600), NOW.plus(3_600_000), "within the difference of clocks");
        assert_eq!(at(now + 365 * 86_400), NOW);
    }

    #[test]
    fn status_update_names_its_author() {
        for entry in [
            json!({ "id": "false_status@broadcast_AAA_15550100001@c.us" }),
            json!({ "id": "false_status@broadcast_AAA", "participant": "15550100001@c.us" }),
            json!({ "id": "false_status@broadcast_AAA", "from": "status@broadcast", "_data": { "author": "15550100001@c.us" } }),
            json!({ "id": "false_status@broadcast_AAA", "from": "15550100001@c.us" }),
        ] {
            let Incoming { chat, from, .. } = read(&entry).incoming;
            assert_eq!(
                (chat.to_string().as_str(), from.to_string().as_str()),
                ("status@broadcast", "15550100001@c.us")
            );
        }
        let without_author = json!({ "id": "false_status@broadcast_AAA", "from": "status@broadcast" });
        assert_eq!(message(&without_author, Some(&me()), NOW), None);
    }

    #[test]
    fn entry_without_a_message_is_none() {
        for entry in [
            json!({ "id": "false_1@c.us_AAA", "_data": { "type": "gp2" } }),
            json!({ "id": "nonsense" }),
            json!({ "id": "false_1203@g.us_AAA" }),
            json!(null),
        ] {
            assert_eq!(message(&entry, None, NOW), None, "{entry}");
        }
    }
}
