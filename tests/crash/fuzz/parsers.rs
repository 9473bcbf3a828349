//! Pure parsers: no panic, no input that takes long, and what was parsed and printed parses to the same value.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use wharf::domain::clock::Millis;
use wharf::domain::export::document::ExportedMessage;
use wharf::domain::export::text::{DateOrder, Parser};
use wharf::domain::export::time_zone::Zone;
use wharf::domain::ids::{DeviceId, MessageId, NetworkId};
use wharf::domain::jid::Jid;
use wharf::domain::notify::RuleSpec;
use wharf::domain::operator_chat::session_cookie::{SESSION_COOKIE_MAX_BYTES, find_session_cookies};
use wharf::domain::passkey::check_assertion;
use wharf::net::sse::SseParser;
use wharf::settings::{IpBlock, OriginPattern, RetryDelay, Settings};

use super::inputs::Inputs;
use super::{seed, shown, time_of_target};
use crate::process::SeededRng;
use crate::tally::Tally;

/// An input that takes longer fails. An unoptimised build on a busy machine needs seconds to draw the largest QR code.
const LONGEST: Duration = Duration::from_secs(20);

struct Target {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    run: fn(&[u8]),
}

fn target(name: &'static str, corpus: &[&str], run: fn(&[u8])) -> Target {
    Target { name, corpus: corpus.iter().map(|text| text.as_bytes().to_vec()).collect(), run }
}

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// What prints also parses, to the same value.
fn round_trip<T: FromStr + ToString + PartialEq + Debug>(input: &[u8]) {
    if let Ok(parsed) = text(input).parse::<T>() {
        let printed = parsed.to_string();
        assert_eq!(printed.parse::<T>().ok(), Some(parsed), "{printed}");
    }
}

fn only_parse<T: FromStr>(input: &[u8]) {
    let _ = text(input).parse::<T>();
}

fn object(input: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(input).unwrap_or_default()
}

fn qr(input: &[u8]) {
    let code = text(input);
    let drawn = wharf::qr::columns(&code).is_ok();
    assert_eq!(wharf::qr::terminal(&code).is_ok(), drawn);
    assert_eq!(wharf::qr::png(&code).is_ok(), drawn);
    assert_eq!(wharf::qr::svg(&code).is_ok(), drawn);
}

fn settings_file(input: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    if let Err(error) = Settings::load(Some(file.path()), []) {
        assert!(!error.to_string().is_empty());
    }
}

fn settings_variable(input: &[u8]) {
    let line = text(input);
    let (name, value) = line.split_once('=').unwrap_or((&line, ""));
    let _ = Settings::load(None, [(format!("WHARF__{name}"), value.to_owned())]);
}

