//! Converts our events to the format of REST back ends on whatsapp-web.js: `{ dataType, data, sessionId }`.
//!
//! Source: the upstream contract, and the events of a whatsapp-web.js client. `data` has their arguments by
//! name.

use serde_json::{Map, Value, json};

use super::Outgoing;

/// Builds the complete body.
pub(super) fn envelope(event: &Outgoing<'_>, fields: &Map<String, Value>) -> Value {
    json!({ "dataType": event.name, "data": data(event, fields), "sessionId": event.device })
}

fn data(event: &Outgoing<'_>, fields: &Map<String, Value>) -> Value {
    let field = |name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    let message = fields.get("message");
    match event.name {
        "qr" => json!({ "qr": field("qr") }),
        "authenticated" | "ready" => json!({}),
        "change_state" => json!({ "state": connection_state(text(fields.get("state"))) }),
        "disconnected" => json!({ "reason": field("reason") }),
        "loading_screen" => json!({ "percent": percent(fields), "message": field("phase") }),
        "message" | "message_create" => json!({ "message": web_message(message) }),
        "message_ack" => json!({ "message": named(fields), "ack": field("ack") }),
        "message_edit" => {
            let body = message.map_or(Value::Null, |message| message["body"].clone());
            json!({ "message": web_message(message), "newBody": body, "prevBody": null })
        }
        "message_reaction" => json!({ "reaction": {
            "id": message_key(fields.get("messageId")), "msgId": message_key(fields.get("messageId")),
            "senderId": field("from"), "reaction": field("emoji"), "timestamp": event.at.0.div_euclid(1_000),
        } }),
        "message_revoke_everyone" => {
            json!({ "message": web_message(message), "revokedMessage": null })
        }
        "message_revoke_me" => json!({ "message": named(fields) }),
        "vote_update" => {
            let options = fields.get("options").and_then(Value::as_array).into_iter().flatten();
            let selected: Vec<Value> = options.map(|option| json!({ "name": option })).collect();
            json!({ "vote": {
                "voter": field("voter"), "selectedOptions": selected, "interractedAtTs": event.at.0,
                "parentMessage": named(fields),
            } })
        }
        "chat_removed" => json!({ "chat": { "id": chat_key(text(fields.get("chatId"))) } }),
        "contact_changed" => json!({
            "message": null, "oldId": null,
            "newId": fields.get("contact").map_or(Value::Null, |contact| contact["id"].clone()),
            "isContact": true,
        }),
        "call" => json!({ "call": {
            "id": field("callId"), "from": field("from"), "timestamp": event.at.0.div_euclid(1_000),
            "isVideo": field("video"), "isGroup": text(fields.get("from")).ends_with("@g.us"), "fromMe": false,
        } }),
        "group_join" | "group_leave" | "group_admin_changed" | "group_update" => {
            json!({ "notification": notification(event, fields) })
        }
        _ => Value::Object(fields.clone()),
    }
}

fn notification(event: &Outgoing<'_>, fields: &Map<String, Value>) -> Value {
    let field = |name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    let members = fields.get("participants").and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<&Value> = members.map(|member| &member["id"]).collect();
    let body = fields.get("subject").or_else(|| fields.get("description"));
    json!({
        "chatId": field("groupId"), "type": field("change"), "author": field("author"), "recipientIds": ids,
        "body": body, "timestamp": event.at.0.div_euclid(1_000),
    })
}

/// Converts a message: unlike ours, its id is an object and its time is in seconds.
fn web_message(message: Option<&Value>) -> Value {
    let Some(Value::Object(ours)) = message else { return Value::Null };
    let mut theirs = ours.clone();
    theirs.insert("id".to_owned(), message_key(ours.get("id")));
    theirs.insert("timestamp".to_owned(), ours["timestamp"].as_i64().map(|ms| ms.div_euclid(1_000)).into());
    if let Some(quoted) = ours.get("quotedMessage") {
        theirs.insert("quotedMessage".to_owned(), web_message(Some(quoted)));
    }
    theirs.insert("hasQuotedMsg".to_owned(), ours.contains_key("quotedMessage").into());
    Value::Object(theirs)
}

/// Builds a message that has only an id.
fn named(fields: &Map<String, Value>) -> Value {
    let id = message_key(fields.get("messageId"));
    let (chat, from_me) = (id["remote"].clone(), id["fromMe"].clone());
    json!({ "id": id, "from": chat, "to": chat, "fromMe": from_me, "ack": fields.get("ack") })
}

/// Splits `<fromMe>_<chat>_<network id>[_<participant>]`.
fn message_key(id: Option<&Value>) -> Value {
    let whole = text(id);
    let mut parts = whole.splitn(4, '_');
    let from_me = parts.next() == Some("true");
    let (chat, network, participant) = (parts.next(), parts.next(), parts.next());
    let mut key = json!({ "fromMe": from_me, "remote": chat, "id": network, "_serialized": whole });
    if let Some(participant) = participant {
        key["participant"] = participant.into();
    }
    key
}

fn chat_key(id: &str) -> Value {
    let (user, server) = id.split_once('@').unwrap_or((id, ""));
    json!({ "server": server, "user": user, "_serialized": id })
}

fn connection_state(state: &str) -> &'static str {
    match state {
        "ready" => "CONNECTED",
        "connecting" | "reconnecting" => "OPENING",
        "pairing" | "passkey" => "PAIRING",
        "qr" | "logged_out" => "UNPAIRED",
        _ => "UNLAUNCHED",
    }
}

fn percent(fields: &Map<String, Value>) -> Option<u64> {
    let (done, total) = (fields.get("done")?.as_u64()?, fields.get("total")?.as_u64()?);
    (total > 0).then(|| (done.saturating_mul(100) / total).min(100))
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::pushed;
    use super::*;
    use crate::domain::webhook::Format;

    fn wwebjs(kind: &str, name: &str, payload: &Value) -> Value {
        pushed(Format::Wwebjs, kind, name, payload)
    }

    #[test]
    fn wwebjs_message_has_id_and_time() {
        let message =
            json!({ "id": "false_1@g.us_ABC_2@c.us", "body": "Hi", "timestamp": 5_999, "fromMe": false });
        let body = wwebjs("message", "message_create", &json!({ "message": message }));
        assert_eq!((&body["dataType"], &body["sessionId"]), (&json!("message_create"), &json!("shop")));
        let message = &body["data"]["message"];
        let id = json!({ "fromMe": false, "remote": "1@g.us", "id": "ABC", "participant": "2@c.us", "_serialized": "false_1@g.us_ABC_2@c.us" });
        assert_eq!(message["id"], id);
        assert_eq!((&message["timestamp"], &message["body"]), (&json!(5), &json!("Hi")));
    }

    #[test]
    fn states_acks_and_groups_have_format_names() {
        let body = wwebjs("state", "change_state", &json!({ "state": "ready" }));
        assert_eq!(body["data"], json!({ "state": "CONNECTED" }));
        let ack = wwebjs("message:ack", "message_ack", &json!({ "messageId": "true_1@c.us_A", "ack": 2 }));
        assert_eq!(ack["data"]["ack"], 2);
        assert_eq!(ack["data"]["message"]["id"]["_serialized"], "true_1@c.us_A");
        let left = json!({ "groupId": "1@g.us", "change": "leave", "participants": [{ "id": "2@c.us" }] });
        let body = wwebjs("group:update", "group_leave", &left);
        assert_eq!(body["data"]["notification"]["recipientIds"], json!(["2@c.us"]));
        assert_eq!(body["data"]["notification"]["chatId"], "1@g.us");
    }
}
