//! Linking by QR code or pairing code.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use testbed::server::pairing::LinkError;
use wacore::pair_code::PairCodeOptions;
use wacore::types::events::Event;

use crate::device::{Device, storage};
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn qr_code_links_device_which_logs_in() {
    let testbed = testbed().await;
    let mut device = Device::start(&testbed, &storage()).await;
    let qr = device.qr().await;
    let linked = testbed.world().scan(&qr, PHONE).await.unwrap();
    assert_eq!((linked.number.as_str(), linked.device), (PHONE, 1));
    let (id, lid) = device
        .next("success", |event| match event {
            Event::PairSuccess(success) => Some((success.id.to_string(), success.lid.to_string())),
            _ => None,
        })
        .await;
    assert_eq!(id, "15550100001:1@s.whatsapp.net");
    assert_eq!(lid, format!("{}:1@lid", linked.lid));
    device.online(&testbed, &linked).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_links_several_devices() {
    let testbed = testbed().await;
    let (first, one) = Device::linked(&testbed, &storage(), PHONE).await;
    let (second, two) = Device::linked(&testbed, &storage(), PHONE).await;
    assert_eq!((one.device, two.device), (1, 2));
    first.online(&testbed, &one).await;
    second.online(&testbed, &two).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_code_links_nothing() {
    let testbed = testbed().await;
    let mut device = Device::start(&testbed, &storage()).await;
    let qr = device.qr().await;
    let (_, keys) = qr.split_once(',').unwrap();
    let unknown = testbed.world().scan(&format!("2@other,{keys}"), PHONE).await.unwrap_err();
    assert_eq!(unknown.code(), "qr_unknown");
    assert_eq!(testbed.world().scan("no code at all", PHONE).await.unwrap_err().code(), "qr_unknown");
    assert_eq!(testbed.world().scan(&qr, "15550190001").await.unwrap_err().code(), "phone_number_unknown");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_with_wrong_secret_is_refused() {
    let testbed = testbed().await;
    let mut device = Device::start(&testbed, &storage()).await;
    let qr = device.qr().await;
    let mut fields: Vec<_> = qr.split(',').map(str::to_owned).collect();
    fields[3] = BASE64_STANDARD.encode([7; 32]);
    let refused = testbed.world().scan(&fields.join(","), PHONE).await.unwrap_err();
    assert!(matches!(&refused, LinkError::Refused(text) if text == "hmac-mismatch"), "{refused}");
    assert!(account(&testbed, PHONE).devices().is_empty());
    // The code is still valid.
    testbed.world().scan(&qr, PHONE).await.unwrap();
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_code_links_device() {
    let testbed = testbed().await;
    let mut device = Device::start(&testbed, &storage()).await;
    device.qr().await;
    let code = ask(&device).await;
    let dashed = format!("{}-{}", &code[..4], code[4..].to_lowercase());
    let linked = testbed.world().type_code(PHONE, &dashed).await.unwrap();
    assert_eq!(linked.number, PHONE);
    device.online(&testbed, &linked).await;
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_code_fails_and_right_code_still_links() {
    let testbed = testbed().await;
    let mut device = Device::start(&testbed, &storage()).await;
    device.qr().await;
    let nobody_asked = testbed.world().type_code(PHONE, "ABCD1234").await.unwrap_err();
    assert_eq!(nobody_asked.code(), "pairing_code_unknown");
    let code = ask(&device).await;
    let wrong = if code == "ABCD1234" { "ABCD1235" } else { "ABCD1234" };
    assert_eq!(testbed.world().type_code(PHONE, wrong).await.unwrap_err().code(), "pairing_code_wrong");
    assert!(account(&testbed, PHONE).devices().is_empty());
    testbed.world().type_code(PHONE, &code).await.unwrap();
    testbed.stop().await;
}

async fn ask(device: &Device) -> String {
    let options = PairCodeOptions { phone_number: PHONE.to_owned(), ..PairCodeOptions::default() };
    device.client().pair_with_code(options).await.unwrap()
}
