//! Validates values that have the right type.
//!
//! [`values`] checks each key by itself before the typed settings are built, so that building them cannot fail;
//! [`relations`] checks keys that depend on each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::Value;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::error::SettingsError;
use super::tree::{SWITCH_KEYS, SettingEntry};
use super::{AccessTokenMode, IpBlock, MediaBackend, OriginPattern, RetryDelay, Secret, Settings, Zone};
use super::{chat, notify};
use crate::domain::outbox::TimeOfDay;

const YEAR_MS: i64 = 365 * 24 * 3_600_000;
const MANY: i64 = 1_000_000;
const GIB: i64 = 1 << 30;

/// Minimum and maximum of every numeric key.
pub(super) const RANGES: [(&str, i64, i64); 106] = [
    ("server.request_timeout_ms", 1, YEAR_MS),
    ("server.body_limit_bytes", 1024, GIB),
    ("server.shutdown_timeout_ms", 0, YEAR_MS),
    ("log.slow_request_ms", 1, 3_600_000),
    // The kernel's type is an unsigned int of milliseconds.
    ("server.tcp_user_timeout_ms", 0, 24 * 3_600_000),
    ("server.header_timeout_ms", 1, YEAR_MS),
    ("server.keep_alive_ms", 1, YEAR_MS),
    ("server.max_connections", 0, MANY),
    ("server.max_unauthenticated_per_address", 1, MANY),
    ("server.max_streams_per_key", 1, MANY),
    ("auth.failed_tries_per_minute", 1, MANY),
    ("store.write_queue", 1, MANY),
    ("store.readers", 1, 64),
    ("store.file_check_ms", 1, YEAR_MS),
    ("store.reserve_bytes", 0, GIB),
    ("retention.events_days", 0, 36_500),
    ("retention.messages_days", 0, 36_500),
    ("retention.media_days", 0, 36_500),
    ("media.max_bytes", 1024, 16 * GIB),
    ("media.max_total_bytes", 0, 1024 * 1024 * GIB),
    ("media.max_bytes_per_device", 0, 1024 * 1024 * GIB),
    ("media.max_upload_bytes_per_minute", 0, 1024 * GIB),
    ("media.min_free_bytes", 0, 1024 * 1024 * GIB),
    ("media.min_free_percent", 0, 100),
    ("media.fetch_timeout_ms", 1, YEAR_MS),
    ("retention.sweep_interval_ms", 1000, YEAR_MS),
    ("devices.max", 1, MANY),
    ("supervisor.backoff_initial_ms", 1, YEAR_MS),
    ("supervisor.backoff_max_ms", 1, YEAR_MS),
    ("supervisor.start_ramp_per_second", 1, MANY),
    ("supervisor.max_connecting", 1, MANY),
    ("supervisor.panics_before_failed", 1, MANY),
    ("supervisor.degraded_after_ms", 0, YEAR_MS),
    ("outbox.max_queued", 1, 100 * MANY),
    ("outbox.in_flight", 1, 1024),
    ("outbox.max_attempts", 1, MANY),
    ("outbox.retry_delay_ms", 0, YEAR_MS),
    ("outbox.unknown_after_ms", 1, YEAR_MS),
    ("outbox.min_delay_ms", 0, YEAR_MS),
    ("outbox.max_delay_ms", 0, YEAR_MS),
    ("outbox.messages_per_minute", 0, 100_000),
    ("outbox.burst_limit", 0, 100_000),
    ("outbox.messages_per_day", 0, 100_000),
    ("outbox.new_chats_per_day", 0, 10_000),
    ("outbox.typing_delay_ms", 0, YEAR_MS),
    ("messages.text_max_chars", 1, MANY),
    ("messages.idempotency_ttl_ms", 1, YEAR_MS),
    ("import.max_bytes", 1024, 1024 * GIB),
    ("import.max_unpacked_bytes", 1024, 1024 * GIB),
    ("import.max_running", 1, 1_000),
    ("import.max_running_per_device", 1, 1_000),
    ("import.min_bytes_per_second", 1, GIB),
    ("import.grace_ms", 1, YEAR_MS),
    ("callbacks.first_byte_timeout_ms", 1, YEAR_MS),
    ("callbacks.min_bytes_per_second", 1, GIB),
    ("callbacks.max_unfinished_per_address", 1, MANY),
    ("socket.ping_interval_ms", 1, YEAR_MS),
    ("socket.ping_timeout_ms", 1, YEAR_MS),
    ("socket.connect_timeout_ms", 1, YEAR_MS),
    ("socket.max_anonymous_per_address", 1, MANY),
    ("socket.max_anonymous", 1, MANY),
    ("socket.max_refusals", 1, MANY),
    ("socket.buffer_packets", 1, MANY),
    ("socket.inbound_queue", 1, MANY),
    ("socket.max_payload_bytes", 1024, GIB),
    ("socket.stall_timeout_ms", 1, YEAR_MS),
    ("socket.replay_page", 1, 10_000),
    ("engines.simulator.journal_max_bytes", 4096, 1024 * GIB),
    ("webhooks.max_endpoints", 1, MANY),
    ("webhooks.max_per_device", 1, MANY),
    ("webhooks.max_tests", 1, 10_000),
    ("webhooks.max_tests_per_device", 1, 10_000),
    ("webhooks.max_tests_per_minute", 1, MANY),
    ("webhooks.max_attempts_per_second", 1, MANY),
    ("webhooks.timeout_ms", 1, 10 * 60_000),
    ("webhooks.max_in_flight", 1, 100_000),
    ("webhooks.max_in_flight_per_endpoint", 1, 1_000),
    ("webhooks.disable_after_ms", 1, YEAR_MS),
    ("webhooks.max_waiting", 1, 1000 * MANY),
    ("webhooks.dead_letters_days", 0, 36_500),
    ("webhooks.attempts_days", 0, 36_500),
    ("effects.desktop.max_kept", 1, 256),
    ("effects.desktop.max_waiting", 0, 1_000),
    ("effects.sound.volume", 0, 400),
    ("effects.sound.max_at_once", 1, 32),
    ("effects.sound.pause_ms", 0, 3_600_000),
    ("effects.sound.max_ms", 100, 60_000),
    ("effects.command.max_running", 1, 256),
    ("effects.command.max_waiting", 0, 100_000),
    ("effects.command.timeout_ms", 1, 3_600_000),
    ("effects.command.output_bytes", 0, 1 << 20),
    ("net.timeout_ms", 1, YEAR_MS),
    ("notify.per_minute", 1, 10_000),
    ("notify.fresh_ms", 1, YEAR_MS),
    ("chat.resume_ms", 1_000, YEAR_MS),
    ("chat.send_dedup_window_ms", 1, 600_000),
    ("chat.upload_max_bytes", 1, 16 * GIB),
    ("chat.content_max_chars", 1, MANY),
    ("chat.max_messages_per_10_s", 1, MANY),
    ("chat.max_messages_per_day", 1, 100 * MANY),
    ("chat.max_users", 1, MANY),
    ("chat.max_conversations", 1, MANY),
    ("chat.max_room_members", 2, 10_000),
    ("chat.max_notifications", 1, MANY),
    ("chat.max_sockets", 1, 10_000),
    ("chat.max_rooms", 1, 10_000),
];

