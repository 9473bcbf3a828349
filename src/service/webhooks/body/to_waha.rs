//! Converts our events to the format of a WAHA server.
//!
//! Source: the upstream contract (webhook envelope, WAMessage, session states) and WAHA's documentation of its events.

use serde_json::{Map, Value, json};

use super::Outgoing;

/// Engine name that bodies report.
const ENGINE: &str = "WEBJS";

/// Builds the complete body.
pub(super) fn envelope(event: &Outgoing<'_>, fields: &Map<String, Value>) -> Value {
    let me = event.account.map(
        |account| json!({ "id": format!("{}@c.us", account.phone_number), "pushName": account.client_name }),
    );
    json!({
        "id": event.id,
        "timestamp": event.at.0,
        "event": event.name,
        "session": event.device,
        "metadata": {},
        "me": me,
        "payload": payload(event, fields),
        "engine": ENGINE,
        "environment": { "version": env!("CARGO_PKG_VERSION"), "engine": ENGINE, "tier": "CORE", "browser": null },
    })
}

fn payload(event: &Outgoing<'_>, fields: &Map<String, Value>) -> Value {
    let field = |name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    let message = &fields.get("message").cloned().unwrap_or(Value::Null);
    let seconds = event.at.0.div_euclid(1_000);
    match event.name {
        "session.status" => {
            // `passkey:confirmation` has a code instead of a state.
            let status = match fields.get("code") {
                Some(_) => "PASSKEY_CONFIRMATION_REQUIRED",
                None => session_status(text(fields.get("state"))),
            };
            json!({ "name": event.device, "status": status })
        }
        "message" | "message.any" => wa_message(message),
        "message.ack" => {
            let id = MessageName::of(text(fields.get("messageId")));
            json!({
                "id": field("messageId"), "from": id.chat, "to": id.chat, "participant": id.participant,
                "fromMe": id.from_me, "ack": field("ack"), "ackName": text(fields.get("ackName")).to_uppercase(),
            })
        }
        "message.reaction" => {
            let id = MessageName::of(text(fields.get("messageId")));
            let group = id.chat.ends_with("@g.us");
            json!({
                "id": field("messageId"), "from": if group { field("chatId") } else { field("from") },
                "fromMe": false, "to": field("chatId"), "source": "app",
                "participant": if group { field("from") } else { Value::Null }, "timestamp": seconds,
                "reaction": { "text": field("emoji"), "messageId": field("messageId") },
            })
        }
        "message.edited" => {
            let mut edited = wa_message(message);
            edited["editedMessageId"] = network_id(fields.get("messageId"));
            edited
        }
        "message.revoked" => json!({
            "after": wa_message(message), "before": null, "revokedMessageId": network_id(fields.get("messageId")),
        }),
        "poll.vote" => json!({
            "vote": {
                "id": null, "to": field("chatId"), "from": field("voter"), "fromMe": false,
                "participant": field("voter"), "selectedOptions": field("options"), "timestamp": event.at.0,
            },
            "poll": {
                "id": field("messageId"), "to": field("chatId"), "from": null,
                "fromMe": MessageName::of(text(fields.get("messageId"))).from_me, "participant": null,
            },
        }),
        "group.v2.participants" => json!({
            "type": group_change(text(fields.get("change"))), "timestamp": seconds,
            "group": { "id": field("groupId") }, "participants": participants(fields),
        }),
        "group.v2.join" | "group.v2.update" => {
            let mut group = json!({ "id": field("groupId") });
            for name in ["subject", "description"] {
                if let Some(value) = fields.get(name) {
                    group[name] = value.clone();
                }
            }
            json!({ "timestamp": seconds, "group": group })
        }
        "call.received" | "call.accepted" | "call.rejected" => json!({
            "id": field("callId"), "from": field("from"), "timestamp": seconds, "isVideo": field("video"),
            "isGroup": text(fields.get("from")).ends_with("@g.us"),
        }),
        _ => Value::Object(fields.clone()),
    }
}

/// Converts a message.
fn wa_message(message: &Value) -> Value {
    let ack = message["ack"].clone();
    let media = message.get("mediaInfo").map(|info| {
        let url = &info["downloadUrl"];
        json!({
            "url": url, "mimetype": info["mimetype"], "filename": info["filename"],
            "error": if url.is_null() { json!("the file is not here") } else { Value::Null },
        })
    });
    let reply_to = message.get("quotedMessage").filter(|quoted| quoted.is_object()).map(|quoted| {
        json!({
            "id": network_id(quoted.get("id")), "participant": quoted.get("author").unwrap_or(&quoted["from"]),
            "body": quoted["body"],
        })
    });
    let cards: Vec<&Value> =
        message["vCards"].as_array().into_iter().flatten().map(|card| &card["vcard"]).collect();
    json!({
        "id": message["id"],
        "timestamp": message["timestamp"].as_i64().map(|ms| ms.div_euclid(1_000)),
        "from": message["from"],
        "fromMe": message["fromMe"],
        "source": "app",
        "to": message["to"],
        "participant": message.get("author"),
        "body": message["body"],
        "hasMedia": message["hasMedia"],
        "media": media,
        "ack": ack,
        "ackName": ack_name(message["ack"].as_i64()),
        "replyTo": reply_to,
        "location": message.get("location"),
        "vCards": cards,
        "_data": { "type": message["type"], "notifyName": message["notifyName"] },
    })
}

