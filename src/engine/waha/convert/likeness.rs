//! What a message is like, for finding one of ours among those of a chat where no id says which it is: a digest, so that
//! it can be noted without the message's words.
//!
//! Servers change what they are given: spaces at the ends of texts, the last digits of places, the types of files. Only
//! what stays as it was is compared.

use sha2::{Digest as _, Sha256};

use crate::domain::content::{Content, Location};
use crate::domain::message::MessageType;
use crate::engine::{Incoming, Outgoing};

/// Of a message on its way out.
pub(in super::super) fn of_ours(message: &Outgoing) -> String {
    digest(&said(&message.content, &message.body))
}

/// Of a message that the server tells of.
pub(in super::super) fn of_told(message: &Incoming, has_file: bool) -> String {
    let said = if has_file { file(&message.body) } else { said(&message.content, &message.body) };
    digest(&said)
}

fn said(content: &Content, body: &str) -> String {
    match content {
        Content::Media(_) => file(body),
        Content::Location(place) => location(place),
        Content::Contacts(cards) => {
            let names: Vec<&str> = cards.iter().map(|card| card.display_name.trim()).collect();
            format!("contacts\n{}", names.join("\n"))
        }
        Content::Poll(poll) => format!("poll\n{}\n{}", poll.name.trim(), poll.options.join("\n")),
        // Some engines do not say of what type a text is.
        Content::Text | Content::Other(MessageType::Unknown) => format!("text\n{}", plain(body)),
        Content::Template(_) | Content::Other(_) => format!("other\n{}", plain(body)),
    }
}

fn file(caption: &str) -> String {
    format!("file\n{}", plain(caption))
}

/// To about ten metres.
fn location(place: &Location) -> String {
    format!("location\n{:.4} {:.4}", place.latitude, place.longitude)
}

fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

fn digest(said: &str) -> String {
    hex::encode(Sha256::digest(said.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::message_in;
    use super::*;
    use crate::domain::clock::Millis;
    use crate::domain::content::{ContactCard, Poll};
    use serde_json::{Value, json};

    fn ours(content: Content, body: &str) -> String {
        of_ours(&Outgoing {
            id: "true_15550100001@c.us_OURS".parse().unwrap(),
            chat: "15550100001@c.us".parse().unwrap(),
            body: body.to_owned(),
            content,
            quoted: None,
            mentions: Vec::new(),
            forwarded: false,
            timestamp: Millis(0),
            again: false,
        })
    }

    fn told(more: &Value) -> String {
        let mut told =
            json!({ "id": "true_15550100001@c.us_AAA", "timestamp": 1, "from": "15550100009@c.us" });
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = message_in::message(&told, None, Millis(2_000)).unwrap();
        of_told(&message.incoming, message.file.is_some())
    }

    #[test]
    fn what_comes_back_is_like_what_went_out() {
        let place =
            |latitude, longitude| Content::Location(Location { latitude, longitude, description: None });
        let card =
            Content::Contacts(vec![ContactCard::of_vcard("BEGIN:VCARD\nFN:Cleo\nEND:VCARD".into(), None)]);
        let poll = Poll {
            name: "Lunch?".into(),
            options: vec!["soup".into()],
            allow_multiple_answers: false,
            votes: vec![],
        };
        let kept =
            json!({ "type": "poll_creation", "pollName": "Lunch?", "pollOptions": [{ "name": "soup" }] });
        for (went, came) in [
            (ours(Content::Text, "hello \r\nyou\n"), told(&json!({ "body": "hello \nyou" }))),
            (
                ours(place(52.52, 13.405), ""),
                told(&json!({ "location": { "latitude": "52.520001", "longitude": 13.405 } })),
            ),
            (ours(card, ""), told(&json!({ "vCards": ["BEGIN:VCARD\nVERSION:3.0\nFN:Cleo\nEND:VCARD"] }))),
            (ours(Content::Poll(poll), ""), told(&json!({ "_data": kept }))),
        ] {
            assert_eq!(went, came);
        }
    }

    #[test]
    fn what_differs_is_told_apart() {
        let all = [
            told(&json!({ "body": "hello" })),
            told(&json!({ "body": "hello", "hasMedia": true })),
            told(&json!({ "body": "Hello" })),
            told(&json!({ "location": { "latitude": 1.0, "longitude": 2.0 } })),
            told(&json!({ "location": { "latitude": 1.0, "longitude": 2.1 } })),
        ];
        let different: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(
            all[1],
            told(&json!({ "body": "hello", "hasMedia": true, "media": { "mimetype": "image/png" } }))
        );
    }
}
