//! A second Wharf, with simulated devices, behind the devices of the first: the upstream of the
//! engine `remote`.
//!
//! Control calls go to a small proxy in front of it. Messages that were sent through the first one have other
//! ids at the second: the proxy replaces ids in both directions. It answers a control call only when the
//! first one has ingested the resulting events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use wharf::app::{App, Environment, OsRandom, StartError, SystemClock};
use wharf::domain::clock::Clock as _;
use wharf::engine::Capabilities;
use wharf::settings::Settings;

use super::Upstream;

/// The key of the upstream, which the first Wharf uses.
pub const UPSTREAM_KEY: &str = "a-key-of-the-upstream-that-may-do-everything";
/// The secret that signs the callbacks.
pub const CALLBACK_SECRET: &str = "a-secret-that-signs-callbacks-of-the-upstream";

/// A Wharf with simulated devices, on a directory and a port of its own.
pub struct SecondWharf {
    app: tokio::sync::Mutex<Option<App>>,
    data: TempDir,
    http: reqwest::Client,
    base: String,
    extra: Vec<(String, String)>,
}

impl SecondWharf {
    pub async fn start(extra: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let data = tempfile::tempdir().unwrap();
        let extra: Vec<_> = extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let app = Box::pin(run(&data, "127.0.0.1:0", &extra)).await;
        let base = format!("http://{}", app.address);
        Self { app: tokio::sync::Mutex::new(Some(app)), data, http, base, extra }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// Stops the process.
    pub async fn stop(&self) {
        if let Some(app) = self.app.lock().await.take() {
            app.stop().await;
        }
    }

    /// Starts the process again, on the same data and port.
    pub async fn start_again(&self) {
        let listen = self.base.strip_prefix("http://").unwrap();
        let mut last = String::new();
        for _ in 0..300 {
            // A request that is about to end may still lock the data.
            match Box::pin(try_run(&self.data, listen, &self.extra)).await {
                Ok(app) => {
                    *self.app.lock().await = Some(app);
                    return;
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the second Wharf does not start again: {last}");
    }

    /// Runs SQL on its database; the process must be stopped.
    pub fn database(&self, meanwhile: &str) {
        let database = rusqlite::Connection::open(self.data.path().join("wharf.db")).unwrap();
        database.execute_batch(meanwhile).unwrap();
    }

    /// Sends a request below `/api/v1`; returns status and body.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask_with(UPSTREAM_KEY, method, path, body).await
    }

    pub async fn ask_with(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/api/v1{path}", self.base);
        let mut request = self.http.request(method.parse().unwrap(), url).header("X-API-KEY", key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.ask("POST", path, Some(body)).await;
        assert!((200..300).contains(&status), "{body}");
        body
    }

    /// Creates a simulated device with this world, or changes the world of an existing one.
    pub async fn device(&self, device: &str, world: &Value) {
        let settings = json!({ "simulator": world });
        let body = json!({ "id": device, "engine": "simulator", "settings": settings });
        let (status, _) = self.ask("POST", "/devices", Some(body)).await;
        if status == 409 {
            let (status, body) =
                self.ask("PATCH", &format!("/devices/{device}"), Some(json!({ "settings": settings }))).await;
            assert_eq!(status, 200, "{body}");
        }
    }

    /// All entries of a device's log of some type.
    pub async fn logged(&self, device: &str, kind: &str) -> Vec<Value> {
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let page =
                self.get(&format!("/devices/{device}/events?after={after}&limit=100&types={kind}")).await;
            all.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["payload"].clone()));
            after = page["nextAfter"].as_i64().unwrap();
            if page["hasMore"] == false {
                return all;
            }
        }
    }
}

async fn run(data: &TempDir, listen: &str, extra: &[(String, String)]) -> App {
    Box::pin(try_run(data, listen, extra)).await.unwrap()
}

async fn try_run(data: &TempDir, listen: &str, extra: &[(String, String)]) -> Result<App, StartError> {
    let own = [
        ("WHARF__SERVER__LISTEN", listen.to_owned()),
        ("WHARF__STORE__DATA_DIR", data.path().display().to_string()),
        ("WHARF__DEVICES__DIR", data.path().join("devices").display().to_string()),
        ("WHARF__SUPERVISOR__BACKOFF_INITIAL_MS", "20".to_owned()),
        ("WHARF__OUTBOX__RETRY_DELAY_MS", "20".to_owned()),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
    let settings = Settings::load(None, own.chain(extra.iter().cloned())).unwrap();
    let surroundings = Environment {
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        api_key: Some(UPSTREAM_KEY.to_owned()),
        terminal: false,
        reload_settings: Box::new(|| unreachable!("no test of this suite reloads")),
    };
    Box::pin(App::start(settings, surroundings)).await
}

/// Settings of the first Wharf: its upstream may be on this machine.
pub fn front_settings() -> Vec<(String, String)> {
    vec![("WHARF__NET__ALLOW_PRIVATE".to_owned(), "127.0.0.0/8".to_owned())]
}

/// The headers of a callback, signed now.
pub fn signed(secret: &str, body: &str) -> Vec<(&'static str, String)> {
    let seconds = SystemClock.now().0.div_euclid(1_000);
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("evt_1.{seconds}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    vec![
        ("webhook-id", "evt_1".to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature),
    ]
}

/// The second Wharf as the upstream of the shared tests.
pub struct Behind {
    wharf: Arc<SecondWharf>,
    control: Arc<Control>,
    address: String,
}

impl Behind {
    pub async fn start() -> Self {
        let wharf = Arc::new(SecondWharf::start(&[]).await);
        let control =
            Arc::new(Control { wharf: wharf.clone(), daemon: Mutex::default(), ids: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward_control).with_state(control.clone());
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { wharf, control, address }
    }
}

#[async_trait::async_trait]
impl Upstream for Behind {
    fn engine(&self) -> &'static str {
        "remote"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: true,
            pairing_code: true,
            passkey: false,
            deduplicates: true,
            typing: true,
            presence: true,
            read_receipts: true,
            groups: true,
            media: true,
            location: true,
            contacts: true,
            polls: true,
            templates: false,
            edit: true,
            react: true,
            revoke: true,
            control: false,
        }
    }

    fn settings(&self) -> Vec<(String, String)> {
        front_settings()
    }

    async fn device_settings(&self, device: &str, world: &Value) -> Value {
        self.wharf.device(device, world).await;
        json!({ "remote": {
            "baseUrl": self.wharf.base(), "device": device, "apiKey": UPSTREAM_KEY, "webhookSecret": CALLBACK_SECRET,
        } })
    }

    fn steering(&self) -> String {
        self.address.clone()
    }

    fn daemon_retries(&self) -> bool {
        false
    }

    async fn attached(&self, daemon: &str) {
        *self.control.daemon.lock().unwrap() = daemon.to_owned();
    }
}

/// Ids of messages of one device: of the first Wharf and of the second.
#[derive(Default)]
struct MessageIds {
    read_to: i64,
    pairs: Vec<(String, String)>,
}

struct Control {
    wharf: Arc<SecondWharf>,
    daemon: Mutex<String>,
    ids: Mutex<HashMap<String, MessageIds>>,
}

async fn forward_control(
    State(control): State<Arc<Control>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let path = path.strip_prefix("/api/v1").unwrap_or(&path).to_owned();
    let mut parts = path.trim_start_matches('/').split('/').skip(1);
    let (device, call) =
        (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
    let body = String::from_utf8_lossy(&body).into_owned();
    let body = control.to_upstream_ids(&device, body).await;
    let json = serde_json::from_str(&body).ok();
    let (status, answer) = control.wharf.ask(method.as_str(), &path, json).await;
    if method == Method::POST {
        control.wait_until_ingested(&device).await;
        if call == "chat" {
            // Flags of chats are not in the log, and arrive a moment later.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    let answer = control.to_our_ids(&device, answer.to_string()).await;
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], answer).into_response()
}

impl Control {
    /// Reads the ids of messages that were sent since the last call.
    async fn id_pairs(&self, device: &str) -> Vec<(String, String)> {
        let mut after = self.ids.lock().unwrap().entry(device.to_owned()).or_default().read_to;
        loop {
            let path = format!("/devices/{device}/events?after={after}&limit=100&types=message:created");
            let (status, page) = self.wharf.ask("GET", &path, None).await;
            if status != 200 {
                return Vec::new();
            }
            let pair = |entry: &Value| {
                let (_, ours) = entry["payload"]["tempId"].as_str()?.split_once('.')?;
                let theirs = entry["payload"]["message"]["id"].as_str()?.split('_').nth(2)?;
                Some((ours.to_owned(), theirs.to_owned()))
            };
            let pairs: Vec<_> = page["data"].as_array().unwrap().iter().filter_map(pair).collect();
            let more = page["hasMore"] == true;
            after = page["nextAfter"].as_i64().unwrap();
            let mut all = self.ids.lock().unwrap();
            let names = all.get_mut(device).unwrap();
            names.read_to = after;
            names.pairs.extend(pairs);
            if !more {
                return names.pairs.clone();
            }
        }
    }

    /// Waits for a message that is in flight.
    async fn to_upstream_ids(&self, device: &str, text: String) -> String {
        for _ in 0..100 {
            let mut translated = text.clone();
            let pairs = self.id_pairs(device).await;
            for (ours, theirs) in &pairs {
                translated = translated.replace(ours, theirs);
            }
            let named = text.contains("true_") && text.contains("_3EB0");
            if !named || translated != text {
                return translated;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        text
    }

    async fn to_our_ids(&self, device: &str, mut text: String) -> String {
        for (ours, theirs) in self.id_pairs(device).await {
            text = text.replace(&theirs, &ours);
        }
        text
    }

    /// A callback is answered when the log is ingested up to its entry.
    async fn wait_until_ingested(&self, device: &str) {
        let (status, page) =
            self.wharf.ask("GET", &format!("/devices/{device}/events?after=0&limit=1"), None).await;
        let daemon = self.daemon.lock().unwrap().clone();
        if status != 200 || daemon.is_empty() {
            return;
        }
        let body = json!({ "data": { "deviceId": device, "seq": page["newestSeq"] } }).to_string();
        let mut request = self.wharf.http.post(format!("{daemon}/hooks/{device}")).body(body.clone());
        for (name, value) in signed(CALLBACK_SECRET, &body) {
            request = request.header(name, value);
        }
        let answer = request.timeout(Duration::from_secs(5)).send().await;
        if answer.is_ok_and(|answer| answer.status() == 401) {
            // A test may have moved the clock of the first Wharf.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}