fn participants(fields: &Map<String, Value>) -> Vec<Value> {
    let members = fields.get("participants").and_then(Value::as_array).into_iter().flatten();
    members
        .map(|member| {
            let role = match member["role"].as_str() {
                Some("member") | None => "participant",
                Some(role) => role,
            };
            json!({ "id": member["id"], "role": role })
        })
        .collect()
}

fn group_change(ours: &str) -> &str {
    match ours {
        "add" => "join",
        "remove" | "leave" => "leave",
        other => other,
    }
}

fn session_status(state: &str) -> &'static str {
    match state {
        "ready" => "WORKING",
        "qr" => "SCAN_QR_CODE",
        "passkey" => "PASSKEY_REQUIRED",
        "connecting" | "pairing" | "reconnecting" => "STARTING",
        "failed" | "logged_out" => "FAILED",
        _ => "STOPPED",
    }
}

fn ack_name(ack: Option<i64>) -> &'static str {
    match ack {
        Some(-1) => "ERROR",
        Some(0) => "PENDING",
        Some(1) => "SERVER",
        Some(2) => "DEVICE",
        Some(3) => "READ",
        Some(4) => "PLAYED",
        _ => "UNKNOWN",
    }
}

/// The parts of a message id.
struct MessageName<'a> {
    from_me: bool,
    chat: &'a str,
    participant: Option<&'a str>,
}

impl<'a> MessageName<'a> {
    fn of(id: &'a str) -> Self {
        let mut parts = id.splitn(4, '_');
        let from_me = parts.next() == Some("true");
        let chat = parts.next().unwrap_or_default();
        Self { from_me, chat, participant: parts.nth(1) }
    }
}

/// Returns the network id in a message id.
fn network_id(id: Option<&Value>) -> Value {
    text(id).split('_').nth(2).map_or(Value::Null, Value::from)
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::pushed;
    use super::*;
    use crate::domain::webhook::Format;

    fn waha(kind: &str, name: &str, payload: &Value) -> Value {
        pushed(Format::Waha, kind, name, payload)
    }

    #[test]
    fn waha_message_is_enveloped() {
        let message = json!({
            "id": "false_15550100001@c.us_ABC", "chatId": "15550100001@c.us", "from": "15550100001@c.us",
            "to": "15550100099@c.us", "fromMe": false, "body": "Hello", "type": "chat",
            "timestamp": 1_767_225_600_123_i64, "ack": 1, "hasMedia": false, "notifyName": "Anna",
        });
        let body = waha("message", "message", &json!({ "deviceId": "shop", "message": message }));
        assert_eq!(body["event"], "message");
        assert_eq!(body["session"], "shop");
        assert_eq!(body["me"], json!({ "id": "15550100099@c.us", "pushName": "Shop" }));
        assert_eq!(body["payload"]["id"], "false_15550100001@c.us_ABC");
        assert_eq!(body["payload"]["timestamp"], 1_767_225_600);
        assert_eq!(body["payload"]["ackName"], "SERVER");
        assert_eq!(body["payload"]["replyTo"], Value::Null);
        assert!(body["id"].as_str().unwrap().starts_with("evt_"));
    }

    #[test]
    fn states_acks_and_groups_have_format_names() {
        let status = waha("state", "session.status", &json!({ "state": "qr" }));
        assert_eq!(status["payload"], json!({ "name": "shop", "status": "SCAN_QR_CODE" }));
        let status = waha("state", "session.status", &json!({ "state": "passkey" }));
        assert_eq!(status["payload"]["status"], "PASSKEY_REQUIRED");
        let code = json!({ "code": "ABCD-1234", "expiresAt": 1 });
        let status = waha("passkey:confirmation", "session.status", &code);
        assert_eq!(status["payload"]["status"], "PASSKEY_CONFIRMATION_REQUIRED");
        let ack = waha(
            "message:ack",
            "message.ack",
            &json!({ "messageId": "true_1@g.us_ABC_2@c.us", "ack": 3, "ackName": "read" }),
        );
        assert_eq!(ack["payload"]["ackName"], "READ");
        assert_eq!(ack["payload"]["participant"], "2@c.us");
        assert_eq!(ack["payload"]["fromMe"], true);
        let group = json!({ "groupId": "1@g.us", "change": "add", "participants": [{ "id": "2@c.us", "role": "member" }] });
        let joined = waha("group:update", "group.v2.participants", &group);
        assert_eq!(joined["payload"]["type"], "join");
        assert_eq!(joined["payload"]["participants"], json!([{ "id": "2@c.us", "role": "participant" }]));
    }

    #[test]
    fn waha_media_and_quote_are_described() {
        let message = json!({
            "id": "false_1@c.us_A", "hasMedia": true,
            "mediaInfo": { "mimetype": "image/jpeg", "filename": null, "downloadUrl": "/m" },
            "quotedMessage": { "id": "true_1@c.us_Q", "from": "9@c.us", "body": "?" },
        });
        let body = waha("message", "message.any", &json!({ "message": message }));
        assert_eq!(body["payload"]["media"]["url"], "/m");
        assert_eq!(body["payload"]["replyTo"], json!({ "id": "Q", "participant": "9@c.us", "body": "?" }));
    }
}
