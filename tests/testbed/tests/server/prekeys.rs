//! Prekeys: upload after a login, digest, and one for each session.

use wacore::iq::prekeys::PreKeyFetchSpec;
use wacore_binary::Jid;

use crate::device::{Device, storage, until};
use crate::{PHONE, account, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_prekeys_match_digest() {
    let testbed = testbed().await;
    let (device, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    // The phone uses up the oldest meanwhile; an upload would add newer ones.
    let newest =
        || account.with(linked.device, |companion| companion.prekeys.back().map(|key| key.id)).unwrap();
    until("prekeys are uploaded", || newest().is_some()).await;
    let uploaded = newest();
    device.client().validate_digest_key().await.unwrap();
    assert_eq!(newest(), uploaded, "a digest that agrees causes no upload");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_uses_up_a_prekey() {
    let testbed = testbed().await;
    let (writer, _) = Device::linked(&testbed, &storage(), "15550100002").await;
    let (_reader, linked) = Device::linked(&testbed, &storage(), PHONE).await;
    let account = account(&testbed, PHONE);
    let count = || account.with(linked.device, |companion| companion.prekeys.len()).unwrap();
    until("prekeys are uploaded", || count() > 0).await;
    let jids = [Jid::pn(PHONE), Jid::pn_device(PHONE, linked.device), Jid::pn("15550190001")];
    let found = writer.client().execute(PreKeyFetchSpec::new(jids.to_vec())).await.unwrap();
    assert!(found.bundles.contains_key(&jids[0]), "a phone's bundle");
    let used: u32 = found.bundles[&jids[1]].pre_key_id().unwrap().expect("a prekey").into();
    let left = account.with(linked.device, |companion| companion.prekeys.clone()).unwrap();
    assert!(!left.is_empty() && left.iter().all(|key| key.id != used), "prekey {used} is used up");
    assert_eq!(found.rejected.len(), 1, "an unregistered number has none");
    testbed.stop().await;
}
