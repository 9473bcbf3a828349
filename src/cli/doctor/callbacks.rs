//! Checks for `wharf doctor` that the upstreams of devices with callbacks can reach the daemon.

use serde_json::Value;

use super::host::Check;
use crate::domain::engine_name::{REMOTE, current_engine, rename_settings};
use crate::settings::{DeclaredDevice, Settings};

const NAME: &str = "callbacks";

/// Checks the declared devices.
pub(in crate::cli) fn probe(settings: &Settings, devices: &[DeclaredDevice]) -> Check {
    let default = settings.default_engine();
    let called: Vec<&str> =
        devices.iter().filter(|device| is_called(device, default)).map(|device| device.id.as_str()).collect();
    judged(&called, &settings.server.public_url)
}

fn judged(called: &[&str], public_url: &str) -> Check {
    match (called, public_url) {
        ([], _) => Check::skip(NAME, "no declared device uses callbacks"),
        (called, "") => Check::warn(
            NAME,
            format!("server.public_url is not set, and these devices use callbacks: {}", called.join(", ")),
            "Set server.public_url to where their upstreams reach this daemon; they call <public_url>/hooks/<device id>.",
        ),
        (_, url) => {
            Check::ok(NAME, format!("upstreams call {}/hooks/<device id>", url.trim_end_matches('/')))
        }
    }
}

fn is_called(device: &DeclaredDevice, default_engine: &str) -> bool {
    let engine = current_engine(device.engine.as_deref().unwrap_or(default_engine));
    let mut settings = device.settings.clone();
    let _ = rename_settings(engine, &mut settings);
    let inbound = settings.get(engine).and_then(|own| own.get("inbound")).and_then(Value::as_str);
    match engine {
        "cloud-api" => true,
        "waha" => inbound.is_none_or(|way| way == "webhook"),
        REMOTE => inbound == Some("webhook"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::callbacks::*;
    use super::super::host::Verdict;

    fn device(engine: Option<&str>, settings: &Value) -> DeclaredDevice {
        DeclaredDevice {
            id: "shop".to_owned(),
            name: None,
            engine: engine.map(str::to_owned),
            settings: settings.as_object().unwrap().clone(),
            autostart: true,
            webhooks: Vec::new(),
            notify: Vec::new(),
            inbox_grants: Vec::new(),
            file: "shop.toml".into(),
        }
    }

    #[test]
    fn devices_with_callbacks_need_public_url() {
        assert_eq!(judged(&[], "").verdict, Verdict::Skip);
        let missing = judged(&["shop", "till"], "");
        assert_eq!(missing.verdict, Verdict::Warn);
        assert!(missing.found.contains("server.public_url") && missing.found.ends_with("shop, till"));
        assert_eq!(judged(&["shop"], "https://wharf.example.com").verdict, Verdict::Ok);
    }

    #[test]
    fn engine_and_settings_decide_about_callbacks() {
        assert!(is_called(&device(None, &json!({})), "cloud-api"));
        assert!(is_called(&device(Some("waha"), &json!({ "waha": {} })), "simulator"));
        assert!(!is_called(
            &device(Some("waha"), &json!({ "waha": { "inbound": "websocket" } })),
            "simulator"
        ));
        for name in ["remote", "wwebjs"] {
            let called = device(Some(name), &json!({ name: { "inbound": "webhook" } }));
            assert!(is_called(&called, "simulator"), "{name}");
        }
        assert!(!is_called(&device(Some("remote"), &json!({ "remote": {} })), "simulator"));
        assert!(!is_called(&device(None, &json!({})), "simulator"));
    }
}
