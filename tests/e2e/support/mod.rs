//! What all tests share: a daemon of their own, and ways to talk to it.

mod clock;
pub mod decoder;
mod log;
mod network;
pub mod receiver;
mod reply;
#[path = "../../process/secrets.rs"]
mod secrets;
pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use wharf::app::{App, Environment, OsRandom};
use wharf::engine::Capabilities;
use wharf::settings::Settings;

pub use self::clock::TestClock;
pub use self::log::said;
pub use self::network::Network;
pub use self::reply::Reply;

/// The key that every test daemon takes from its "environment".
pub const ADMIN_KEY: &str = "a-key-for-tests-that-may-do-everything";
/// Who writes to the devices.
pub const ANNA: &str = "15550100001";
/// Somebody else.
pub const BEN: &str = "15550100002";

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon that serves on a port of its own, on a directory of its own.
///
/// Its log is searched for what may not stand there once it is dropped.
pub struct TestApp {
    pub app: Option<App>,
    pub clock: TestClock,
    pub key: String,
    base: String,
    http: reqwest::Client,
    data: Arc<TempDir>,
    overrides: Vec<(String, String)>,
    network: Network,
    _searched: Arc<log::Searched>,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings as environment variables, such as `("WHARF__OUTBOX__MAX_QUEUED", "1")`.
    pub async fn start_with(overrides: &[(&str, &str)]) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self::start_in(data, overrides, TestClock::default(), Network::start().await).await
    }

    /// Behind its devices is this upstream, whatever the environment says.
    pub async fn start_on(upstream: Arc<dyn crate::upstream::Upstream>, overrides: &[(&str, &str)]) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self::start_in(data, overrides, TestClock::default(), Network::Upstream(upstream)).await
    }

    async fn start_in(
        data: Arc<TempDir>,
        overrides: Vec<(String, String)>,
        clock: TestClock,
        network: Network,
    ) -> Self {
        let searched = log::Searched::start();
        secrets::note(ADMIN_KEY);
        let mut all = network.settings();
        all.extend(overrides.iter().cloned());
        let settings = settings(data.path(), &all);
        let surroundings = Environment {
            clock: Arc::new(clock.clone()),
            random: Arc::new(OsRandom),
            api_key: Some(ADMIN_KEY.to_owned()),
            terminal: false,
        };
        let app = Box::pin(App::start(settings, surroundings)).await.unwrap();
        let base = format!("http://{}", app.address);
        network.attached(&base).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self {
            app: Some(app),
            clock,
            key: ADMIN_KEY.to_owned(),
            base,
            http,
            data,
            overrides,
            network,
            _searched: searched,
        }
    }

    /// Stops the daemon cleanly and starts it again on the same data.
    pub async fn restarted(mut self) -> Self {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        let data = self.data.clone();
        let (overrides, network) = (std::mem::take(&mut self.overrides), self.network.clone());
        Self::start_in(data, overrides, self.clock.clone(), network).await
    }

    /// The same, with something done to its database in between.
    pub async fn restarted_after(mut self, meanwhile: &str) -> Self {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        let database = rusqlite::Connection::open(self.data.path().join("wharf.db")).unwrap();
        database.execute_batch(meanwhile).unwrap();
        drop(database);
        self.restarted().await
    }

    /// Whether a simulated network is behind the devices, and not a testbed.
    pub fn is_simulated(&self) -> bool {
        matches!(self.network, Network::Simulator)
    }

    /// Stops it for good; the data stays as long as the returned guard.
    pub async fn stop(mut self) -> Arc<TempDir> {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        self.data.clone()
    }

    /// Whether the account is that of a phone, whose network tells of its address book, history, and what is done on it.
    pub fn has_phone(&self) -> bool {
        self.can(|engine| engine.qr)
    }

    /// Whether the devices' engine can do something, as in `app.can(|engine| engine.groups)`.
    pub fn can(&self, what: impl Fn(&Capabilities) -> bool) -> bool {
        what(&self.network.capabilities())
    }

    /// Whether the daemon hears of tries to send that failed for now: what tries again by itself tells only the end.
    pub fn hears_of_tries(&self) -> bool {
        self.network.tells_of_tries()
    }

    /// Makes a device under an id that may still be taken.
    pub async fn try_device(&self, id: &str) -> Reply {
        self.post("/devices", self.device_body(id, &json!({})).await).await
    }

    /// Whether the contract behind the devices has words for something that networks tell.
    pub fn says(&self, what: &str) -> bool {
        !self.network.wordless().contains(&what)
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Whether its devices are the native engine's: for the few facts that a network does not tell it.
    pub fn is_native(&self) -> bool {
        matches!(self.network, Network::Testbed(_))
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    pub fn devices_dir(&self) -> PathBuf {
        self.data.path().join("devices")
    }

    /// The same daemon, asked with another key.
    pub fn with_key(&self, key: &str) -> Asker<'_> {
        Asker { app: self, key: key.to_owned() }
    }

    fn admin(&self) -> Asker<'_> {
        self.with_key(&self.key)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.admin().get(path).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.admin().post(path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.admin().send(self.request("PATCH", path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.admin().delete(path).await
    }

    /// A request to be built further; the path is the whole path where it begins with two slashes.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = match path.strip_prefix('/') {
            Some(whole) if whole.starts_with('/') => format!("{}{whole}", self.base),
            Some(steered) if steered.starts_with("simulator/") => {
                format!("{}/api/v1{path}", self.network.steering().as_ref().unwrap_or(&self.base))
            }
            _ => format!("{}/api/v1{path}", self.base),
        };
        self.http.request(method.parse().unwrap(), url)
    }

    /// A device that was created in a quick world, and has not been scanned.
    pub async fn new_device(&self, id: &str, world: Value) -> Value {
        let mut settings = json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 });
        for (key, value) in world.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let body = self.device_body(id, &settings).await;
        self.post("/devices", body).await.created()["data"].clone()
    }

    /// What creates a device in a world that behaves so.
    pub async fn device_body(&self, id: &str, world: &Value) -> Value {
        json!({ "id": id, "settings": self.network.device_settings(id, world).await })
    }

    /// A device that is linked and ready.
    pub async fn device(&self, id: &str) -> Value {
        self.device_with(id, json!({})).await
    }

    pub async fn device_with(&self, id: &str, world: Value) -> Value {
        self.new_device(id, world).await;
        if self.can(|engine| engine.qr) {
            self.wait_for_state(id, "qr").await;
            self.post(&format!("/simulator/{id}/scan"), json!({})).await.ok();
        }
        self.wait_for_state(id, "ready").await
    }

    pub async fn wait_for_state(&self, id: &str, state: &str) -> Value {
        self.wait_until(&format!("{id} to be {state}"), async || {
            let device = self.get(&format!("/devices/{id}")).await.ok()["data"].clone();
            (device["state"] == state).then_some(device)
        })
        .await
    }

    /// A contact writes; answers the message's id.
    pub async fn incoming(&self, id: &str, from: &str, body: &str) -> String {
        let reply =
            self.post(&format!("/simulator/{id}/incoming"), json!({ "from": from, "body": body })).await;
        reply.ok()["data"]["messageId"].as_str().unwrap().to_owned()
    }

    /// Sends a text; answers the message's id.
    pub async fn send(&self, id: &str, to: &str, text: &str) -> String {
        let reply =
            self.post(&format!("/devices/{id}/messages/send"), json!({ "to": to, "text": text })).await;
        reply.created()["data"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn fault(&self, id: &str, fault: Value) {
        self.post(&format!("/simulator/{id}/fault"), fault).await.ok();
    }

    /// The whole event log.
    pub async fn log(&self, id: &str) -> Vec<Value> {
        let mut after = 0;
        let mut all = Vec::new();
        loop {
            let page = self.get(&format!("/devices/{id}/events?after={after}&limit=100")).await.ok();
            let entries = page["data"].as_array().unwrap().clone();
            let Some(last) = entries.last() else { return all };
            after = last["seq"].as_i64().unwrap();
            all.extend(entries);
        }
    }

    /// The payloads of one type of event, in order.
    pub async fn logged(&self, id: &str, kind: &str) -> Vec<Value> {
        let log = self.log(id).await;
        log.into_iter().filter(|e| e["type"] == kind).map(|e| e["payload"].clone()).collect()
    }

    /// The steps of one outgoing message.
    pub async fn steps(&self, id: &str, message: &str) -> Vec<String> {
        let steps = self.logged(id, "message:status").await;
        let of = steps.iter().filter(|s| s["messageId"] == message);
        of.map(|s| s["status"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn wait_for_status(&self, id: &str, message: &str, status: &str) -> Value {
        self.wait_until(&format!("{message} to be {status}"), async || {
            let found = self.get(&format!("/devices/{id}/messages/{message}")).await.ok()["data"].clone();
            (found["status"] == status).then_some(found)
        })
        .await
    }

    /// Looks again and again until there is something, for as long as a test is patient.
    pub async fn wait_until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}

/// Settings of a test daemon: everything in its own directory, any free port.
pub fn settings(data: &Path, overrides: &[(String, String)]) -> Settings {
    let own = [
        ("WHARF__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("WHARF__STORE__DATA_DIR", data.display().to_string()),
        ("WHARF__DEVICES__DIR", data.join("devices").display().to_string()),
        ("WHARF__SUPERVISOR__BACKOFF_INITIAL_MS", "20".to_owned()),
        ("WHARF__OUTBOX__RETRY_DELAY_MS", "20".to_owned()),
        // Whoever runs the tests has a desktop and a loudspeaker.
        ("WHARF__EFFECTS__DESKTOP__ENABLED", "false".to_owned()),
        ("WHARF__EFFECTS__SOUND__ENABLED", "false".to_owned()),
        // Tests that count events count their own.
        ("WHARF__NOTIFY__ENABLED", "false".to_owned()),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
    Settings::load(None, own.chain(overrides.iter().cloned())).unwrap()
}

/// A daemon, asked with one key.
pub struct Asker<'a> {
    app: &'a TestApp,
    key: String,
}

impl Asker<'_> {
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.app.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(self.app.request("POST", path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.app.request("DELETE", path)).await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request.header("X-API-KEY", &self.key).build().unwrap();
        secrets::note(&self.key);
        log::note_private(request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default());
        let reply = Reply::of(self.app.http.execute(request).await.unwrap()).await;
        log::note_private(&reply.bytes);
        reply
    }
}
