//! Connects devices to the testbed, which replaces the network on a loopback address, and forwards its
//! control API. The testbed has the same calls for each account; this file adds the code that a device shows
//! and the number of its account.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value, json};
use url::{Host, Url};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::iq::keepalive::KeepaliveSpec;
use whatsapp_rust::wacore::runtime::Runtime;

use super::event_queue::InboundProgress;
use super::runtime::TaskRuntime;
use super::settings::DeviceSettings;
use super::storage::VaultBackend;
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;
use crate::engine::{ControlError, ControlVerb};
use crate::net::loopback::{LoopbackClient, Method};

/// How long a connection may take to catch up with the testbed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Error codes of the testbed that are passed on unchanged.
const CODES: [&str; 16] = [
    "no_qr",
    "qr_expired",
    "qr_unknown",
    "pairing_code_expired",
    "pairing_code_unknown",
    "not_linked",
    "not_connected",
    "not_acknowledged",
    "network_full",
    "not_in_group",
    "group_unknown",
    "message_unknown",
    "already_linked",
    "not_on_network",
    "not_built",
    "conflict",
];

/// The testbed state of each device.
#[derive(Default)]
pub(super) struct TestbedDevices(Mutex<HashMap<DeviceId, TestbedDevice>>);

#[derive(Default)]
struct TestbedDevice {
    /// Settings of the world.
    settings: Option<Map<String, Value>>,
    /// The code that is shown.
    qr: Option<String>,
    /// The account's number in digits, or the number for which a pairing code was requested.
    number: Option<String>,
    connection: Option<TestbedConnection>,
}

/// The parts of a connection that control calls use.
#[derive(Clone)]
pub(super) struct TestbedConnection {
    pub(super) client: Weak<Client>,
    pub(super) progress: Arc<InboundProgress>,
    pub(super) tasks: Arc<TaskRuntime>,
    pub(super) backend: Arc<VaultBackend>,
}

impl TestbedConnection {
    /// Waits until the network has received everything sent so far.
    async fn flush(&self) {
        if let Some(client) = self.client.upgrade() {
            // Without an answer nothing is sent either.
            let _ = client.execute(KeepaliveSpec::with_timeout(PATIENCE)).await;
        }
    }

    /// Waits until everything received so far is ingested.
    async fn wait_until_ingested(&self) {
        let _ = tokio::time::timeout(PATIENCE, self.progress.wait_until_ingested()).await;
    }

    /// Makes a task of the connection panic.
    #[expect(clippy::panic, reason = "the fault is a panic")]
    fn panic_task(&self) {
        self.tasks.spawn_detached(Box::pin(async { panic!("requested by a test fault") }));
    }
}

/// Faults of the engine itself instead of its network.
fn engine_fault(body: &Value) -> Option<fn(&TestbedConnection)> {
    match body.get("kind")?.as_str()? {
        "panic" => Some(TestbedConnection::panic_task),
        "copy_not_stored" => Some(|connection| connection.backend.reject_next()),
        _ => None,
    }
}

/// Whether the testbed may have this address: HTTP on a literal loopback address.
#[must_use]
pub fn is_allowed(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    loopback && url.scheme() == "http"
}

/// The testbed's WebSocket address.
pub(super) fn socket_url(testbed: &Url) -> String {
    let base = testbed.as_str().trim_end_matches('/');
    format!("ws{}/ws/chat", base.strip_prefix("http").unwrap_or(base))
}

impl TestbedDevices {
    pub(super) fn session_opened(
        &self,
        device: &DeviceId,
        settings: &DeviceSettings,
        account: Option<&Account>,
    ) {
        let mut devices = self.lock();
        let state = devices.entry(device.clone()).or_default();
        state.settings.clone_from(&settings.testbed);
        state.qr = None;
        if let Some(account) = account {
            state.number = Some(account.phone_number.clone());
        }
    }

    pub(super) fn show_code(&self, device: &DeviceId, qr: Option<&str>) {
        self.change(device, |state| state.qr = qr.map(str::to_owned));
    }