/// Keys with a fixed set of values.
const WORDS: [(&str, &[&str]); 8] = [
    ("media.backend", &["files", "s3"]),
    ("auth.access_token", &["label", "jwt"]),
    ("store.synchronous", &["full", "normal"]),
    ("log.format", &["text", "json"]),
    ("log.requests", &["problems", "all"]),
    ("chat.assign", &["none", "reply", "round_robin", "least_open"]),
    ("chat.namespace.echo", &["auto", "always"]),
    ("chat.bridge.read", &["assignee", "any", "never"]),
];

type Rule = fn(&str) -> Result<(), String>;

/// Keys with a textual format; for a list, it applies to each item.
const FORMS: [(&str, Rule); 25] = [
    ("media.s3_endpoint", empty_or_url),
    ("server.listen", address),
    ("server.socket_path", socket_path),
    ("server.allowed_origins", origin),
    ("server.trusted_proxies", ip_block),
    ("server.public_url", empty_or_url),
    ("auth.jwks_url", empty_or_url),
    ("store.data_dir", filled),
    ("store.vault_key", empty_or_key),
    ("log.level", directives),
    ("devices.dir", filled),
    ("devices.default_engine", engine_name),
    ("outbox.quiet_from", empty_or_time),
    ("outbox.quiet_to", empty_or_time),
    ("outbox.time_zone", zone),
    ("webhooks.retry_delays", span),
    ("engines.whatsapp.testbed_url", empty_or_url),
    ("effects.sound.device", no_zero_byte),
    ("effects.command.pass_env", passed_variable),
    ("effects.push.contact", empty_or_contact),
    ("net.allow_private", ip_block),
    ("net.proxy", empty_or_url),
    ("notify.quiet_from", empty_or_time),
    ("notify.quiet_to", empty_or_time),
    ("notify.time_zone", zone),
];

/// The effective entry of each key.
#[derive(Debug)]
pub(super) struct Effective(BTreeMap<String, SettingEntry>);

impl Effective {
    pub(super) fn new(entries: BTreeMap<String, SettingEntry>) -> Self {
        Self(entries)
    }

