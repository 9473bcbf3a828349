//! The shared test harness: every test starts its own daemon on its own directory and port. Waiting polls a
//! condition and fails after ten seconds.

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

/// The API key that every test daemon gets through its environment.
pub const ADMIN_KEY: &str = "a-key-for-tests-that-may-do-everything";
/// A contact that writes to the devices.
pub const ANNA: &str = "15550100001";
/// A second contact.
pub const BEN: &str = "15550100002";

/// Longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a condition must hold where nothing marks the end of the work that could break it.
const STABLE_FOR: Duration = Duration::from_millis(300);

/// A daemon on its own port and data directory.
///
/// When it is dropped, its log is searched for private data.
pub struct TestApp {
    pub app: Option<App>,
    pub clock: TestClock,
    pub key: String,
    base: String,
    http: reqwest::Client,
    data: Arc<TempDir>,
    overrides: Vec<(String, String)>,
    network: Network,
    _log_guard: Arc<log::LogGuard>,
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

    /// Uses this upstream for its devices, regardless of `WHARF_TEST_ENGINE`.
    pub async fn start_on(upstream: Arc<dyn crate::upstream::Upstream>, overrides: &[(&str, &str)]) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self::start_in(data, overrides, TestClock::default(), Network::Upstream(upstream)).await
    }

    /// Applies the identities and the directory of settings with these changes, as SIGHUP does.
    pub fn reload_identities(&self, changes: &[(&str, &str)]) {
        let is_kept = |(name, _): &&(String, String)| changes.iter().all(|(other, _)| other != name);
        let kept = self.overrides.iter().filter(is_kept).cloned();
        let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let all: Vec<_> = kept.chain(changes).collect();
        self.app().replace_identities(&settings(self.data.path(), &all)).unwrap();
    }

    async fn start_in(
        data: Arc<TempDir>,
        overrides: Vec<(String, String)>,
        clock: TestClock,
        network: Network,
    ) -> Self {
        let log_guard = log::LogGuard::start();
        secrets::record(ADMIN_KEY);
        let mut all = network.settings();
        all.extend(overrides.iter().cloned());
        let settings = settings(data.path(), &all);
        let surroundings = Environment {
            clock: Arc::new(clock.clone()),
            random: Arc::new(OsRandom),
            api_key: Some(ADMIN_KEY.to_owned()),
            terminal: false,
            reload_settings: Box::new(|| unreachable!("tests call what a reload calls")),
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
            _log_guard: log_guard,
        }
    }

    /// Stops the daemon cleanly and starts it again on the same data.
    pub async fn restarted(mut self) -> Self {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        let data = self.data.clone();
        let (overrides, network) = (std::mem::take(&mut self.overrides), self.network.clone());
        Box::pin(Self::start_in(data, overrides, self.clock.clone(), network)).await
    }

    /// Restarts with changed settings.
    pub async fn restarted_with(mut self, changes: &[(&str, &str)]) -> Self {
        for (name, value) in changes {
            self.overrides.retain(|(known, _)| known != name);
            self.overrides.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.restarted().await
    }

    /// Restarts, and runs SQL on the stopped daemon's database in between.
    pub async fn restarted_after(self, sql: &str) -> Self {
        let change = |data: &Path| {
            let database = rusqlite::Connection::open(data.join("wharf.db")).unwrap();
            database.execute_batch(sql).unwrap();
        };
        self.restarted_after_change(change).await
    }

    /// Restarts, and changes the stopped daemon's data directory in between.
    pub async fn restarted_after_change(mut self, change: impl FnOnce(&Path)) -> Self {
        if let Some(app) = self.app.take() {
            Box::pin(app.stop()).await;
        }
        change(self.data.path());
        Box::pin(self.restarted()).await
    }

    /// Whether the devices use the built-in simulator.
    pub fn is_simulated(&self) -> bool {
        matches!(self.network, Network::Simulator)
    }

    /// Stops the daemon permanently; the data exists as long as the returned guard.
    pub async fn stop(mut self) -> Arc<TempDir> {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        self.data.clone()
    }

    /// Whether the account belongs to a phone, so that the network has its address book, its history and its
    /// own changes.
    pub fn has_phone(&self) -> bool {
        self.can(|engine| engine.qr)
    }

    /// Whether the devices' engine has a feature, as in `app.can(|engine| engine.groups)`.
    pub fn can(&self, what: impl Fn(&Capabilities) -> bool) -> bool {
        what(&self.network.capabilities())
    }

    /// Whether the engine reports transient send failures; an upstream that retries by itself reports the
    /// final result only.
    pub fn reports_failed_attempts(&self) -> bool {
        self.network.reports_failed_attempts()
    }

    /// Creates a device with an id that may be taken.
    pub async fn try_device(&self, id: &str) -> Reply {
        self.post("/devices", self.device_body(id, &json!({})).await).await
    }

    /// Whether the upstream's API has a name for this event of the network.
    pub fn reports(&self, what: &str) -> bool {
        !self.network.unsupported_events().contains(&what)
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Whether the devices use the native engine, to which its network does not send some events.
    pub fn is_native(&self) -> bool {
        matches!(self.network, Network::Testbed(_))
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    pub fn devices_dir(&self) -> PathBuf {
        self.data.path().join("devices")
    }

    /// Requests to this daemon with another key.
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

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.admin().send(self.request("PUT", path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.admin().delete(path).await
    }

    /// A request builder; a path that starts with two slashes is used as it is.
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

    /// Sends a request as it is, without a key.
    pub async fn plain(&self, request: reqwest::RequestBuilder) -> Reply {
        let reply = Reply::of(request.send().await.unwrap()).await;
        log::record_private(&reply.bytes);
        reply
    }

    /// Records a text that must not occur in the log.
    pub fn private(&self, text: &str) {
        secrets::record(text);
    }

    /// Creates a device with short acknowledgement delays, not yet scanned.
    pub async fn new_device(&self, id: &str, world: Value) -> Value {
        let mut settings = json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 });
        for (key, value) in world.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let body = self.device_body(id, &settings).await;
        self.post("/devices", body).await.created()["data"].clone()
    }

    /// The request body that creates a device with these simulation settings.
    pub async fn device_body(&self, id: &str, world: &Value) -> Value {
        json!({ "id": id, "settings": self.network.device_settings(id, world).await })
    }

    /// Creates a device that is linked and ready.
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

    /// Sends a message from a contact and returns its id.
    pub async fn incoming(&self, id: &str, from: &str, body: &str) -> String {
        let reply =
            self.post(&format!("/simulator/{id}/incoming"), json!({ "from": from, "body": body })).await;
        reply.ok()["data"]["messageId"].as_str().unwrap().to_owned()
    }

    /// Sends a text and returns the id of the message.
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

    /// The statuses of one outgoing message, in order.
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

    /// Polls until the condition has a value; panics after `PATIENCE`.
    pub async fn wait_until<T>(&self, what: &str, poll: impl AsyncFn() -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = poll().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("timed out waiting for {what}"))
    }

    /// Asserts that a condition holds for a while. Only for absences that no event, counter or clock can
    /// prove; `reason` names the background work that could break the condition.
    pub async fn assert_stays(&self, what: &str, reason: &str, holds: impl AsyncFn() -> bool) {
        let end = tokio::time::Instant::now() + STABLE_FOR;
        while tokio::time::Instant::now() < end {
            assert!(holds().await, "{what} did not last ({reason})");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Settings of a test daemon: its own directory and any free port.
pub fn settings(data: &Path, overrides: &[(String, String)]) -> Settings {
    let own = [
        ("WHARF__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("WHARF__STORE__DATA_DIR", data.display().to_string()),
        // Hundreds of daemons at once would reserve gigabytes.
        ("WHARF__STORE__RESERVE_BYTES", "0".to_owned()),
        ("WHARF__DEVICES__DIR", data.join("devices").display().to_string()),
        ("WHARF__SUPERVISOR__BACKOFF_INITIAL_MS", "20".to_owned()),
        ("WHARF__OUTBOX__RETRY_DELAY_MS", "20".to_owned()),
        // The developer's machine may have a desktop and a loudspeaker.
        ("WHARF__EFFECTS__DESKTOP__ENABLED", "false".to_owned()),
        ("WHARF__EFFECTS__SOUND__ENABLED", "false".to_owned()),
        // Notifications would add events to tests that count events.
        ("WHARF__NOTIFY__ENABLED", "false".to_owned()),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
    Settings::load(None, own.chain(overrides.iter().cloned())).unwrap()
}

/// A client of the daemon with one API key.
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
        secrets::record(&self.key);
        log::record_private(request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default());
        let reply = Reply::of(self.app.http.execute(request).await.unwrap()).await;
        log::record_private(&reply.bytes);
        reply
    }
}
