//! Converts a message of ours to the body of a send request.

use serde_json::{Map, Value, json};

use crate::domain::content::{Attachment, Content};
use crate::domain::ids::MessageId;
use crate::domain::media::MediaKind;
use crate::engine::Outgoing;

/// The body of a request to send; `media` is the upstream's id of the uploaded file. `None` for content that
/// cannot be sent.
pub(in super::super) fn request(
    message: &Outgoing,
    temp_id: &str,
    quoted: Option<&MessageId>,
    media: Option<&str>,
) -> Option<Value> {
    let mut body = Map::new();
    body.insert("to".to_owned(), json!(message.chat));
    body.insert("tempId".to_owned(), json!(temp_id));
    if let Some(quoted) = quoted {
        body.insert("quotedMessageId".to_owned(), json!(quoted));
    }
    if !message.mentions.is_empty() {
        body.insert("mentions".to_owned(), json!(message.mentions));
    }
    if message.forwarded {
        body.insert("isForwarded".to_owned(), json!(true));
    }
    let (name, content) = match &message.content {
        Content::Text => ("text", json!(message.body)),
        Content::Media(attachment) => ("media", file(attachment, &message.body, media?)),
        Content::Location(location) => ("location", json!(location)),
        Content::Contacts(cards) => {
            let cards = cards.iter().map(|card| json!({ "name": card.display_name, "vcard": card.vcard }));
            ("contact", cards.collect())
        }
        Content::Poll(poll) => {
            let multiple = poll.allow_multiple_answers;
            let poll =
                json!({ "name": poll.name, "options": poll.options, "allowMultipleAnswers": multiple });
            ("poll", poll)
        }
        Content::Template(_) | Content::Other(_) => return None,
    };
    body.insert(name.to_owned(), content);
    Some(Value::Object(body))
}

fn file(attachment: &Attachment, caption: &str, media: &str) -> Value {
    let mut file = json!({ "mediaId": media });
    if !caption.is_empty() {
        file["caption"] = json!(caption);
    }
    if let Some(filename) = &attachment.filename {
        file["filename"] = json!(filename);
    }
    let as_what = match attachment.kind {
        MediaKind::Ptt => Some("asVoice"),
        MediaKind::Sticker => Some("asSticker"),
        MediaKind::Document => Some("asDocument"),
        MediaKind::Image | MediaKind::Video | MediaKind::Audio => None,
    };
    if let Some(flag) = as_what {
        file[flag] = json!(true);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Millis;
    use crate::domain::content::ContactCard;
    use crate::domain::message::MessageType;

    fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            id: "true_15550100001@c.us_3EB0A1".parse().unwrap(),
            chat: "15550100001@c.us".parse().unwrap(),
            body: "hello".to_owned(),
            content,
            quoted: None,
            mentions: Vec::new(),
            forwarded: false,
            timestamp: Millis(0),
            again: false,
        }
    }

    #[test]
    fn text_has_no_other_fields() {
        let body = request(&outgoing(Content::Text), "t.1", None, None).unwrap();
        assert_eq!(body, json!({ "to": "15550100001@c.us", "tempId": "t.1", "text": "hello" }));
    }

    #[test]
    fn quotes_mentions_and_cards_are_included() {
        let card = ContactCard { display_name: "Ada".to_owned(), vcard: "BEGIN:VCARD".to_owned() };
        let message = Outgoing {
            forwarded: true,
            mentions: vec!["15550100002@c.us".parse().unwrap()],
            ..outgoing(Content::Contacts(vec![card]))
        };
        let quoted = "false_15550100001@c.us_Q".parse().unwrap();
        let body = request(&message, "t.1", Some(&quoted), None).unwrap();
        assert_eq!(body["contact"][0]["name"], "Ada");
        assert_eq!(
            (&body["isForwarded"], &body["quotedMessageId"]),
            (&json!(true), &json!("false_15550100001@c.us_Q"))
        );
        assert_eq!(body["mentions"][0], "15550100002@c.us");
        assert!(body.get("text").is_none());
    }

    #[test]
    fn unsendable_content_has_no_body() {
        assert_eq!(request(&outgoing(Content::Other(MessageType::CallLog)), "t.1", None, None), None);
    }
}