    /// Creates an error about one key.
    pub(super) fn impossible(&self, key: &str, reason: &str) -> SettingsError {
        let default = || SettingEntry {
            key: key.to_owned(),
            value: Value::Array(Vec::new()),
            origin: "default".to_owned(),
        };
        self.0.get(key).cloned().unwrap_or_else(default).impossible(reason)
    }

    /// Returns the origin of each key whose value is not the default.
    pub(super) fn sources(self) -> BTreeMap<String, String> {
        let entries = self.0.into_iter().filter(|(_, entry)| entry.origin != "default");
        entries.map(|(key, entry)| (key, entry.origin)).collect()
    }

    /// Returns an error about contradicting keys, reported for the first one that is not a default.
    fn conflict(&self, keys: &[&str], reason: &str) -> Result<(), SettingsError> {
        let entries = || keys.iter().filter_map(|key| self.0.get(*key));
        let blamed = entries().find(|entry| entry.origin != "default").or_else(|| entries().next());
        blamed.map_or(Ok(()), |entry| Err(entry.impossible(reason)))
    }
}

/// Checks each key individually.
///
/// # Errors
/// [`SettingsError::Impossible`] for the first invalid value.
pub(super) fn values(effective: &Effective) -> Result<(), SettingsError> {
    effective.0.values().try_for_each(value)
}

fn value(entry: &SettingEntry) -> Result<(), SettingsError> {
    let key = entry.key.as_str();
    let range = RANGES.iter().find(|(ranged, ..)| *ranged == key);
    let words = WORDS.iter().find(|(worded, _)| *worded == key);
    let form = FORMS.iter().find(|(formed, _)| *formed == key);
    match &entry.value {
        Value::Integer(number) => range.map_or(Ok(()), |(_, min, max)| in_range(*number, *min, *max)),
        Value::String(word) if SWITCH_KEYS.contains(&key) => one_of(word, &["auto", "true", "false"]),
        Value::String(word) if words.is_some() => words.map_or(Ok(()), |(_, allowed)| one_of(word, allowed)),
        Value::String(text) => form.map_or(Ok(()), |(_, rule)| rule(text)),
        Value::Array(items) if key == "notify.rules" => notify::check_rules(items),
        Value::Array(items) if key == "notify.commands" => notify::check_commands(items),
        Value::Array(items) if key == "chat.identities" => chat::check_identities(items),
        Value::Array(items) if key == "chat.directory" => chat::check_directory(items),
        Value::Array(items) => form.map_or(Ok(()), |(_, rule)| each(items, *rule)),
        _ => Ok(()),
    }
    .map_err(|reason| entry.impossible(reason))
}

/// Checks keys that depend on each other.
///
/// # Errors
/// [`SettingsError::Impossible`] for the first contradiction.
pub(super) fn relations(settings: &Settings, effective: &Effective) -> Result<(), SettingsError> {
    let auth = &settings.auth;
    if auth.access_token == AccessTokenMode::Jwt && auth.jwt_secret.is_empty() && auth.jwks_url.is_empty() {
        effective.conflict(&["auth.access_token"], "needs auth.jwt_secret or auth.jwks_url")?;
    }
    if let Some(reason) = settings.chat.contradiction(&settings.server) {
        effective.conflict(&["chat.enabled"], &reason)?;
    }
    if let Some(reason) = settings.chat.plain_contradiction(&settings.server) {
        effective.conflict(&["chat.allow_plain_tokens"], reason)?;
    }
    if let Some(reason) = settings.chat.directory_contradiction() {
        effective.conflict(&["chat.directory"], &reason)?;
    }
    if settings.media.backend == MediaBackend::S3 && settings.media.s3_bucket.is_empty() {
        effective.conflict(&["media.backend"], "needs media.s3_bucket")?;
    }
    let supervisor = &settings.supervisor;
    if supervisor.backoff_initial_ms > supervisor.backoff_max_ms {
        let keys = ["supervisor.backoff_initial_ms", "supervisor.backoff_max_ms"];
        let (low, high) = (supervisor.backoff_initial_ms, supervisor.backoff_max_ms);
        effective.conflict(&keys, &format!("backoff_initial_ms {low} is above backoff_max_ms {high}"))?;
    }
    let outbox = &settings.outbox;
    if outbox.min_delay_ms > outbox.max_delay_ms {
        let keys = ["outbox.min_delay_ms", "outbox.max_delay_ms"];
        let (low, high) = (outbox.min_delay_ms, outbox.max_delay_ms);
        effective.conflict(&keys, &format!("min_delay_ms {low} is above max_delay_ms {high}"))?;
    }
    let notify = &settings.notify;
    for (keys, from, to) in [
        (["outbox.quiet_from", "outbox.quiet_to"], &outbox.quiet_from, &outbox.quiet_to),
        (["notify.quiet_from", "notify.quiet_to"], &notify.quiet_from, &notify.quiet_to),
    ] {
        if from.is_empty() != to.is_empty() || (from == to && !from.is_empty()) {
            let right = "quiet_from and quiet_to must both be given, and differ, or both be empty";
            effective.conflict(&keys, right)?;
        }
    }
    if let Some(name) = notify.unknown_command(&notify.rule_specs()) {
        let right = format!("names the command {name:?}, which is none of notify.commands");
        effective.conflict(&["notify.rules"], &right)?;
    }
    if let Some(name) = notify.unknown_sound(&settings.effects.sound.dir) {
        let right = format!(
            "names the sound {name:?}, which is neither message, call, system or error nor a file in effects.sound.dir"
        );
        effective.conflict(&["notify.rules"], &right)?;
    }
    Ok(())
}

