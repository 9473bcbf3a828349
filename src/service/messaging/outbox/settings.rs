//! Validates `settings.outbox` of a device and merges it with the daemon's limits.
//!
//! Stored settings have passed [`check`]; a value that does not parse falls back to the default.

use serde_json::{Map, Value};

use crate::domain::clock::Millis;
use crate::domain::device::Device;
use crate::domain::outbox::{InvalidQuietHours, Pace, QuietHours, Rules, Warmup, Zone};
use crate::service::{OutboxLimits, ServiceError};

const PATH: &str = "settings.outbox";
const HOUR_MS: u64 = 3_600_000;
const NUMBERS: [(&str, u64); 9] = [
    ("minDelay", HOUR_MS),
    ("maxDelay", HOUR_MS),
    ("messagesPerMinute", 100_000),
    ("burstLimit", 100_000),
    ("messagesPerDay", 100_000),
    ("newChatsPerDay", 10_000),
    ("typingDelay", 60_000),
    ("maxAttempts", 100),
    ("retryDelay", HOUR_MS),
];
/// The largest integer that every JSON reader represents exactly.
const MAX_TIME: u64 = (1 << 53) - 1;
const WARMUP: [(&str, u64, u64); 3] =
    [("startedAt", 0, MAX_TIME), ("days", 1, 365), ("startPercent", 1, 100)];
const DEFAULT_WARMUP_DAYS: u32 = 14;
const DEFAULT_START_PERCENT: u32 = 10;

/// The allowed fields of `settings.outbox`.
pub(in crate::service) fn fields() -> impl Iterator<Item = &'static str> {
    NUMBERS.iter().map(|(name, _)| *name).chain(["quietHours", "warmup"])
}

/// Rejects an invalid field with its path.
///
/// # Errors
/// [`ServiceError::Invalid`] for the first invalid field.
pub(in crate::service) fn check(settings: &Map<String, Value>) -> Result<(), ServiceError> {
    let Some(outbox) = settings.get("outbox") else { return Ok(()) };
    let Some(outbox) = outbox.as_object() else {
        return Err(ServiceError::invalid(PATH, "must be an object"));
    };
    for (key, value) in outbox {
        let field = format!("{PATH}.{key}");
        match (key.as_str(), NUMBERS.iter().find(|(name, _)| name == key)) {
            (_, Some((_, most))) => number(&field, value, 0, *most)?,
            ("quietHours", _) => check_quiet_hours(&field, value)?,
            ("warmup", _) => check_warmup(&field, value)?,
            _ => {
                let names: Vec<&str> = fields().collect();
                return Err(ServiceError::invalid(
                    field,
                    format!("is not a field; the fields are {}", names.join(", ")),
                ));
            }
        }
    }
    let number = |key: &str| outbox.get(key).and_then(Value::as_u64).unwrap_or(0);
    if outbox.contains_key("maxDelay") && number("minDelay") > number("maxDelay") {
        return Err(ServiceError::invalid("settings.outbox.minDelay", "must not be more than maxDelay"));
    }
    if outbox.get("maxAttempts").and_then(Value::as_u64) == Some(0) {
        return Err(ServiceError::invalid("settings.outbox.maxAttempts", "must be at least 1"));
    }
    Ok(())
}

fn number(field: &str, value: &Value, least: u64, most: u64) -> Result<(), ServiceError> {
    if value.as_u64().is_none_or(|number| !(least..=most).contains(&number)) {
        let right = format!("must be a whole number from {least} to {most}");
        return Err(ServiceError::invalid(field, right));
    }
    Ok(())
}

fn check_quiet_hours(field: &str, value: &Value) -> Result<(), ServiceError> {
    if *value == Value::Bool(false) {
        return Ok(());
    }
    let Some(hours) = value.as_object() else {
        let right = "must be an object such as { \"from\": \"22:00\", \"to\": \"07:00\" }, or false for none";
        return Err(ServiceError::invalid(field, right));
    };
    if let Some(key) = hours.keys().find(|key| !["from", "to", "timeZone"].contains(&key.as_str())) {
        let right = "is not a field; the fields are from, to, timeZone";
        return Err(ServiceError::invalid(format!("{field}.{key}"), right));
    }
    let wrong = |key: &str, error: &InvalidQuietHours| {
        Err(ServiceError::invalid(format!("{field}.{key}"), error.to_string()))
    };
    let text = |key: &str| hours.get(key).and_then(Value::as_str);
    for key in ["from", "to"] {
        let time = text(key).unwrap_or_default().parse::<crate::domain::outbox::TimeOfDay>();
        if let Err(error) = time {
            return wrong(key, &error);
        }
    }
    if hours.get("timeZone").is_some_and(|zone| !zone.is_null())
        && let Err(error) = text("timeZone").unwrap_or_default().parse::<Zone>()
    {
        return wrong("timeZone", &error);
    }
    if text("from") == text("to") {
        return wrong("to", &InvalidQuietHours::Empty);
    }
    Ok(())
}

fn check_warmup(field: &str, value: &Value) -> Result<(), ServiceError> {
    let Some(warmup) = value.as_object() else {
        return Err(ServiceError::invalid(field, "must be an object such as { \"days\": 14 }"));
    };
    for (key, value) in warmup {
        let path = format!("{field}.{key}");
        match WARMUP.iter().find(|(name, ..)| name == key) {
            Some((_, least, most)) => number(&path, value, *least, *most)?,
            None => {
                return Err(ServiceError::invalid(
                    path,
                    "is not a field; the fields are startedAt, days, startPercent",
                ));
            }
        }
    }
    Ok(())
}

