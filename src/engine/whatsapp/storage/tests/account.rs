//! The account's keys.

use wacore::store::Device;
use wacore::store::traits::{DeviceStore, SignalStore};

use super::{Fixture, backend_of};

fn as_json(device: &Device) -> serde_json::Value {
    serde_json::to_value(device).unwrap()
}

#[tokio::test]
async fn account_survives_restart() {
    let mut fixture = Fixture::new();
    let mut device = Device::new();
    device.pn = Some("15550100001:3@s.whatsapp.net".parse().unwrap());
    device.lid = Some("100000000000001:3@lid".parse().unwrap());
    device.push_name = "Till".to_owned();
    device.account = Some(std::sync::Arc::new(waproto::whatsapp::ADVSignedDeviceIdentity {
        details: Some(vec![1, 2, 3]),
        ..Default::default()
    }));
    device.edge_routing_info = Some(vec![4, 5]);
    device.next_pre_key_id = 813;
    fixture.backend.save(&device).await.unwrap();
    fixture.reopen().await;
    let loaded = fixture.backend.load().await.unwrap().unwrap();
    assert_eq!(as_json(&loaded), as_json(&device));
}

#[tokio::test]
async fn keys_are_created_once() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    assert!(!backend.exists().await.unwrap());
    assert!(backend.load().await.unwrap().is_none());
    let id = backend.create().await.unwrap();
    let first = backend.load().await.unwrap().unwrap();
    assert!(backend.exists().await.unwrap());
    assert_eq!(backend.create().await.unwrap(), id);
    assert_eq!(as_json(&backend.load().await.unwrap().unwrap()), as_json(&first));
}

#[tokio::test]
async fn clear_removes_only_this_devices_library_state() {
    let fixture = Fixture::new();
    let (mine, other) = (&fixture.backend, backend_of(fixture.store(), "other"));
    for backend in [mine, &other] {
        backend.create().await.unwrap();
        backend.put_session("15550100002@s.whatsapp.net", b"ratchet").await.unwrap();
    }
    mine.vault.put("engine", "notes", Some(b"mine".to_vec())).await.unwrap();

    mine.clear().await.unwrap();
    assert!(!mine.exists().await.unwrap());
    assert!(!mine.has_signal_state_for_user("15550100002").await.unwrap());
    assert_eq!(mine.vault.get("engine", "notes").await.unwrap().as_deref(), Some(&b"mine"[..]));
    assert!(other.exists().await.unwrap());
    assert!(other.has_session("15550100002@s.whatsapp.net").await.unwrap());
}
