//! The QR codes of a device, in real time and as a phone reads them.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Native;
use crate::support::{TestApp, decoder};

/// How long each code is shown, in ms: 60 s and five times 20 s.
const VALID: [i64; 6] = [60_000, 20_000, 20_000, 20_000, 20_000, 20_000];
/// Tolerance of the times, in ms.
const TOLERANCE: i64 = 1_500;

/// A shown code.
struct Shown {
    code: String,
    at: Instant,
    expires_in: i64,
}

/// Waits for the code with this number.
async fn shown(app: &TestApp, attempt: i64, patience: Duration) -> Shown {
    let waiting = async {
        loop {
            let reply = app.get("/devices/shop/qr").await;
            if reply.status == 200 && reply.json()["data"]["attempt"] == attempt {
                return reply.json()["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let qr_codes: Value = tokio::time::timeout(patience, waiting).await.expect("the next code");
    let now = wharf::domain::clock::Clock::now(&app.clock).0;
    Shown {
        code: qr_codes["qr"].as_str().unwrap().to_owned(),
        at: Instant::now(),
        expires_in: qr_codes["expiresAt"].as_i64().unwrap() - now,
    }
}

/// Checks `<reference>,<noise key>,<identity key>,<secret>,<platform>`, with keys of 32 bytes in base64;
/// Chrome's platform is 1 (`wacore`, `pair.rs`). Returns all fields except the reference.
fn keys(code: &str) -> Vec<&str> {
    let fields: Vec<&str> = code.split(',').collect();
    assert_eq!(fields.len(), 5, "five fields");
    assert!(fields[0].starts_with("2@") && fields[0].len() > 40, "a reference of the network's");
    assert!(
        fields[1..4].iter().all(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 32)),
        "three keys"
    );
    assert_eq!(fields[4], "1", "the platform");
    fields[1..].to_vec()
}

/// The output of `wharf devices qr`.
async fn drawn_by_the_command_line(app: &TestApp) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.args(["devices", "qr", "shop"]).env_clear().env("WHARF_API_KEY", &app.key);
    command.env("WHARF_URL", format!("http://{}", app.app().address));
    let answer = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap()
}

/// Reads the code from all its images with a real decoder.
async fn is_read_from_every_drawing(app: &TestApp, code: &str) {
    let form = async |form: &str| app.get(&format!("/devices/shop/qr{form}")).await;
    let url = form("").await.ok()["data"]["qrDataUrl"].as_str().unwrap().to_owned();
    let in_page = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    assert_eq!(decoder::read_png(&in_page), code, "data URL");
    assert_eq!(decoder::read_png(&form(".png").await.bytes), code, "PNG");
    assert_eq!(decoder::read_svg(&form(".svg").await.text()), code, "SVG");
    assert_eq!(decoder::read_half_blocks(&form(".txt").await.text()), code, "half blocks");
    let terminal = drawn_by_the_command_line(app).await;
    for theme in [0, 255] {
        assert_eq!(decoder::read_terminal(&terminal, theme), code, "terminal on grey {theme}");
    }
}

fn is_about(what: &str, found: i64, expected: i64) {
    assert!((found - expected).abs() <= TOLERANCE, "{what}: {found} ms, not {expected}");
}

fn ms(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap()
}

// covers: event qr
#[tokio::test]
async fn slow_six_codes_have_60_then_20_seconds_and_scan() {
    let native = Native::start().await;
    let app = &native.app;
    native.new_device("shop", json!({})).await;
    let mut before: Option<Shown> = None;
    for (attempt, valid) in (1..).zip(VALID) {
        let next = shown(app, attempt, Duration::from_secs(75)).await;
        is_about("the time until it expires", next.expires_in, valid);
        if let Some(before) = &before {
            is_about(
                "the time of the one before",
                ms(before.at),
                VALID[usize::try_from(attempt).unwrap() - 2],
            );
            assert_ne!(before.code, next.code);
            assert_eq!(keys(&before.code), keys(&next.code), "only the reference is new");
        }
        keys(&next.code);
        is_read_from_every_drawing(app, &next.code).await;
        before = Some(next);
    }
    let last = before.unwrap();
    let stopped = async {
        while app.get("/devices/shop").await.ok()["data"]["state"] != "stopped" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), stopped).await.expect("the end of the codes");
    is_about("the time of the last", ms(last.at), VALID[5]);
    let device = app.get("/devices/shop").await.ok()["data"].clone();
    assert_eq!(device["reason"], "qr_codes_exhausted", "{device}");
    let qr_codes = app.logged("shop", "qr").await;
    let attempts: Vec<_> = qr_codes.iter().map(|qr| qr["attempt"].as_i64().unwrap()).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6]);
    for (qr, valid) in qr_codes.iter().zip(VALID) {
        is_about("expiresAt", qr["expiresAt"].as_i64().unwrap() - qr["timestamp"].as_i64().unwrap(), valid);
    }

    // After a restart, a code read from its image links the device.
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
    let read = decoder::read_png(&app.get("/devices/shop/qr.png").await.bytes);
    app.post("/simulator/shop/scan", json!({ "qr": read })).await.ok();
    app.wait_for_state("shop", "ready").await;
    native.stop().await;
}
