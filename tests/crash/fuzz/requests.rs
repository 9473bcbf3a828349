//! Inputs sent to a daemon: bodies, signed callbacks of upstreams, packets of sockets, cookies, imports, media.
//!
//! An answer with status 500, a panic, an answer that does not come or a broken database fails the test. Callbacks are
//! signed, so that they reach the parser.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::inputs::Inputs;
use super::{seed, shown, time_of_target};
use crate::database::Database;
use crate::fleet::{self, create, quick};
use crate::process::{Daemon, DaemonHome, Http, SeededRng, tail};
use crate::tally::Tally;
use crate::upstream::{self, waha};

const DEVICE: &str = "shop";
/// Its network asks for a passkey all the time.
const PASSKEY_DEVICE: &str = "key";
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// Requests in parallel.
const AT_ONCE: usize = 4;
/// Packets of one socket.
const PACKETS: usize = 20;
/// What a daemon answers while it is busy or cannot ask a network.
const UNAVAILABLE: [u16; 4] = [502, 503, 504, 507];

type Sign = Arc<dyn Fn(&[u8]) -> Vec<(&'static str, String)> + Send + Sync>;

/// One kind of request.
struct Target {
    name: &'static str,
    method: reqwest::Method,
    path: String,
    corpus: Vec<Vec<u8>>,
    /// Headers for a body.
    headers: Sign,
}

fn plain(content_type: &'static str) -> Sign {
    Arc::new(move |_| vec![("content-type", content_type.to_owned())])
}

fn target(name: &'static str, method: reqwest::Method, path: &str, corpus: &[Value]) -> Target {
    let corpus = corpus.iter().map(|value| value.to_string().into_bytes()).collect();
    Target { name, method, path: format!("/api/v1/{path}"), corpus, headers: plain("application/json") }
}

fn bytes(name: &'static str, path: &str, content_type: &'static str, corpus: Vec<Vec<u8>>) -> Target {
    let path = format!("/api/v1/{path}");
    Target { name, method: reqwest::Method::POST, path, corpus, headers: plain(content_type) }
}

/// Boxes of an MP4 file with one track.
fn mp4() -> Vec<u8> {
    let full = |kind: &[u8; 4], content: &[u8]| {
        let mut whole = u32::try_from(content.len() + 8).unwrap().to_be_bytes().to_vec();
        whole.extend(kind);
        whole.extend(content);
        whole
    };
    let mut mvhd = vec![0; 12];
    mvhd.extend(1_000_u32.to_be_bytes());
    mvhd.extend(5_000_u32.to_be_bytes());
    mvhd.extend([0; 80]);
    let mut tkhd = vec![0; 76];
    tkhd.extend((640_u32 << 16).to_be_bytes());
    tkhd.extend((480_u32 << 16).to_be_bytes());
    let track = full(b"trak", &full(b"tkhd", &tkhd));
    let mut file = full(b"ftyp", b"isom\0\0\0\0");
    file.extend(full(b"moov", &[full(b"mvhd", &mvhd), track].concat()));
    file.extend(full(b"mdat", &[7; 64]));
    file
}

fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(40, 30).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn archive(document: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [("chat.json", document.as_bytes()), ("a.png", &png())] {
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn targets() -> Vec<Target> {
    use reqwest::Method;
    let message = json!({
        "id": "false_15550100001@c.us_HAND1", "chatId": "15550100001@c.us", "from": "15550100001@c.us",
        "to": "15550100002@c.us", "fromMe": false, "body": "hello", "type": "chat", "timestamp": 1_767_225_600_000_i64,
        "ack": 2, "hasMedia": false, "isForwarded": false, "isStarred": false, "isEdited": false, "notifyName": "Anna",
        "status": "delivered", "file": "a.png",
    });
    let document = json!({ "format": "wharf-chat", "version": 1, "exportedAt": 1,
        "chat": { "id": "15550100001@c.us", "name": "Anna" }, "messages": [message] })
    .to_string();
    let import = format!("devices/{DEVICE}/chats/import");
    let upload = format!("devices/{DEVICE}/media");
    let people = ["15550100001", "15550100002@c.us"];
    vec![
        target("webhook bodies", Method::POST, &format!("devices/{DEVICE}/webhooks"), &[
            json!({ "url": "https://example.org/hook", "events": ["message", "*"], "secret": "abcdefgh", "format": "wharf" }),
            json!({ "url": "https://example.org/hook", "headers": { "X-A": "b" }, "filters": { "chats": people } }),
        ]),
        target("device settings", Method::PATCH, &format!("devices/{DEVICE}"), &[
            json!({ "settings": { "simulator": { "ackServerMs": 1, "contacts": 20, "groups": [{ "id": "1@g.us" }] } } }),
            json!({ "name": "Shop", "autoStart": true, "outbox": { "perMinute": 60 }, "settings": { "waha": {} } }),
        ]),
        target("new devices", Method::POST, "devices", &[
            json!({ "id": "x", "engine": "waha", "settings": { "waha": { "baseUrl": "https://h", "inbound": "websocket" } } }),
            json!({ "id": "x", "engine": "cloud-api", "settings": { "cloud-api": { "phoneNumberId": "1",
                "accessToken": "t", "verifyToken": "v", "appSecret": "s", "baseUrl": "https://h/" } } }),
            json!({ "id": "x", "engine": "remote", "settings": { "remote": { "baseUrl": "https://h", "apiKey": "k" } } }),
        ]),
        target("messages", Method::POST, &format!("devices/{DEVICE}/messages/send"), &[
            json!({ "to": people[0], "text": "hello", "tempId": "a", "quotedMessageId": "true_15550100001@c.us_A" }),
            json!({ "to": people[1], "location": { "latitude": 1.5, "longitude": -7.0 }, "mentions": people }),
            json!({ "to": people[0], "media": { "data": "aGVsbG8=", "filename": "a.txt", "mimetype": "text/plain" } }),
            json!({ "to": people[0], "poll": { "question": "a?", "options": ["b", "c"] }, "priority": "high" }),
        ]),
        target("passkey responses", Method::POST, &format!("devices/{PASSKEY_DEVICE}/passkey/response"), &[
            json!({ "id": "Y3JlZA", "rawId": "Y3JlZA", "type": "public-key", "response": { "clientDataJSON": "e30",
                "authenticatorData": "AA", "signature": "AA" } }),
        ]),
        target("keys", Method::POST, "api-keys", &[
            json!({ "name": "a", "scopes": ["messages:read"], "devices": [DEVICE], "expiresAt": "2030-01-01T00:00:00Z" }),
        ]),
        target("notification rules", Method::POST, "notifications/rules", &[
            json!({ "name": "a", "match": { "events": ["message"], "devices": [DEVICE], "text": "h*" },
                "actions": ["sound"], "sound": "ping" }),
        ]),
        target("incoming messages", Method::POST, &format!("simulator/{DEVICE}/incoming"), &[
            json!({ "from": people[0], "body": "hello", "networkId": "A1", "timestamp": 1 }),
        ]),
        bytes("import of a document", &import, "application/json", vec![document.clone().into_bytes()]),
        bytes("import of a text", &format!("{import}?chatId=15550100001&me=Ben"), "text/plain", vec![b"31/01/2026, 14:05 - Anna: Hello\n".to_vec()]),
        bytes("import of an archive", &import, "application/zip", vec![archive(&document)]),
        bytes("probe of media", &upload, "application/octet-stream", vec![mp4(), mp4(), png(), b"RIFF\0\0\0\0WEBPVP8X".to_vec(),
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01".to_vec(), b"GIF89a\x10\0\x10\0\0\0\0".to_vec()]),
        bytes("forms of uploads", &upload, "multipart/form-data; boundary=x7",
            vec![b"--x7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\nhello\r\n--x7--\r\n".to_vec()]),
    ]
}

struct Fuzzer {
    client: reqwest::Client,
    home: DaemonHome,
    daemon: Daemon,
    rng: SeededRng,
    seed: u64,
    tally: Tally,
}

impl Fuzzer {
    async fn start(scenario: &str, home: DaemonHome) -> Self {
        let seed = seed();
        let daemon = home.start().await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(ANSWERED_WITHIN)
            .build()
            .unwrap();
        Self { client, home, daemon, rng: SeededRng::new(seed), seed, tally: Tally::new(scenario, seed) }
    }

    async fn run(&mut self, target: Target) {
        let mut inputs = Inputs::new(target.corpus.clone(), self.rng.fork());
        let (began, mut count, mut accepted) = (Instant::now(), 0, 0);
        let url = format!("{}{}", self.daemon.http.base(), target.path);
        while began.elapsed() < time_of_target() {
            let batch: Vec<_> = (0..AT_ONCE).map(|_| inputs.next()).collect();
            let sent = batch.iter().map(|input| self.send(&target, &url, input));
            let answers = futures_util::future::join_all(sent).await;
            accepted += answers.into_iter().filter(|accepted| *accepted).count();
            count += AT_ONCE;
        }
        self.tally.add("accepted inputs", accepted);
        eprintln!("{}: {count} inputs, {accepted} accepted", target.name);
        self.counted(target.name, count);
    }

    /// Sends one input; returns whether it was accepted. A daemon may close the connection of a request that it refuses.
    async fn send(&self, target: &Target, url: &str, input: &[u8]) -> bool {
        let mut request =
            self.client.request(target.method.clone(), url).header("X-API-KEY", self.daemon.http.key());
        for (name, value) in (target.headers)(input) {
            request = request.header(name, value);
        }
        let answer = match request.body(input.to_vec()).send().await {
            Ok(answer) => answer,
            Err(error) => {
                assert!(
                    !error.is_timeout(),
                    "{}, seed {}, no answer: {}",
                    target.name,
                    self.seed,
                    shown(input)
                );
                return false;
            }
        };
        let status = answer.status().as_u16();
        let location =
            answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.text().await.unwrap_or_default();
        assert!(
            status < 500 || UNAVAILABLE.contains(&status),
            "{}, seed {}: {status} {body} for {}",
            target.name,
            self.seed,
            shown(input)
        );
        self.remove_created(target, status, location, &body).await;
        (200..300).contains(&status)
    }

    /// Devices, webhooks, keys and rules have limits of their number.
    async fn remove_created(&self, target: &Target, status: u16, location: Option<String>, body: &str) {
        let created = ["webhook bodies", "new devices", "keys", "notification rules"];
        if status != 201 || !created.contains(&target.name) {
            return;
        }
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let id = body.pointer("/data/id").or(body.pointer("/data/key/id")).and_then(Value::as_str);
        let path = location.or_else(|| Some(format!("{}/{}", target.path, id?)));
        let Some(path) = path else { return };
        let url = format!("{}{path}", self.daemon.http.base());
        let _ = self.client.delete(url).header("X-API-KEY", self.daemon.http.key()).send().await;
    }

    fn counted(&mut self, name: &'static str, count: usize) {
        self.tally.rounds += u64::try_from(count).unwrap();
        self.tally.add(name, count);
        let log = self.home.log();
        let panic = log.lines().find(|line| line.contains("panicked at"));
        assert!(panic.is_none(), "{name}, seed {}: {}", self.seed, panic.unwrap_or_default());
    }

    /// The daemon still works, and its database is sound.
    async fn end(mut self) {
        let healthy = self.daemon.http.is_healthy().await;
        assert!(healthy, "seed {}: {}", self.seed, tail(&self.home.log()));
        self.daemon.stop().await;
        let verdict = Database::open(&self.home).integrity();
        assert_eq!(verdict, "ok", "seed {}", self.seed);
        self.tally.count_panics(&self.home);
        self.tally.check();
    }
}

fn unlimited(home: DaemonHome) -> DaemonHome {
    home.with("media.max_upload_bytes_per_minute", "0")
        .with("media.max_bytes_per_device", "0")
        .with("log.level", "warn")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_requests_survive_random_inputs() {
    let mut fuzzer = Fuzzer::start("fuzz-requests", unlimited(fleet::home().await)).await;
    create(&fuzzer.daemon.http, DEVICE, &quick()).await;
    let body = json!({ "id": PASSKEY_DEVICE, "engine": "simulator", "settings": { "simulator": { "passkey": "code" } } });
    fuzzer.daemon.http.post("devices", &body).await.unwrap().expect("create a device");
    fleet::until("a passkey request", Duration::from_secs(20), async || {
        let scan = json!({ "phoneNumber": "+15550100042" });
        let _ = fuzzer.daemon.http.post(&format!("simulator/{PASSKEY_DEVICE}/scan"), &scan).await;
        let device = fuzzer.daemon.http.get(&format!("devices/{PASSKEY_DEVICE}")).await.unwrap();
        device.text("/state") == Some("passkey")
    })
    .await;
    for target in targets() {
        fuzzer.run(target).await;
    }
    let cookies =
        ["wharf_session=abcdef; other=1", "next-auth.session-token.0=a; next-auth.session-token.1=b"];
    fuzzer.cookies(&cookies).await;
    fuzzer.sockets().await;
    fuzzer.end().await;
}

impl Fuzzer {
    /// Cookies of requests and sockets, without a key. Each is from another address: failed logins are limited.
    async fn cookies(&mut self, corpus: &[&str]) {
        let corpus = corpus.iter().map(|text| text.as_bytes().to_vec()).collect();
        let mut inputs = Inputs::new(corpus, self.rng.fork());
        let (began, mut count) = (Instant::now(), 0_usize);
        while began.elapsed() < time_of_target() {
            let input = inputs.next();
            let Ok(value) = reqwest::header::HeaderValue::from_bytes(&input) else { continue };
            let last = count % 250 + 3;
            let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWERED_WITHIN);
            let client =
                client.local_address(std::net::IpAddr::from([127, 0, 0, u8::try_from(last).unwrap()]));
            let client = client.build().unwrap();
            for path in ["/api/v1/devices", "/ws/?EIO=4&transport=polling", "/"] {
                let url = format!("{}{path}", self.daemon.http.base());
                let Ok(answer) = client.get(url).header("cookie", value.clone()).send().await else {
                    continue;
                };
                let status = answer.status().as_u16();
                assert!(status < 500, "cookies, seed {}: {status} for {}", self.seed, shown(&input));
            }
            count += 1;
        }
        self.counted("cookies", count);
    }

    /// Packets of Engine.IO and Socket.IO over WebSockets, as text and as bytes.
    async fn sockets(&mut self) {
        let ask = |number: usize, name: &str, body: &Value| {
            format!("42/device/{DEVICE},{number}{}", json!([name, body]))
        };
        let packets = [
            format!("40/device/{DEVICE},"),
            format!("41/device/{DEVICE},"),
            format!("451-/device/{DEVICE},1[\"message:send\",{{\"_placeholder\":true,\"num\":0}}]"),
            ask(1, "message:send", &json!({ "to": "15550100001", "text": "hello" })),
            ask(2, "subscribe", &json!({ "after": 5, "types": ["message"] })),
            ask(3, "typing", &json!({ "chatId": "15550100001@c.us", "on": true })),
            ask(4, "messages:read", &json!({ "chatId": "15550100001@c.us" })),
            format!("43/device/{DEVICE},1[{{}}]"),
            "2probe".to_owned(),
            "3".to_owned(),
        ];
        let corpus = packets.iter().map(|text| text.as_bytes().to_vec()).collect();
        let mut inputs = Inputs::new(corpus, self.rng.fork());
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < time_of_target() {
            let sent: Vec<_> = (0..PACKETS).map(|_| inputs.next()).collect();
            let served = timeout(ANSWERED_WITHIN, one_socket(&self.daemon.http, &sent)).await;
            let shown = || sent.iter().map(|input| shown(input)).collect::<Vec<_>>().join("\n");
            assert!(served.is_ok(), "packets, seed {}: no end after\n{}", self.seed, shown());
            assert!(self.daemon.http.is_healthy().await, "packets, seed {}:\n{}", self.seed, shown());
            count += sent.len();
        }
        self.counted("packets of sockets", count);
    }
}

/// Sends packets on one connection, which the daemon may close, and reads what is answered at once.
async fn one_socket(http: &Http, packets: &[Vec<u8>]) {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let url = format!("{}/ws/?EIO=4&transport=websocket", http.base().replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", http.key().parse().unwrap());
    let (stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let (mut write, mut read) = stream.split();
    let sending = async {
        write.send(Message::text(format!("40/device/{DEVICE},"))).await?;
        for packet in packets {
            let frame = match std::str::from_utf8(packet) {
                Ok(text) => Message::text(text),
                Err(_) => Message::binary(packet.clone()),
            };
            write.send(frame).await?;
        }
        write.close().await
    };
    // The daemon closes a connection that breaks the protocol.
    let reading = async { while let Some(Ok(_)) = read.next().await {} };
    let _ = tokio::join!(sending, reading);
}

/// A daemon with one device of this upstream.
async fn with_upstream(engine: &str) -> (Fuzzer, Arc<dyn upstream::Upstream>, Value) {
    let upstream = upstream::start(engine).await.expect("an engine with an upstream");
    let mut home = unlimited(DaemonHome::new());
    for (name, value) in upstream.settings() {
        home = home.with(&name.trim_start_matches("WHARF__").replace("__", "."), &value);
    }
    let fuzzer = Fuzzer::start(&format!("fuzz-{engine}"), home).await;
    let http = &fuzzer.daemon.http;
    upstream.attached(http.base()).await;
    let settings = upstream.device_settings(DEVICE, &json!({ "ackServerMs": 1 })).await;
    let body = json!({ "id": DEVICE, "engine": upstream.engine(), "settings": settings });
    http.post("devices", &body).await.unwrap().expect("the device");
    if upstream.capabilities().qr {
        let scan = format!("{}/api/v1/simulator/{DEVICE}/scan", upstream.steering());
        fleet::until("a code to scan", Duration::from_secs(20), async || {
            fuzzer.client.post(&scan).json(&json!({})).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }
    fleet::until_ready(http, DEVICE).await;
    (fuzzer, upstream, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_cloud_api_callbacks_survive_random_inputs() {
    let (mut fuzzer, _upstream, settings) = with_upstream("cloud-api").await;
    let secret = settings["cloud-api"]["appSecret"].as_str().unwrap().to_owned();
    let number = settings["cloud-api"]["phoneNumberId"].clone();
    let change = |value: &Value| {
        let mut value = value.clone();
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] = json!({ "display_phone_number": "15550100000", "phone_number_id": number });
        json!({ "object": "whatsapp_business_account",
            "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }] })
        .to_string()
        .into_bytes()
    };
    let contacts = json!([{ "profile": { "name": "Anna" }, "wa_id": "15550100001" }]);
    let message = |kind: &str, content: &Value| {
        let mut message = json!({ "from": "15550100001", "id": "wamid.A", "timestamp": "1767225600", "type": kind,
            "context": { "id": "wamid.B", "from": "15550100002" } });
        message[kind] = content.clone();
        change(&json!({ "contacts": contacts, "messages": [message] }))
    };
    let corpus = vec![
        message("text", &json!({ "body": "hello" })),
        message("reaction", &json!({ "message_id": "wamid.B", "emoji": "x" })),
        message("location", &json!({ "latitude": 1.5, "longitude": -7, "name": "a" })),
        message("contacts", &json!([{ "name": { "formatted_name": "a" }, "phones": [{ "phone": "1" }] }])),
        message("interactive", &json!({ "type": "list_reply", "list_reply": { "id": "a", "title": "b" } })),
        change(&json!({ "statuses": [{ "id": "wamid.A", "status": "delivered", "timestamp": "1767225600",
            "recipient_id": "15550100001", "errors": [{ "code": 131_047, "title": "a" }] }] })),
    ];
    let headers: Sign = Arc::new(move |body| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        vec![("x-hub-signature-256", format!("sha256={hex}"))]
    });
    let (method, path) = (reqwest::Method::POST, format!("/hooks/{DEVICE}"));
    fuzzer.run(Target { name: "callbacks of the Cloud API", method, path, corpus, headers }).await;
    fuzzer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_waha_callbacks_survive_random_inputs() {
    let (mut fuzzer, _upstream, settings) = with_upstream("waha").await;
    let secret = settings["waha"]["webhookSecret"].as_str().unwrap().to_owned();
    let event = |name: &str, payload: Value| {
        json!({ "event": name, "session": DEVICE, "timestamp": 1_767_225_600_000_i64, "payload": payload, "me": null })
            .to_string()
            .into_bytes()
    };
    let id = "false_15550100001@c.us_A1";
    let corpus = vec![
        event(
            "message.any",
            json!({ "id": id, "timestamp": 1_767_225_600, "from": "15550100001@c.us", "fromMe": false,
            "to": null, "body": "hello", "hasMedia": false, "ack": 1, "replyTo": { "id": id }, "vCards": [] }),
        ),
        event(
            "message.ack",
            json!({ "id": id, "from": "15550100001@c.us", "participant": null, "fromMe": true, "ack": 3,
            "ackName": "READ" }),
        ),
        event(
            "message.reaction",
            json!({ "id": id, "from": "15550100001@c.us", "fromMe": false, "timestamp": 1_767_225_600,
            "reaction": { "text": "x", "messageId": id } }),
        ),
        event("message.revoked", json!({ "before": { "id": id }, "after": { "id": id } })),
        event(
            "presence.update",
            json!({ "id": "15550100001@c.us", "presences": [{ "participant": "15550100001@c.us",
            "lastKnownPresence": "typing" }] }),
        ),
        event("session.status", json!({ "name": DEVICE, "status": "WORKING" })),
        event(
            "group.v2.participants",
            json!({ "type": "join", "timestamp": 1, "group": { "id": "1203@g.us" },
            "participants": [{ "id": "15550100001@c.us", "role": "participant" }] }),
        ),
    ];
    let headers: Sign = Arc::new(move |body| {
        vec![
            ("x-webhook-hmac", waha::event_sender::signature(&secret, body)),
            ("x-webhook-hmac-algorithm", "sha512".to_owned()),
        ]
    });
    let (method, path) = (reqwest::Method::POST, format!("/hooks/{DEVICE}"));
    fuzzer.run(Target { name: "callbacks of WAHA", method, path, corpus, headers }).await;
    fuzzer.end().await;
}