fn import_text(input: &[u8]) {
    for order in [DateOrder::DayMonthYear, DateOrder::MonthDayYear, DateOrder::YearMonthDay] {
        let mut parser = Parser::new(Zone::utc(), order);
        let lines = text(input);
        let (mut last, mut failed) = (0, false);
        for line in lines.split('\n') {
            match parser.line(line) {
                Ok(Some(entry)) => {
                    assert!(entry.line > last, "entries are in order");
                    last = entry.line;
                }
                Ok(None) => {}
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        if !failed {
            let _ = parser.end();
        }
    }
}

fn import_document(input: &[u8]) {
    let Ok(message) = serde_json::from_slice::<ExportedMessage>(input) else { return };
    if message.check(Millis(1_800_000_000_000)).is_ok() {
        let history = message.into_history();
        let printed = serde_json::to_vec(&history).unwrap();
        assert_eq!(serde_json::from_slice::<ExportedMessage>(&printed).unwrap(), history);
    }
}

fn passkey_response(input: &[u8]) {
    let options = json!({ "challenge": "AAAA", "timeout": 60_000, "rpId": "web.whatsapp.com",
        "allowCredentials": [{ "type": "public-key", "id": "Y3JlZA" }] });
    if let Ok(assertion) = check_assertion(options.as_object().unwrap(), &object(input)) {
        assert!(serde_json::from_str::<Value>(&assertion.json).unwrap().is_object());
    }
    // The network's options are from outside too.
    let _ = check_assertion(&object(input), &object(input));
    let valid = wharf::domain::passkey::valid_ms(&object(input));
    assert!(valid > 0, "{valid}");
}

fn cookies(input: &[u8]) {
    let header = text(input);
    for cookie in find_session_cookies("next-auth.session-token", &[&header, &header]) {
        assert!(cookie.value.len() <= SESSION_COOKIE_MAX_BYTES, "{}", cookie.value.len());
        assert!(cookie.is_named("next-auth.session-token"));
    }
}

fn sse(input: &[u8]) {
    let all = SseParser::default().push(input);
    let mut parser = SseParser::default();
    let mut parts = Vec::new();
    for part in input.chunks(7) {
        match parser.push(part) {
            Ok(events) => parts.extend(events),
            Err(_) => return,
        }
    }
    if let Ok(all) = all {
        let data = |events: &[wharf::net::sse::SseEvent]| {
            events.iter().map(|event| (event.name.clone(), event.data.clone())).collect::<Vec<_>>()
        };
        assert_eq!(data(&all), data(&parts), "parts give the same events as the whole");
    }
}

fn rule(input: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(input) {
        let _ = RuleSpec::read(&value);
    }
}

fn targets() -> Vec<Target> {
    let client_data = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        json!({ "type": "webauthn.get", "challenge": "AAAA", "origin": "https://web.whatsapp.com" })
            .to_string(),
    );
    let assertion = json!({
        "id": "Y3JlZA", "rawId": "Y3JlZA", "type": "public-key", "timeout": 5, "challenge": "AAAA",
        "allowCredentials": [{ "type": "public-key", "id": "Y3JlZA" }],
        "response": { "clientDataJSON": client_data, "authenticatorData": "AAAA", "signature": "AAAA", "userHandle": null },
    });
    let message = json!({
        "id": "false_15550100001@c.us_HAND1", "chatId": "15550100001@c.us", "from": "15550100001@c.us",
        "to": "15550100002@c.us", "fromMe": false, "body": "hello", "type": "chat", "timestamp": 1_767_225_600_000_i64,
        "ack": 2, "hasMedia": false, "isForwarded": false, "isStarred": false, "isEdited": false, "notifyName": "Anna",
        "status": "delivered", "receipts": [], "reactedAt": [1],
        "reactions": [{ "emoji": "x", "senderId": "15550100001@c.us", "timestamp": 1 }],
    });
    vec![
        target(
            "jid",
            &[
                "15550100001@c.us",
                "+1 555 010-0001",
                "120363000000000001@g.us",
                "12345:7@s.whatsapp.net",
                "9@lid",
                "status@broadcast",
                "1@newsletter",
            ],
            round_trip::<Jid>,
        ),
        target(
            "message id",
            &[
                "false_15550100001@c.us_BB886C09AEF9",
                "true_120363000000000001@g.us_3EB0A1_15550100001@c.us",
                "true_15550100001@c.us_wamid.HBgL_x=",
            ],
            round_trip::<MessageId>,
        ),
        target("network id", &["3EB0A1B2C3", "wamid.HBgL="], round_trip::<NetworkId>),
        target("device id", &["shop", "a_B-9"], round_trip::<DeviceId>),
        target("qr", &["2@abc,def==,ghi=", "https://example.org/a?b=c", "1234567890"], qr),
        target(
            "settings file",
            &[
                "[server]\nlisten = \"127.0.0.1:3000\"\n",
                "[webhooks]\nretry_delays = [\"5s\", \"1m\"]\n",
                "[[notify.rules]]\nname = \"a\"\n",
                "[outbox.quiet_hours]\nfrom = \"22:00\"\n",
                include_str!("../../../config/default.toml"),
            ],
            settings_file,
        ),
        target(
            "settings variable",
            &[
                "SERVER__LISTEN=127.0.0.1:3000",
                "SERVER__TRUSTED_PROXIES=[\"10.0.0.0/8\"]",
                "LOG__LEVEL=info",
                "STORE__VAULT_KEY=00",
            ],
            settings_variable,
        ),
        target(
            "origin",
            &["https://example.org", "https://*.example.org:8443", "*"],
            only_parse::<OriginPattern>,
        ),
        target("address block", &["127.0.0.0/8", "::1", "fd00::/8", "10.0.0.1"], only_parse::<IpBlock>),
        target("time zone", &["UTC", "Europe/Berlin", "+02:00"], only_parse::<Zone>),
        target("retry delay", &["5s", "1m", "2h30m"], only_parse::<RetryDelay>),
        target(
            "import of text",
            &[
                "31/01/2026, 14:05 - Anna: Hello\n31/01/2026, 14:06 - Ben: <Media omitted>\nsecond line\n",
                "[2026-01-31, 2:05:59 PM] Anna: \u{200e}IMG-1.jpg (file attached)\r\n",
                "1/2/26, 14:05 - system\n",
            ],
            import_text,
        ),
        target("import of a document", &[&message.to_string()], import_document),
        target("passkey response", &[&assertion.to_string()], passkey_response),
        target(
            "session cookies",
            &[
                "next-auth.session-token=abc.def; other=1",
                "__Secure-next-auth.session-token.0=a; __Secure-next-auth.session-token.1=b",
                "next-auth.session-token.0=a;next-auth.session-token.15=\"b\"",
            ],
            cookies,
        ),
        target(
            "event stream",
            &["id: 1\nevent: message\ndata: {\"a\":1}\n\n", ": ping\r\n\r\ndata: a\r\ndata: b\r\n\r\n"],
            sse,
        ),
        target(
            "notification rule",
            &[
                r#"{"name":"a","events":["message"],"devices":["shop"],"from":["15550100001"],"text":"hello*","actions":{"sound":"ping"},"priority":"high"}"#,
            ],
            rule,
        ),
    ]
}

#[test]
fn slow_parsers_survive_random_inputs() {
    let seed = seed();
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("fuzz-parsers", seed);
    let time = time_of_target();
    for target in targets() {
        let mut inputs = Inputs::new(target.corpus, rng.fork());
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < time {
            let input = inputs.next();
            let at = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
            assert!(ended.is_ok(), "{}, seed {seed}: {}", target.name, shown(&input));
            assert!(at.elapsed() < LONGEST, "{} took {:?}: {}", target.name, at.elapsed(), shown(&input));
            count += 1;
        }
        tally.rounds += count;
        tally.add(target.name, usize::try_from(count).unwrap());
    }
    tally.check();
}
