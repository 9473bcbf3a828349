//! Text output of `wharf webhooks …`.

use serde_json::Value;

use crate::cli::output::{clean, key_values, moment_of, short, table, text_of};

fn state_of(webhook: &Value) -> String {
    match webhook.get("enabled").and_then(Value::as_bool) {
        Some(false) => format!("off ({})", text_of(webhook, "disabledReason")),
        _ if webhook.get("failingSince").is_some_and(|since| !since.is_null()) => "failing".to_owned(),
        _ => "on".to_owned(),
    }
}

fn device_of(webhook: &Value) -> String {
    let device = text_of(webhook, "deviceId");
    if device.is_empty() { "all".to_owned() } else { device }
}

fn rows_of(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

pub(super) fn webhook_table(list: &Value) -> String {
    let rows = rows_of(list, |webhook| {
        vec![
            text_of(webhook, "id"),
            device_of(webhook),
            state_of(webhook),
            text_of(webhook, "format"),
            short(&text_of(webhook, "events"), 30),
            text_of(webhook, "waiting"),
            text_of(webhook, "deadLetters"),
            short(&text_of(webhook, "url"), 60),
        ]
    });
    table(&["ID", "DEVICE", "STATE", "FORMAT", "EVENTS", "WAITING", "DEAD", "URL"], &rows)
}

pub(super) fn webhook_facts(webhook: &Value) -> String {
    let headers = webhook.get("headers").and_then(Value::as_object);
    let names: Vec<String> = headers.into_iter().flatten().map(|(name, _)| clean(name)).collect();
    key_values(&[
        ("id", text_of(webhook, "id")),
        ("device", device_of(webhook)),
        ("name", text_of(webhook, "name")),
        ("url", text_of(webhook, "url")),
        ("state", state_of(webhook)),
        ("events", text_of(webhook, "events")),
        ("without", text_of(webhook, "exclude")),
        ("format", text_of(webhook, "format")),
        ("ordering", text_of(webhook, "ordering")),
        ("headers", names.join(", ")),
        ("waiting", text_of(webhook, "waiting")),
        ("dead letters", text_of(webhook, "deadLetters")),
        ("last delivery", moment_of(webhook, "lastDeliveryAt")),
        ("failing since", moment_of(webhook, "failingSince")),
        ("created", moment_of(webhook, "createdAt")),
    ])
}

pub(super) fn attempt_table(list: &Value) -> String {
    let rows = rows_of(list, |attempt| {
        vec![
            moment_of(attempt, "at"),
            text_of(attempt, "deviceId"),
            text_of(attempt, "seq"),
            text_of(attempt, "event"),
            text_of(attempt, "attempt"),
            text_of(attempt, "outcome"),
            text_of(attempt, "status"),
            text_of(attempt, "durationMs"),
            moment_of(attempt, "nextAttemptAt"),
        ]
    });
    table(&["AT", "DEVICE", "SEQ", "EVENT", "TRY", "OUTCOME", "STATUS", "MS", "AGAIN AT"], &rows)
}

pub(super) fn letter_table(list: &Value) -> String {
    let rows = rows_of(list, |letter| {
        vec![
            text_of(letter, "id"),
            text_of(letter, "deviceId"),
            text_of(letter, "seq"),
            text_of(letter, "event"),
            text_of(letter, "attempts"),
            text_of(letter, "lastError"),
            moment_of(letter, "deadAt"),
        ]
    });
    table(&["ID", "DEVICE", "SEQ", "EVENT", "TRIES", "LAST", "SINCE"], &rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::output::*;

    #[test]
    fn webhook_table_shows_disabled_and_failing() {
        let list = json!([
            { "id": "wh_1", "deviceId": null, "enabled": false, "disabledReason": "gone", "format": "wharf", "events": ["*"], "waiting": 0, "deadLetters": 2, "url": "https://a.example/" },
            { "id": "wh_2", "deviceId": "shop", "enabled": true, "failingSince": 5, "format": "waha", "events": ["message"], "waiting": 3, "deadLetters": 0, "url": "https://b.example/" },
        ]);
        let text = webhook_table(&list);
        assert!(text.contains("wh_1  all     off (gone)  wharf"), "{text}");
        assert!(text.contains("wh_2  shop    failing     waha"), "{text}");
    }
}