    pub(super) fn request_pairing_code(&self, device: &DeviceId, number: &str) {
        self.change(device, |state| state.number = Some(number.to_owned()));
    }

    pub(super) fn linked(&self, device: &DeviceId, account: &Account) {
        self.change(device, |state| {
            state.number = Some(account.phone_number.clone());
            state.qr = None;
        });
    }

    pub(super) fn set_connection(&self, device: &DeviceId, connection: Option<TestbedConnection>) {
        self.change(device, |state| state.connection = connection);
    }

    pub(super) fn forget(&self, device: &DeviceId) {
        self.lock().remove(device);
    }

    /// Forwards a call to the testbed. Answers after its effects are ingested.
    pub(super) async fn control(
        &self,
        testbed: &Url,
        device: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError> {
        let connection = self.lock().get(device).and_then(|state| state.connection.clone());
        if verb == ControlVerb::Post("fault")
            && let Some(fault) = engine_fault(&body)
        {
            fault(&connection.ok_or_else(not_connected)?);
            return Ok(json!({ "kind": body["kind"] }));
        }
        if let (Some(connection), ControlVerb::Get(_)) = (&connection, verb) {
            connection.flush().await;
        }
        let answer = self.forward(testbed, device, verb, body).await?;
        match (connection, verb) {
            (Some(connection), ControlVerb::Post(name)) if !matches!(name, "fault" | "scan" | "pair") => {
                // Unconfirmed stanzas precede the answer to a ping.
                if matches!(name, "typing" | "presence") {
                    connection.flush().await;
                }
                connection.wait_until_ingested().await;
            }
            _ => {}
        }
        Ok(answer)
    }

    async fn forward(
        &self,
        testbed: &Url,
        device: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError> {
        let (method, path, body) = self.call(device, verb, body)?;
        let url = testbed.join(&path).map_err(|_| ControlError::NotFound)?;
        let answer = LoopbackClient::new().call(method, &url, &body).await.map_err(|error| {
            tracing::warn!(%device, %error, "could not reach the testbed");
            impossible("testbed_unavailable", "the testbed does not answer")
        })?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(answer.status, &answer.body)) }
    }

    fn call(
        &self,
        device: &DeviceId,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<(Method, String, Value), ControlError> {
        let (method, name) = match verb {
            ControlVerb::Get(name) => (Method::Get, name),
            ControlVerb::Post(name) => (Method::Post, name),
            ControlVerb::Delete(name) => (Method::Delete, name),
        };
        let devices = self.lock();
        let state = devices.get(device);
        let path = match name {
            "scan" | "pair" => format!("/control/{name}"),
            name if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                // A device without a session since the start is named by its id.
                let number = state.and_then(|state| state.number.as_deref()).unwrap_or(device.as_str());
                format!("/control/accounts/{number}/{name}")
            }
            _ => return Err(ControlError::NotFound),
        };
        let body = match (name, body) {
            ("scan", body) => named(device, with_code(state, body)?),
            ("pair", body) => named(device, with_number(state, body)),
            (_, body) => body,
        };
        Ok((method, path, body))
    }

