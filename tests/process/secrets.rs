//! Detects private data in logs: whole phone numbers, ids of people, keys, codes, and texts recorded
//! by a test.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Shorter texts may occur in a log for other reasons.
const MIN_TEXT: usize = 8;
/// Length of a list of small numbers that counts as bytes.
const BYTES: usize = 16;

static TEXTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records a text that must not occur in a log, such as a body or a key.
pub fn record(text: &str) {
    if text.len() >= MIN_TEXT {
        TEXTS.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
    }
}

/// Panics with the first lines that contain private data.
pub fn assert_none_in(log: &str) {
    let texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let leaks: Vec<String> =
        log.lines().filter_map(|line| Some(format!("{}: {line}", leak(line, &texts)?))).take(8).collect();
    assert!(leaks.is_empty(), "the log contains private data:\n{}", leaks.join("\n"));
}

/// The kind of private data in a line.
fn leak(line: &str, texts: &BTreeSet<String>) -> Option<&'static str> {
    if line.contains("quokka") || texts.iter().any(|text| line.contains(text)) {
        return Some("a body, key or code");
    }
    if line.split(|c: char| !c.is_ascii_alphanumeric()).any(is_number) {
        return Some("a whole phone number");
    }
    if holds_person(line) {
        return Some("the id of a person");
    }
    if words(line).any(is_key) || holds_bytes(line) {
        return Some("what may be a key");
    }
    None
}

/// Words that may be keys or codes, base64 and hexadecimal included; of `name=value` the value.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
    words.map(|word| word.trim_end_matches('=').rsplit('=').next().unwrap_or(word))
}

/// Matches the phone numbers of tests.
fn is_number(word: &str) -> bool {
    word.len() >= 11 && word.starts_with("1555") && word.bytes().all(|b| b.is_ascii_digit())
}

/// At least as long as 24 random bytes in base64, and not a path.
fn is_key(word: &str) -> bool {
    word.len() >= 32
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_uppercase())
        || word.len() >= 40 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Digits followed by the server part of a person's id.
fn holds_person(line: &str) -> bool {
    ["@c.us", "@lid", "@s.whatsapp.net"].iter().any(|server| {
        line.match_indices(server).any(|(at, _)| line[..at].ends_with(|c: char| c.is_ascii_digit()))
    })
}

/// Bytes in `Debug` notation.
fn holds_bytes(line: &str) -> bool {
    let mut row = 0;
    line.split(", ").any(|item| {
        let item = item.trim_start_matches(|c: char| !c.is_ascii_digit());
        row = if item.parse::<u8>().is_ok() { row + 1 } else { 0 };
        row >= BYTES
    })
}

#[test]
fn secrets_are_found_and_ordinary_log_text_is_not() {
    record("is the shop open?");
    let key = "4Jq0mF3q0Zk8Wd1Jx7Lr+5TnBvCy2Hs6Ae9Gu4Pi/KoMw=";
    let list = format!("{:?}", [7_u8; 32]);
    for bad in ["to=15550100001", "from 990002@lid", key, &"0f".repeat(32), &list, "body=is the shop open?"] {
        let line = format!("INFO wharf::service: it went wrong {bad} device=shop");
        assert!(std::panic::catch_unwind(|| assert_none_in(&line)).is_err(), "{line}");
    }
    assert_none_in("2026-11-21T19:30:00.123456Z  INFO wharf::api: answered took_ms=17 id=4be1f9a2c07d41a8");
    assert_none_in(
        "WARN wharf: deleted /tmp/.tmpAbC123/data/wharf.db 1789000000000 group=120363000000000001@g.us",
    );
}
