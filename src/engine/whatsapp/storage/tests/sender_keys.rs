//! Recipients of a group's key, by either id.

use wacore::store::traits::{LidPnMappingEntry, ProtocolStore as _};

use super::Fixture;

const GROUP: &str = "120363000000000001@g.us";

#[tokio::test]
async fn lid_needing_key_needs_it_by_number_too() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    backend.put_lid_mapping(&mapping()).await.unwrap();
    let by_number = [("15550100001@s.whatsapp.net", true), ("15550100001:7@s.whatsapp.net", true)];
    backend.set_sender_key_status(GROUP, &by_number).await.unwrap();

    backend.set_sender_key_status(GROUP, &[("990001:7@lid", false)]).await.unwrap();

    let mut devices = backend.get_sender_key_devices(GROUP).await.unwrap();
    devices.sort();
    let expected = [
        ("15550100001:7@s.whatsapp.net", false),
        ("15550100001@s.whatsapp.net", true),
        ("990001:7@lid", false),
    ];
    assert_eq!(devices, expected.map(|(device, has)| (device.to_owned(), has)));
}

#[tokio::test]
async fn number_needing_key_needs_it_by_lid_too() {
    let fixture = Fixture::new();
    let backend = &fixture.backend;
    backend.put_lid_mapping(&mapping()).await.unwrap();
    backend.set_sender_key_status(GROUP, &[("990001@lid", true), ("990002@lid", true)]).await.unwrap();

    backend.set_sender_key_status(GROUP, &[("15550100001@s.whatsapp.net", false)]).await.unwrap();

    let devices = backend.get_sender_key_devices(GROUP).await.unwrap();
    let has = |name: &str| devices.iter().find(|(device, _)| device == name).map(|(_, has)| *has);
    assert_eq!(has("990001@lid"), Some(false));
    assert_eq!(has("990002@lid"), Some(true));
}

fn mapping() -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: "990001".into(),
        phone_number: "15550100001".into(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".into(),
    }
}