fn in_range(number: i64, min: i64, max: i64) -> Result<(), String> {
    if (min..=max).contains(&number) { Ok(()) } else { Err(format!("must be {min} to {max}")) }
}

fn one_of(word: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&word) {
        return Ok(());
    }
    let quoted: Vec<_> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
    Err(format!("must be {}", quoted.join(" or ")))
}

fn each(items: &[Value], rule: Rule) -> Result<(), String> {
    let mut texts = items.iter().filter_map(Value::as_str);
    texts.try_for_each(|text| rule(text).map_err(|reason| format!("{text:?} is {reason}")))
}

fn address(text: &str) -> Result<(), String> {
    let parsed = text.parse::<SocketAddr>();
    parsed
        .map(|_| ())
        .map_err(|_| "not an IP address and port such as 127.0.0.1:3000 or [::]:3000".to_owned())
}

fn socket_path(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if !text.starts_with('/') {
        Err("must begin with \"/\"".to_owned())
    } else if text.ends_with('/') {
        Err("must name a path below \"/\" and not end with \"/\"".to_owned())
    } else if !text.chars().all(plain) || text.contains("//") {
        Err("may hold letters, digits, \"-\", \".\", \"_\", \"~\" and single \"/\" only".to_owned())
    } else {
        Ok(())
    }
}

fn origin(text: &str) -> Result<(), String> {
    text.parse::<OriginPattern>().map(|_| ()).map_err(|error| error.to_string())
}

fn ip_block(text: &str) -> Result<(), String> {
    text.parse::<IpBlock>().map(|_| ()).map_err(|error| format!("not usable: {error}"))
}

pub(super) fn empty_or_url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be an http or https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".to_owned());
    }
    Ok(())
}

fn no_zero_byte(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("must not hold a zero byte".to_owned()) } else { Ok(()) }
}

/// Rejects the daemon's own variables, which contain its keys.
fn passed_variable(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(plain) {
        return Err("not a name of a variable".to_owned());
    }
    if text.starts_with("WHARF_") {
        return Err("a variable of the daemon's own, which commands never get".to_owned());
    }
    Ok(())
}

fn empty_or_contact(text: &str) -> Result<(), String> {
    let url = Url::parse(text);
    if text.is_empty() || url.is_ok_and(|url| matches!(url.scheme(), "mailto" | "https")) {
        return Ok(());
    }
    Err("must be mailto:ADDRESS or an https URL".to_owned())
}

fn empty_or_time(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    text.parse::<TimeOfDay>().map(|_| ()).map_err(|error| error.to_string())
}

fn empty_or_key(text: &str) -> Result<(), String> {
    if text.is_empty() || Secret::new(text).key().is_some() {
        return Ok(());
    }
    Err("must be 32 bytes as base64, such as `openssl rand -base64 32` makes".to_owned())
}

fn zone(text: &str) -> Result<(), String> {
    text.parse::<Zone>().map(|_| ()).map_err(|error| error.to_string())
}

fn span(text: &str) -> Result<(), String> {
    text.parse::<RetryDelay>().map(|_| ()).map_err(|error| error.to_string())
}

fn filled(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
}

fn engine_name(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(());
    }
    Err("must be an engine's name: lower case letters, digits and \"-\"".to_owned())
}

/// `tracing` reads a bare word as a module at level trace, so a misspelled level is rejected here.
fn directives(text: &str) -> Result<(), String> {
    filled(text)?;
    for part in text.split(',').map(str::trim) {
        let bare = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if bare && part.parse::<tracing::metadata::LevelFilter>().is_err() {
            return Err(format!("{part:?} is not a level; write a module as module=level"));
        }
    }
    EnvFilter::try_new(text).map(|_| ()).map_err(|error| format!("not log directives: {error}"))
}
