//! Formats an event as one short line for people.
//!
//! Invariants: QR strings are never shown, because copied terminal output must not contain a login; the
//! result is one line without control characters.

use serde_json::Value;

use super::output::{clean, short, text_of};
use super::time_format::time_of_day;

const MAX_BODY: usize = 80;

/// Summarizes an event, without its name. Unknown events are shown as JSON.
pub(super) fn summary(event: &str, payload: &Value) -> String {
    let text = |field| text_of(payload, field);
    match event {
        "qr" => format!("code {} to scan, valid until {} UTC", text("attempt"), at(payload, "expiresAt")),
        "passkey:request" => format!("passkey needed until {} UTC", at(payload, "expiresAt")),
        "passkey:confirmation" => format!("code {} to compare with the phone", text("code")),
        "passkey:error" => text("reason"),
        "authenticated" => format!("linked to {} ({})", text("phoneNumber"), text("clientName")),
        "ready" => format!("can send and receive as {}", text("phoneNumber")),
        "state" => words(&[text("state"), text("reason")]),
        "disconnected" => text("reason"),
        "message" | "message:created" | "message:edited" => message(payload),
        "message:status" => words(&[text("status"), text("messageId"), text("error")]),
        "message:ack" | "message-ack" => {
            words(&[format!("{} {}", text("ack"), text("ackName")), text("messageId")])
        }
        "message:read" => read(payload),
        "message:reaction" => words(&[text("from"), text("emoji"), text("messageId")]),
        "message:revoked" => text("messageId"),
        "typing:start" | "typing:stop" => text("from"),
        "contact:update" => named(payload.get("contact")),
        "chat:update" => named(payload.get("chat")),
        "chat:message" | "chat:message_updated" | "conversation:note" => chat_message(payload),
        "conversation:assigned" => {
            words(&[format!("conversation {}", text("conversationId")), format!("to {}", assignee(payload))])
        }
        "conversation:created"
        | "conversation:closed"
        | "conversation:opened"
        | "conversation:first_response" => {
            format!("conversation {}", text("conversationId"))
        }
        "notification" => words(&[text("title"), text("body")]),
        "resync" => format!("events before {} are no longer stored", text("oldestSeq")),
        "device-deleted" => "the device was deleted".to_owned(),
        _ => rest(payload),
    }
}

fn at(payload: &Value, field: &str) -> String {
    payload.get(field).and_then(Value::as_i64).map_or_else(|| "?".to_owned(), time_of_day)
}

fn words(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    short(&parts.join("  "), 160)
}

fn assignee(payload: &Value) -> String {
    payload
        .get("assignee")
        .map(|user| text_of(user, "id"))
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| "no one".to_owned())
}

fn chat_message(payload: &Value) -> String {
    let message = payload.get("message").unwrap_or(&Value::Null);
    let author = message.get("author").map(|author| text_of(author, "name")).unwrap_or_default();
    let sender = if author.is_empty() { text_of(message, "senderId") } else { author };
    let content = short(&text_of(message, "content"), MAX_BODY);
    words(&[format!("conversation {}", text_of(payload, "conversationId")), format!("{sender}: {content}")])
}

fn message(payload: &Value) -> String {
    let Some(message) = payload.get("message") else {
        return text_of(payload, "messageId");
    };
    let from_me = message.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let author = text_of(message, "author");
    let who = match (from_me, author.is_empty()) {
        (true, _) => format!("to {}", text_of(message, "to")),
        (false, true) => format!("from {}", text_of(message, "from")),
        (false, false) => format!("from {author} in {}", text_of(message, "chatId")),
    };
    let kind = text_of(message, "type");
    let body = short(&text_of(message, "body"), MAX_BODY);
    if kind == "chat" { format!("{who}: {body}") } else { format!("{who}: [{kind}] {body}") }
}

fn read(payload: &Value) -> String {
    let count = payload.get("messageIds").and_then(Value::as_array).map_or(0, Vec::len);
    let by = text_of(payload, "readBy");
    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
    let noun = if count == 1 { "message" } else { "messages" };
    format!("{count} {noun} in {}{by}", text_of(payload, "chatId"))
}

fn named(object: Option<&Value>) -> String {
    object.map_or_else(String::new, |object| words(&[text_of(object, "id"), text_of(object, "name")]))
}

fn rest(payload: &Value) -> String {
    let Some(fields) = payload.as_object() else {
        return short(&clean(&payload.to_string()), 160);
    };
    let known = ["deviceId", "timestamp", "seq"];
    let rest: serde_json::Map<String, Value> = fields
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    short(&clean(&Value::Object(rest).to_string()), 160)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::event_line::*;

    #[test]
    fn event_line_hides_qr_code() {
        let text = summary("qr", &json!({ "qr": "2@secret", "attempt": 1, "expiresAt": 60_000 }));
        assert_eq!(text, "code 1 to scan, valid until 00:01:00.000 UTC");
    }

    #[test]
    fn message_line_has_sender_and_text() {
        let incoming = json!({ "message": { "from": "15550100001@c.us", "body": "a\nb", "type": "chat", "fromMe": false } });
        assert_eq!(summary("message", &incoming), "from 15550100001@c.us: a⏎b");
        let outgoing =
            json!({ "message": { "to": "15550100001@c.us", "body": "x", "type": "image", "fromMe": true } });
        assert_eq!(summary("message:created", &outgoing), "to 15550100001@c.us: [image] x");
        let group = json!({ "message": { "chatId": "1@g.us", "author": "15550100001@c.us", "body": "x", "type": "chat" } });
        assert_eq!(summary("message", &group), "from 15550100001@c.us in 1@g.us: x");
    }

    #[test]
    fn other_event_lines_are_short() {
        assert_eq!(summary("state", &json!({ "state": "failed", "reason": "banned" })), "failed  banned");
        assert_eq!(
            summary("message:ack", &json!({ "messageId": "true_1", "ack": 2, "ackName": "device" })),
            "2 device  true_1"
        );
        assert_eq!(
            summary(
                "message:read",
                &json!({ "chatId": "15550100001@c.us", "messageIds": ["a"], "readBy": "15550100001@c.us" })
            ),
            "1 message in 15550100001@c.us by 15550100001@c.us"
        );
        assert_eq!(
            summary("later:event", &json!({ "seq": 1, "deviceId": "d", "timestamp": 0, "x": 1 })),
            "{\"x\":1}"
        );
    }
}