    fn change(&self, device: &DeviceId, change: impl FnOnce(&mut TestbedDevice)) {
        change(self.lock().entry(device.clone()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, TestbedDevice>> {
        self.0.lock()
    }
}

/// Adds the current code, unless the call has one, and the world's settings.
fn with_code(state: Option<&TestbedDevice>, body: Value) -> Result<Value, ControlError> {
    let mut body = object(body)?;
    let shown = state.and_then(|state| state.qr.clone());
    if body.get("qr").is_none_or(Value::is_null) {
        let qr = shown.ok_or_else(|| impossible("no_qr", "the device shows no QR code now"))?;
        body.insert("qr".to_owned(), json!(qr));
    }
    Ok(with_world(state, body))
}

/// Adds the device's id.
fn named(device: &DeviceId, mut body: Value) -> Value {
    if let Value::Object(map) = &mut body {
        map.insert("deviceId".to_owned(), json!(device.as_str()));
    }
    body
}

/// Adds the number for which the pairing code was requested.
fn with_number(state: Option<&TestbedDevice>, body: Value) -> Value {
    let Value::Object(mut body) = body else { return body };
    if let Some(number) = state.and_then(|state| state.number.clone()) {
        body.entry("phoneNumber").or_insert_with(|| json!(number));
    }
    with_world(state, body)
}

fn with_world(state: Option<&TestbedDevice>, mut body: Map<String, Value>) -> Value {
    if let Some(settings) = state.and_then(|state| state.settings.clone()) {
        body.insert("world".to_owned(), Value::Object(settings));
    }
    Value::Object(body)
}

fn object(body: Value) -> Result<Map<String, Value>, ControlError> {
    match body {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(ControlError::Invalid { field: "body".to_owned(), message: "must be an object".to_owned() }),
    }
}

fn refused(status: u16, body: &Value) -> ControlError {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_else(|| format!("the testbed answered {status}"));
    match (status, text("field")) {
        (404, _) => ControlError::NotFound,
        (422, Some(field)) => ControlError::Invalid { field, message },
        _ => {
            let code = text("code").and_then(|code| CODES.into_iter().find(|listed| *listed == code));
            ControlError::Impossible { code: code.unwrap_or("testbed_refused"), message }
        }
    }
}

fn impossible(code: &'static str, message: &str) -> ControlError {
    ControlError::Impossible { code, message: message.to_owned() }
}

fn not_connected() -> ControlError {
    impossible("not_connected", "the device is not connected to its network")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn testbed_address_must_be_loopback() {
        for (text, allowed) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://192.0.2.1:8080", false),
            ("http://localhost:8080", false),
            ("https://127.0.0.1:8080", false),
            ("http://web.whatsapp.com", false),
        ] {
            assert_eq!(is_allowed(&text.parse().unwrap()), allowed, "{text}");
        }
    }

    #[test]
    fn socket_url_uses_api_address() {
        assert_eq!(socket_url(&"http://127.0.0.1:8080/".parse().unwrap()), "ws://127.0.0.1:8080/ws/chat");
    }

    #[test]
    fn scan_adds_shown_code_and_world() {
        let (devices, device) = (TestbedDevices::default(), "shop".parse::<DeviceId>().unwrap());
        let scan = |body| devices.call(&device, ControlVerb::Post("scan"), body);
        assert!(matches!(scan(json!({})), Err(ControlError::Impossible { code: "no_qr", .. })));
        let settings = json!({ "whatsapp": { "testbed": { "echo": true } } });
        let settings = DeviceSettings::parse(settings.as_object().unwrap()).unwrap();
        devices.session_opened(&device, &settings, None);
        devices.show_code(&device, Some("shown"));
        let (_, path, body) = scan(json!({ "phoneNumber": "15550100009" })).unwrap();
        assert_eq!(path, "/control/scan");
        assert_eq!(
            body,
            json!({ "phoneNumber": "15550100009", "qr": "shown", "deviceId": "shop", "world": { "echo": true } })
        );
        assert_eq!(scan(json!({ "qr": "given" })).unwrap().2["qr"], "given");
    }

    #[test]
    fn other_calls_address_the_account() {
        let (devices, device) = (TestbedDevices::default(), "shop".parse::<DeviceId>().unwrap());
        let call = || devices.call(&device, ControlVerb::Get("network"), Value::Null);
        assert_eq!(call().unwrap().1, "/control/accounts/shop/network");
        devices.linked(&device, &Account { phone_number: "15550100009".into(), client_name: String::new() });
        assert_eq!(call().unwrap().1, "/control/accounts/15550100009/network");
        assert_eq!(devices.call(&device, ControlVerb::Get("../x"), Value::Null), Err(ControlError::NotFound));
    }
}