/// The limits of one device: its own settings where present, else the daemon's.
pub(in crate::service) fn limits_of(defaults: &OutboxLimits, device: &Device) -> OutboxLimits {
    let outbox = device.settings.get("outbox");
    let number = |key: &str| outbox?.get(key)?.as_u64();
    let small = |key: &str, default: u32| number(key).and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    let pace = defaults.rules.pace;
    let min_delay = small("minDelay", pace.min_delay);
    OutboxLimits {
        rules: Rules {
            pace: Pace {
                min_delay,
                max_delay: small("maxDelay", pace.max_delay).max(min_delay),
                messages_per_minute: small("messagesPerMinute", pace.messages_per_minute),
                burst_limit: small("burstLimit", pace.burst_limit),
                messages_per_day: small("messagesPerDay", pace.messages_per_day),
                new_chats_per_day: small("newChatsPerDay", pace.new_chats_per_day),
            },
            warmup: outbox.and_then(|outbox| outbox.get("warmup")).map(|warmup| warmup_of(warmup, device)),
            quiet_hours: match outbox.and_then(|outbox| outbox.get("quietHours")) {
                Some(hours) => quiet_hours_of(hours, &defaults.time_zone),
                None => defaults.rules.quiet_hours.clone(),
            },
        },
        typing_delay_ms: number("typingDelay").unwrap_or(defaults.typing_delay_ms),
        max_attempts: small("maxAttempts", defaults.max_attempts),
        retry_delay_ms: number("retryDelay").unwrap_or(defaults.retry_delay_ms),
        ..defaults.clone()
    }
}

/// The warm-up settings. A warm-up without a start began when the device was created.
pub(in crate::service) fn warmup_of(warmup: &Value, device: &Device) -> Warmup {
    let small = |key: &str, default: u32| {
        warmup.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
    };
    Warmup {
        started_at: warmup.get("startedAt").and_then(Value::as_i64).map_or(device.created_at, Millis),
        days: small("days", DEFAULT_WARMUP_DAYS),
        start_percent: small("startPercent", DEFAULT_START_PERCENT),
    }
}

fn quiet_hours_of(hours: &Value, default_zone: &Zone) -> Option<QuietHours> {
    let time = |key: &str| hours.get(key)?.as_str()?.parse().ok();
    let zone = hours.get("timeZone").and_then(Value::as_str).and_then(|name| name.parse().ok());
    QuietHours::new(time("from")?, time("to")?, zone.unwrap_or_else(|| default_zone.clone())).ok()
}

/// These limits in the form of `settings.outbox`.
pub(in crate::service) fn as_settings(limits: &OutboxLimits) -> Map<String, Value> {
    let pace = limits.rules.pace;
    let numbers = [
        ("minDelay", u64::from(pace.min_delay)),
        ("maxDelay", u64::from(pace.max_delay)),
        ("messagesPerMinute", u64::from(pace.messages_per_minute)),
        ("burstLimit", u64::from(pace.burst_limit)),
        ("messagesPerDay", u64::from(pace.messages_per_day)),
        ("newChatsPerDay", u64::from(pace.new_chats_per_day)),
        ("typingDelay", limits.typing_delay_ms),
        ("maxAttempts", u64::from(limits.max_attempts)),
        ("retryDelay", limits.retry_delay_ms),
    ];
    let mut settings: Map<String, Value> =
        numbers.into_iter().map(|(key, number)| (key.to_owned(), number.into())).collect();
    let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
    settings.insert("quietHours".to_owned(), json(serde_json::to_value(&limits.rules.quiet_hours)));
    settings.insert("warmup".to_owned(), json(serde_json::to_value(limits.rules.warmup)));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(outbox: &Value) -> Option<String> {
        let settings = json!({ "outbox": outbox }).as_object().unwrap().clone();
        check(&settings).err().map(|error| error.to_string())
    }

    #[test]
    fn invalid_outbox_setting_is_named() {
        for (outbox, begins) in [
            (json!(5), "settings.outbox: must be an object"),
            (json!({ "speed": 1 }), "settings.outbox.speed: is not a field"),
            (json!({ "minDelay": "1" }), "settings.outbox.minDelay: must be a whole number"),
            (json!({ "minDelay": 5, "maxDelay": 4 }), "settings.outbox.minDelay: must not"),
            (json!({ "quietHours": true }), "settings.outbox.quietHours: must be an object"),
            (json!({ "quietHours": { "from": "22:00" } }), "settings.outbox.quietHours.to: must be a time"),
            (
                json!({ "quietHours": { "from": "22:00", "to": "22:00" } }),
                "settings.outbox.quietHours.to: must not begin and end",
            ),
            (
                json!({ "quietHours": { "from": "22:00", "to": "07:00", "timeZone": "Mars" } }),
                "settings.outbox.quietHours.timeZone: must be the name",
            ),
            (json!({ "warmup": { "days": 0 } }), "settings.outbox.warmup.days: must be a whole number"),
            (json!({ "warmup": { "speed": 0 } }), "settings.outbox.warmup.speed: is not a field"),
        ] {
            let message = refusal(&outbox).unwrap_or_default();
            assert!(message.starts_with(begins), "{message}");
        }
        assert_eq!(refusal(&json!({ "quietHours": false, "warmup": {}, "messagesPerDay": 5 })), None);
    }
}
