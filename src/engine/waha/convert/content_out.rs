//! Converts outbound messages to the server's calls.

use serde_json::{Map, Value, json};

use super::ids;
use crate::domain::content::Content;
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::engine::Outgoing;

/// A call that sends a message.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Sending {
    /// The path below `/api/`.
    pub(in super::super) call: &'static str,
    pub(in super::super) body: Map<String, Value>,
    /// The fields of its file, without the bytes.
    pub(in super::super) file: Option<Map<String, Value>>,
}

/// Converts a message to be sent under this id. `quoted` is the server's id of the quoted message. `None`
/// where the server has no such type.
pub(in super::super) fn sending(
    message: &Outgoing,
    session: &str,
    id: &NetworkId,
    quoted: Option<String>,
) -> Option<Sending> {
    let (call, more, file) = match &message.content {
        Content::Text => ("sendText", json!({ "text": message.body, "linkPreview": true }), None),
        Content::Media(attachment) => {
            let call = match attachment.kind {
                MediaKind::Image => "sendImage",
                MediaKind::Video => "sendVideo",
                MediaKind::Ptt => "sendVoice",
                MediaKind::Audio | MediaKind::Document | MediaKind::Sticker => "sendFile",
            };
            let mut file = Map::new();
            file.insert("mimetype".to_owned(), json!(attachment.file.mimetype));
            if let Some(name) = &attachment.filename {
                file.insert("filename".to_owned(), json!(name));
            }
            let caption = (!message.body.is_empty()).then_some(&message.body);
            (call, caption.map_or_else(|| json!({}), |caption| json!({ "caption": caption })), Some(file))
        }
        Content::Location(place) => {
            let title = place.description.as_deref().unwrap_or_default();
            let place = json!({ "latitude": place.latitude, "longitude": place.longitude, "title": title });
            ("sendLocation", place, None)
        }
        Content::Contacts(cards) => {
            let cards: Vec<Value> = cards.iter().map(|card| json!({ "vcard": card.vcard })).collect();
            ("sendContactVcard", json!({ "contacts": cards }), None)
        }
        Content::Poll(poll) => {
            let poll = json!({ "name": poll.name, "options": poll.options, "multipleAnswers": poll.allow_multiple_answers });
            ("sendPoll", json!({ "poll": poll }), None)
        }
        Content::Template(_) | Content::Other(_) => return None,
    };
    let mut body = Map::new();
    body.insert("session".to_owned(), json!(session));
    body.insert("chatId".to_owned(), json!(ids::to_chat(&message.chat)));
    body.insert("id".to_owned(), json!(id));
    body.extend(quoted.map(|quoted| ("reply_to".to_owned(), json!(quoted))));
    if !message.mentions.is_empty() {
        let mentions: Vec<String> = message.mentions.iter().map(Jid::to_string).collect();
        body.insert("mentions".to_owned(), json!(mentions));
    }
    if let Value::Object(more) = more {
        body.extend(more);
    }
    Some(Sending { call, body, file })
}

/// The parts of a JSON object before and after the base64 text of its file.
pub(in super::super) fn around_file(
    body: &Map<String, Value>,
    file: &Map<String, Value>,
) -> (String, &'static str) {
    let open = |object: &Map<String, Value>| {
        let mut text = Value::Object(object.clone()).to_string();
        text.pop();
        if !object.is_empty() {
            text.push(',');
        }
        text
    };
    (format!("{}\"file\":{}\"data\":\"", open(body), open(file)), "\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Millis;
    use crate::domain::content::{Location, Poll};

    fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            id: "true_15550100001@c.us_OURS".parse().unwrap(),
            chat: "15550100001@c.us".parse().unwrap(),
            body: "hello".to_owned(),
            content,
            quoted: None,
            mentions: vec!["15550100002@c.us".parse().unwrap()],
            forwarded: false,
            timestamp: Millis(0),
            again: false,
        }
    }

    fn sent(content: Content) -> (&'static str, Value) {
        let id: NetworkId = "THEIRS".parse().unwrap();
        let sending = sending(&outgoing(content), "s", &id, Some("false_1@c.us_Q".to_owned())).unwrap();
        (sending.call, Value::Object(sending.body))
    }

    #[test]
    fn every_call_has_the_common_fields() {
        let place = Location { latitude: 1.5, longitude: 2.5, description: None };
        let poll =
            Poll { name: "?".into(), options: vec!["a".into()], allow_multiple_answers: true, votes: vec![] };
        for (content, call, name, value) in [
            (Content::Text, "sendText", "text", json!("hello")),
            (Content::Location(place), "sendLocation", "latitude", json!(1.5)),
            (
                Content::Poll(poll),
                "sendPoll",
                "poll",
                json!({ "name": "?", "options": ["a"], "multipleAnswers": true }),
            ),
        ] {
            let (to, body) = sent(content);
            assert_eq!((to, &body[name]), (call, &value));
            assert_eq!(
                (&body["session"], &body["chatId"], &body["id"]),
                (&json!("s"), &json!("15550100001@c.us"), &json!("THEIRS"))
            );
            assert_eq!(
                (&body["reply_to"], &body["mentions"]),
                (&json!("false_1@c.us_Q"), &json!(["15550100002@c.us"]))
            );
        }
    }

    #[test]
    fn json_around_a_file_is_valid() {
        let body = json!({ "a": "\"" });
        for file in [json!({}), json!({ "mimetype": "image/png", "filename": "\"x" })] {
            let (before, after) = around_file(body.as_object().unwrap(), file.as_object().unwrap());
            let whole: Value = serde_json::from_str(&format!("{before}QUJD{after}")).unwrap();
            assert_eq!((&whole["a"], &whole["file"]["data"]), (&json!("\""), &json!("QUJD")));
        }
    }
}
